"""The caller's audio on its way to the vendor."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.pipeline.providers.deepgram_audio import MOST_STRETCHES, MOST_WAITING_BYTES, CallerAudio


def taken(audio: CallerAudio, most: int = 10_000) -> bytes:
    pieces = b""
    while audio.waiting:
        pieces += audio.take(most)
    return pieces


def test_what_is_pushed_first_is_never_dropped() -> None:
    audio = CallerAudio(0.0)
    audio.push(b"a" * 240_000)
    audio.push(b"b" * MOST_WAITING_BYTES)
    assert audio.dropped_bytes == 0
    audio.push(b"c" * 100)
    assert audio.dropped_bytes == 100
    assert taken(audio) == b"a" * 240_000 + b"b" * (MOST_WAITING_BYTES - 100) + b"c" * 100


def test_the_count_of_the_vendor_is_the_callers_while_nothing_was_dropped() -> None:
    audio = CallerAudio(100.0)
    audio.push(b"a" * 8000)
    taken(audio)
    assert audio.media_s(0.5) == 100.5
    assert audio.media_s(7.0) == 101.0
    assert (audio.pushed_s, audio.taken_s) == (101.0, 101.0)


def test_audio_that_was_dropped_is_counted_by_the_caller_and_not_by_the_vendor() -> None:
    audio = CallerAudio(0.0)
    audio.push(b"a" * 8000)
    audio.push(b"b" * (MOST_WAITING_BYTES + 8000))
    taken(audio)
    assert audio.dropped_bytes == 8000
    assert audio.media_s(0.9) == 0.9
    assert audio.media_s(1.0) == 2.0
    assert audio.media_s(3.0) == 4.0


def test_silence_is_counted_by_the_vendor_and_not_by_the_caller() -> None:
    audio = CallerAudio(0.0)
    audio.push(b"a" * 8000)
    taken(audio)
    assert audio.silence(8000) == b"\xff" * 8000
    audio.silence(8000)
    audio.push(b"b" * 8000)
    taken(audio)
    assert [audio.media_s(second) for second in (0.5, 1.0, 2.5, 3.0, 3.5, 4.0)] == [
        0.5,
        1.0,
        1.0,
        1.0,
        1.5,
        2.0,
    ]


def test_before_anything_was_sent_the_vendor_speaks_of_the_beginning() -> None:
    assert CallerAudio(7.0).media_s(3.0) == 7.0


@given(st.lists(st.one_of(st.integers(1, 30_000), st.just("take"), st.just("silence")), max_size=60))
def test_every_byte_keeps_its_place(happens: list[int | str]) -> None:
    """Each byte that the vendor got lies where it was pushed, whatever was dropped and put in."""
    audio = CallerAudio(0.0)
    pushed = 0
    vendor: list[int] = []
    for step in [*happens, "take"]:
        if step == "silence":
            audio.silence(640)
            vendor += [-1] * 640
        elif step == "take":
            while audio.waiting:
                piece = audio.take(7680)
                end = round(audio.taken_s * 8000)
                vendor += range(end - len(piece), end)
        else:
            assert isinstance(step, int)
            audio.push(b"x" * step)
            pushed += step
    sent = [place for place in vendor if place >= 0]
    assert all(before < after for before, after in pairwise(sent))
    assert len(sent) + audio.dropped_bytes == pushed
    for position in range(0, len(vendor), 997):
        if vendor[position] >= 0:
            assert audio.media_s(position / 8000) == pytest.approx(vendor[position] / 8000)


def test_what_is_remembered_is_bounded() -> None:
    audio = CallerAudio(0.0)
    for _ in range(2 * MOST_STRETCHES):
        audio.push(b"a" * 160)
        taken(audio)
        audio.silence(640)
    assert audio.media_s(2 * MOST_STRETCHES * 0.1) == pytest.approx(audio.taken_s)
    audio.push(b"a" * 10 * MOST_WAITING_BYTES)
    assert audio.waiting == MOST_WAITING_BYTES
