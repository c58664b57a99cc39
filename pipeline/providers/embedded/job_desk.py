"""Where a model's jobs are handed in: one queue for all processes with the same model."""

from __future__ import annotations

__all__ = ["JobDesk", "JobRunner", "JobTaker"]

from collections.abc import Hashable
from typing import Protocol

from offhook.config.errors import ProviderTimeout, WorkerDied

from ...clock import Clock
from .job_queue import Job, JobQueue
from .jobs import Request

QUEUE_LIMIT_S = 10.0
"""A job that was not begun by then is not worth its answer."""
JOBS_LIMIT = 64


class JobRunner(Protocol):
    """Something that answers jobs: a model's processes, or a test's stand-in."""

    def submit(self, request: Request, wanted_s: float, subject: Hashable = None) -> Job:
        """Queue a job whose answer is needed in `wanted_s`; never waits, never raises.

        It takes the place of a job about the same `subject` that was not begun, which then has no answer.
        """


class JobTaker(Protocol):
    """A process that runs jobs of the desk, one at a time."""

    @property
    def takes_jobs(self) -> bool:
        """It runs jobs, now or after a restart that is under way."""

    def take_next(self) -> None:
        """Take a job if there is none in hand."""


class JobDesk:
    """Jobs come in here, and whichever process is free takes the one that is needed first."""

    def __init__(self, kind: str, clock: Clock, limit: int = JOBS_LIMIT) -> None:
        """Name the model for errors; at most `limit` jobs wait."""
        self.kind = kind
        self._clock = clock
        self._queue = JobQueue(limit)
        self._takers: list[JobTaker] = []
        self.dropped = 0
        """Jobs that gave way in a full queue or waited too long."""
        self.superseded = 0
        """Jobs that a newer one about the same subject made pointless."""

    @property
    def waiting(self) -> int:
        """How many jobs wait."""
        return len(self._queue)

    def join(self, taker: JobTaker) -> None:
        """A process takes jobs from here."""
        self._takers.append(taker)

    def submit(self, request: Request, wanted_s: float, subject: Hashable = None) -> Job:
        """Queue a job; what goes wrong is raised where its answer is awaited."""
        now = self._clock.now()
        job = Job(request, now + wanted_s, subject, self._cancelled)
        if not any(taker.takes_jobs for taker in self._takers):
            job.end(WorkerDied(self.kind, "its process is not running"))
            return job
        timer = self._clock.call_at(now + QUEUE_LIMIT_S, lambda: self._waited_too_long(job))
        job.on_end = timer.cancel
        superseded, least_urgent = self._queue.add(job)
        if superseded is not None:
            self.superseded += 1
            superseded.end()
        if least_urgent is not None:
            self._drop(least_urgent, "too many jobs wait")
        self._offer()
        return job

    def take(self) -> Job | None:
        """Hand out the job to be run now; `done` or `put_back` ends that."""
        if (job := self._queue.take()) is not None:
            job.started = True
        return job

    def done(self, job: Job) -> None:
        """A job was answered, or was given up; those about the same subject may run."""
        self._queue.done(job)
        self._offer()

    def put_back(self, job: Job) -> None:
        """A job is to be run once more."""
        job.started = False
        if not self._queue.put_back(job):
            self.superseded += 1
            job.end()
        self._offer()

    def given_up(self, reason: str) -> None:
        """A process runs no jobs any more; without another one those that wait fail."""
        if not any(taker.takes_jobs for taker in self._takers):
            for job in self._queue.clear():
                job.end(WorkerDied(self.kind, reason))

    # --------------------------------------------------------------- details

    def _offer(self) -> None:
        for taker in self._takers:
            taker.take_next()

    def _cancelled(self, job: Job) -> None:
        self._queue.remove(job)

    def _waited_too_long(self, job: Job) -> None:
        if not job.started and self._queue.remove(job):
            self._drop(job, f"it was not begun within {QUEUE_LIMIT_S:g} s")

    def _drop(self, job: Job, reason: str) -> None:
        self.dropped += 1
        job.end(ProviderTimeout(self.kind, f"a job was dropped: {reason}"))
