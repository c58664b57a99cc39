"""The event loop's heartbeat: how late it runs what is due, and what held it up when it was late."""

from __future__ import annotations

__all__ = ["LoopLag", "LoopLagReading"]

from collections import deque
from dataclasses import dataclass

import structlog

from offhook.pipeline.clock import Clock, Timer

from .gc_pauses import GcPauses
from .stall_watch import Stall, StallKind, StallWatch
from .stall_watchdog import StallWatchdog, ThreadUsage

PERIOD_S = 0.05
WINDOW_S = 5.0
BEATS = round(WINDOW_S / PERIOD_S)

_log = structlog.get_logger("offhook.bridge")


@dataclass(frozen=True, slots=True)
class LoopLagReading:
    """Lateness of the beats of the last 5 s."""

    p50_ms: float
    p99_ms: float
    """Only the latest beat of the window was later: one stall alone does not show here."""
    max_ms: float


class LoopLag:
    """Measures the lateness of a timer of its own, 20 times a second, and tells every stall.

    Of stalls at one place one is logged in 5 s; all are counted in `stalls`.
    """

    def __init__(self, clock: Clock, *, watchdog: bool = False) -> None:
        """`watchdog`: a thread names the code that holds the loop up, and garbage collections are timed.

        It is not for a virtual clock.
        """
        self.stalls = StallWatch()
        self.collections = GcPauses(clock.now)
        self._clock = clock
        self._watchdog = StallWatchdog(self.stalls, clock.now) if watchdog else None
        self._usage = ThreadUsage()
        self._late_s = deque([0.0] * BEATS, maxlen=BEATS)
        self._timer: Timer | None = None
        self._due = 0.0
        self._logged_at: dict[tuple[StallKind, str], float] = {}
        self._unlogged = 0

    def start(self) -> None:
        """Begin to measure, on the loop's thread."""
        if self._watchdog is not None:
            self._usage.open()
            self.collections.start()
            self._watchdog.start()
        self._schedule()

    def stop(self) -> None:
        """Measure no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.stalls.rest()
        if self._watchdog is not None:
            self._watchdog.stop()
            self.collections.stop()
            self._usage.close()

    def reading(self) -> LoopLagReading:
        """Lateness over the window; beats before the first one count as punctual."""
        late = sorted(self._late_s)
        p50, p99 = (late[round(share * (BEATS - 1))] for share in (0.5, 0.99))
        return LoopLagReading(p50 * 1e3, p99 * 1e3, late[-1] * 1e3)

    def _schedule(self) -> None:
        self._due = self._clock.now() + PERIOD_S
        self.stalls.expect(self._due, self._usage.read(self.collections.total_s))
        self._timer = self._clock.call_at(self._due, self._measure)

    def _measure(self) -> None:
        now = self._clock.now()
        self._late_s.append(max(0.0, now - self._due))
        stall = self.stalls.beat(now, self._usage.read(self.collections.total_s))
        if stall is not None:
            self._tell(stall, now)
        self._schedule()

    def _tell(self, stall: Stall, now: float) -> None:
        key = (stall.kind, stall.blamed)
        if now - self._logged_at.get(key, float("-inf")) < WINDOW_S:
            self._unlogged += 1
            return
        self._logged_at = {told: at for told, at in self._logged_at.items() if now - at < WINDOW_S}
        self._logged_at[key] = now
        _log.warning(
            "loop.stalled",
            late_ms=round(stall.late_s * 1e3),
            cpu_ms=round(stall.cpu_s * 1e3),
            kind=stall.kind.value,
            ours=stall.place.ours,
            innermost=stall.place.innermost,
            not_logged=self._unlogged,
        )
        self._unlogged = 0
