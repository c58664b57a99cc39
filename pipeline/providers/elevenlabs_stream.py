"""One call's socket to ElevenLabs: connected from the call's start, connected again when it drops.

The dialect is in `elevenlabs_contexts`; here are the socket, the waits and their bounds.
"""

from __future__ import annotations

__all__ = ["ElevenLabsStream"]

import asyncio
import logging
import math
import random
import ssl
from collections.abc import AsyncGenerator, Iterable
from contextlib import suppress
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import broadcast
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from offhook.config.errors import ProviderBusy, ProviderError, ProviderRefused, ProviderTimeout

from ..clock import Clock
from ..ports import SpokenAudio
from .elevenlabs_clause import BYTES_PER_S, Clause
from .elevenlabs_contexts import CLOSE_SOCKET, Contexts
from .elevenlabs_options import VENDOR, SpeechOptions, error_of_status

OPEN_WITHIN_S = 4.0
CLOSE_WITHIN_S = 1.0
ROOM_WITHIN_S = 1.0
PING_S = 10.0
"""A socket that is quiet for so long is pinged, and gone if it has not answered after as long again."""
RECONNECT_AFTER_S = (0.0, 0.25, 0.5, 1.0, 2.0)
"""By failures in a row; the last one for all that follow."""
REFUSED_FOR_S = 10.0
SERVED_S = 5.0
"""A socket that was open for so long has worked, though nothing was said on it."""
AHEAD_BYTES = 10 * BYTES_PER_S
"""With so much audio waiting to be taken, no more is read from the socket."""
MESSAGE_BYTES = 1 << 20

# The library writes the headers of a handshake, the key among them, to its log at DEBUG.
_LOG = logging.getLogger("websockets.client.elevenlabs")
_LOG.setLevel(logging.WARNING)


class _Connect(connect):
    def process_redirect(self, exc: Exception) -> Exception | str:
        # The key would be sent wherever the redirect points.
        return exc


class ElevenLabsStream:
    """One call's use of an ElevenLabs voice; implements `VoiceStream`."""

    def __init__(self, options: SpeechOptions, tls: ssl.SSLContext | None, clock: Clock) -> None:
        self._options, self._tls, self._clock = options, tls, clock
        self._contexts = Contexts(options.voice_settings)
        self._clauses: set[Clause] = set()
        self._socket: ClientConnection | None = None
        self._failure: ProviderError | None = None
        """Why there is no socket now."""
        self._settled = asyncio.Event()
        """The socket is open, or was refused."""
        self._answered = asyncio.Event()
        """Something came from the server: there may be room for a context."""
        self._taken = asyncio.Event()
        """Audio that waited is gone."""

    # --------------------------------------------------------------- speaking

    async def speak(self, text: str, *, reply: int) -> AsyncGenerator[SpokenAudio, None]:
        """Yield the speech of one clause or more of a reply.

        Raises ProviderError when the socket drops or the vendor reports one, ProviderRefused at once for a
        key or a voice that it does not accept, ProviderTimeout when the socket does not open within 4 s,
        ProviderBusy when too many contexts are still closing after 1 s.
        """
        if not any(sign.isalnum() for sign in text):
            return  # The vendor makes no sound of it, and says nothing about that.
        await self._ready(reply)
        news = asyncio.Event()
        clause = Clause(text, reply, news.set)
        self._clauses.add(clause)
        early = True
        try:
            self._write(self._contexts.begin(clause, self._clock.now()))
            while (piece := await self._next_piece(clause, news)) is not None:
                yield piece
            early = False
        finally:
            # No await: a barge-in is written before anything else happens.
            self._leave(clause, early=early)

    def _leave(self, clause: Clause, *, early: bool) -> None:
        now = self._clock.now()
        # While audio of another clause holds the reader up, silence proves nothing.
        stalled = self._contexts.stalled(clause, now) and not self._held_up
        self._write(self._contexts.leave(clause, early=early, now=now))
        self._clauses.discard(clause)
        self._taken.set()
        if stalled and self._socket is not None:
            self._socket.transport.abort()
            self._lose(ProviderError(VENDOR, "the socket fell silent"))

    def reply_over(self, reply: int) -> None:
        """No more text of this reply comes; its context is closed once it has spoken."""
        self._write(self._contexts.reply_over(reply, self._clock.now()))

    async def _next_piece(self, clause: Clause, news: asyncio.Event) -> SpokenAudio | None:
        while (piece := clause.take()) is None:
            if clause.error is not None:
                raise _anew(clause.error)
            if clause.over:
                return None
            news.clear()
            await self._wait(news, self._contexts.settles_at(clause))
            self._write(self._contexts.settle(clause, self._clock.now()))
        self._taken.set()
        return piece

    async def _ready(self, reply: int) -> None:
        """Wait for an open socket with room for one more context of this reply."""
        while True:
            await self._open_socket()
            room_until = self._clock.now() + ROOM_WITHIN_S
            while self._socket is not None:
                if self._contexts.room(reply, now := self._clock.now()):
                    return
                if now >= room_until:
                    raise ProviderBusy(VENDOR, "too many contexts are open")
                self._answered.clear()
                await self._wait(self._answered, min(room_until, self._contexts.next_room_at()))

    async def _open_socket(self) -> None:
        until = self._clock.now() + OPEN_WITHIN_S
        while self._socket is None:
            if isinstance(self._failure, ProviderRefused):
                raise _anew(self._failure)
            if self._clock.now() >= until:
                if isinstance(self._failure, ProviderBusy):
                    raise _anew(self._failure)
                raise ProviderTimeout(VENDOR, f"the socket did not open within {OPEN_WITHIN_S:g} s")
            self._settled.clear()
            await self._wait(self._settled, until)

    async def _wait(self, event: asyncio.Event, until: float) -> None:
        """Wait for an event, or for a time on the clock."""
        delay_s = None if math.isinf(until) else max(0.0, until - self._clock.now())
        with suppress(TimeoutError):
            async with asyncio.timeout(delay_s):
                await event.wait()

    # ------------------------------------------------------------- connection

    async def run(self) -> None:
        """Stay connected until cancelled; what goes wrong is raised by `speak`."""
        failures = 0
        if self._options.unusable:
            self._lose(ProviderRefused(VENDOR, self._options.unusable))
            await asyncio.Event().wait()
        try:
            while True:
                worked = await self._attempt()
                failures = 0 if worked else failures + 1
                after_s = RECONNECT_AFTER_S[min(max(0, failures - 1), len(RECONNECT_AFTER_S) - 1)]
                if isinstance(self._failure, ProviderRefused):
                    after_s = REFUSED_FOR_S
                # Calls that lost their sockets together do not come back together.
                after_s *= random.uniform(1.0, 1.25)
                await self._clock.sleep_until(self._clock.now() + after_s)
        finally:
            self._lose(ProviderError(VENDOR, "the call is over"))

    async def _attempt(self) -> bool:
        """Connect and read until the socket is gone; True if it was of use."""
        try:
            socket = await self._connect()
        except InvalidStatus as refusal:
            response = refusal.response
            self._lose(error_of_status(response.status_code, response.headers.get("Retry-After")))
        except TimeoutError:
            self._lose(ProviderTimeout(VENDOR, f"the socket did not open within {OPEN_WITHIN_S:g} s"))
        except (OSError, WebSocketException):
            self._lose(ProviderError(VENDOR, "it cannot be reached"))
        else:
            return await self._serve(socket)
        return False

    async def _connect(self) -> ClientConnection:
        url, key = self._options.socket_url, self._options.key
        security: dict[str, Any] = {"ssl": self._tls} if url.startswith("wss:") else {}
        return await _Connect(
            url,
            additional_headers={"xi-api-key": key.get_secret_value() if key is not None else ""},
            compression=None,
            proxy=None,
            open_timeout=OPEN_WITHIN_S,
            close_timeout=CLOSE_WITHIN_S,
            ping_interval=None,
            max_size=MESSAGE_BYTES,
            logger=_LOG,
            **security,
        )

    async def _serve(self, socket: ClientConnection) -> bool:
        opened_at, messages = self._clock.now(), 0
        self._socket, self._failure = socket, None
        self._settled.set()
        error = ProviderError(VENDOR, "the call is over")
        try:
            while True:
                message = await _next_message(socket)
                self._write(self._contexts.receive(message, self._clock.now()))
                messages += 1
                self._answered.set()
                await self._room_for_audio()
        except ConnectionClosed as closed:
            code = closed.rcvd.code if closed.rcvd is not None else 1006
            error = ProviderError(VENDOR, f"the socket closed ({code})")
        except ProviderError as told:
            error = told
        finally:
            self._lose(error)
            await _close(socket)
        return messages > 0 or self._clock.now() - opened_at >= SERVED_S

    @property
    def _held_up(self) -> bool:
        return any(clause.waiting_bytes >= AHEAD_BYTES for clause in self._clauses)

    async def _room_for_audio(self) -> None:
        """Hold the reader up, and with it the vendor, while too much audio waits."""
        while self._held_up:
            self._taken.clear()
            await self._taken.wait()

    def _lose(self, error: ProviderError) -> None:
        """There is no socket from now on."""
        self._socket, self._failure = None, error
        self._contexts.lost(error)
        self._settled.set()
        self._answered.set()

    def _write(self, messages: Iterable[str]) -> None:
        """Write at once, without waiting for the peer: messages are short, and few."""
        if self._socket is not None:
            for message in messages:
                broadcast([self._socket], message)


async def _next_message(socket: ClientConnection) -> bytes:
    """Wait for a message; raises ProviderError if the peer answers to nothing.

    The library's own pings would also run while the reader is held up, and take the audio that lies before
    the answer for a dead peer.
    """
    pong: asyncio.Future[float] | None = None
    while True:
        with suppress(TimeoutError):
            async with asyncio.timeout(PING_S):
                return await socket.recv(decode=False)
        with suppress(TimeoutError):
            if pong is None or pong.done():
                async with asyncio.timeout(PING_S):
                    pong = asyncio.ensure_future(await socket.ping())
                continue
        raise ProviderError(VENDOR, "the socket does not answer")


async def _close(socket: ClientConnection) -> None:
    """Say goodbye and close within a second, whatever the peer does."""
    try:
        broadcast([socket], CLOSE_SOCKET)
        await socket.close()
    finally:
        socket.transport.abort()


def _anew(error: ProviderError) -> ProviderError:
    """The same error once more: one instance raised twice would collect tracebacks."""
    if isinstance(error, ProviderBusy):
        return ProviderBusy(error.stage, error.reason, error.retry_after_s)
    return type(error)(error.stage, error.reason)
