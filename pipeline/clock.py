"""The one source of time: monotonic in production, the loop's own in tests on virtual time."""

from __future__ import annotations

__all__ = ["Clock", "LoopClock", "Timer"]

import asyncio
import time
from collections.abc import Callable
from typing import Protocol


class Timer(Protocol):
    """A callback that waits for its time."""

    def cancel(self) -> None:
        """Take it back; harmless after it ran."""


class Clock(Protocol):
    """Seconds that only go forward, and callbacks at a given second."""

    def now(self) -> float:
        """Seconds since an arbitrary moment."""

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Run `callback` on the loop at `when` seconds, or at once if that is past."""

    async def sleep_until(self, when: float) -> None:
        """Return at `when` seconds."""


class LoopClock:
    """A clock whose timers are the event loop's.

    In production `now` is `time.monotonic`, since uvloop's `loop.time()` moves in steps of 1 ms;
    tests hand in the virtual loop's `time`.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop, now: Callable[[], float] = time.monotonic) -> None:
        self._loop = loop
        self._now = now

    def now(self) -> float:
        """Seconds since an arbitrary moment."""
        return self._now()

    def call_at(self, when: float, callback: Callable[[], None]) -> Timer:
        """Run `callback` on the loop at `when` seconds, or at once if that is past."""
        return self._loop.call_later(max(0.0, when - self._now()), callback)

    async def sleep_until(self, when: float) -> None:
        """Return at `when` seconds."""
        await asyncio.sleep(max(0.0, when - self._now()))
