"""One attempt to post one message."""

from __future__ import annotations

__all__ = ["Attempt", "post"]

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from offhook.config.errors import ToolError, ToolUnreachable
from offhook.config.server import Server
from offhook.pipeline.providers.web.javascript_json import javascript_json
from offhook.pipeline.providers.web.signing import server_headers
from offhook.pipeline.providers.web.web_client import Exchange, WebRequest

POST_WITHIN_S = 10.0


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


async def post(
    exchange: Exchange, server: Server, message_id: str, envelope: Mapping[str, Any], sent_at_s: int
) -> Attempt:
    """Post a message, signed, within 10 s; `sent_at_s` is Unix time. Never raises what the exchange may."""
    body = javascript_json(envelope)
    headers = server_headers(server.secret, message_id, sent_at_s, body)
    try:
        answer = await exchange(WebRequest("POST", server.url, headers, body, POST_WITHIN_S), named=True)
    except (ToolUnreachable, ToolError) as error:
        return Attempt(0, error.reason)
    return Attempt(answer.status, f"status {answer.status}", answer.retry_after_s)
