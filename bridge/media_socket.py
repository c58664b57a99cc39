"""The WebSocket of one media stream, with a write that never waits.

aiohttp accepts the connection and reads the upgrade request, so that webhook and stream share one
port; then the transport changes hands. From there on the frames are those of the `websockets`
library's sans-I/O protocol (RFC 6455), with a short cut for plain text frames. Text comes in by a
direct call, and text and close go out by one, so that silencing the agent is a single callback with
nothing to await.

Limits: 64 KiB a message, no binary, no compression. A ping goes out every 20 s and its pong has 20 s;
10 s without any frame is a dead line, for a carrier sends 50 a second, silence included. A reader
that takes nothing for 5 s is cut off.
"""

from __future__ import annotations

__all__ = ["RULES", "MediaSocket", "SocketListener"]

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

from websockets.exceptions import PayloadTooBig, ProtocolError
from websockets.frames import Frame, Opcode
from websockets.protocol import SEND_EOF, Side, State
from websockets.protocol import Protocol as WebSocketProtocol

from offhook.pipeline.clock import Clock, Timer

from .plain_frames import read_text_frame, text_frame
from .rules import Outcome, Rule

MAX_MESSAGE_BYTES = 65_536
WRITE_HIGH_WATER_BYTES = 32_768
"""Above this many unsent bytes the socket is congested."""
WRITE_LIMIT_BYTES = 1_048_576
"""Above this many it is cut off at once: somebody writes without heed."""
SLOW_READER_S = 5.0
SILENT_LINE_S = 10.0
PING_EVERY_S = 20.0
PONG_WITHIN_S = 20.0
CLOSE_WITHIN_S = 2.0
_CHECK_EVERY_S = 1.0

CLOSED_BY_CARRIER = Rule("closed_by_carrier", Outcome.NOTED, "the carrier closed the socket")
CLOSED_BY_BRIDGE = Rule("closed_by_bridge", Outcome.NOTED, "the bridge closed the socket", 1000)
CONNECTION_LOST = Rule("connection_lost", Outcome.CLOSED, "the connection broke without a close frame")
FRAME_ERROR = Rule("frame_error", Outcome.CLOSED, "a frame that RFC 6455 does not allow", 1002)
BINARY_FRAME = Rule("binary_frame", Outcome.CLOSED, "a binary message", 1003)
NOT_UTF8 = Rule("not_utf8", Outcome.CLOSED, "a text message that is not UTF-8", 1007)
OVERSIZED_MESSAGE = Rule(
    "oversized_message", Outcome.CLOSED, "a message of more than 64 KiB, in one frame or several", 1009
)
SILENT_LINE = Rule("silent_line", Outcome.CLOSED, "no frame for 10 s", 1001)
NO_PONG = Rule("no_pong", Outcome.CLOSED, "no answer to a ping within 20 s", 1011)
SLOW_READER = Rule("slow_reader", Outcome.CLOSED, "the carrier read nothing for 5 s (connection cut)")

RULES = (
    *(CLOSED_BY_CARRIER, CLOSED_BY_BRIDGE, CONNECTION_LOST, FRAME_ERROR, BINARY_FRAME, NOT_UTF8),
    *(OVERSIZED_MESSAGE, SILENT_LINE, NO_PONG, SLOW_READER),
)
"""How a socket may end, in the order of docs/protocol.md."""


class SocketListener(Protocol):
    """Whoever the socket's messages are for; both calls return at once."""

    def message_received(self, text: bytes) -> None:
        """Take one message, which is UTF-8."""

    def socket_ended(self, rule: Rule) -> None:
        """No further message will come or go; called once."""


class MediaSocket(asyncio.Protocol):
    """The server's end of one WebSocket; takes the transport over once the upgrade is answered."""

    def __init__(self, clock: Clock, listener: SocketListener) -> None:
        self._clock = clock
        self._listener = listener
        self._protocol = WebSocketProtocol(Side.SERVER, state=State.OPEN, max_size=MAX_MESSAGE_BYTES)
        self._transport: asyncio.Transport | None = None
        self._gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._fragments: bytearray | None = None
        self._when_lost: Callable[[Exception | None], None] | None = None
        self._closing = False
        self._cut_by: Rule | None = None
        self._ended = False
        self._congested = False
        self._written = 0
        self._flushed = 0
        self._between_frames = False
        """A plain frame that comes now can go past the library."""
        self._heard = False
        """Since it was last looked whether the line is alive."""
        self._progress_at = self._heard_at = clock.now()
        self._ping_at = self._heard_at + PING_EVERY_S
        self._pong_due: float | None = None
        self._check_timer: Timer | None = None
        self._abort_timer: Timer | None = None

    # ------------------------------------------------------------------ use

    @property
    def congested(self) -> bool:
        """The carrier reads slower than it is sent to."""
        return self._congested

    @property
    def open(self) -> bool:
        """Messages can be sent."""
        return self._protocol.state is State.OPEN and not self._ended and self._transport is not None

    def send_text(self, text: bytes) -> None:
        """Send one message (UTF-8); dropped when the socket is not `open`."""
        if not self.open:
            return
        frame = text_frame(text)
        if frame is None:
            self._protocol.send_text(text)
            self._flush()
        else:
            self._write(frame)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Say goodbye; the connection is cut when the carrier does not answer within 2 s."""
        if self._protocol.state is State.OPEN:
            self._closing, self._between_frames = True, False
            self._protocol.send_close(code, reason)
            self._flush()
            self._abort_in(CLOSE_WITHIN_S)

    def abort(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()

    async def wait_gone(self) -> None:
        """Return when the connection is gone."""
        await asyncio.shield(self._gone)

    # ------------------------------------------------- the transport's calls

    def attach(
        self, transport: asyncio.Transport, when_lost: Callable[[Exception | None], None] | None = None
    ) -> None:
        """Begin on a transport that already carries the answer to the upgrade.

        `when_lost` is told, after the listener, that the connection is gone.
        """
        self._transport = transport
        self._when_lost = when_lost
        self._between_frames = self._library_holds_nothing
        transport.set_write_buffer_limits(high=WRITE_HIGH_WATER_BYTES)
        transport.set_protocol(self)
        self._schedule_check()

    def data_received(self, data: bytes) -> None:
        """Take bytes of any number of frames, whole or not."""
        at, size = 0, len(data)
        while at < size and self._between_frames and (plain := read_text_frame(data, at)) is not None:
            payload, at = plain
            self._heard = True
            if payload.isascii():
                self._listener.message_received(payload)
            else:
                self._deliver(payload)
        if at < size:
            self._receive(data[at:] if at else data)
            self._between_frames = self._library_holds_nothing

    def eof_received(self) -> bool:
        """The carrier sends no more; the transport closes itself."""
        if not self._protocol.reader.eof:
            self._protocol.receive_eof()
            self._flush()
        return False

    def pause_writing(self) -> None:
        """The transport holds more than it should."""
        self._congested = True

    def resume_writing(self) -> None:
        """The transport has sent what it held."""
        self._congested = False

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        for timer in (self._check_timer, self._abort_timer):
            if timer is not None:
                timer.cancel()
        self._transport, self._between_frames = None, False
        self._end(self._cut_by or (CLOSED_BY_BRIDGE if self._closing else CONNECTION_LOST))
        if not self._gone.done():
            self._gone.set_result(None)
        if self._when_lost is not None:
            self._when_lost(exc)

    # --------------------------------------------------------------- frames

    @property
    def _library_holds_nothing(self) -> bool:
        """No part of a frame or message is with the library, so a whole frame can go past it."""
        protocol = self._protocol
        return self.open and not protocol.reader.buffer and protocol.current_size is None

    def _receive(self, data: bytes) -> None:
        protocol = self._protocol
        if protocol.reader.eof:
            return
        protocol.receive_data(data)
        frames = protocol.events_received()
        self._heard = self._heard or bool(frames)
        for frame in frames:
            self._take(cast(Frame, frame))
        self._flush()
        if protocol.state is not State.OPEN:
            self._note_closing()

    def _take(self, frame: Frame) -> None:
        if self._ended or self._closing:
            return
        if frame.opcode is Opcode.TEXT and frame.fin:
            self._deliver(frame.data)
        elif frame.opcode is Opcode.TEXT:
            self._fragments = bytearray(frame.data)
        elif frame.opcode is Opcode.CONT and self._fragments is not None:
            self._fragments += frame.data
            if frame.fin:
                whole, self._fragments = self._fragments, None
                self._deliver(whole)
        elif frame.opcode is Opcode.PONG:
            self._pong_due = None
        elif frame.opcode in (Opcode.BINARY, Opcode.CONT):
            self._fail(BINARY_FRAME)

    def _deliver(self, data: bytes | bytearray | memoryview) -> None:
        try:
            str(data, "utf-8")
        except UnicodeDecodeError:
            self._fail(NOT_UTF8)
        else:
            self._listener.message_received(bytes(data))

    def _flush(self) -> None:
        """Write what the protocol has to say, and half-close the connection when it says so."""
        for data in self._protocol.data_to_send():
            if data != SEND_EOF:
                self._write(data)
            elif self._transport is not None and not self._transport.is_closing():
                if self._transport.can_write_eof():
                    self._transport.write_eof()
                self._abort_in(CLOSE_WITHIN_S)

    def _write(self, data: bytes) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        self._written += len(data)
        transport.write(data)
        if self._congested and transport.get_write_buffer_size() > WRITE_LIMIT_BYTES:
            self._cut(SLOW_READER)

    # ------------------------------------------------------------------ end

    def _fail(self, rule: Rule) -> None:
        self.close(rule.code or 1002, rule.name)
        self._end(rule)

    def _cut(self, rule: Rule) -> None:
        """Abort; the listener hears of it from `connection_lost`, never from within its own write."""
        self._cut_by = rule
        self.abort()

    def _end(self, rule: Rule) -> None:
        if not self._ended:
            self._ended, self._between_frames = True, False
            self._listener.socket_ended(rule)

    def _note_closing(self) -> None:
        """The protocol left its open state by what it received, or because we said goodbye before."""
        fault = self._protocol.parser_exc
        if isinstance(fault, PayloadTooBig):
            self._end(OVERSIZED_MESSAGE)
        elif isinstance(fault, UnicodeDecodeError | ProtocolError):
            self._end(FRAME_ERROR)
        elif fault is None and self._protocol.close_rcvd_then_sent:
            self._end(CLOSED_BY_CARRIER)

    def _abort_in(self, seconds: float) -> None:
        if self._abort_timer is None:
            self._abort_timer = self._clock.call_at(self._clock.now() + seconds, self.abort)

    # --------------------------------------------------------------- checks

    def _schedule_check(self) -> None:
        self._check_timer = self._clock.call_at(self._clock.now() + _CHECK_EVERY_S, self._check)

    def _check(self) -> None:
        """Once a second: is the line alive, and is the reader reading?"""
        now = self._clock.now()
        transport = self._transport
        if transport is None or self._ended:
            return
        if self._heard:
            self._heard, self._heard_at = False, now
        flushed = self._written - transport.get_write_buffer_size()
        if not self._congested or flushed > self._flushed:
            self._progress_at = now
        self._flushed = flushed
        if now - self._progress_at >= SLOW_READER_S:
            self._cut(SLOW_READER)
        elif now - self._heard_at >= SILENT_LINE_S:
            self._fail(SILENT_LINE)
        elif self._pong_due is not None and now >= self._pong_due:
            self._fail(NO_PONG)
        else:
            self._ping_if_due(now)
            self._schedule_check()

    def _ping_if_due(self, now: float) -> None:
        if now >= self._ping_at and self.open:
            self._ping_at = now + PING_EVERY_S
            self._pong_due = self._pong_due or now + PONG_WITHIN_S
            self._protocol.send_ping(b"")
            self._flush()
