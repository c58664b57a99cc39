"""The simulated caller's WebSocket: Twilio's end of the connection, on the injected clock."""

from __future__ import annotations

__all__ = ["Phone", "PhoneMoment", "StreamEnd"]

import asyncio
import contextlib
import os
import random
import socket
import struct
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidURI

from offhook.pipeline.clock import Clock

from .caller import Act, ScriptedCaller
from .carrier import SimulatedCarrier
from .line import CLEAR_LINE, ClumpedDelivery, LineConditions
from .script import HangUpKind
from .twilio.errors import twilio_error
from .twilio.signature import sign

FRAME_S = 0.02
_OPEN_TIMEOUT_S = 10.0
_CLOSE_TIMEOUT_S = 2.0
_UNREAD_BYTES = 64 * 1024
"""A bridge that leaves this much unread loses caller audio, as with Twilio (warning 31930)."""
_ORDERLY_CLOSES = (1000, 1001, 1005)
_RESET_ON_CLOSE = struct.pack("ii", 1, 0)
_HALF_CLOSE_WAIT_S = 5.0
_QUEUED_MESSAGES = 512


@dataclass(frozen=True, slots=True)
class StreamEnd:
    """How the stream ended, from the caller's side."""

    by: Literal["caller", "bridge", "lost", "limit", "update"]
    """`lost`: the connection broke or the bridge reported an error of its own; `update`: the carrier was
    told over its REST interface to do something else with the call."""
    at_ms: int
    close_code: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class PhoneMoment:
    """One 20 ms period of the call, for whoever records or watches it."""

    at_ms: int
    """When it ended, caller media time."""
    said: bytes
    heard: bytes
    """160 bytes of mu-law each."""
    sent: bytes
    """What was said as the bridge gets it: with noise and echo."""


class Phone:
    """Places one stream: reads and writes the socket, ticks every 20 ms by the clock, hangs up."""

    def __init__(
        self,
        clock: Clock,
        carrier: SimulatedCarrier,
        caller: ScriptedCaller,
        *,
        max_s: float,
        auth_token: str | None = None,
        on_open: Callable[[], None] = lambda: None,
        on_moment: Callable[[PhoneMoment], None] = lambda _: None,
        line: LineConditions = CLEAR_LINE,
        seed: int = 0,
    ) -> None:
        self._clock, self._carrier, self._caller = clock, carrier, caller
        self._max_s, self._auth_token = max_s, auth_token
        self._on_open, self._on_moment = on_open, on_moment
        self._to_bridge = ClumpedDelivery[str](
            random.Random(seed),
            jitter_ms=line.jitter_ms,
            burst_ms=line.burst_ms,
            burst_every_s=line.burst_every_s,
        )
        self._to_caller = ClumpedDelivery[str | bytes](random.Random(seed + 1), jitter_ms=line.jitter_ms)
        self._connection: ClientConnection | None = None
        self._hanging_up = False
        self._taken_away = False
        self.discarded_frames = 0
        """Caller frames thrown away because the bridge did not read (31930)."""
        self.late_periods = 0
        """Periods of 20 ms that were sent a whole period late, because this machine stalled."""

    async def stream(self, url: str) -> StreamEnd:
        """Connect to `url`, be on the phone until somebody ends it, and say who did.

        Raises ProtocolError with Twilio's error number when no connection comes about.
        After `vanish` the socket stays open until `release`.
        """
        self._connection = connection = await self._connect(url)
        vanished = False
        try:
            for message in self._carrier.open():
                await connection.send(message)
            self._on_open()
            end = await self._talk(connection)
            vanished = end.reason == HangUpKind.VANISH.value
            return end
        finally:
            if not vanished:
                await self.release()

    def take_away(self) -> None:
        """Let the carrier end the stream, with `stop`, within 20 ms: the call goes on elsewhere."""
        self._taken_away = True

    async def release(self) -> None:
        """Give the socket up, whatever state it is in."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.transport.abort()
            await connection.wait_closed()

    async def _connect(self, url: str) -> ClientConnection:
        headers = {"X-Twilio-Signature": sign(url, {}, self._auth_token)} if self._auth_token else {}
        try:
            return await connect(
                url,
                additional_headers=headers,
                user_agent_header="Twilio.TmeWs/1.0",
                compression=None,
                proxy=None,
                open_timeout=_OPEN_TIMEOUT_S,
                close_timeout=_CLOSE_TIMEOUT_S,
                ping_interval=None,
                max_queue=_QUEUED_MESSAGES,
                write_limit=2 * _UNREAD_BYTES,
            )
        except TimeoutError as error:
            raise twilio_error(31901, f"no answer from {url} within {_OPEN_TIMEOUT_S:g} s") from error
        except InvalidURI as error:
            raise twilio_error(31923, f"{url!r} is not a WebSocket URL") from error
        except InvalidHandshake as error:
            raise twilio_error(31920, f"{url} did not accept the WebSocket: {error}") from error
        except OSError as error:
            raise twilio_error(31902, f"no connection to {url}: {error}") from error

    async def _talk(self, connection: ClientConnection) -> StreamEnd:
        """Run both directions; the first to end ends the stream."""
        reader = asyncio.create_task(self._read(connection), name="phone-reader")
        speaker = asyncio.create_task(self._speak(connection), name="phone-speaker")
        try:
            await asyncio.wait((reader, speaker), return_when=asyncio.FIRST_COMPLETED)
            # A hang-up of ours ends the reader too, and a close of theirs the speaker: ask the one who knows.
            if self._hanging_up:
                return await speaker
            if speaker.done() and not isinstance(speaker.exception(), ConnectionClosed):
                return speaker.result()
            return await reader
        finally:
            for task in (reader, speaker):
                task.cancel()
            await asyncio.gather(reader, speaker, return_exceptions=True)

    async def _read(self, connection: ClientConnection) -> StreamEnd:
        try:
            while True:
                self._to_caller.add((await connection.recv(),))
                await self._send(connection, self._take())
        except ConnectionClosed as closed:
            code = closed.rcvd.code if closed.rcvd else None
            reason = closed.rcvd.reason if closed.rcvd else "the connection broke without a close frame"
            by: Literal["bridge", "lost"] = "bridge" if code in _ORDERLY_CLOSES else "lost"
            return StreamEnd(by, self._carrier.now_ms, code, reason)

    async def _speak(self, connection: ClientConnection) -> StreamEnd:
        act = self._caller.first_act()
        began, ticks = self._clock.now(), 0
        while act.hang_up is None:
            if ticks * FRAME_S >= self._max_s:
                await self._hang_up(connection, HangUpKind.STOP)
                return StreamEnd("limit", self._carrier.now_ms, reason=f"the call lasted {self._max_s:g} s")
            ticks += 1
            await self._clock.sleep_until(began + ticks * FRAME_S)
            self.late_periods += self._clock.now() > began + (ticks + 1) * FRAME_S
            act = await self._period(connection, act)
            if self._taken_away:
                await self._hang_up(connection, HangUpKind.STOP)
                return StreamEnd("update", self._carrier.now_ms)
        await self._hang_up(connection, act.hang_up)
        return StreamEnd("caller", self._carrier.now_ms, reason=act.hang_up.value)

    async def _period(self, connection: ClientConnection, act: Act) -> Act:
        """End one period of 20 ms: send what was said and done in it, take what was heard."""
        tick = self._carrier.tick(act.frame)
        messages = tick.messages
        if connection.transport.get_write_buffer_size() > _UNREAD_BYTES:
            self.discarded_frames += 1
            messages = messages[1:]
        digits = (self._carrier.digit(act.digit),) if act.digit else ()
        await self._send(connection, (*messages, *digits, *self._take()))
        self._on_moment(PhoneMoment(self._carrier.now_ms, tick.said, tick.heard, tick.sent))
        return self._caller.listen(tick.said, tick.heard)

    def _take(self) -> list[str]:
        """Let the carrier have what has arrived from the bridge; returns its answers."""
        arrived = self._to_caller.arrived(self._carrier.now_ms)
        return [answer for message in arrived for answer in self._carrier.receive(message)]

    async def _send(self, connection: ClientConnection, messages: Iterable[str]) -> None:
        """Put messages on their way to the bridge, and let those arrive that are due."""
        self._to_bridge.add(messages)
        for message in self._to_bridge.arrived(self._carrier.now_ms):
            await connection.send(message)

    async def _hang_up(self, connection: ClientConnection, kind: HangUpKind) -> None:
        self._hanging_up = True
        if kind is HangUpKind.STOP:
            with contextlib.suppress(ConnectionClosed):
                for message in (*self._to_bridge.flush(), self._carrier.stop()):
                    await connection.send(message)
        if kind in (HangUpKind.STOP, HangUpKind.CLOSE):
            await connection.close()
        elif kind is HangUpKind.ABORT:
            with _plain_socket(connection) as plain:
                plain.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
            connection.transport.abort()
        elif kind is HangUpKind.VANISH:
            connection.transport.pause_reading()
        elif kind is HangUpKind.HALF_CLOSE:
            with _plain_socket(connection) as plain:
                plain.shutdown(socket.SHUT_WR)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_HALF_CLOSE_WAIT_S):
                    await connection.wait_closed()


def _plain_socket(connection: ClientConnection) -> socket.socket:
    """A second handle of the connection's socket; event loops do not lend their own."""
    return socket.socket(fileno=os.dup(connection.transport.get_extra_info("socket").fileno()))
