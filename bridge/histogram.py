"""Seconds counted in buckets, so that a long run takes no more memory than a short one."""

from __future__ import annotations

__all__ = ["BOUNDS_S", "Histogram"]

from bisect import bisect_left
from itertools import accumulate

BOUNDS_S = (0.05, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.65, 0.8, 1.0, 1.5, 2.0, 3.0, 5.0)
"""Upper bounds: fine where a caller notices the difference, coarse beyond."""


class Histogram:
    """Counts seconds; what is above the last bound shares one bucket."""

    __slots__ = ("_counts", "sum_s")

    def __init__(self) -> None:
        self._counts = [0] * (len(BOUNDS_S) + 1)
        self.sum_s = 0.0

    def add(self, seconds: float) -> None:
        """Count one; below zero counts as zero."""
        seconds = max(0.0, seconds)
        self._counts[bisect_left(BOUNDS_S, seconds)] += 1
        self.sum_s += seconds

    def cumulative(self) -> list[tuple[str, float]]:
        """(upper bound, how many were at most that), as Prometheus writes buckets; the last is `+Inf`."""
        bounds = (*(str(bound) for bound in BOUNDS_S), "+Inf")
        return list(zip(bounds, map(float, accumulate(self._counts)), strict=True))
