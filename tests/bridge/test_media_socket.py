"""The media socket on a transport played by the test: frames in, frames out, and every way to end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import cast

import pytest
from bridge_rig import ManualClock
from hypothesis import given, settings
from hypothesis import strategies as st
from websockets.frames import Close, Frame, Opcode
from websockets.protocol import Protocol, Side, State

from offhook.bridge import media_socket as limits
from offhook.bridge.media_socket import RULES, MediaSocket
from offhook.bridge.rules import Rule


class PlayedTransport:
    """Takes what is written; may take nothing, like a peer that does not read."""

    def __init__(self) -> None:
        self.written = bytearray()
        self.unread = 0
        """Bytes that the peer has not taken."""
        self.reading = True
        self.eof = self.aborted = False
        self.protocol: MediaSocket | None = None
        self._high = 65_536

    def set_protocol(self, protocol: MediaSocket) -> None:
        self.protocol = protocol

    def set_write_buffer_limits(self, high: int) -> None:
        self._high = high

    def get_write_buffer_size(self) -> int:
        return self.unread

    def can_write_eof(self) -> bool:
        return True

    def is_closing(self) -> bool:
        return self.aborted

    def write(self, data: bytes) -> None:
        assert self.protocol is not None
        self.written += data
        if not self.reading:
            self.unread += len(data)
            if self.unread > self._high:
                self.protocol.pause_writing()

    def write_eof(self) -> None:
        self.eof = True

    def abort(self) -> None:
        if not self.aborted:
            self.aborted = True
            assert self.protocol is not None
            self.protocol.connection_lost(None)


class Peer:
    """The carrier's end; also listens to what the socket tells its session."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.transport = PlayedTransport()
        self.received: list[str] = []
        self.ends: list[Rule] = []
        self.lost = 0
        self.socket = MediaSocket(self.clock, self)
        self.socket.attach(cast(asyncio.Transport, self.transport), when_lost=self._lost)
        self._client = Protocol(Side.CLIENT, state=State.OPEN)
        self._read = 0

    def _lost(self, exc: Exception | None) -> None:
        self.lost += 1

    def message_received(self, text: bytes) -> None:
        self.received.append(text.decode())

    def socket_ended(self, rule: Rule) -> None:
        self.ends.append(rule)

    def send(self, *frames: Frame) -> None:
        self.socket.data_received(b"".join(frame.serialize(mask=True) for frame in frames))

    def text(self, text: str) -> None:
        self.send(Frame(Opcode.TEXT, text.encode()))

    def frames(self) -> Iterator[Frame]:
        """What the bridge sent since the last time."""
        new, self._read = bytes(self.transport.written[self._read :]), len(self.transport.written)
        self._client.receive_data(new)
        for frame in self._client.events_received():
            assert isinstance(frame, Frame)
            yield frame

    def closing(self) -> tuple[int, str]:
        (frame,) = [frame for frame in self.frames() if frame.opcode is Opcode.CLOSE]
        close = Close.parse(frame.data)
        return int(close.code), close.reason


# ------------------------------------------------------------------ messages


async def test_text_goes_both_ways() -> None:
    peer = Peer()
    peer.text("hello")
    peer.socket.send_text("wörld".encode())
    assert peer.received == ["hello"]
    assert [bytes(frame.data).decode() for frame in peer.frames()] == ["wörld"]


async def test_several_frames_may_come_at_once_or_in_pieces() -> None:
    peer = Peer()
    frames = b"".join(
        Frame(Opcode.TEXT, text.encode()).serialize(mask=True) for text in ("a", "b" * 300, "c")
    )
    peer.socket.data_received(frames)
    for index in range(len(frames)):
        peer.socket.data_received(frames[index : index + 1])
    assert peer.received == ["a", "b" * 300, "c"] * 2


async def test_fragments_are_joined_around_a_ping() -> None:
    peer = Peer()
    peer.send(
        Frame(Opcode.TEXT, b"one ", fin=False),
        Frame(Opcode.PING, b"p"),
        Frame(Opcode.CONT, b"", fin=False),
        Frame(Opcode.CONT, "twö".encode()[:2], fin=False),
        Frame(Opcode.CONT, "twö".encode()[2:]),
        Frame(Opcode.TEXT, b"next"),
    )
    assert peer.received == ["one twö", "next"]
    assert [(frame.opcode, bytes(frame.data)) for frame in peer.frames()] == [(Opcode.PONG, b"p")]


async def test_a_message_of_64_kib_is_taken_and_a_longer_one_ends_the_socket() -> None:
    peer = Peer()
    peer.text("x" * 65_536)
    assert len(peer.received) == 1
    peer.text("x" * 65_537)
    assert [rule.name for rule in peer.ends] == ["oversized_message"]
    assert peer.closing()[0] == 1009
    assert peer.transport.eof


async def test_a_long_message_in_fragments_ends_the_socket_too() -> None:
    peer = Peer()
    peer.send(Frame(Opcode.TEXT, b"x" * 40_000, fin=False), Frame(Opcode.CONT, b"x" * 40_000))
    assert [rule.name for rule in peer.ends] == ["oversized_message"]


async def test_a_message_too_long_for_the_short_cut_is_sent_all_the_same() -> None:
    peer = Peer()
    peer.socket.send_text(b"x" * 70_000)
    assert [len(frame.data) for frame in peer.frames()] == [70_000]


# -------------------------------------------------------------------- faults


@pytest.mark.parametrize(
    ("name", "code", "frame"),
    [
        ("binary_frame", 1003, Frame(Opcode.BINARY, b"x").serialize(mask=True)),
        ("not_utf8", 1007, Frame(Opcode.TEXT, b"\xff").serialize(mask=True)),
        ("frame_error", 1002, Frame(Opcode.TEXT, b"unmasked").serialize(mask=False)),
        ("frame_error", 1002, Frame(Opcode.CONT, b"of nothing").serialize(mask=True)),
        ("frame_error", 1002, b"\xf1\x80\0\0\0\0"),
        ("frame_error", 1002, b"\x83\x80\0\0\0\0"),
        ("frame_error", 1002, b"GET / HTTP/1.1\r\n\r\n"),
    ],
)
async def test_a_wrong_frame_ends_the_socket(name: str, code: int, frame: bytes) -> None:
    peer = Peer()
    peer.text("before")
    peer.socket.data_received(frame + Frame(Opcode.TEXT, b"behind").serialize(mask=True))
    assert peer.received == ["before"]
    assert [rule.name for rule in peer.ends] == [name]
    assert peer.closing()[0] == code
    peer.clock.advance(limits.CLOSE_WITHIN_S)
    assert peer.transport.aborted
    assert peer.lost == 1


async def test_an_endless_row_of_empty_fragments_costs_nothing() -> None:
    peer = Peer()
    peer.send(Frame(Opcode.TEXT, b"a", fin=False))
    for _ in range(5000):
        peer.send(Frame(Opcode.CONT, b"", fin=False))
    peer.send(Frame(Opcode.CONT, b"b"))
    assert peer.received == ["ab"]


# ----------------------------------------------------------------------- end


async def test_the_carriers_close_is_answered_after_its_last_message() -> None:
    peer = Peer()
    peer.send(Frame(Opcode.TEXT, b"stop"), Frame(Opcode.CLOSE, Close(1000, "").serialize()))
    assert peer.received == ["stop"]
    assert [rule.name for rule in peer.ends] == ["closed_by_carrier"]
    assert peer.closing() == (1000, "")
    assert peer.transport.eof
    assert not peer.socket.open


async def test_our_close_waits_for_the_carriers_and_not_for_ever() -> None:
    peer = Peer()
    peer.socket.close(1001, "bye")
    peer.socket.close(1011, "again")
    assert peer.closing() == (1001, "bye")
    peer.text("late")
    assert (peer.received, peer.ends) == ([], [])
    peer.clock.advance(limits.CLOSE_WITHIN_S)
    assert peer.transport.aborted
    assert [rule.name for rule in peer.ends] == ["closed_by_bridge"]
    await peer.socket.wait_gone()


async def test_our_close_that_is_answered_ends_the_connection() -> None:
    peer = Peer()
    peer.socket.close()
    peer.send(Frame(Opcode.CLOSE, Close(1000, "").serialize()))
    assert peer.transport.eof
    assert peer.socket.eof_received() is False


async def test_a_connection_that_breaks_is_told_apart_from_one_that_is_closed() -> None:
    peer = Peer()
    peer.socket.eof_received()
    peer.transport.abort()
    assert [rule.name for rule in peer.ends] == ["connection_lost"]
    await peer.socket.wait_gone()


async def test_nothing_is_sent_once_the_socket_is_closed() -> None:
    peer = Peer()
    peer.socket.close()
    list(peer.frames())
    peer.socket.send_text(b"late")
    peer.transport.abort()
    peer.socket.send_text(b"later")
    peer.socket.abort()
    assert list(peer.frames()) == []


async def test_a_socket_that_is_gone_leaves_no_timer() -> None:
    peer = Peer()
    peer.socket.close()
    peer.transport.abort()
    assert peer.clock.pending == []


# --------------------------------------------------------------------- liveness


async def test_a_line_without_frames_is_dead_after_ten_seconds() -> None:
    peer = Peer()
    peer.clock.advance(limits.SILENT_LINE_S - 0.5)
    assert peer.ends == []
    peer.clock.advance(0.5)
    assert [rule.name for rule in peer.ends] == ["silent_line"]
    assert peer.closing()[0] == 1001
    peer.clock.advance(limits.CLOSE_WITHIN_S)
    assert peer.transport.aborted


async def test_bytes_that_make_no_frame_do_not_keep_a_line_alive() -> None:
    peer = Peer()
    for byte in Frame(Opcode.TEXT, b"x" * 50).serialize(mask=True)[:11]:
        peer.socket.data_received(bytes([byte]))
        peer.clock.advance(1)
    assert [rule.name for rule in peer.ends] == ["silent_line"]


async def test_a_ping_goes_out_every_twenty_seconds_and_wants_its_pong() -> None:
    peer = Peer()
    pings = []
    for second in range(1, 90):
        peer.clock.advance(1)
        peer.text("media")
        for frame in peer.frames():
            assert frame.opcode is Opcode.PING
            pings.append(second)
            peer.send(Frame(Opcode.PONG, frame.data))
    assert pings == [20, 40, 60, 80]
    assert peer.ends == []


async def test_a_carrier_that_never_answers_a_ping_is_closed() -> None:
    peer = Peer()
    for _ in range(41):
        peer.clock.advance(1)
        peer.text("media")
    assert [rule.name for rule in peer.ends] == ["no_pong"]
    assert peer.closing()[0] == 1011


# ------------------------------------------------------------------ slow reader


def listen(peer: Peer, seconds: int) -> None:
    for _ in range(seconds):
        peer.text("media")
        peer.clock.advance(1)


async def test_a_slow_reader_is_congested_until_it_reads() -> None:
    peer = Peer()
    peer.transport.reading = False
    congested = []
    for size in (30_000, 3_000):
        peer.socket.send_text(b"x" * size)
        congested.append(peer.socket.congested)
    peer.transport.unread = 0
    peer.socket.resume_writing()
    assert [*congested, peer.socket.congested] == [False, True, False]
    listen(peer, 8)
    assert peer.ends == []


async def test_a_reader_that_takes_nothing_is_cut_after_five_seconds() -> None:
    peer = Peer()
    peer.transport.reading = False
    peer.socket.send_text(b"x" * 40_000)
    listen(peer, 4)
    assert peer.ends == []
    listen(peer, 2)
    assert [rule.name for rule in peer.ends] == ["slow_reader"]
    assert peer.transport.aborted
    assert peer.clock.pending == []


async def test_a_reader_that_takes_a_little_is_borne() -> None:
    peer = Peer()
    peer.transport.reading = False
    peer.socket.send_text(b"x" * 40_000)
    for _ in range(15):
        peer.transport.unread -= 100
        listen(peer, 1)
    assert peer.ends == []


async def test_a_clear_is_written_to_a_congested_socket() -> None:
    peer = Peer()
    peer.transport.reading = False
    peer.socket.send_text(b"x" * 40_000)
    peer.socket.send_text(b"clear")
    assert peer.transport.written.endswith(b"clear")


async def test_a_writer_without_heed_is_cut_at_once() -> None:
    peer = Peer()
    peer.transport.reading = False
    for _ in range(40):
        peer.socket.send_text(b"x" * 50_000)
    assert [rule.name for rule in peer.ends] == ["slow_reader"]
    assert peer.transport.unread < 2 * limits.WRITE_LIMIT_BYTES


# ----------------------------------------------------------------------- fuzz


@settings(deadline=None)
@given(st.lists(st.binary(max_size=80) | st.just(b"\x81\x81\0\0\0\0x"), max_size=8))
def test_any_bytes_are_survived(pieces: list[bytes]) -> None:
    async def feed() -> None:
        peer = Peer()
        for piece in pieces:
            peer.socket.data_received(piece)
        peer.socket.eof_received()
        peer.clock.advance(20)
        peer.transport.abort()
        assert len(peer.ends) == 1
        assert peer.clock.pending == []

    asyncio.run(feed())


def test_rule_names_are_unique() -> None:
    assert len({rule.name for rule in RULES}) == len(RULES)
