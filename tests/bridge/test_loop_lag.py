"""The lag probe: what it says is how late the loop was."""

from __future__ import annotations

import pytest
from bridge_rig import ManualClock
from structlog.testing import capture_logs

from offhook.bridge.loop_lag import BEATS, LoopLag, LoopLagReading


def beat(clock: ManualClock, late_s: float = 0.0) -> None:
    """Let the probe's timer run, so much too late."""
    (timer,) = clock.pending
    clock.timers.remove(timer)
    clock.time = timer.when + late_s
    timer.callback()


def test_an_idle_loop_is_not_late() -> None:
    clock = ManualClock()
    lag = LoopLag(clock)
    assert lag.reading() == LoopLagReading(0, 0, 0)
    lag.start()
    for _ in range(10):
        beat(clock)
    assert lag.reading() == LoopLagReading(0, 0, 0)


def test_lateness_shows_and_is_forgotten_after_the_window() -> None:
    clock = ManualClock()
    lag = LoopLag(clock)
    lag.start()
    for number in range(BEATS - 3):
        beat(clock, 0.004 if number % 2 else 0.002)
    for late_s in (0.004, 0.2, 0.3):
        beat(clock, late_s)
    reading = lag.reading()
    assert reading.p50_ms == pytest.approx(4)
    assert reading.p99_ms == pytest.approx(200)
    assert reading.max_ms == pytest.approx(300)
    for _ in range(BEATS):
        beat(clock)
    assert lag.reading().max_ms == 0


def test_a_stall_is_logged_once_a_window() -> None:
    clock = ManualClock()
    lag = LoopLag(clock)
    lag.start()
    with capture_logs() as logs:
        for _ in range(3):
            beat(clock, 0.3)
        for _ in range(BEATS):
            beat(clock)
        beat(clock, 0.3)
    told = [(line["event"], line["late_ms"], line["not_logged"]) for line in logs]
    assert told == [("loop.stalled", 300, 0), ("loop.stalled", 300, 2)]
    (tally,) = lag.stalls.tallies.values()
    assert tally.count == 4
    assert tally.seconds == pytest.approx(1.2)


def test_a_heartbeat_that_rested_was_not_late() -> None:
    clock = ManualClock()
    lag = LoopLag(clock)
    lag.start()
    lag.stop()
    clock.advance(60)
    lag.start()
    beat(clock)
    assert lag.reading() == LoopLagReading(0, 0, 0)
    assert lag.stalls.tallies == {}


def test_a_stopped_probe_leaves_no_timer() -> None:
    clock = ManualClock()
    lag = LoopLag(clock)
    lag.start()
    lag.stop()
    lag.stop()
    assert clock.pending == []
