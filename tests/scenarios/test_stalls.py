"""A loop that is held up, and calls beside one that stands still: nobody else hears of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import pairwise
from typing import cast

import pytest
from call_rig import CallRig, assistant_from, running_call
from fake_engines import says
from virtual_loop import VirtualLoop

from offhook.pipeline.clock import LoopClock
from offhook.pipeline.pacing import PacingWheel
from offhook.pipeline.playout import PlayoutCounters

CALLS = 12
GREETING = " ".join(f"word{number}" for number in range(400)) + "."
"""Two minutes and more of speech without a pause."""
LEAD_S = 0.2
LATENCY_S = 0.02
FRAME_S = 0.02


async def hold(seconds: float, stall_s: float, every_s: float) -> None:
    """Hold the loop up again and again."""
    loop = cast(VirtualLoop, asyncio.get_running_loop())
    for number in range(1, round(seconds / every_s) + 1):
        # Not in step with the wheel: every phase of its turn is met.
        await asyncio.sleep(every_s - stall_s + 0.013 * (number % 9))
        loop.stall(stall_s)
        await asyncio.sleep(0)


@asynccontextmanager
async def calls_on_one_wheel(
    number: int = CALLS, first_message: str = GREETING
) -> AsyncIterator[list[CallRig]]:
    """So many calls on one pacing wheel, each in the middle of a long reply."""
    loop = asyncio.get_running_loop()
    wheel = PacingWheel(LoopClock(loop, loop.time))
    before = asyncio.all_tasks()
    async with AsyncExitStack() as stack:
        rigs = []
        for _ in range(number):
            call = running_call(assistant_from(first_message=first_message), wheel=wheel, latency_s=LATENCY_S)
            rigs.append(await stack.enter_async_context(call))
            await asyncio.sleep(0.037)
        await asyncio.sleep(1.0)
        yield rigs
    assert asyncio.all_tasks() == before, "the calls left tasks behind"


def counters(rig: CallRig) -> PlayoutCounters:
    return rig.call._replies.speaker.counters


def gaps_heard_s(rig: CallRig) -> list[float]:
    """Silences inside what the far end played."""
    return [after.at - before.ends_at for before, after in pairwise(rig.line.runs)]


def furthest_ahead_s(rig: CallRig) -> float:
    """The most that ever waited at the far end, from what was sent and when."""
    furthest, free_at = 0.0, 0.0
    for at, kind, size in rig.line.log:
        if kind == "audio":
            free_at = max(free_at, at) + size / 8000
            furthest = max(furthest, free_at - at)
    return furthest


async def test_stalls_of_100_ms_every_5_s_are_heard_by_none_of_many_calls() -> None:
    async with calls_on_one_wheel() as rigs:
        await hold(60, 0.1, 5.0)
        assert [counters(rig).underruns for rig in rigs] == [0] * CALLS
        assert max(gap_s for rig in rigs for gap_s in [0.0, *gaps_heard_s(rig)]) < FRAME_S / 10


async def test_a_stall_of_300_ms_is_one_gap_in_each_reply_in_play_and_the_schedule_starts_anew() -> None:
    async with calls_on_one_wheel() as rigs:
        await hold(5, 0.3, 5.0)
        await asyncio.sleep(5)
        for rig in rigs:
            assert counters(rig).underruns == 1
            (gap_s,) = gaps_heard_s(rig)
            assert 0.3 - LEAD_S <= gap_s <= 0.3
            assert counters(rig).underrun_s == pytest.approx(gap_s, abs=0.001)
            assert furthest_ahead_s(rig) <= LEAD_S + 0.001, "a burst"


async def test_a_hundred_stalls_of_300_ms_leave_no_drift() -> None:
    async with calls_on_one_wheel(4) as rigs:
        await hold(100, 0.3, 1.0)
        await asyncio.sleep(1)
        for rig in rigs:
            assert counters(rig).underruns == 100
            assert furthest_ahead_s(rig) <= LEAD_S + 0.001
            assert 0.05 <= rig.line.buffered_s <= LEAD_S, "it plays on as if nothing had been"


def reader_takes_nothing(rig: CallRig) -> None:
    rig.line.congested = True


def voice_says_nothing(rig: CallRig) -> None:
    rig.voice.first_audio_s = 3600.0


def line_breaks(rig: CallRig) -> None:
    def broken(audio: bytes) -> None:
        raise ConnectionResetError("gone")

    rig.line.send_audio = broken  # type: ignore[method-assign]


@pytest.mark.parametrize("trouble", [reader_takes_nothing, voice_says_nothing, line_breaks])
async def test_a_call_that_stands_still_delays_no_other(trouble: Callable[[CallRig], None]) -> None:
    async with calls_on_one_wheel(5) as rigs:
        troubled, *others = rigs
        trouble(troubled)
        await asyncio.sleep(30)
        assert [gaps_heard_s(rig) for rig in others] == [[]] * len(others)
        assert [counters(rig).underruns for rig in others] == [0] * len(others)
        if troubled.line.congested:
            assert troubled.line.buffered_s == 0.0


async def test_a_provider_that_never_answers_delays_no_answer_of_another_call() -> None:
    async def answer_s(rig: CallRig) -> float:
        await rig.caller_says("book a table please")
        begun = rig.clock.now()
        return await rig.agent_starts() - begun

    async def alone() -> float:
        async with running_call(answerer=says("All right.")) as rig:
            await rig.sleep(0.5)
            return await answer_s(rig)

    undisturbed_s = await alone()
    async with calls_on_one_wheel(2, first_message="") as (stuck, rig):
        stuck.voice.first_audio_s = 3600.0
        waiting = asyncio.create_task(answer_s(stuck))
        assert await answer_s(rig) == pytest.approx(undisturbed_s, abs=0.1)
        with pytest.raises(TimeoutError):
            await waiting
