"""Recordings of a reply that was held back, cut, repeated or swallowed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.lab.reply_trace import HeldBack, trace_reply

SPEECH = np.random.default_rng(1).integers(0, 120, 40_000, np.uint8).tobytes()
REPLY = SPEECH[:16_000] + b"\xff" * 3200 + SPEECH[16_000:]
"""Two seconds, a pause of 0.4 s, three seconds."""


def silence(ms: int) -> bytes:
    return b"\x7f" * (8 * ms)


def test_a_reply_that_was_heard_to_its_end_has_no_pause_but_its_own() -> None:
    trace = trace_reply(silence(377) + REPLY + silence(900), REPLY)
    assert trace is not None
    assert (trace.begin_ms, trace.end_ms) == (377, 377 + len(REPLY) // 8)
    assert trace.finished
    assert trace.pauses == ()


def test_a_reply_that_was_stopped_ends_with_its_last_sound() -> None:
    trace = trace_reply(silence(100) + REPLY[: 8 * 1500] + silence(4000), REPLY)
    assert trace is not None
    assert (trace.end_ms, trace.finished, trace.pauses) == (1600, False, ())


@given(st.integers(200, 1900), st.integers(100, 3000), st.integers(0, 800))
def test_what_was_said_twice_is_measured(at_ms: int, pause_ms: int, back_ms: int) -> None:
    back_ms = min(back_ms, at_ms - 100)
    recording = REPLY[: 8 * at_ms] + silence(pause_ms) + REPLY[8 * (at_ms - back_ms) :]
    trace = trace_reply(recording, REPLY)
    assert trace is not None
    assert trace.finished
    (pause,) = trace.pauses
    assert pause == HeldBack(at_ms, at_ms + pause_ms, back_ms, 0)


def test_what_was_never_said_is_measured() -> None:
    trace = trace_reply(REPLY[: 8 * 1000] + silence(500) + REPLY[8 * 1300 :], REPLY)
    assert trace is not None
    assert trace.pauses == (HeldBack(1000, 1500, 0, 300),)


def test_a_pause_within_a_pause_of_the_reply_counts() -> None:
    trace = trace_reply(REPLY[: 8 * 2200] + silence(700) + REPLY[8 * 2200 :], REPLY)
    assert trace is not None
    (pause,) = trace.pauses
    assert (pause.at_ms, pause.until_ms, pause.repeated_ms, pause.lost_ms) == (2000, 3100, 0, 0)


@pytest.mark.parametrize("heard_ms", [500, 1900])
def test_a_reply_that_begins_again_is_another_one(heard_ms: int) -> None:
    trace = trace_reply(REPLY[: 8 * heard_ms] + silence(500) + REPLY, REPLY)
    assert trace is not None
    assert (trace.end_ms, trace.finished) == (heard_ms, False)


@pytest.mark.parametrize("recording", [b"", silence(500), SPEECH[::-1]])
def test_a_recording_without_the_reply_has_no_trace(recording: bytes) -> None:
    assert trace_reply(recording, REPLY) is None
