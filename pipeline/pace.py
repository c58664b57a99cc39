"""How soon a provider usually begins: the measure by which one answer is slow."""

from __future__ import annotations

__all__ = ["Pace"]

from collections import deque

SAMPLES = 50
ENOUGH = 20
"""With fewer samples the pace is not known."""
UNKNOWN_S = 1.5
SHORTEST_S = 0.8
"""However quick a provider is: a second request costs money, and the caller bears so much."""
SLOW_SHARE = 0.95


class Pace:
    """The newest durations of one provider, of all calls of the process."""

    def __init__(self) -> None:
        self._durations_s: deque[float] = deque(maxlen=SAMPLES)

    def add(self, duration_s: float) -> None:
        """Count one."""
        self._durations_s.append(duration_s)

    @property
    def slow_s(self) -> float:
        """What only one of twenty takes longer than."""
        if len(self._durations_s) < ENOUGH:
            return UNKNOWN_S
        ordered = sorted(self._durations_s)
        return max(SHORTEST_S, ordered[min(len(ordered) - 1, int(SLOW_SHARE * len(ordered)))])
