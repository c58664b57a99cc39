"""One attempt to post one message."""

from __future__ import annotations

__all__ = ["Attempt", "envelope", "post"]

from dataclasses import dataclass
from typing import Any

import msgspec

from offhook.config.errors import ToolError, ToolUnreachable
from offhook.config.server import Server
from offhook.pipeline.providers.web.signing import server_headers
from offhook.pipeline.providers.web.web_client import Exchange, WebRequest

from .messages import Envelope, Message

POST_WITHIN_S = 10.0
_TRY_AGAIN = frozenset({408, 409, 425, 429})


@dataclass(frozen=True, slots=True)
class Attempt:
    """What came of it."""

    status: int
    """0 where there was no answer."""
    why: str
    """In words that quote nothing."""
    retry_after_s: float = 0.0

    @property
    def taken(self) -> bool:
        """The receiver has it."""
        return 200 <= self.status < 300

    @property
    def refused(self) -> bool:
        """The receiver will never take it."""
        return 300 <= self.status < 500 and self.status not in _TRY_AGAIN


async def post(exchange: Exchange, server: Server, message_id: str, body: bytes, sent_at_s: int) -> Attempt:
    """Post a message, signed, within 10 s; `sent_at_s` is Unix time. Never raises what the exchange may.

    The status alone says whether it was taken: nothing else of an answer is waited for.
    """
    headers = server_headers(server, message_id, sent_at_s, body)
    request = WebRequest("POST", server.url, headers, body, POST_WITHIN_S, reads_answer=False)
    try:
        answer = await exchange(request, named=True)
    except (ToolUnreachable, ToolError) as error:
        return Attempt(0, error.reason)
    return Attempt(answer.status, f"status {answer.status}", answer.retry_after_s)


def envelope(message: Message) -> dict[str, Any]:
    """Give a message as it is posted, in plain values."""
    built: dict[str, Any] = msgspec.to_builtins(Envelope(message))
    return built
