"""The lag probe: what it says is how late the loop was."""

from __future__ import annotations

import pytest
from bridge_rig import ManualClock
from structlog.testing import capture_logs

from offhook.bridge.loop_lag import PERIOD_S, WINDOW_S, LoopLag, LoopLagReading


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
    for late_s in (0.002, 0.004, 0.3):
        beat(clock, late_s)
    reading = lag.reading()
    assert reading.p50_ms == pytest.approx(4)
    assert reading.max_ms == pytest.approx(300)
    for _ in range(round(WINDOW_S / PERIOD_S)):
        beat(clock)
    assert lag.reading().max_ms == 0


def test_a_stall_is_logged_once_a_window() -> None:
    clock = ManualClock()
    lag = LoopLag(clock)
    lag.start()
    with capture_logs() as logs:
        for _ in range(3):
            beat(clock, 0.3)
    assert [(line["event"], line["late_ms"]) for line in logs] == [("loop.stalled", 300)]


def test_a_stopped_probe_leaves_no_timer() -> None:
    clock = ManualClock()
    lag = LoopLag(clock)
    lag.start()
    lag.stop()
    lag.stop()
    assert clock.pending == []
