"""A tiny bridge for the caller's tests: it notes what it gets and answers as the test says."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed

from offhook.codecs import g711

LOUD = g711.encode((8000 * np.sin(2 * np.pi * 437 * np.arange(160) / 8000)).astype(np.int16))


@dataclass
class Seen:
    """One stream as the bridge saw it."""

    headers: dict[str, str] = field(default_factory=dict)
    extensions: str | None = None
    messages: list[dict[str, Any]] = field(default_factory=list)
    close_code: int | None = None
    clean: bool = False
    over: asyncio.Event = field(default_factory=asyncio.Event)

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["event"] == kind]

    @property
    def stream_sid(self) -> str:
        return str(self.events("start")[0]["streamSid"])


Answer = Callable[["Bridge", dict[str, Any]], Awaitable[None]]


class Bridge:
    """What a test's answer may do."""

    def __init__(self, connection: ServerConnection, seen: Seen) -> None:
        self.connection, self.seen = connection, seen

    async def audio(self, frames: int) -> None:
        payload = base64.b64encode(LOUD * frames).decode()
        await self._send({"event": "media", "media": {"payload": payload}})

    async def mark(self, name: str) -> None:
        await self._send({"event": "mark", "mark": {"name": name}})

    async def _send(self, fields: dict[str, Any]) -> None:
        await self.connection.send(json.dumps({**fields, "streamSid": self.seen.stream_sid}))


async def silent(bridge: Bridge, message: dict[str, Any]) -> None:
    """Listens and says nothing."""


@asynccontextmanager
async def scripted_bridge(answer: Answer = silent) -> AsyncIterator[tuple[str, list[Seen]]]:
    """Serve on loopback; yields the stream's URL and what was seen of each stream."""
    streams: list[Seen] = []

    async def handle(connection: ServerConnection) -> None:
        request = connection.request
        assert request is not None
        seen = Seen(headers=dict(request.headers.raw_items()))
        streams.append(seen)
        bridge = Bridge(connection, seen)
        try:
            while True:
                seen.messages.append(json.loads(await connection.recv()))
                await answer(bridge, seen.messages[-1])
        except ConnectionClosed as closed:
            seen.close_code = closed.rcvd.code if closed.rcvd else None
            seen.clean = closed.rcvd is not None
        finally:
            seen.over.set()

    async with serve(handle, "127.0.0.1", 0, ping_interval=None, close_timeout=0.5) as server:
        port = server.sockets[0].getsockname()[1]
        yield f"ws://127.0.0.1:{port}/media", streams
