"""Who signed a request of Twilio's.

Source: Twilio documentation, "Webhooks security" and "Webhook shared keys". What is signed is the
address exactly as Twilio was given it (path and query as sent, percent-encoding untouched, `wss://`
for the upgrade to a media stream), followed by every form field, sorted by name, as name and value.
The key is the account's token with SHA-1, or a shared key with SHA-256 that a header names. Of a
JSON request the query carries the body's digest, and the address alone is signed.
"""

from __future__ import annotations

__all__ = ["SignatureFault", "SigningKeys", "signature", "signature_fault"]

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from urllib.parse import parse_qs, urlsplit

SIGNATURE_HEADER = "X-Twilio-Signature"
SETTINGS_HEADER = "X-Twilio-Webhooks-Signature-Settings"
_DEFAULT_PORTS = {"https": 443, "wss": 443, "http": 80, "ws": 80}

Fields = Mapping[str, Sequence[str]]
"""Form fields: every value of every name, blank ones too."""


class SignatureFault(Enum):
    """Why a request does not count as Twilio's."""

    MISSING = "signature_missing"
    WRONG = "signature_wrong"
    UNKNOWN_KEY = "signature_key_unknown"
    WRONG_BODY = "signature_body_wrong"


@dataclass(frozen=True, slots=True)
class SigningKeys:
    """The secrets that Twilio may sign with."""

    auth_token: str = field(repr=False)
    shared: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Shared keys by identifier (`webhooks_sharedkey_...`)."""


def signature(url: str, fields: Fields, key: str, algorithm: str = "sha1") -> str:
    """The base64 signature of a request to `url` with form `fields`."""
    parts = [name + value for name in sorted(fields) for value in sorted(set(fields[name]))]
    text = url + "".join(parts)
    digest = hmac.new(key.encode(), text.encode("utf-8", "surrogatepass"), algorithm).digest()
    return b64encode(digest).decode("ascii")


def signature_fault(
    url: str,
    fields: Fields,
    headers: Mapping[str, str],
    keys: SigningKeys,
    body: bytes | None = None,
) -> SignatureFault | None:
    """Say what is wrong with the signature of a request; None for one that Twilio signed.

    `headers` must find names in any letter case. `body` is given for requests that are no forms: its
    SHA-256 must be the query's `bodySHA256`, and `fields` are not signed.
    """
    given = headers.get(SIGNATURE_HEADER)
    if not given:
        return SignatureFault.MISSING
    key, algorithm = _key_and_algorithm(headers.get(SETTINGS_HEADER), keys)
    if key is None:
        return SignatureFault.UNKNOWN_KEY
    if body is not None:
        if not _is_digest_of(url, body):
            return SignatureFault.WRONG_BODY
        fields = {}
    matches = [
        hmac.compare_digest(
            signature(address, fields, key, algorithm).encode(), given.encode("utf-8", "replace")
        )
        for address in _spellings(url)
    ]
    return None if any(matches) else SignatureFault.WRONG


def _key_and_algorithm(settings: str | None, keys: SigningKeys) -> tuple[str | None, str]:
    if settings is None:
        return keys.auth_token, "sha1"
    parts = dict(part.strip().partition("=")[::2] for part in settings.split(","))
    if parts.get("algorithm") != "HMAC_SHA256":
        return None, ""
    return keys.shared.get(parts.get("key", "")), "sha256"


def _is_digest_of(url: str, body: bytes) -> bool:
    digests = parse_qs(urlsplit(url).query).get("bodySHA256", [])
    expected = hashlib.sha256(body).hexdigest().encode()
    return len(digests) == 1 and hmac.compare_digest(expected, digests[0].lower().encode())


def _spellings(url: str) -> tuple[str, ...]:
    """The address with and without its default port: Twilio signs either, by product and time."""
    scheme, separator, rest = url.partition("://")
    slash = rest.find("/")
    host, path = (rest, "") if slash < 0 else (rest[:slash], rest[slash:])
    suffix = f":{_DEFAULT_PORTS.get(scheme, 0)}"
    if host.endswith(suffix):
        return (url, scheme + separator + host.removesuffix(suffix) + path)
    if ":" in host.rpartition("]")[2]:
        return (url,)
    return (url, scheme + separator + host + suffix + path)
