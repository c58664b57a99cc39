"""A model's process that several engines use: started with the first of them, closed with the last."""

from __future__ import annotations

__all__ = ["ProcessShare", "SharedProcesses"]

import asyncio
from collections.abc import Callable, Hashable
from typing import Protocol

from .job_desk import JobRunner
from .job_queue import Job
from .jobs import Request


class Process(JobRunner, Protocol):
    """What holds a model, and answers jobs from its start to its end."""

    @property
    def takes_jobs(self) -> bool:
        """Jobs are answered, at once or after a restart that is under way."""

    async def start(self) -> None:
        """Load the model. Raises ProviderError, and is closed then."""

    async def close(self) -> None:
        """Stop it for good."""


class SharedProcesses:
    """Processes by what they hold."""

    def __init__(self) -> None:
        self._present: dict[Hashable, _Present] = {}

    def share(self, key: Hashable, make: Callable[[], Process]) -> ProcessShare:
        """Give a share of the process of this key, which `make` makes if there is none yet."""
        present = self._present.get(key)
        if present is None or present.leaving:
            present = self._present[key] = _Present(make())
        return ProcessShare(present)


class _Present:
    def __init__(self, process: Process) -> None:
        self.process = process
        self.leaving = False
        self._users = 0
        self._starting: asyncio.Task[None] | None = None

    async def enter(self) -> None:
        self._users += 1
        if self._starting is None:
            self._starting = asyncio.create_task(self.process.start(), name="shared model process")
        # Neither does one that gives up take the others' start along, nor the other way round.
        await asyncio.wait((self._starting,))
        await self._starting

    async def leave(self) -> None:
        self._users -= 1
        if self._users or self.leaving:
            return
        self.leaving = True
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.gather(self._starting, return_exceptions=True)
        await self.process.close()


class ProcessShare:
    """One engine's part in a process."""

    def __init__(self, present: _Present) -> None:
        self._present = present
        self._entered = False

    @property
    def process(self) -> Process:
        """What it is a part in."""
        return self._present.process

    @property
    def takes_jobs(self) -> bool:
        """Jobs are answered, at once or after a restart that is under way."""
        return self._entered and self._present.process.takes_jobs

    async def start(self) -> None:
        """Wait until the model is loaded. Raises ProviderError."""
        self._entered = True
        await self._present.enter()

    async def close(self) -> None:
        """Use it no more; the process goes with the last who does."""
        if self._entered:
            self._entered = False
            await self._present.leave()

    def submit(self, request: Request, wanted_s: float, subject: Hashable = None) -> Job:
        """Queue a job; never waits, never raises."""
        return self._present.process.submit(request, wanted_s, subject)
