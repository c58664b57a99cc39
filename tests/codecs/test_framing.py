"""Frames out of pieces, and bytes as seconds."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.codecs import framing
from offhook.codecs.framing import Framer


@given(st.lists(st.binary(max_size=50)), st.integers(1, 40))
def test_frames_join_to_the_stream_however_it_was_cut(pieces: list[bytes], size: int) -> None:
    framer = Framer(size)
    frames = [frame for piece in pieces for frame in framer.push(piece)]
    stream = b"".join(pieces)
    assert all(len(frame) == size for frame in frames)
    assert len(frames) == len(stream) // size
    last = framer.flush(pad=0)
    assert b"".join(frames) + last == stream + bytes(-len(stream) % size)


def test_a_frame_comes_as_soon_as_its_last_byte_is_there() -> None:
    framer = Framer(4)
    assert framer.push(b"abc") == []
    assert framer.push(b"d") == [b"abcd"]
    assert framer.push(b"efghijklm") == [b"efgh", b"ijkl"]


def test_the_last_frame_is_filled_with_silence() -> None:
    framer = Framer(4)
    framer.push(b"ab")
    assert framer.flush() == b"ab\xff\xff"


def test_flush_has_nothing_to_give_between_frames_and_after_a_flush() -> None:
    framer = Framer(4)
    assert framer.flush() == b""
    framer.push(b"abcde")
    assert framer.flush() == b"e\xff\xff\xff"
    assert framer.flush() == b""


def test_a_frame_that_arrives_whole_is_not_copied() -> None:
    frame = bytes(framing.FRAME_BYTES)
    assert Framer(framing.FRAME_BYTES).push(frame)[0] is frame


@pytest.mark.parametrize("size", [0, -1])
def test_a_frame_without_bytes_is_refused(size: int) -> None:
    with pytest.raises(ValueError, match="at least 1 byte"):
        Framer(size)


def test_a_carrier_frame_is_twenty_milliseconds() -> None:
    assert framing.seconds(framing.FRAME_BYTES) == framing.FRAME_S
    assert framing.byte_count(framing.FRAME_S) == framing.FRAME_BYTES


@given(st.integers(0, 10**9))
def test_bytes_survive_the_way_over_seconds(nbytes: int) -> None:
    assert framing.byte_count(framing.seconds(nbytes)) == nbytes
