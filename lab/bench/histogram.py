"""Delays counted in bins, so that a long run takes no more memory than a short one."""

from __future__ import annotations

__all__ = ["Delay", "DelayHistogram"]

from array import array
from collections.abc import Iterable
from dataclasses import dataclass
from operator import add

BIN_NS = 10_000
LONGEST_NS = 2_000_000_000
"""Longer delays share the last bin; `max_ms` still tells the longest."""


class DelayHistogram:
    """Counts delays to 0.01 ms."""

    __slots__ = ("_bins", "_count", "_max_ns")

    def __init__(self) -> None:
        self._bins = array("L", bytes(array("L").itemsize * (LONGEST_NS // BIN_NS)))
        self._count = 0
        self._max_ns = 0

    @classmethod
    def of_all(cls, histograms: Iterable[DelayHistogram]) -> DelayHistogram:
        """All their delays in one."""
        whole = cls()
        for each in histograms:
            whole._count += each._count
            whole._max_ns = max(whole._max_ns, each._max_ns)
            whole._bins = array("L", map(add, whole._bins, each._bins))
        return whole

    @property
    def count(self) -> int:
        """How many delays were added."""
        return self._count

    def add(self, delay_ns: int) -> None:
        """Count one delay in nanoseconds; one below zero counts as zero."""
        if delay_ns > self._max_ns:
            self._max_ns = delay_ns
        self._count += 1
        self._bins[min(max(delay_ns, 0) // BIN_NS, len(self._bins) - 1)] += 1

    @property
    def max_ms(self) -> float:
        """The longest delay, 0 if there was none."""
        return self._max_ns / 1e6

    def quantile_ms(self, share: float) -> float:
        """The delay that `share` (0 to 1) of all stay below, rounded up to the bin; 0 if there was none."""
        rank = share * self._count
        seen = 0
        for index, count in enumerate(self._bins):
            seen += count
            if count and seen >= rank:
                return min((index + 1) * BIN_NS, self._max_ns) / 1e6
        return 0.0


@dataclass(frozen=True, slots=True)
class Delay:
    """How long something took, in milliseconds."""

    p50_ms: float
    p99_ms: float
    max_ms: float

    @classmethod
    def of(cls, histogram: DelayHistogram) -> Delay:
        """Sum a histogram up."""
        return cls(histogram.quantile_ms(0.5), histogram.quantile_ms(0.99), histogram.max_ms)

    def __str__(self) -> str:
        return f"p50 {self.p50_ms:.2f}   p99 {self.p99_ms:.2f}   max {self.max_ms:.2f} ms"
