"""The largest number of calls that a machine carries, found by doubling and halving."""

from __future__ import annotations

__all__ = ["Capacity", "find_capacity"]

from collections.abc import Callable
from dataclasses import dataclass

WITHIN = 0.05
"""Of the number found, how near to the limit it lies."""


@dataclass(frozen=True, slots=True)
class Capacity:
    """What was tried: each number of calls and whether it was carried."""

    tried: tuple[tuple[int, bool], ...]

    @property
    def calls(self) -> int:
        """The largest number that was carried, with nothing below it that was not; 0 if none was."""
        missed = [calls for calls, carried in self.tried if not carried]
        lowest = min(missed, default=max(calls for calls, _ in self.tried) + 1)
        return max((calls for calls, carried in self.tried if carried and calls < lowest), default=0)


def find_capacity(carries: Callable[[int], bool], *, start: int, limit: int) -> Capacity:
    """Try numbers of calls up to `limit`: doubled while they are carried, then halved to 5 %."""
    tried: list[tuple[int, bool]] = []

    def attempt(calls: int) -> bool:
        carried = carries(calls)
        tried.append((calls, carried))
        return carried

    calls, low, high = min(start, limit), 0, None
    while high is None:
        if not attempt(calls):
            high = calls
        elif calls == limit:
            return Capacity(tuple(tried))
        else:
            low, calls = calls, min(2 * calls, limit)
    while high - low > max(1, WITHIN * high):
        middle = (low + high) // 2
        low, high = (middle, high) if attempt(middle) else (low, middle)
    return Capacity(tuple(tried))
