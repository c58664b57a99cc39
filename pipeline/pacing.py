"""The pacing wheel: one timer for all calls of the process that have something to play."""

from __future__ import annotations

__all__ = ["PacingWheel"]

from collections.abc import Callable

import structlog

from .clock import Clock, Timer
from .log_fields import failure_fields

log = structlog.get_logger(__name__)

SLOTS = 10
TURN_S = 0.1
"""One turn of the wheel: each call is served once, in messages of about this length."""


class PacingWheel:
    """Calls every member once a turn, members spread evenly over its slots.

    Ticks lie on an absolute grid, so a late one does not delay the next; after a stall the missed
    ticks are made up in one pass, not one by one. With no members no timer runs.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._slots: list[dict[Callable[[float], None], None]] = [{} for _ in range(SLOTS)]
        self._members = 0
        self._timer: Timer | None = None
        self._origin = clock.now()
        self._next_tick = 0

    def join(self, member: Callable[[float], None]) -> int:
        """Serve this member from now on; returns the slot, which `leave` wants back.

        The slot is the one that comes last from now, so a member that was just served waits a
        whole turn, unless that slot is crowded.
        """
        now_tick = int((self._clock.now() - self._origin) / (TURN_S / SLOTS))
        by_distance = sorted(
            range(SLOTS), key=lambda slot: (len(self._slots[slot]), (now_tick - slot) % SLOTS)
        )
        slot = by_distance[0]
        self._slots[slot][member] = None
        self._members += 1
        if self._timer is None:
            self._next_tick = now_tick + 1
            self._arm()
        return slot

    def leave(self, slot: int, member: Callable[[float], None]) -> None:
        """Serve this member no more; harmless if it left already."""
        if member in self._slots[slot]:
            del self._slots[slot][member]
            self._members -= 1
        if not self._members and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _arm(self) -> None:
        self._timer = self._clock.call_at(self._origin + self._next_tick * TURN_S / SLOTS, self._tick)

    def _tick(self) -> None:
        now = self._clock.now()
        current = max(self._next_tick, int((now - self._origin) / (TURN_S / SLOTS) + 1e-6))
        missed = range(max(self._next_tick, current - SLOTS + 1), current + 1)
        for tick in missed:
            for member in list(self._slots[tick % SLOTS]):
                self._serve(member, now)
        self._next_tick = current + 1
        if self._members:
            self._arm()
        else:
            self._timer = None

    def _serve(self, member: Callable[[float], None], now: float) -> None:
        """One call's failure is its own: the wheel turns on for all others."""
        try:
            member(now)
        except Exception as error:
            log.error("pacing.member-failed", **failure_fields(error, log_words=False))
