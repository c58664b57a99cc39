"""What is wrong with a line: microphones that hear too much, networks that deliver in clumps."""

from __future__ import annotations

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.codecs import g711
from offhook.lab.hearing import level_dbfs
from offhook.lab.line import CLEAR_LINE, ClumpedDelivery, LineConditions, Microphone, surroundings
from offhook.lab.noises import active_dbfs

LOUD = g711.encode((8000 * np.sin(2 * np.pi * 437 * np.arange(160) / 8000)).astype(np.int16))
QUIET = b"\xff" * 160


def test_a_clear_line_leaves_every_byte_as_it_was() -> None:
    microphone = Microphone(CLEAR_LINE)
    assert all(microphone.pick_up(frame, LOUD) == frame for frame in (LOUD, QUIET, bytes(range(160))))


def test_the_agents_voice_comes_back_late_and_quieter() -> None:
    microphone = Microphone(LineConditions(echo_db=-25, echo_delay_ms=60))
    sent = [microphone.pick_up(QUIET, frame) for frame in [LOUD, *[QUIET] * 9]]
    levels = [level_dbfs(frame) for frame in sent]
    assert [level > -60 for level in levels] == [False] * 3 + [True] + [False] * 6
    assert levels[3] == pytest.approx(level_dbfs(LOUD) - 25, abs=0.5)


def test_the_noise_around_a_caller_lies_below_their_voice() -> None:
    bed = surroundings(LineConditions(noise="fan", snr_db=10), [LOUD * 50], seed=1)
    assert bed is not None
    assert active_dbfs(bed) == pytest.approx(level_dbfs(LOUD) - 10, abs=0.5)
    microphone = Microphone(LineConditions(noise="fan"), bed)
    sent = b"".join(microphone.pick_up(QUIET, QUIET) for _ in range(len(bed) // 160 + 100))
    assert active_dbfs(g711.decode(sent)) == pytest.approx(level_dbfs(LOUD) - 10, abs=0.5)
    assert sent[:800] == sent[len(bed) : len(bed) + 800]


def test_a_quiet_place_has_no_bed_of_noise() -> None:
    assert surroundings(CLEAR_LINE, [LOUD], seed=1) is None
    assert surroundings(LineConditions(noise="hum"), [], seed=1) is not None


def deliver(delivery: ClumpedDelivery[int], until_ms: int) -> list[tuple[int, tuple[int, ...]]]:
    """Send one message each 20 ms and note when something arrives."""
    arrivals = []
    for now_ms in range(0, until_ms, 20):
        delivery.add((now_ms,))
        if arrived := delivery.arrived(now_ms):
            arrivals.append((now_ms, arrived))
    return arrivals


def test_without_jitter_everything_arrives_at_once() -> None:
    arrivals = deliver(ClumpedDelivery(random.Random(1)), 200)
    assert arrivals == [(at, (at,)) for at in range(0, 200, 20)]


def test_jitter_makes_clumps() -> None:
    arrivals = deliver(ClumpedDelivery(random.Random(1), jitter_ms=(100, 150)), 4000)
    gaps = np.diff([at for at, _ in arrivals])
    assert gaps.min() >= 100
    assert gaps.max() <= 160


def test_a_burst_is_silence_and_then_all_of_it() -> None:
    arrivals = deliver(ClumpedDelivery(random.Random(1), burst_ms=400, burst_every_s=1.0), 2000)
    assert max(arrivals, key=lambda each: len(each[1])) == (1400, tuple(range(1000, 1420, 20)))
    assert len(arrivals) == 100 - 20


@given(st.integers(0, 1000), st.integers(20, 300), st.integers(0, 600))
def test_a_late_network_loses_nothing_and_keeps_the_order(seed: int, late_ms: int, burst_ms: int) -> None:
    delivery: ClumpedDelivery[int] = ClumpedDelivery(
        random.Random(seed), jitter_ms=(late_ms // 2 + 1, late_ms), burst_ms=burst_ms, burst_every_s=0.7
    )
    arrived = [message for _, messages in deliver(delivery, 3000) for message in messages]
    assert [*arrived, *delivery.flush()] == list(range(0, 3000, 20))
