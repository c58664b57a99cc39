"""A warm child process that holds one model, answers jobs, and is restarted when it dies."""

from __future__ import annotations

__all__ = ["ModelProcess", "ModelProcessStatistics"]

import asyncio
import logging
import sys
from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from offhook.config.errors import ProviderError, ProviderTimeout, WorkerDied

from ...clock import Clock, Timer
from .child_process import ChildProcess
from .job_desk import JobDesk
from .job_queue import Job
from .jobs import Failed, Finding, Order, Ready, Report, Request

log = logging.getLogger(__name__)

_WARM_UP_LIMIT_S = 60.0
_JOB_LIMIT_S = 20.0
_DOWN_LIMIT_S = 5.0
_BACK_OFF_S = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0)
_STEADY_S = 30.0
"""A process that lived so long starts its back-off anew."""


@dataclass(frozen=True, slots=True)
class ModelProcessStatistics:
    """How a model's process has fared."""

    ready: bool
    queue_depth: int
    """The job in hand, and those that wait at its desk."""
    jobs: int
    """Jobs that were begun here."""
    retries: int
    restarts: int
    dropped: int
    """Jobs of its desk that gave way in a full queue or waited too long."""
    superseded: int
    """Jobs of its desk that a newer one about the same subject made pointless."""
    timeouts: int


class ModelProcess:
    """One child process with one model; jobs run one at a time, what is needed first goes first.

    Every job is safe to repeat, so one that was running when the process died is run once more. While the
    process is down jobs wait up to 5 s for it; then they fail with WorkerDied, as do new ones until it is up.
    """

    def __init__(
        self,
        kind: str,
        options: Mapping[str, Any],
        *,
        clock: Clock,
        command: Sequence[str] | None = None,
        job_limit_s: float = _JOB_LIMIT_S,
        desk: JobDesk | None = None,
    ) -> None:
        """Name the model (`kind`) and its options; `command` replaces the worker that would be started.

        `desk` is that of several processes with the same model; without one it has a desk to itself.
        """
        self.kind = kind
        arguments = (kind, msgspec.json.encode(dict(options)).decode())
        module = f"{__package__}.worker"
        # -P keeps the working directory, which may hold anything, off the import path.
        self._command = tuple(command) if command else (sys.executable, "-P", "-m", module, *arguments)
        self._clock = clock
        self._job_limit_s = job_limit_s
        self._desk = JobDesk(kind, clock) if desk is None else desk
        self._desk.join(self)
        self._child: ChildProcess | None = None
        self._supervisor: asyncio.Task[None] | None = None
        self._first_attempt: asyncio.Future[None] | None = None
        self._current: Job | None = None
        self._limit: Timer | None = None
        self._down: Timer | None = None
        self._ready = self._given_up = self._closed = False
        self._overdue = False
        self._last_id = 0
        self._jobs = self._retries = self._restarts = self._timeouts = 0

    @property
    def ready(self) -> bool:
        """The model is loaded and takes jobs."""
        return self._ready

    @property
    def takes_jobs(self) -> bool:
        """Jobs are answered, at once or after a restart that is under way; false once it is given up."""
        return not (self._closed or self._given_up)

    @property
    def pid(self) -> int | None:
        """The child's process id, if there is a child."""
        return self._child.pid if self._child else None

    def statistics(self) -> ModelProcessStatistics:
        """Count what has happened so far."""
        return ModelProcessStatistics(
            ready=self._ready,
            queue_depth=self._desk.waiting + (self._current is not None),
            jobs=self._jobs,
            retries=self._retries,
            restarts=self._restarts,
            dropped=self._desk.dropped,
            superseded=self._desk.superseded,
            timeouts=self._timeouts,
        )

    async def start(self) -> None:
        """Start the child and return when it is warm; raises ProviderError if it is not within 60 s."""
        self._first_attempt = asyncio.get_running_loop().create_future()
        self._supervisor = asyncio.create_task(self._supervise(), name=f"model-process-{self.kind}")
        try:
            async with asyncio.timeout(_WARM_UP_LIMIT_S):
                await self._first_attempt
        except BaseException as error:
            await self.close()
            if isinstance(error, TimeoutError):
                raise ProviderTimeout(
                    self.kind, f"the model was not ready within {_WARM_UP_LIMIT_S:g} s"
                ) from None
            raise

    async def close(self) -> None:
        """Stop the child, by force if it does not go within 2 s; waiting jobs fail with WorkerDied."""
        self._closed = True
        if self._supervisor is not None:
            self._supervisor.cancel()
            await asyncio.wait([self._supervisor])
        self._give_up("the process was closed")

    def submit(self, request: Request, wanted_s: float, subject: Hashable = None) -> Job:
        """Queue a job at its desk; never waits, never raises."""
        return self._desk.submit(request, wanted_s, subject)

    # ------------------------------------------------------------------ jobs

    def take_next(self) -> None:
        """Take a job from the desk, if there is none in hand."""
        if not self._ready or self._child is None or self._current is not None:
            return
        if (job := self._desk.take()) is None:
            return
        self._last_id += 1
        self._jobs += 1
        job.id = self._last_id
        self._current = job
        self._limit = self._clock.call_at(self._clock.now() + self._job_limit_s, self._job_overdue)
        self._child.send(Order(job.id, job.request))

    def _give_up(self, reason: str) -> None:
        self._given_up = True
        self._desk.given_up(reason)

    def _job_overdue(self) -> None:
        """Kill a child that is stuck; its job is not tried again, since it might stick again."""
        self._timeouts += 1
        self._overdue = True
        if self._child is not None:
            self._child.kill()

    def _receive(self, report: Report) -> None:
        job = self._current
        if isinstance(report, Ready) or job is None or report.id != job.id:
            return
        if isinstance(report, Finding):
            job.add(report.answer)
            return
        self._release_current()
        job.end(ProviderError(self.kind, report.reason) if isinstance(report, Failed) else None)
        self._desk.done(job)

    def _release_current(self) -> Job | None:
        job, self._current = self._current, None
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None
        return job

    def _died(self) -> None:
        """Put the running job back for its second attempt, or fail it."""
        self._ready = False
        if not self._closed and self._down is None:
            self._down = self._clock.call_at(
                self._clock.now() + _DOWN_LIMIT_S,
                lambda: self._give_up(f"its process has been down for {_DOWN_LIMIT_S:g} s"),
            )
        overdue, self._overdue = self._overdue, False
        if (job := self._release_current()) is None:
            return
        if overdue:
            job.end(ProviderTimeout(self.kind, f"no answer within {self._job_limit_s:g} s"))
        elif job.retried or self._closed or self._given_up:
            job.end(WorkerDied(self.kind, "its process died"))
        if job.ended:
            self._desk.done(job)
            return
        self._retries += 1
        job.retried = True
        job.answers_to_skip = job.answers_got
        self._desk.put_back(job)

    # --------------------------------------------------------------- process

    async def _supervise(self) -> None:
        attempt = 0
        try:
            while True:
                begun = self._clock.now()
                reason = "its process ended"
                try:
                    await self._live()
                except (OSError, EOFError, ProviderError, msgspec.MsgspecError) as error:
                    reason = str(error) or type(error).__name__
                except Exception as error:  # whatever it is, the process must come back
                    reason = type(error).__name__
                    log.exception("model process %s broke", self.kind)
                finally:
                    self._died()
                if self._first_attempt is not None and not self._first_attempt.done():
                    self._first_attempt.set_exception(WorkerDied(self.kind, f"it did not start: {reason}"))
                    return
                log.warning("model process %s: %s; restarting", self.kind, reason)
                self._restarts += 1
                attempt = 0 if self._clock.now() - begun > _STEADY_S else attempt
                delay_s = _BACK_OFF_S[min(attempt, len(_BACK_OFF_S) - 1)]
                attempt += 1
                await self._clock.sleep_until(self._clock.now() + delay_s)
        finally:
            if self._down is not None:
                self._down.cancel()

    async def _live(self) -> None:
        """Start a child and carry its reports until it ends; raises EOFError then."""
        child = await ChildProcess.start(f"model process {self.kind}", self._command)
        try:
            async with asyncio.timeout(_WARM_UP_LIMIT_S):
                report = await child.receive()
            if isinstance(report, Failed):
                raise ProviderError(self.kind, report.reason)
            self._child = child
            self._became_ready()
            while True:
                self._receive(await child.receive())
        except TimeoutError:
            raise ProviderTimeout(self.kind, "the model did not load in time") from None
        finally:
            self._ready, self._child = False, None
            await child.stop()

    def _became_ready(self) -> None:
        self._ready, self._given_up = True, False
        if self._down is not None:
            self._down.cancel()
            self._down = None
        if self._first_attempt is not None and not self._first_attempt.done():
            self._first_attempt.set_result(None)
        self.take_next()
