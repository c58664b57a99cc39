"""Several processes with the same model at one desk: a job goes to whichever is free first."""

from __future__ import annotations

__all__ = ["ModelPool"]

import asyncio
from collections.abc import Hashable, Mapping
from typing import Any

from ...clock import Clock
from .job_desk import JobDesk
from .job_queue import Job
from .jobs import Request
from .model_process import ModelProcess, ModelProcessStatistics


class ModelPool:
    """Owns its processes; a pool of one is as good as the process itself."""

    def __init__(self, kind: str, options: Mapping[str, Any], count: int, *, clock: Clock) -> None:
        """Name the model (`kind`), its options, and how many processes are to hold it, at least one."""
        self._desk = JobDesk(kind, clock)
        self.processes = tuple(
            ModelProcess(kind, options, clock=clock, desk=self._desk) for _ in range(count)
        )

    @property
    def ready(self) -> bool:
        """At least one process takes jobs."""
        return any(process.ready for process in self.processes)

    @property
    def takes_jobs(self) -> bool:
        """At least one process answers jobs, at once or after its restart."""
        return any(process.takes_jobs for process in self.processes)

    def statistics(self) -> tuple[ModelProcessStatistics, ...]:
        """Count what has happened in each process."""
        return tuple(process.statistics() for process in self.processes)

    async def start(self) -> None:
        """Warm all processes at the same time; raises ProviderError, and then none is left running."""
        try:
            await asyncio.gather(*(process.start() for process in self.processes))
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Stop them all."""
        await asyncio.gather(*(process.close() for process in self.processes))

    def submit(self, request: Request, wanted_s: float, subject: Hashable = None) -> Job:
        """Queue a job; never waits, never raises."""
        return self._desk.submit(request, wanted_s, subject)
