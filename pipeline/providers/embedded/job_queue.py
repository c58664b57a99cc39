"""The jobs that wait for a model: bounded, the one that is needed first goes first; no I/O.

Theory. Every job has a deadline: the moment its answer is needed, by the clock of whoever submits it. The
nearest deadline goes first, and of equals the oldest. A deadline is never put off, so what waits is passed
only by what is needed before it, and from some moment on nothing new is. That is the whole ageing: a partial
that has waited for `PARTIAL_S` is as urgent as any final of now.

Jobs about the same subject (one caller's utterance) have one place in common: a newer one takes it from one
that waits, with the nearer of both deadlines, and the older is never run. At most one of them runs at a time.
"""

from __future__ import annotations

__all__ = ["BACKGROUND_S", "FINAL_S", "FIRST_PARTIAL_S", "FIRST_SPEECH_S", "PARTIAL_S", "Job", "JobQueue"]

import asyncio
from collections import deque
from collections.abc import Callable, Hashable

from offhook.config.errors import ProviderError

from .jobs import Answer, Request

FINAL_S = 0.3
"""From where voice activity tells that speech has ended to where a turn usually has."""
FIRST_SPEECH_S = 0.3
"""A reply's first clause; the caller waits in silence."""
FIRST_PARTIAL_S = 5.0
"""The first words of an utterance decide whether an agent that was cut into falls silent for good.

They go before later ones, and are passed by finals for so long: finals hold the same words and end a wait.
"""
PARTIAL_S = 8.0
"""Later words prepare a reply, and the final has them too."""
BACKGROUND_S = 9.0
"""Nobody waits: preparation, checks."""


class Job:
    """One job on its way through a model's process, and the answers it has got."""

    def __init__(
        self,
        request: Request,
        deadline: float,
        subject: Hashable = None,
        on_cancel: Callable[[Job], None] | None = None,
    ) -> None:
        self.request = request
        self.deadline = deadline
        """When its answer is needed, by the clock of the queue's owner."""
        self.subject = subject
        """What it is about; None: nothing that another job is about."""
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
    """Waiting jobs by deadline, and which subjects are being worked at."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._waiting: list[Job] = []
        """In the order in which they came."""
        self._running: set[Hashable] = set()

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, job: Job) -> tuple[Job | None, Job | None]:
        """Queue a job; returns the one whose place it took, and the one that gives way in a full queue.

        The latter is the one that is needed last, and of equals the newest.
        """
        superseded = self._about(job.subject)
        if superseded is not None:
            self._waiting.remove(superseded)
            job.deadline = min(job.deadline, superseded.deadline)
        self._waiting.append(job)
        if len(self._waiting) <= self.limit:
            return superseded, None
        least_urgent = max(reversed(self._waiting), key=_deadline)
        self._waiting.remove(least_urgent)
        return superseded, least_urgent

    def put_back(self, job: Job) -> bool:
        """Queue a job that was taken, with the place it had; False if a newer one has that now."""
        self.done(job)
        if (newer := self._about(job.subject)) is not None:
            newer.deadline = min(newer.deadline, job.deadline)
            return False
        self._waiting.insert(0, job)
        return True

    def take(self) -> Job | None:
        """Remove and return the job to be run now, or None; `done` or `put_back` ends that."""
        free = [job for job in self._waiting if job.subject not in self._running]
        if not free:
            return None
        job = min(free, key=_deadline)
        self._waiting.remove(job)
        if job.subject is not None:
            self._running.add(job.subject)
        return job

    def done(self, job: Job) -> None:
        """A job that was taken runs no more."""
        self._running.discard(job.subject)

    def remove(self, job: Job) -> bool:
        """Forget a waiting job; returns whether it was there."""
        if job not in self._waiting:
            return False
        self._waiting.remove(job)
        return True

    def clear(self) -> list[Job]:
        """Remove and return all jobs."""
        jobs, self._waiting = self._waiting, []
        return jobs

    def _about(self, subject: Hashable) -> Job | None:
        if subject is None:
            return None
        return next((job for job in self._waiting if job.subject == subject), None)


def _deadline(job: Job) -> float:
    return job.deadline
