"""The short cut for plain frames reads and writes what the library does."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import Protocol, Side, State

from offhook.bridge.plain_frames import read_text_frame, text_frame

PAYLOADS = st.binary(max_size=300) | st.integers(0, 65_535).map(bytes)


@given(PAYLOADS)
def test_a_written_frame_is_the_librarys(payload: bytes) -> None:
    assert text_frame(payload) == Frame(Opcode.TEXT, payload).serialize(mask=False)


def test_a_payload_too_long_is_left_to_the_library() -> None:
    assert text_frame(bytes(65_536)) is None


@given(PAYLOADS, st.binary(max_size=20), st.binary(max_size=20))
def test_a_read_frame_is_the_librarys(payload: bytes, before: bytes, behind: bytes) -> None:
    frame = Frame(Opcode.TEXT, payload).serialize(mask=True)
    assert read_text_frame(before + frame + behind, len(before)) == (payload, len(before) + len(frame))


@given(PAYLOADS, st.integers(0, 400))
def test_part_of_a_frame_is_left_to_the_library(payload: bytes, cut: int) -> None:
    frame = Frame(Opcode.TEXT, payload).serialize(mask=True)
    assert read_text_frame(frame[: min(cut, len(frame) - 1)], 0) is None


def test_every_other_frame_is_left_to_the_library() -> None:
    others = [
        Frame(Opcode.BINARY, b"x"),
        Frame(Opcode.TEXT, b"x", fin=False),
        Frame(Opcode.CONT, b"x"),
        Frame(Opcode.PING, b"x"),
        Frame(Opcode.CLOSE, b"\x03\xe8"),
        Frame(Opcode.TEXT, bytes(70_000)),
    ]
    for frame in others:
        assert read_text_frame(frame.serialize(mask=True), 0) is None
    assert read_text_frame(Frame(Opcode.TEXT, b"unmasked").serialize(mask=False), 0) is None
    assert read_text_frame(b"\xc1\x80\x00\x00\x00\x00", 0) is None


@given(st.lists(PAYLOADS, min_size=1, max_size=4), st.data())
def test_short_cut_and_library_read_the_same_messages(payloads: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(Frame(Opcode.TEXT, payload).serialize(mask=True) for payload in payloads)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=4)))
    library = Protocol(Side.SERVER, state=State.OPEN)
    read: list[bytes] = []
    for begin, end in zip([0, *cuts], [*cuts, len(stream)], strict=True):
        piece, at = stream[begin:end], 0
        while not library.reader.buffer and (plain := read_text_frame(piece, at)) is not None:
            payload, at = plain
            read.append(payload)
        library.receive_data(piece[at:])
        read += [bytes(frame.data) for frame in library.events_received() if isinstance(frame, Frame)]
    assert read == payloads
