"""Who goes first, who gives way, and what a waiting caller is told."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.config.errors import ProviderError, WorkerDied
from offhook.pipeline.providers.embedded.job_queue import (
    FINAL_S,
    FIRST_PARTIAL_S,
    PARTIAL_S,
    Job,
    JobQueue,
)
from offhook.pipeline.providers.embedded.jobs import Speak, Spoken


def job(deadline: float = 0.0, subject: Hashable = None) -> Job:
    return Job(Speak(""), deadline, subject)


def spoken(text: str) -> Spoken:
    return Spoken(text.encode(), (), estimated=False)


def added(queue: JobQueue, *jobs: Job) -> None:
    for each in jobs:
        assert queue.add(each) == (None, None)


def test_the_nearest_deadline_goes_first_and_the_oldest_among_equals() -> None:
    queue = JobQueue(10)
    jobs = [job(deadline) for deadline in (3.0, 1.0, 3.0, 2.0, 1.0)]
    added(queue, *jobs)
    assert [queue.take() for _ in range(6)] == [jobs[1], jobs[4], jobs[3], jobs[0], jobs[2], None]


def test_a_final_goes_before_partials_that_waited_and_first_words_before_later_ones() -> None:
    queue = JobQueue(10)
    partial, first = job(0.0 + PARTIAL_S), job(1.0 + FIRST_PARTIAL_S)
    final = job(3.0 + FINAL_S)
    added(queue, partial, first, final)
    assert [queue.take() for _ in range(3)] == [final, first, partial]


def test_in_a_full_queue_the_newest_of_those_needed_last_gives_way() -> None:
    queue = JobQueue(2)
    old, new, final = job(4.0), job(4.0), job(1.0)
    added(queue, old, new)
    assert queue.add(final) == (None, new)
    late = job(9.0)
    assert queue.add(late) == (None, late)
    assert len(queue) == 2


def test_a_newer_job_about_the_same_takes_the_older_ones_place_in_the_queue() -> None:
    queue = JobQueue(10)
    older, between, newer = job(2.0, "a"), job(3.0, "b"), job(4.0, "a")
    added(queue, older, between)
    assert queue.add(newer) == (older, None)
    assert [queue.take(), queue.take(), queue.take()] == [newer, between, None]


def test_a_job_waits_while_another_about_the_same_runs() -> None:
    queue = JobQueue(10)
    running, next_one, other = job(1.0, "a"), job(2.0, "a"), job(3.0, "b")
    added(queue, running)
    assert queue.take() is running
    added(queue, next_one, other)
    assert queue.take() is other
    assert queue.take() is None
    queue.done(running)
    assert queue.take() is next_one


def test_a_job_that_was_put_back_is_next() -> None:
    queue = JobQueue(3)
    first, second = job(), job()
    added(queue, first, second)
    assert queue.take() is first
    assert queue.put_back(first)
    assert queue.clear() == [first, second]
    assert len(queue) == 0


def test_a_job_that_is_put_back_gives_its_place_to_a_newer_one_about_the_same() -> None:
    queue = JobQueue(3)
    died, newer, other = job(1.0, "a"), job(5.0, "a"), job(2.0, "b")
    added(queue, died)
    assert queue.take() is died
    added(queue, newer, other)
    assert not queue.put_back(died)
    assert queue.take() is newer


SUBMISSIONS = st.lists(
    st.tuples(
        st.floats(0.0, 0.3),
        st.sampled_from([FINAL_S, FIRST_PARTIAL_S, PARTIAL_S]),
        st.one_of(st.none(), st.integers(0, 4)),
    ),
    min_size=1,
    max_size=80,
)


class Machine:
    """Workers that take a fixed time for each job, and what became of all jobs."""

    def __init__(self, workers: int, job_s: float) -> None:
        self.queue, self.job_s = JobQueue(1000), job_s
        self.free_at = [0.0] * workers
        self.running: list[tuple[float, Job]] = []
        self.taken: list[tuple[float, Job]] = []
        self.superseded: list[Job] = []

    def run_until(self, now: float) -> None:
        while True:
            ends = min((end for end, _ in self.running), default=None)
            if ends is None or ends > now:
                return
            over = next(each for each in self.running if each[0] == ends)
            self.running.remove(over)
            self.queue.done(over[1])
            self.start(ends)

    def start(self, now: float) -> None:
        while len(self.running) < len(self.free_at) and (taken := self.queue.take()) is not None:
            subjects = [each.subject for _, each in self.running if each.subject is not None]
            assert taken.subject not in subjects, "two jobs about the same at a time"
            for waiting in self.queue._waiting:
                assert waiting.deadline >= taken.deadline or waiting.subject in subjects
            self.taken.append((now, taken))
            self.running.append((now + self.job_s, taken))

    def submit(self, now: float, wanted_s: float, subject: Hashable) -> Job:
        self.run_until(now)
        new = job(now + wanted_s, subject)
        superseded, dropped = self.queue.add(new)
        assert dropped is None
        if superseded is not None:
            assert superseded.subject == subject
            self.superseded.append(superseded)
        self.start(now)
        return new


@given(SUBMISSIONS, st.integers(1, 3), st.floats(0.05, 1.0))
def test_every_job_is_run_once_or_made_pointless_by_a_newer_one(
    submissions: list[tuple[float, float, int | None]], workers: int, job_s: float
) -> None:
    machine, now, jobs = Machine(workers, job_s), 0.0, []
    for pause_s, wanted_s, subject in submissions:
        now += pause_s
        jobs.append(machine.submit(now, wanted_s, subject))
    machine.run_until(now + 1000)
    taken = [each for _, each in machine.taken]
    assert not set(map(id, taken)) & set(map(id, machine.superseded)), "a pointless job was run"
    assert len(taken) + len(machine.superseded) == len(jobs)
    for subject in range(5):
        newest = [each for each in jobs if each.subject == subject][-1:]
        assert all(each in taken for each in newest)


@given(st.integers(1, 3), st.floats(0.1, 0.5), st.floats(0.5, 3.0), st.integers(60, 120))
def test_nothing_starves_while_more_urgent_jobs_keep_coming(
    workers: int, job_s: float, load: float, finals: int
) -> None:
    """A partial is passed only by finals that came before it had waited for its allowance."""
    machine, every_s = Machine(workers, job_s), job_s / load / workers
    for _ in range(workers):
        machine.submit(0.0, FINAL_S, None)
    partial = machine.submit(0.0, PARTIAL_S, "caller")
    for number in range(1, finals):
        machine.submit(number * every_s, FINAL_S, None)
    machine.run_until(10_000)
    at = [each for _, each in machine.taken].index(partial)
    for _, passed in machine.taken[workers:at]:
        assert passed.deadline <= partial.deadline


async def test_answers_come_in_order_and_then_none() -> None:
    one = job()
    asyncio.get_running_loop().call_later(1, one.add, spoken("a"))
    asyncio.get_running_loop().call_later(2, one.add, spoken("b"))
    asyncio.get_running_loop().call_later(2, one.end)
    assert [await one.next(), await one.next(), await one.next()] == [spoken("a"), spoken("b"), None]


async def test_an_error_comes_behind_the_answers_that_were_got() -> None:
    one = job()
    one.add(spoken("a"))
    one.end(WorkerDied("hibari", "gone"))
    assert await one.next() == spoken("a")
    with pytest.raises(ProviderError, match="gone"):
        await one.next()


async def test_a_cancelled_waiter_cancels_its_job() -> None:
    cancelled: list[Job] = []
    one = Job(Speak(""), 0.0, on_cancel=cancelled.append)
    waiter = asyncio.create_task(one.next())
    await asyncio.sleep(0)
    waiter.cancel()
    await asyncio.wait([waiter])
    assert cancelled == [one]
    assert one.ended


async def test_answers_to_a_cancelled_job_are_ignored() -> None:
    one = job()
    one.cancel()
    one.add(spoken("late"))
    assert await one.next() is None


async def test_a_second_attempt_does_not_repeat_answers() -> None:
    one = job()
    one.add(spoken("a"))
    one.answers_to_skip = one.answers_got
    one.add(spoken("a"))
    one.add(spoken("b"))
    assert [await one.next(), await one.next()] == [spoken("a"), spoken("b")]
