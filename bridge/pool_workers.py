"""Threads and processes for blocking work, bounded, and owned by the server."""

from __future__ import annotations

__all__ = ["PoolWorkers"]

import asyncio
import multiprocessing
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from types import TracebackType
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")

THREADS = 8
PROCESSES = 2


class PoolWorkers:
    """Implements the pipeline's Workers; processes are started when first asked for.

    `async with PoolWorkers() as workers:` lets threads end by themselves and kills processes.
    """

    def __init__(self, threads: int = THREADS) -> None:
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="offhook")
        self._processes: ProcessPoolExecutor | None = None

    async def in_thread(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run it in one of the threads."""
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._threads, partial(function, *args, **kwargs))

    async def in_process(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run it in one of 2 processes; function and arguments must be picklable."""
        if self._processes is None:
            # Spawned, not forked: a fork would carry the server's sockets and threads along.
            self._processes = ProcessPoolExecutor(PROCESSES, multiprocessing.get_context("spawn"))
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._processes, partial(function, *args, **kwargs))

    def close(self) -> None:
        """Take no more work and wait for none."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._processes is not None:
            self._processes.shutdown(wait=False, cancel_futures=True)

    async def __aenter__(self) -> PoolWorkers:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
