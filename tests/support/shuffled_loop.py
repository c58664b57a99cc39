"""A virtual loop that runs what is ready in another order than it became ready.

What asyncio promises is kept: steps of one task stay in order, and so do plain callbacks. All else is
free: which task goes on first, a task before or behind a callback, timers that are due at the same time.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from typing import Any

from virtual_loop import VirtualLoop

PASSES_AT_ONE_MOMENT = 10_000
CALLBACKS, TIMERS = "callbacks", "timers that are due later"


class ShuffledReady(deque[asyncio.Handle]):
    """The loop's queue of what is ready; `popleft` takes any handle that may be next."""

    def __init__(self, order: random.Random) -> None:
        super().__init__()
        self._order = order
        self.choices = 0
        """How often there was one to be made."""

    def popleft(self) -> asyncio.Handle:
        if len(self) == 1:
            return super().popleft()
        places = self._first_of_each_lane()
        if len(places) == 1:
            return super().popleft()
        self.choices += 1
        place = self._order.choice(list(places.values()))
        handle = self[place]
        del self[place]
        return handle

    def _first_of_each_lane(self) -> dict[object, int]:
        """Where in the queue the next handle of each lane is; timers of the same time have a lane each."""
        places: dict[object, int] = {}
        due: float | None = None
        for place, handle in enumerate(self):
            lane: object = CALLBACKS
            if isinstance(handle, asyncio.TimerHandle):
                due = handle.when() if due is None else due
                lane = handle if handle.when() == due else TIMERS
            else:
                owner: Any = getattr(handle._callback, "__self__", None)  # type: ignore[attr-defined]
                lane = owner if isinstance(owner, asyncio.Task) else CALLBACKS
            if lane is not TIMERS:
                places.setdefault(lane, place)
        return places


class TimeStandsStill(Exception):
    """The loop is busy for ever at one moment."""


class ShuffledLoop(VirtualLoop):
    """Each seed is another order; 0 is asyncio's own."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.ready = ShuffledReady(random.Random(seed))
        if seed:
            self._ready = self.ready
        self._passes, self._passes_at = 0, 0.0

    def _run_once(self) -> None:
        """Run what is ready. Raises TimeStandsStill."""
        self._passes = self._passes + 1 if self.now == self._passes_at else 0
        self._passes_at = self.now
        if self._passes > PASSES_AT_ONE_MOMENT:
            self._passes = 0
            raise TimeStandsStill(f"{PASSES_AT_ONE_MOMENT} passes of the loop at {self.now:.3f} s")
        super()._run_once()  # type: ignore[misc]
