"""A whole call whose recogniser is lost at any moment: every word of the caller's is answered once."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from call_rig import CallRig, assistant_from, running_call
from fake_engines import says

FIRST, SECOND = "please send one parcel", "to my new address"
TALK_S = 5.6


def lose(rig: CallRig, times: int) -> None:
    """The present stream breaks, and so do the next ones."""
    rig.transcriber.fails = times - 1
    rig.transcriber.streams[-1].breaks.set()


def turns(rig: CallRig) -> list[str]:
    return [str(data["text"]) for data in rig.log.of("turn.ended")]


async def conversation(rig: CallRig, lost_after_s: float, times: int) -> None:
    """Two turns, each answered; the recogniser is lost in so many seconds."""
    asyncio.get_running_loop().call_later(lost_after_s, lose, rig, times)
    await rig.sleep(0.4)
    for text in (FIRST, SECOND):
        await rig.caller_says(text)
        await rig.agent_starts(8.0)
        await rig.agent_is_silent()


@pytest.mark.parametrize("segments", [False, True])
@pytest.mark.parametrize("times", [1, 3])
async def test_every_word_is_in_one_turn_whenever_the_stream_is_lost(segments: bool, times: int) -> None:
    for step in range(round(TALK_S / 0.05)):
        async with running_call(answerer=says("Noted.")) as rig:
            rig.transcriber.segments = segments
            await conversation(rig, step * 0.05, times)
            assert turns(rig) == [FIRST, SECOND], f"lost at {step * 0.05:.2f} s"


async def test_a_turn_waits_for_a_recogniser_that_is_away_for_seconds() -> None:
    async with running_call(assistant_from(one_moment="One moment."), says("Noted.")) as rig:
        await rig.sleep(0.4)
        rig.transcriber.fails_after_s = 1.2
        asyncio.get_running_loop().call_later(0.6, lose, rig, 4)  # back after 6 s
        await rig.caller_says(FIRST)
        await rig.sleep(12.0)
        assert turns(rig) == [FIRST]
        assert rig.heard_replies() == ["One moment.", "Noted."]
        assert len(rig.log.of("recogniser.gap")) == 1


async def test_a_caller_whom_nobody_can_hear_is_told_and_the_call_ends_in_bounded_time() -> None:
    assistant = assistant_from(apology="Sorry.", goodbye="Goodbye then.")
    async with running_call(assistant) as rig:
        await rig.sleep(0.4)
        lose(rig, 10_000)
        for _ in range(4):
            await rig.caller_says("can you hear me now", 1.5)
            await rig.sleep(12)
        assert rig.line.closed
        assert "Sorry." in rig.heard_replies()
        assert turns(rig) == []


async def test_the_caller_is_handed_over_when_every_recogniser_has_failed() -> None:
    fields: dict[str, Any] = {"handover": "I connect you.", "fallback_number": "+15550199"}
    async with running_call(assistant_from(**fields)) as rig:
        await rig.sleep(0.4)
        lose(rig, 10_000)
        await rig.sleep(10)
        assert rig.heard_replies() == ["I connect you."]
        assert rig.control.outcome is not None
        assert rig.control.outcome["status"] == "transfer"


async def test_a_silent_recogniser_is_replaced_within_the_turn() -> None:
    async with running_call(answerer=says("Noted.")) as rig:
        await rig.sleep(0.4)
        rig.transcriber.streams[-1].silent = True
        for part in range(5):  # sound without gaps would be the line's own noise
            await rig.caller_says(f"part{part} of it", 1.0)
            await rig.sleep(0.16)
        await rig.agent_starts()
        assert turns(rig) == [" ".join(f"part{part} of it" for part in range(5))]
        assert len(rig.log.of("recogniser.silent")) == 1
        assert len(rig.log.of("recogniser.back")) == 1
