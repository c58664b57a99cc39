"""A clock for parts that have no timers."""

from __future__ import annotations

from offhook.pipeline.clock import Timer


class HandClock:
    """A clock that a test turns by hand."""

    def __init__(self) -> None:
        self.time_s = 1000.0

    def now(self) -> float:
        return self.time_s

    def call_at(self, when: float, callback: object) -> Timer:
        raise NotImplementedError

    async def sleep_until(self, when: float) -> None:
        self.time_s = max(self.time_s, when)
