"""Tickets that bind a media stream to the call whose webhook we answered.

A request that Twilio signed proves that Twilio sent it, not that the stream belongs to this call.
So the webhook hands out HMAC-SHA256(key, CallSid, expiry, nonce) as a stream parameter, good for one
stream of that call within a minute.
"""

from __future__ import annotations

__all__ = ["StreamTokens", "TokenFault", "derive_key"]

import hmac
import secrets
import struct
import time
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections import deque
from collections.abc import Callable
from enum import Enum

LIFETIME_S = 60
_NONCE_BYTES = 12
_FORMAT = struct.Struct(f">Q{_NONCE_BYTES}s32s")


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
    """Makes tokens and takes each of them once."""

    def __init__(
        self, key: bytes, wall_time: Callable[[], float] = time.time, remembered: int = 10_000
    ) -> None:
        """`wall_time` gives Unix seconds, so that processes on several hosts agree."""
        self._key = key
        self._wall_time = wall_time
        self._remembered = remembered
        self._used: set[bytes] = set()
        self._used_in_order: deque[tuple[int, bytes]] = deque()

    def mint(self, call_sid: str) -> str:
        """A new token for one stream of this call."""
        expiry = int(self._wall_time()) + LIFETIME_S
        nonce = secrets.token_bytes(_NONCE_BYTES)
        packed = _FORMAT.pack(expiry, nonce, self._mac(call_sid, expiry, nonce))
        return urlsafe_b64encode(packed).decode("ascii")

    def redeem(self, token: str | None, call_sid: str) -> TokenFault | None:
        """Take the token of a stream that claims to be this call's; None if it is good.

        When more tokens were used within their lifetime than can be remembered, none is taken: one
        that nobody can check might have been used before.
        """
        if not token:
            return TokenFault.MISSING
        try:
            expiry, nonce, mac = _FORMAT.unpack(urlsafe_b64decode(token.encode("ascii")))
        except (ValueError, struct.error):
            return TokenFault.MALFORMED
        if not hmac.compare_digest(mac, self._mac(call_sid, expiry, nonce)):
            return TokenFault.FORGED
        now = self._wall_time()
        if expiry <= now:
            return TokenFault.EXPIRED
        self._forget_expired(now)
        if nonce in self._used:
            return TokenFault.REUSED
        if len(self._used) >= self._remembered:
            return TokenFault.UNCHECKABLE
        self._used.add(nonce)
        self._used_in_order.append((expiry, nonce))
        return None

    def _mac(self, call_sid: str, expiry: int, nonce: bytes) -> bytes:
        signed = struct.pack(">Q", expiry) + nonce + call_sid.encode("utf-8", "surrogatepass")
        return hmac.digest(self._key, signed, "sha256")

    def _forget_expired(self, now: float) -> None:
        while self._used_in_order and self._used_in_order[0][0] <= now:
            self._used.discard(self._used_in_order.popleft()[1])
