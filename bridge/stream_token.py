"""Tickets that bind a media stream to the call whose webhook we answered.

A request that Twilio signed proves that Twilio sent it, not that the stream belongs to this call.
So the webhook hands out HMAC-SHA256(key, CallSid, expiry, nonce) as a stream parameter, good for one
stream of that call within a minute.
"""

from __future__ import annotations

__all__ = ["StreamTokens", "Ticket", "TokenFault", "derive_key"]

import hmac
import secrets
import struct
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

LIFETIME_S = 60
_NONCE_BYTES = 12
_FORMAT = struct.Struct(f">Q{_NONCE_BYTES}s32s")


@dataclass(frozen=True, slots=True)
class Ticket:
    """What a good token says; whoever keeps used nonces sees to it that it is taken once."""

    nonce: bytes
    expires_at: int
    """Unix seconds."""


class TokenFault(Enum):
    """Why a token is not taken."""

    MISSING = "token_missing"
    MALFORMED = "token_malformed"
    FORGED = "token_forged"
    EXPIRED = "token_expired"
    REUSED = "token_reused"
    UNCHECKABLE = "token_uncheckable"


def derive_key(auth_token: str | None) -> bytes:
    """The key of all processes that share the account's token, or one of this process alone."""
    if auth_token is None:
        return secrets.token_bytes(32)
    return hmac.digest(auth_token.encode(), b"offhook stream token", "sha256")


class StreamTokens:
    """Makes tokens and reads them."""

    def __init__(self, key: bytes, wall_time: Callable[[], float] = time.time) -> None:
        """`wall_time` gives Unix seconds, so that processes on several hosts agree."""
        self._key = key
        self._wall_time = wall_time

    def key_for(self, purpose: bytes) -> bytes:
        """Derive the key of something else that processes with the same tokens agree on."""
        return hmac.digest(self._key, b"offhook " + purpose, "sha256")

    def mint(self, call_sid: str) -> str:
        """A new token for one stream of this call."""
        expiry = int(self._wall_time()) + LIFETIME_S
        nonce = secrets.token_bytes(_NONCE_BYTES)
        packed = _FORMAT.pack(expiry, nonce, self._mac(call_sid, expiry, nonce))
        return urlsafe_b64encode(packed).decode("ascii")

    def read(self, token: str | None, call_sid: str) -> Ticket | TokenFault:
        """Check the token of a stream that claims to be this call's; a CallStore knows if it was used."""
        if not token:
            return TokenFault.MISSING
        try:
            expiry, nonce, mac = _FORMAT.unpack(urlsafe_b64decode(token.encode("ascii")))
        except (ValueError, struct.error):
            return TokenFault.MALFORMED
        if not hmac.compare_digest(mac, self._mac(call_sid, expiry, nonce)):
            return TokenFault.FORGED
        if expiry <= self._wall_time():
            return TokenFault.EXPIRED
        return Ticket(nonce, expiry)

    def _mac(self, call_sid: str, expiry: int, nonce: bytes) -> bytes:
        signed = struct.pack(">Q", expiry) + nonce + call_sid.encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, signed, "sha256")
