"""The jobs that wait for a model: bounded, the most urgent first."""

from __future__ import annotations

__all__ = ["Job", "JobQueue", "Priority"]

import asyncio
from collections import deque
from collections.abc import Callable
from enum import IntEnum

from offhook.config.errors import ProviderError

from .jobs import Answer, Request


class Priority(IntEnum):
    """Who goes first."""

    FINAL = 0
    """Somebody waits for the agent's reply."""
    VOICE = 1
    PARTIAL = 2
    BACKGROUND = 3
    """Nobody waits: preparation, checks."""


class Job:
    """One job on its way through a model's process, and the answers it has got."""

    def __init__(
        self, request: Request, priority: Priority, on_cancel: Callable[[Job], None] | None = None
    ) -> None:
        self.request, self.priority = request, priority
        self.id = 0
        self.started = False
        self.retried = False
        self.answers_got = 0
        self.answers_to_skip = 0
        """A second attempt makes these again; they were handed out already."""
        self.on_end: Callable[[], None] = lambda: None
        self._on_cancel = on_cancel
        self._answers: deque[Answer] = deque()
        self._ended = False
        self._error: ProviderError | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def ended(self) -> bool:
        """Nothing further will come."""
        return self._ended

    def add(self, answer: Answer) -> None:
        """Take the next answer."""
        if self._ended:
            return
        if self.answers_to_skip:
            self.answers_to_skip -= 1
            return
        self.answers_got += 1
        self._answers.append(answer)
        self._wake()

    def end(self, error: ProviderError | None = None) -> None:
        """Close the job; later answers are ignored."""
        if self._ended:
            return
        self._ended, self._error = True, error
        self.on_end()
        self._wake()

    def cancel(self) -> None:
        """Nobody wants it any more: an unstarted job is dropped, a started one's answers are ignored."""
        if self._ended:
            return
        self.end()
        if self._on_cancel is not None:
            self._on_cancel(self)

    async def next(self) -> Answer | None:
        """Return the next answer, or None behind the last one or once cancelled; raises ProviderError.

        A caller that is itself cancelled cancels the job.
        """
        while not self._answers and not self._ended:
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            except asyncio.CancelledError:
                self.cancel()
                raise
        if self._answers:
            return self._answers.popleft()
        if self._error is not None:
            raise self._error
        return None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class JobQueue:
    """Waiting jobs, most urgent first and oldest first among equals."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._waiting: dict[Priority, deque[Job]] = {priority: deque() for priority in Priority}

    def __len__(self) -> int:
        return sum(len(jobs) for jobs in self._waiting.values())

    def add(self, job: Job) -> Job | None:
        """Queue a job; returns the one that gives way in a full queue: the newest of the least urgent."""
        self._waiting[job.priority].append(job)
        if len(self) <= self.limit:
            return None
        return next(jobs for _, jobs in sorted(self._waiting.items(), reverse=True) if jobs).pop()

    def put_back(self, job: Job) -> None:
        """Queue a job that was taken, before all others of its priority."""
        self._waiting[job.priority].appendleft(job)

    def take(self) -> Job | None:
        """Remove and return the most urgent job, or None."""
        for jobs in self._waiting.values():
            if jobs:
                return jobs.popleft()
        return None

    def remove(self, job: Job) -> bool:
        """Forget a waiting job; returns whether it was there."""
        try:
            self._waiting[job.priority].remove(job)
        except ValueError:
            return False
        return True

    def clear(self) -> list[Job]:
        """Remove and return all jobs."""
        jobs = [job for waiting in self._waiting.values() for job in waiting]
        for waiting in self._waiting.values():
            waiting.clear()
        return jobs
