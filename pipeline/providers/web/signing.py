"""Signed webhooks after Standard Webhooks 1.0.0: three headers prove who sent what, and when."""

from __future__ import annotations

__all__ = ["signature_headers"]

import base64
import hashlib
import hmac


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
