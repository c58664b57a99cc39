"""An asyncio loop whose clock jumps to the next timer whenever no socket is ready.

Real loopback sockets keep working (they are polled with timeout 0). While a thread-pool job is out,
time stands still and the loop waits for it for real.
"""

from __future__ import annotations

__all__ = ["VirtualLoop"]

import asyncio
import selectors
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any


class _Selector(selectors.DefaultSelector):
    loop: VirtualLoop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if self.loop.jobs:
            return super().select(0.001)
        if timeout is None:
            ready = super().select(self.loop.stuck_after_s)
            if not ready:
                raise RuntimeError("virtual loop is stuck: no timer and no I/O")
            return ready
        self.loop.now += timeout
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """Time passes only when there is nothing else to do."""

    stuck_after_s = 2.0

    def __init__(self) -> None:
        self.now = 0.0
        self.jobs = 0
        selector = _Selector()
        selector.loop = self
        super().__init__(selector)
        self._clock_resolution = 1e-9

    @property
    def timers(self) -> int:
        """How many callbacks wait for their time."""
        waiting: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        return sum(not handle.cancelled() for handle in waiting)

    def time(self) -> float:
        return self.now

    def stall(self, seconds: float) -> None:
        """Let time pass in which nothing runs, as when a callback blocks the loop."""
        self.now += seconds

    def run_in_executor(  # type: ignore[override]
        self, executor: Executor | None, func: Callable[..., Any], *args: Any
    ) -> asyncio.Future[Any]:
        self.jobs += 1
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(self._job_done)
        return future

    def _job_done(self, _: asyncio.Future[Any]) -> None:
        self.jobs -= 1

    async def shutdown_default_executor(self, timeout: float | None = None) -> None:  # noqa: ARG002
        # On Python 3.12 and later the join has a timer, which would fire at once.
        self.jobs += 1
        try:
            await super().shutdown_default_executor()
        finally:
            self.jobs -= 1
