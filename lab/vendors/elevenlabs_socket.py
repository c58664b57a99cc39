"""An emulated ElevenLabs: one multi-context WebSocket, several texts spoken at once.

The documentation has two readings of `close_context`: "it will continue flushing" what was flushed, and no
further audio is made. The emulator takes the first: what was flushed is spoken to its end, then comes
`isFinal`; what was not flushed is dropped. A context that is closing counts until then, so a client that
cancels faster than the vendor speaks meets the limit of five, as it does in the field.
"""

from __future__ import annotations

__all__ = ["MultiContextSocket", "SocketGone"]

import asyncio
import json
from collections import deque
from contextlib import aclosing
from typing import Any

from aiohttp import WSMsgType, web

from offhook.config.errors import ProviderError

from .elevenlabs_speech import SpeechChunk, chunks_of
from .elevenlabs_wire import (
    VENDOR,
    SocketOptions,
    VendorRefusal,
    abort,
    audio_message,
    final_message,
)
from .faults import FaultKind, PlannedFault
from .world import VendorWorld

MOST_CONTEXTS = 5
_ON_SOCKET = {
    FaultKind.CLOSE: ("", 1011),
    FaultKind.BUSY: ("too_many_concurrent_requests", 1008),
    FaultKind.ERROR: ("internal_server_error", 1011),
    FaultKind.REFUSE: ("invalid_api_key", 1008),
}
"""What the vendor says, if anything, and the code with which it closes."""


class SocketGone(Exception):
    """The connection was cut, or the client closed it."""


class _Context:
    def __init__(self, context_id: str) -> None:
        self.id = context_id
        self.unflushed = ""
        self.flushed: deque[str] = deque()
        self.news = asyncio.Event()
        self.speaking = False
        self.closing = False
        self.left_s = 0.0
        """Audio sent after the close."""


class MultiContextSocket:
    """One open socket."""

    def __init__(
        self, socket: web.WebSocketResponse, request: web.Request, world: VendorWorld, options: SocketOptions
    ) -> None:
        self._socket, self._request, self._world, self._options = socket, request, world, options
        self._contexts: dict[str, _Context] = {}
        self._fewer = asyncio.Event()
        """A context is gone."""
        self._stalled = False

    async def serve(self, first: PlannedFault | None) -> None:
        """Serve until the socket closes; `first` happens at once. Raises VendorRefusal and SocketGone."""
        failures: list[BaseException] = []
        try:
            async with asyncio.TaskGroup() as group:
                if first is not None:
                    await self._suffer(first)
                await self._read(group)
                raise SocketGone
        except BaseExceptionGroup as raised:
            failures.extend(raised.exceptions)
        finally:
            self._world.sightings.opened("elevenlabs context", -len(self._contexts))
        raise failures[0]

    # -------------------------------------------------------------- receiving

    async def _read(self, group: asyncio.TaskGroup) -> None:
        async for message in self._socket:
            if message.type is not WSMsgType.TEXT:
                raise VendorRefusal("invalid_input_message")
            try:
                fields = json.loads(message.data)
            except ValueError:
                raise VendorRefusal("invalid_input_message") from None
            if not isinstance(fields, dict):
                raise VendorRefusal("invalid_input_message")
            if fields.get("close_socket"):
                group.create_task(self._close_all())
            else:
                await self._take(fields, group)

    async def _take(self, fields: dict[str, Any], group: asyncio.TaskGroup) -> None:
        context_id, text = fields.get("context_id", "default"), fields.get("text") or ""
        context = self._contexts.get(context_id)
        if fields.get("close_context"):
            if context is not None and not context.closing:
                self._close(context)
            return
        if context is None or context.closing:
            context = self._open(context_id, fields, group)
        elif "voice_settings" in fields:
            self._note("late-settings", context=context_id)
        if text.strip():
            self._note("text", context=context_id, text=text, flush=bool(fields.get("flush")))
            if not text.endswith(" "):
                self._note("text-without-space", context=context_id)
            await self._suffer(self._world.faults.take(VENDOR, "text"))
        context.unflushed += text
        if (fields.get("flush") or self._options.auto_mode) and context.unflushed.strip():
            context.flushed.append(context.unflushed.lstrip())
            context.unflushed = ""
        context.news.set()

    def _open(self, context_id: str, fields: dict[str, Any], group: asyncio.TaskGroup) -> _Context:
        if len(self._contexts) >= MOST_CONTEXTS:
            raise VendorRefusal("max_active_conversations")
        context = _Context(context_id)
        if context_id in self._contexts:
            # The same name again is another context; the one that is closing keeps its place in the count.
            closing = self._contexts.pop(context_id)
            self._contexts[f"{context_id} (closing)"] = closing
        self._contexts[context_id] = context
        self._note("context-opened", context=context_id, settings=fields.get("voice_settings"))
        self._world.sightings.opened("elevenlabs context")
        group.create_task(self._speak(context))
        return context

    def _close(self, context: _Context) -> None:
        context.closing = True
        context.unflushed = ""
        if context.speaking or context.flushed:
            self._note("cancelled", context=context.id)
        context.news.set()

    async def _close_all(self) -> None:
        for context in self._contexts.values():
            if not context.closing:
                self._close(context)
        while self._contexts:
            self._fewer.clear()
            await self._fewer.wait()
        raise VendorRefusal("", 1000)

    # --------------------------------------------------------------- speaking

    async def _speak(self, context: _Context) -> None:
        """Speak what is flushed until the context is closed, or was idle for too long."""
        while True:
            while context.flushed:
                context.speaking = True
                await self._say(context, context.flushed.popleft())
                context.speaking = False
            if context.closing:
                break
            context.news.clear()
            try:
                async with asyncio.timeout(self._options.inactivity_s):
                    await context.news.wait()
            except TimeoutError:
                break
        await self._send(final_message(context.id))
        self._contexts = {name: each for name, each in self._contexts.items() if each is not context}
        self._fewer.set()
        self._world.sightings.opened("elevenlabs context", -1)
        self._note("context-closed", context=context.id, left_ms=round(context.left_s * 1000))

    async def _say(self, context: _Context, text: str) -> None:
        world = self._world
        ready_at = world.clock.now() + world.latency.draw_s("first_audio")
        speed = world.latency.profile.audio_speed
        try:
            async with aclosing(chunks_of(text, world.engines.voice)) as chunks:
                async for chunk in chunks:
                    await world.clock.sleep_until(ready_at)
                    await self._send_audio(context, chunk)
                    ready_at += chunk.lasts_s / speed if speed else 0.0
        except ProviderError:
            raise VendorRefusal("internal_server_error", 1011) from None

    async def _send_audio(self, context: _Context, chunk: SpeechChunk) -> None:
        await self._suffer(self._world.faults.take(VENDOR, "audio"))
        context.left_s += chunk.lasts_s if context.closing else 0.0
        await self._send(audio_message(chunk, context.id, aligned=self._options.sync_alignment))

    async def _send(self, message: dict[str, Any]) -> None:
        if self._stalled or self._socket.closed:
            return
        try:
            await self._socket.send_str(json.dumps(message))
        except ConnectionError:
            raise SocketGone from None

    # ----------------------------------------------------------------- faults

    async def _suffer(self, fault: PlannedFault | None) -> None:
        """Let a fault happen; returns if things go on."""
        if fault is None:
            return
        match fault.kind:
            case FaultKind.SLOW:
                await self._world.clock.sleep_until(self._world.clock.now() + fault.wait_ms / 1000)
            case FaultKind.MALFORMED:
                if not self._stalled:
                    await self._socket.send_str('{"audio": 7, "contextId"')
            case FaultKind.STALL:
                self._stalled = True
            case FaultKind.DROP:
                abort(self._request)
                raise SocketGone
            case kind:
                raise VendorRefusal(*_ON_SOCKET[kind])

    def _note(self, what: str, **data: Any) -> None:
        self._world.sightings.note(VENDOR, what, **data)
