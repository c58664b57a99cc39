"""How long garbage collections held the process up."""

from __future__ import annotations

__all__ = ["GcPauses"]

import gc
from collections.abc import Callable, Mapping
from typing import Any

GENERATIONS = 3


class GcPauses:
    """Counts collections and their seconds by generation, from `start` to `stop`.

    Nothing runs while one is under way, whichever thread it began in, so its time is a pause of the loop.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._began_s: float | None = None
        self.counts = [0] * GENERATIONS
        self.seconds = [0.0] * GENERATIONS
        self.longest_s = 0.0

    @property
    def total_s(self) -> float:
        """Seconds of all collections so far."""
        return sum(self.seconds)

    def start(self) -> None:
        """Begin to count; harmless if it did."""
        if self._observe not in gc.callbacks:
            gc.callbacks.append(self._observe)

    def stop(self) -> None:
        """Count no more; harmless if it does not."""
        if self._observe in gc.callbacks:
            gc.callbacks.remove(self._observe)

    def _observe(self, phase: str, info: Mapping[str, Any]) -> None:
        if phase == "start":
            self._began_s = self._now()
        elif self._began_s is not None:
            took_s, self._began_s = self._now() - self._began_s, None
            generation = int(info["generation"])
            self.counts[generation] += 1
            self.seconds[generation] += took_s
            self.longest_s = max(self.longest_s, took_s)
