"""Whether a further call may come: one decision, which does not flap."""

from __future__ import annotations

import pytest
from bridge_rig import ManualClock

from offhook.bridge.capacity import BUSY_ABOVE_MS, FREE_BELOW_MS, Capacity, Shortage
from offhook.bridge.loop_lag import BEATS, PERIOD_S, LoopLag, LoopLagReading


def lag(p99_ms: float) -> LoopLagReading:
    return LoopLagReading(1.0, p99_ms, 2 * p99_ms)


class Loop:
    """A heartbeat whose every beat comes as late as it is told, and the decision that follows."""

    def __init__(self) -> None:
        self._clock = ManualClock()
        self._lag = LoopLag(self._clock)
        self._lag.start()
        self._capacity = Capacity()

    def beat(self, late_s: float = 0.0) -> bool:
        """One beat; returns whether the loop is overloaded."""
        (timer,) = self._clock.pending
        self._clock.timers.remove(timer)
        self._clock.time = timer.when + late_s
        timer.callback()
        return self._capacity.overloaded(self._lag.reading(), live=True)


def test_every_reason_is_told_and_the_one_that_lasts_longest_comes_first() -> None:
    capacity = Capacity()
    assert capacity.shortages(lag(1), ready=True, draining=False, full=False, live=True) == ()
    assert capacity.shortages(lag(500), ready=False, draining=True, full=True, live=True) == tuple(Shortage)


def test_between_the_two_limits_it_stays_as_it_was() -> None:
    capacity = Capacity()
    between = (BUSY_ABOVE_MS + FREE_BELOW_MS) / 2
    busy = [
        capacity.overloaded(lag(p99_ms), live=True)
        for p99_ms in (between, 101, between, 51, 50, between, 100)
    ]
    assert busy == [False, True, True, True, False, False, False]


@pytest.mark.parametrize("beats_before", [0, 1, 50, 200])
def test_one_stall_alone_turns_nobody_away(beats_before: int) -> None:
    loop = Loop()
    busy = [loop.beat() for _ in range(beats_before)]
    busy += [loop.beat(0.3), *(loop.beat() for _ in range(BEATS))]
    assert not any(busy)


def test_a_loop_that_is_late_again_and_again_is_overloaded_until_it_was_well_for_5_s() -> None:
    loop = Loop()
    assert [loop.beat(0.15) for _ in range(3)] == [False, True, True]
    after = [loop.beat() for _ in range(2 * BEATS)]
    assert after.index(False) * PERIOD_S == pytest.approx(5.0, abs=0.2)
    assert not any(after[after.index(False) :]), "it does not come back by itself"


def test_a_late_loop_without_any_call_takes_the_first_one() -> None:
    capacity = Capacity()
    assert not capacity.overloaded(lag(500), live=False)
    assert capacity.overloaded(lag(500), live=True)
    assert capacity.shortages(lag(500), ready=True, draining=False, full=False, live=False) == ()
