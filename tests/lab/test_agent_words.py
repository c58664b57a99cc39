"""Cutting long speech for the recogniser."""

from __future__ import annotations

import itertools

from hypothesis import given
from hypothesis import strategies as st

from offhook.lab.agent_words import pieces_of_speech
from offhook.lab.hearing import Sound

from .scripted_bridge import LOUD

QUIET = b"\xff" * 160


def test_short_speech_stays_whole() -> None:
    assert pieces_of_speech(LOUD * 700, [Sound(0, 14_000)]) == [Sound(0, 14_000)]


def test_long_speech_is_cut_in_a_pause() -> None:
    line = LOUD * 500 + QUIET * 10 + LOUD * 500
    first, second = pieces_of_speech(line, [Sound(0, len(line) // 8)])
    assert first.end_ms == second.start_ms
    assert 10_000 < first.end_ms < 10_200


@given(st.integers(1, 4000))
def test_pieces_cover_the_speech_and_are_short(frames: int) -> None:
    pieces = pieces_of_speech(LOUD * frames, [Sound(0, frames * 20)])
    assert (pieces[0].start_ms, pieces[-1].end_ms) == (0, frames * 20)
    assert all(before.end_ms == after.start_ms for before, after in itertools.pairwise(pieces))
    assert all(0 < piece.end_ms - piece.start_ms <= 14_000 for piece in pieces)
