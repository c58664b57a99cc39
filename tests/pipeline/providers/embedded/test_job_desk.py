"""One desk for several processes."""

from __future__ import annotations

import asyncio

import pytest

from offhook.config.errors import ProviderTimeout, WorkerDied
from offhook.pipeline.clock import LoopClock
from offhook.pipeline.providers.embedded.job_desk import QUEUE_LIMIT_S, JobDesk
from offhook.pipeline.providers.embedded.job_queue import FINAL_S, PARTIAL_S, Job
from offhook.pipeline.providers.embedded.jobs import Speak


class Taker:
    """Takes a job when it is let."""

    def __init__(self, desk: JobDesk) -> None:
        self.takes_jobs = self.free = True
        self.job: Job | None = None
        self._desk = desk
        desk.join(self)

    def take_next(self) -> None:
        if self.free and self.takes_jobs and self.job is None:
            self.job = self._desk.take()

    def answers(self) -> None:
        job, self.job = self.job, None
        assert job is not None
        job.end()
        self._desk.done(job)


def desk_of(takers: int, limit: int = 64) -> tuple[JobDesk, list[Taker]]:
    loop = asyncio.get_running_loop()
    desk = JobDesk("whisper", LoopClock(loop, loop.time), limit)
    return desk, [Taker(desk) for _ in range(takers)]


def texts(*jobs: Job | None) -> list[str]:
    return [job.request.text for job in jobs if job is not None and isinstance(job.request, Speak)]


async def test_whoever_is_free_first_takes_what_is_needed_first() -> None:
    desk, (one, other) = desk_of(2)
    for text, wanted_s in (("a", FINAL_S), ("b", FINAL_S), ("partial", PARTIAL_S), ("final", FINAL_S)):
        desk.submit(Speak(text), wanted_s)
    assert texts(one.job, other.job) == ["a", "b"]
    other.answers()
    assert texts(other.job) == ["final"]
    one.answers()
    assert texts(one.job) == ["partial"]


async def test_a_job_whose_process_died_goes_to_another_one() -> None:
    desk, (one, other) = desk_of(2)
    other.free = False
    job = desk.submit(Speak("a"), FINAL_S)
    one.free, other.free = False, True
    assert one.job is job
    one.job = None
    desk.put_back(job)
    assert other.job is job
    assert job.started


async def test_a_superseded_job_has_no_answer_and_is_counted() -> None:
    desk, (one,) = desk_of(1)
    one.free = False
    older = desk.submit(Speak("a"), PARTIAL_S, "caller")
    newer = desk.submit(Speak("b"), PARTIAL_S, "caller")
    assert await older.next() is None
    assert (desk.superseded, desk.dropped, desk.waiting) == (1, 0, 1)
    assert not newer.ended


async def test_the_job_that_is_needed_last_gives_way_in_a_full_queue() -> None:
    desk, (one,) = desk_of(1, limit=1)
    one.free = False
    partial, final = desk.submit(Speak("p"), PARTIAL_S), desk.submit(Speak("f"), FINAL_S)
    with pytest.raises(ProviderTimeout, match="too many"):
        await partial.next()
    assert desk.dropped == 1
    assert not final.ended


async def test_a_job_that_nobody_begins_fails_in_bounded_time() -> None:
    desk, (one,) = desk_of(1)
    one.free = False
    job = desk.submit(Speak("a"), FINAL_S)
    begun = asyncio.get_running_loop().time()
    with pytest.raises(ProviderTimeout, match="not begun"):
        await job.next()
    assert asyncio.get_running_loop().time() - begun == pytest.approx(QUEUE_LIMIT_S)


async def test_jobs_wait_as_long_as_any_process_may_come_back() -> None:
    desk, (one, other) = desk_of(2)
    one.free = other.free = False
    job = desk.submit(Speak("a"), FINAL_S)
    one.takes_jobs = False
    desk.given_up("down")
    assert not job.ended
    other.takes_jobs = False
    desk.given_up("down")
    with pytest.raises(WorkerDied, match="down"):
        await job.next()
    with pytest.raises(WorkerDied, match="not running"):
        await desk.submit(Speak("b"), FINAL_S).next()


async def test_a_cancelled_job_is_never_handed_out() -> None:
    desk, (one,) = desk_of(1)
    one.free = False
    desk.submit(Speak("a"), FINAL_S).cancel()
    one.free = True
    one.take_next()
    assert one.job is None
