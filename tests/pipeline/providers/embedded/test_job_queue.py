"""Who goes first, who gives way, and what a waiting caller is told."""

from __future__ import annotations

import asyncio

import pytest

from offhook.config.errors import ProviderError, WorkerDied
from offhook.pipeline.providers.embedded.job_queue import Job, JobQueue, Priority
from offhook.pipeline.providers.embedded.jobs import Speak, Spoken


def job(priority: Priority, text: str = "") -> Job:
    return Job(Speak(text), priority)


def spoken(text: str) -> Spoken:
    return Spoken(text.encode(), (), estimated=False)


def test_the_most_urgent_goes_first_and_the_oldest_among_equals() -> None:
    queue = JobQueue(10)
    jobs = [
        job(p) for p in (Priority.PARTIAL, Priority.FINAL, Priority.PARTIAL, Priority.VOICE, Priority.FINAL)
    ]
    for each in jobs:
        assert queue.add(each) is None
    assert [queue.take() for _ in range(6)] == [jobs[1], jobs[4], jobs[3], jobs[0], jobs[2], None]


def test_in_a_full_queue_the_newest_of_the_least_urgent_gives_way() -> None:
    queue = JobQueue(2)
    old, new, final = job(Priority.PARTIAL), job(Priority.PARTIAL), job(Priority.FINAL)
    queue.add(old)
    queue.add(new)
    assert queue.add(final) is new
    assert queue.add(late := job(Priority.BACKGROUND)) is late
    assert len(queue) == 2


def test_a_job_that_was_put_back_is_next() -> None:
    queue = JobQueue(3)
    first, second = job(Priority.FINAL), job(Priority.FINAL)
    queue.add(first)
    queue.add(second)
    assert queue.take() is first
    queue.put_back(first)
    assert queue.clear() == [first, second]
    assert len(queue) == 0


async def test_answers_come_in_order_and_then_none() -> None:
    one = job(Priority.VOICE)
    asyncio.get_running_loop().call_later(1, one.add, spoken("a"))
    asyncio.get_running_loop().call_later(2, one.add, spoken("b"))
    asyncio.get_running_loop().call_later(2, one.end)
    assert [await one.next(), await one.next(), await one.next()] == [spoken("a"), spoken("b"), None]


async def test_an_error_comes_behind_the_answers_that_were_got() -> None:
    one = job(Priority.VOICE)
    one.add(spoken("a"))
    one.end(WorkerDied("hibari", "gone"))
    assert await one.next() == spoken("a")
    with pytest.raises(ProviderError, match="gone"):
        await one.next()


async def test_a_cancelled_waiter_cancels_its_job() -> None:
    cancelled: list[Job] = []
    one = Job(Speak(""), Priority.VOICE, cancelled.append)
    waiter = asyncio.create_task(one.next())
    await asyncio.sleep(0)
    waiter.cancel()
    await asyncio.wait([waiter])
    assert cancelled == [one]
    assert one.ended


async def test_answers_to_a_cancelled_job_are_ignored() -> None:
    one = job(Priority.VOICE)
    one.cancel()
    one.add(spoken("late"))
    assert await one.next() is None


async def test_a_second_attempt_does_not_repeat_answers() -> None:
    one = job(Priority.VOICE)
    one.add(spoken("a"))
    one.answers_to_skip = one.answers_got
    one.add(spoken("a"))
    one.add(spoken("b"))
    assert [await one.next(), await one.next()] == [spoken("a"), spoken("b")]
