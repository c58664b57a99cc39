"""Signed webhooks after Standard Webhooks 1.0.0: three headers prove who sent what, and when."""

from __future__ import annotations

__all__ = ["server_headers", "signature_headers"]

import base64
import hashlib
import hmac

from offhook.config.server import Server, signing_key


def signature_headers(key: bytes, message_id: str, sent_at_s: int, body: bytes) -> dict[str, str]:
    """Make the headers of one delivery; `sent_at_s` is Unix time, `message_id` the same for every retry.

    The signature is HMAC-SHA256 over `id.timestamp.body`, the body as it is sent, byte for byte.
    """
    signed = b".".join((message_id.encode(), str(sent_at_s).encode(), body))
    signature = base64.b64encode(hmac.digest(key, signed, hashlib.sha256)).decode()
    return {
        "webhook-id": message_id,
        "webhook-timestamp": str(sent_at_s),
        "webhook-signature": f"v1,{signature}",
    }


def server_headers(server: Server, message_id: str, sent_at_s: int, body: bytes) -> dict[str, str]:
    """Make the headers of a post to a server of the operator's own; without a secret nothing is signed.

    Beside the signature go two proofs for servers that were written for a hosted platform: the hexadecimal
    HMAC-SHA256 of the body (`x-vapi-signature`), which tutorials check over `JSON.stringify` of the body
    they parsed, and the secret itself (`x-vapi-secret`, as Vapi documents it) where nobody can read it on
    its way.
    """
    headers = {"Content-Type": "application/json"}
    if server.secret is None:
        return headers
    text = server.secret.get_secret_value()
    headers |= signature_headers(signing_key(text), message_id, sent_at_s, body)
    headers["x-vapi-signature"] = hmac.new(text.encode(), body, hashlib.sha256).hexdigest()
    if server.sends_secret:
        headers["x-vapi-secret"] = text
    return headers
