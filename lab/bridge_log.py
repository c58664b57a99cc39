"""The bridge's own account of a call, read over its control API: events as they happen and afterwards.

A bridge of somebody else's has no such API; then there is nothing to read, which is no error.
"""

from __future__ import annotations

__all__ = ["BridgeEvent", "BridgeLog", "control_url"]

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from offhook.bridge.trust import control_key

_ANSWER_WITHIN_S = 3.0
_SETTLE_ATTEMPTS = 20
_SETTLE_STEP_S = 0.15
_KNOWN_WITHIN_ATTEMPTS = 20
_BUFFER_BYTES = 256 * 1024


@dataclass(frozen=True, slots=True)
class BridgeEvent:
    """One line of the bridge's event log."""

    type: str
    at_ms: int
    """Milliseconds since the stream started, on the bridge; within a frame of caller media time."""
    data: Mapping[str, Any]

    @classmethod
    def read(cls, fields: object) -> BridgeEvent | None:
        """Take an event as the control API gives it; None for anything else."""
        if not isinstance(fields, Mapping):
            return None
        kind, at_ms, data = fields.get("type"), fields.get("at_ms"), fields.get("data", {})
        if not isinstance(kind, str) or not isinstance(at_ms, int | float) or not isinstance(data, Mapping):
            return None
        return cls(kind, round(at_ms), dict(data))


def control_url(address: str) -> str:
    """The control API beside a webhook or stream URL: scheme and host as http(s)."""
    parts = urlsplit(address)
    secure = parts.scheme in ("https", "wss")
    return f"{'https' if secure else 'http'}://{parts.netloc}/v1/calls"


class BridgeLog:
    """Reads the log of one call; every failure means that there is no log.

    With `auth_token`, Twilio's, each request carries the control key that the bridge derives from the same;
    but only to this machine, for the key opens every call of the bridge.
    """

    def __init__(
        self, session: aiohttp.ClientSession, url: str, call_sid: str, auth_token: str | None = None
    ) -> None:
        self._session, self._url = session, f"{url}/{call_sid}"
        here = urlsplit(url).hostname in ("localhost", "127.0.0.1", "::1")
        self._headers = {"Authorization": f"Bearer {control_key(auth_token)}"} if auth_token and here else {}

    async def watch(self, on_event: Callable[[BridgeEvent], None]) -> None:
        """Pass on each event as it happens until the stream of events ends or the task is cancelled."""
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=_ANSWER_WITHIN_S)
        try:
            for _ in range(_KNOWN_WITHIN_ATTEMPTS):
                # The bridge knows the call once it has read `start`.
                await asyncio.sleep(_SETTLE_STEP_S)
                async with self._session.get(
                    f"{self._url}/events",
                    headers=self._headers,
                    timeout=timeout,
                    read_bufsize=_BUFFER_BYTES,
                ) as answer:
                    if answer.status == 200 and answer.content_type == "text/event-stream":
                        return await _read_stream(answer.content, on_event)
                    if answer.status != 404:
                        return None
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return None

    async def read(self) -> tuple[BridgeEvent, ...]:
        """Everything that happened, once the bridge says the call has ended (or soon afterwards)."""
        events: tuple[BridgeEvent, ...] = ()
        for _ in range(_SETTLE_ATTEMPTS):
            fresh = await self._fetch()
            if fresh is None:
                break
            events = fresh
            if any(event.type == "call.ended" for event in events):
                break
            await asyncio.sleep(_SETTLE_STEP_S)
        return events

    async def _fetch(self) -> tuple[BridgeEvent, ...] | None:
        try:
            timeout = aiohttp.ClientTimeout(total=_ANSWER_WITHIN_S)
            async with self._session.get(self._url, headers=self._headers, timeout=timeout) as answer:
                if answer.status != 200 or answer.content_type != "application/json":
                    return None
                record = await answer.json()
        except (aiohttp.ClientError, TimeoutError, ValueError):
            return None
        listed = record.get("events") if isinstance(record, Mapping) else None
        read = map(BridgeEvent.read, listed) if isinstance(listed, list) else ()
        return tuple(event for event in read if event is not None)


async def _read_stream(content: aiohttp.StreamReader, on_event: Callable[[BridgeEvent], None]) -> None:
    """Read server-sent events (WHATWG HTML, section 9.2); only `data` lines matter here."""
    pieces: list[str] = []
    while line := await content.readline():
        text = line.decode(errors="replace").rstrip("\r\n")
        if text.startswith("data:"):
            pieces.append(text[5:].removeprefix(" "))
        elif not text and pieces:
            event = BridgeEvent.read(json.loads("\n".join(pieces)))
            pieces.clear()
            if event is not None:
                on_event(event)
