"""May another call come? One decision, for the webhook, the stream and `/readyz` alike.

Calls that are live are never touched: what is decided here only keeps further ones away.

The loop's lag is the measure of overload. Playout sends 200 ms ahead and is served every 100 ms, so a
call rides over 100 ms at any moment; a loop that is later than that again and again makes gaps in every
call it has. A server that carries what it can is far from it: its lag is 1 ms in p99. Of a window of 100
beats the p99 leaves the latest out, so one stall alone, however long, turns nobody away.

A server that was overloaded takes calls again when its lag is below half the limit, which takes at least
the 5 s of the window: a caller that was turned away has made room for nobody, so the answer must not flap.
"""

from __future__ import annotations

__all__ = ["Capacity", "Shortage"]

from enum import Enum

from .loop_lag import LoopLagReading

BUSY_ABOVE_MS = 100.0
"""Loop lag, p99 of 5 s: beyond it live calls have gaps."""
FREE_BELOW_MS = 50.0
"""Loop lag, p99 of 5 s: below it no beat but one was a stall."""


class Shortage(Enum):
    """Why no further call is taken; the value says it in words."""

    NOT_READY = "the speech models are not loaded yet"
    DRAINING = "the server is being shut down"
    AT_CAPACITY = "as many calls as allowed are live"
    OVERLOADED = "the event loop is too late"


class Capacity:
    """Remembers whether the loop is overloaded; all else it is told."""

    def __init__(self) -> None:
        self._overloaded = False

    def overloaded(self, lag: LoopLagReading, *, live: bool) -> bool:
        """The loop is too late for the calls it has, and was not well again since.

        Without any `live` call it is not calls that make it late, and turning one away spares nobody.
        """
        limit_ms = FREE_BELOW_MS if self._overloaded else BUSY_ABOVE_MS
        self._overloaded = lag.p99_ms > limit_ms
        return self._overloaded and live

    def shortages(
        self, lag: LoopLagReading, *, ready: bool, draining: bool, full: bool, live: bool
    ) -> tuple[Shortage, ...]:
        """Every reason, the one that lasts longest first; empty when a call may come."""
        there = {
            Shortage.NOT_READY: not ready,
            Shortage.DRAINING: draining,
            Shortage.AT_CAPACITY: full,
            Shortage.OVERLOADED: self.overloaded(lag, live=live),
        }
        return tuple(shortage for shortage, present in there.items() if present)
