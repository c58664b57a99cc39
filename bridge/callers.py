"""Which callers are taken: by their number, and by how many calls a day there were.

A number is what the carrier says it is; callers can make one up, so an allow list keeps strangers away
and proves nobody's identity. No clock and no I/O here: times are handed in, in Unix seconds.
"""

from __future__ import annotations

__all__ = ["CallerLimits", "Turned", "is_listed"]

import enum
from collections import OrderedDict, deque
from collections.abc import Iterable
from dataclasses import dataclass, field

DAY_S = 86_400.0
CALLERS_LIMIT = 50_000
"""Callers whose calls are counted; of more, those who called longest ago are forgotten."""


class Turned(enum.Enum):
    """Why a caller is turned away."""

    BLOCKED = "caller_blocked"
    TOO_MANY = "caller_too_often"
    BUDGET_SPENT = "day_budget_spent"


def is_listed(number: str, patterns: Iterable[str]) -> bool:
    """Tell whether one of the patterns (see `NumberPatterns`) fits a caller's number."""
    shown = number if number.startswith("+") else "anonymous"
    return any(
        shown.startswith(pattern[:-1]) if pattern.endswith("*") else shown == pattern for pattern in patterns
    )


@dataclass(slots=True)
class CallerLimits:
    """Judges callers, and counts the calls of the last 24 hours that were taken."""

    blocked: tuple[str, ...] = ()
    allowed: tuple[str, ...] = ()
    """Empty: everybody who is not blocked."""
    calls_per_caller: int | None = None
    """In 24 hours; None: any number."""
    calls_per_day: int | None = None
    """Of all callers together, in 24 hours."""
    _taken: deque[float] = field(default_factory=deque)
    _by_caller: OrderedDict[str, deque[float]] = field(default_factory=OrderedDict)

    def judge(self, number: str, now: float) -> Turned | None:
        """Say why the caller is turned away; None counts the call as taken.

        Callers who show no number are one caller.
        """
        if is_listed(number, self.blocked) or (self.allowed and not is_listed(number, self.allowed)):
            return Turned.BLOCKED
        mine = self._by_caller.get(number, deque())
        _forget(mine, now)
        _forget(self._taken, now)
        if self.calls_per_caller is not None and len(mine) >= self.calls_per_caller:
            return Turned.TOO_MANY
        if self.calls_per_day is not None and len(self._taken) >= self.calls_per_day:
            return Turned.BUDGET_SPENT
        self._count(number, mine, now)
        return None

    def _count(self, number: str, mine: deque[float], now: float) -> None:
        if self.calls_per_day is not None:
            self._taken.append(now)
        if self.calls_per_caller is None:
            return
        mine.append(now)
        self._by_caller[number] = mine
        self._by_caller.move_to_end(number)
        while len(self._by_caller) > CALLERS_LIMIT:
            self._by_caller.popitem(last=False)


def _forget(times: deque[float], now: float) -> None:
    while times and times[0] <= now - DAY_S:
        times.popleft()
