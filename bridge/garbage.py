"""When garbage collections may hold the event loop up.

Python looks at every object of the process whenever a quarter more of them has gathered: with 500 calls
that is a pause of 0.1 to 0.2 s, at any moment, as long as playout rides over. Only calls that have ended
leave much behind that a full collection alone can find, so it runs when there are many of those, or when
no call is there to hear it. What was alive before the first call stays alive and is never looked at.
"""

from __future__ import annotations

__all__ = ["GarbageRounds"]

import gc
from collections.abc import Callable
from typing import Protocol

from offhook.pipeline.clock import Clock, Timer

LOOK_EVERY_S = 1.0
LEAST_ENDED = 100
"""So many calls must have ended for a round among live ones; more, if more than these are live."""
AT_LATEST_S = 600.0
"""Requests leave garbage, too."""
YOUNG, MIDDLE_AFTER, NEVER = 700, 3, 1_000_000
"""Objects that start a round among the young, rounds that start one among the next older, and full ones.

A quarter of Python's own figure in the middle makes those rounds as much shorter.
"""


class Collector(Protocol):
    """The part of the `gc` module that is needed."""

    def collect(self) -> int:
        """Look at all objects."""

    def freeze(self) -> None:
        """Look at those that are alive now no more."""

    def unfreeze(self) -> None:
        """Look at them again."""

    def get_threshold(self) -> tuple[int, int, int]:
        """When rounds run by themselves."""

    def set_threshold(self, young: int, middle: int, full: int, /) -> None:
        """Let them run otherwise."""


class GarbageRounds:
    """Owns the process's collector from `start` to `stop`."""

    def __init__(
        self, clock: Clock, calls: Callable[[], tuple[int, int]], collector: Collector | None = None
    ) -> None:
        """`calls` tells how many are live, and how many have ended in all."""
        self._clock, self._calls = clock, calls
        self._collector: Collector = collector or gc
        self._thresholds = self._collector.get_threshold()
        self._ended = 0
        self._collected_at = clock.now()
        self._timer: Timer | None = None

    def start(self) -> None:
        """Collect once, and from now on only as told above; harmless if it runs."""
        if self._timer is not None:
            return
        self._collector.set_threshold(YOUNG, MIDDLE_AFTER, NEVER)
        self._collect()
        self._collector.freeze()
        self._arm()

    def stop(self) -> None:
        """Leave the collector as it was; harmless if it is."""
        if self._timer is None:
            return
        self._timer.cancel()
        self._timer = None
        self._collector.set_threshold(*self._thresholds)
        self._collector.unfreeze()

    def _arm(self) -> None:
        self._timer = self._clock.call_at(self._clock.now() + LOOK_EVERY_S, self._look)

    def _look(self) -> None:
        live, ended = self._calls()
        left = ended - self._ended
        nobody_hears = live == 0 and left > 0
        overdue = self._clock.now() - self._collected_at >= AT_LATEST_S
        if nobody_hears or overdue or left >= max(LEAST_ENDED, live):
            self._collect()
        self._arm()

    def _collect(self) -> None:
        self._ended = self._calls()[1]
        self._collector.collect()
        self._collected_at = self._clock.now()
