"""What Python itself does while the server is measured: collections, memory, and stalls made on purpose."""

from __future__ import annotations

__all__ = ["GcFigures", "GcProbe", "StallMaker"]

import gc
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass

from offhook.pipeline.clock import Clock, Timer

WORK_STEPS = 10_000
"""A fraction of a millisecond."""


@dataclass(slots=True)
class GcFigures:
    """Garbage collections in the window."""

    count: int = 0
    longest_ms: float = 0.0
    total_ms: float = 0.0
    blocks_kept: int = 0
    """By how many the memory blocks in use have grown (sys.getallocatedblocks)."""


class GcProbe:
    """Counts collections and how long each held everything up; costs nothing between them."""

    def __init__(self) -> None:
        self.figures = GcFigures()
        self._began_ns = 0
        self._blocks = 0

    def begin(self) -> None:
        """Count from now on."""
        self._blocks = sys.getallocatedblocks()
        gc.callbacks.append(self._collecting)

    def end(self) -> GcFigures:
        """Count no more."""
        gc.callbacks.remove(self._collecting)
        self.figures.blocks_kept = sys.getallocatedblocks() - self._blocks
        return self.figures

    def _collecting(self, phase: str, info: Mapping[str, int]) -> None:
        del info
        if phase == "start":
            self._began_ns = time.perf_counter_ns()
            return
        took_ms = (time.perf_counter_ns() - self._began_ns) / 1e6
        figures = self.figures
        figures.count += 1
        figures.total_ms += took_ms
        figures.longest_ms = max(figures.longest_ms, took_ms)


class StallMaker:
    """Blocks the loop, as bad code would: by work, for so long, every so often."""

    def __init__(self, clock: Clock, *, stall_s: float, every_s: float) -> None:
        self._clock, self._stall_s, self._every_s = clock, stall_s, every_s
        self._timer: Timer | None = None
        self.stalls = 0

    def begin(self) -> None:
        """The first one comes after half the time between two."""
        self._timer = self._clock.call_at(self._clock.now() + self._every_s / 2, self._stall)

    def end(self) -> None:
        """No more of them."""
        if self._timer is not None:
            self._timer.cancel()

    def _stall(self) -> None:
        begin_s = self._clock.now()
        self._timer = self._clock.call_at(begin_s + self._every_s, self._stall)
        self.stalls += 1
        while self._clock.now() < begin_s + self._stall_s:
            # Between two looks at the clock the time is spent here, for whoever names the stall.
            total = 0
            for number in range(WORK_STEPS):
                total += number
