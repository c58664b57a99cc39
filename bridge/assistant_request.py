"""Asks the operator's server which assistant is to take a call, before the stream is opened.

Source of the message and its answers: the public documentation of Vapi (server events, `assistant-request`).
"""

from __future__ import annotations

__all__ = ["NOT_CHOSEN", "AssistantRequests", "Choice", "assistant_requests"]

import asyncio
import json
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from offhook.config.assistant import Assistant
from offhook.config.errors import ConfigError, ToolError, ToolUnreachable
from offhook.config.server import Server
from offhook.config.settings import Settings
from offhook.pipeline.providers.web.javascript_json import javascript_json
from offhook.pipeline.providers.web.signing import server_headers
from offhook.pipeline.providers.web.web_client import Exchange, WebClient, WebRequest

from .events_out.messages import AssistantRequest, CallFacts, Number
from .events_out.posting import envelope
from .posted_assistants import read_posted

WITHIN_S = 5.0
"""The caller hears it ring meanwhile; the carrier gives the whole webhook 15 s (error 11205)."""
WORDS_LIMIT = 500
"""Characters of what is said in place of a call."""
_NAME = re.compile(r"[a-z0-9_-]{1,64}")


@dataclass(frozen=True, slots=True)
class Choice:
    """What the server chose; at most one field is set, and none for the usual assistant."""

    name: str = ""
    """An assistant of ours."""
    assistant: Assistant | None = None
    """One that the server wrote itself."""
    words: str = ""
    """Said by the carrier's voice in place of a call."""


class AssistantRequests:
    """Asks one server."""

    def __init__(
        self, server: Server, exchange: Exchange, wall_time: Callable[[], float] = time.time
    ) -> None:
        """`wall_time` gives Unix seconds."""
        self._server, self._exchange, self._wall_time = server, exchange, wall_time

    async def ask(self, call_sid: str, caller: str, called: str) -> Choice:
        """Ask about one call, within 5 s.

        Raises ToolUnreachable and ToolError if there was no answer, and ConfigError for one that makes no
        sense or holds an assistant that cannot be used.
        """
        now_s = self._wall_time()
        facts = CallFacts(call_sid, "", Number(caller), Number(called))
        body = javascript_json(envelope(AssistantRequest(timestamp=round(now_s * 1000), call=facts)))
        headers = server_headers(self._server, f"msg_{secrets.token_urlsafe(18)}", int(now_s), body)
        request = WebRequest("POST", self._server.url, headers, body, WITHIN_S)
        answer = await self._exchange(request, named=True)
        if not answer.ok:
            raise ToolError(f"status {answer.status}")
        try:
            fields = json.loads(answer.body or b"{}")
        except (ValueError, RecursionError):
            raise ToolError("the answer is no JSON") from None
        return await _chosen(fields)


async def _chosen(fields: Any) -> Choice:
    if not isinstance(fields, dict):
        raise ToolError("the answer is no JSON object")
    error, name, written = fields.get("error"), fields.get("assistantId"), fields.get("assistant")
    if isinstance(error, str) and error:
        return Choice(words=error[:WORDS_LIMIT])
    if isinstance(name, str) and name:
        if not _NAME.fullmatch(name):
            raise ToolError("`assistantId` is no name of an assistant")
        return Choice(name=name)
    if isinstance(written, dict):
        # It may be long, and reading it is work: not on the loop.
        return Choice(assistant=await asyncio.to_thread(_read_written, written))
    return Choice()


def _read_written(fields: dict[str, Any]) -> Assistant:
    try:
        return read_posted(json.dumps(fields))
    except RecursionError:
        raise ToolError("`assistant` is nested too deeply") from None


@asynccontextmanager
async def assistant_requests(settings: Settings) -> AsyncIterator[AssistantRequests | None]:
    """Give what asks the server of the settings; None where it is not to be asked."""
    if not settings.ask_for_assistant or settings.webhook_url is None:
        yield None
        return
    client = WebClient()
    server = Server(url=settings.webhook_url, secret=settings.webhook_secret)
    try:
        yield AssistantRequests(server, client.exchange)
    finally:
        await client.close()


NOT_CHOSEN = (ToolUnreachable, ToolError, ConfigError)
"""What `ask` raises."""
