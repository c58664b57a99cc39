"""How late the event loop runs what is due: the first sign of a process that holds too many calls."""

from __future__ import annotations

__all__ = ["LoopLag", "LoopLagReading"]

from collections import deque
from dataclasses import dataclass

import structlog

from offhook.pipeline.clock import Clock, Timer

PERIOD_S = 0.05
WINDOW_S = 5.0
STALL_S = 0.05
"""A single callback that is later than this is logged, at most once a window."""

_log = structlog.get_logger("offhook.bridge")


@dataclass(frozen=True, slots=True)
class LoopLagReading:
    """Lateness over the last 5 s."""

    p50_ms: float
    p99_ms: float
    max_ms: float


class LoopLag:
    """Measures the lateness of a timer of its own, 20 times a second."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._late_s: deque[float] = deque(maxlen=round(WINDOW_S / PERIOD_S))
        self._timer: Timer | None = None
        self._due = 0.0
        self._logged_at = float("-inf")

    def start(self) -> None:
        """Begin to measure."""
        self._schedule()

    def stop(self) -> None:
        """Measure no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def reading(self) -> LoopLagReading:
        """Lateness over the window; zeros before the first measurement."""
        late = sorted(self._late_s) or [0.0]
        p50, p99 = (late[round(share * (len(late) - 1))] for share in (0.5, 0.99))
        return LoopLagReading(p50 * 1e3, p99 * 1e3, late[-1] * 1e3)

    def _schedule(self) -> None:
        self._due = self._clock.now() + PERIOD_S
        self._timer = self._clock.call_at(self._due, self._measure)

    def _measure(self) -> None:
        now = self._clock.now()
        late = max(0.0, now - self._due)
        self._late_s.append(late)
        if late >= STALL_S and now - self._logged_at >= WINDOW_S:
            self._logged_at = now
            _log.warning("loop.stalled", late_ms=round(late * 1e3))
        self._schedule()
