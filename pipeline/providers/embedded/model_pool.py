"""Several processes with the same model: each job goes to the one that is free soonest."""

from __future__ import annotations

__all__ = ["ModelPool"]

import asyncio
from collections.abc import Sequence

from .job_queue import Job, Priority
from .jobs import Request
from .model_process import ModelProcess, ModelProcessStatistics


class ModelPool:
    """Owns its processes; a pool of one is as good as the process itself."""

    def __init__(self, processes: Sequence[ModelProcess]) -> None:
        """Take at least one process that was not started."""
        self.processes = tuple(processes)

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

    def submit(self, request: Request, priority: Priority) -> Job:
        """Queue a job with the ready process that has the fewest."""
        process = min(self.processes, key=lambda each: (not each.ready, each.statistics().queue_depth))
        return process.submit(request, priority)
