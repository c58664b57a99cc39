"""A call in memory: caller, carrier and conversation without a socket."""

from __future__ import annotations

import asyncio

from call_rig import assistant_from
from fake_engines import InlineWorkers, ScriptedModel, says

from offhook.lab.memory_call import MemoryCall
from offhook.lab.spelled_speech import (
    LevelVoiceActivity,
    SpelledVoice,
    SpellingTranscriber,
    read_words,
    spell,
)
from offhook.pipeline.call import Engines
from offhook.pipeline.clock import LoopClock
from offhook.pipeline.line_up import alone
from offhook.pipeline.pacing import PacingWheel


def memory_call(answer: str = "Olive lemon.", **fields: object) -> MemoryCall:
    loop = asyncio.get_running_loop()
    clock = LoopClock(loop, loop.time)
    engines = Engines(
        LevelVoiceActivity(),
        alone(SpellingTranscriber(), clock),
        alone(ScriptedModel(says(answer)), clock),
        alone(SpelledVoice(), clock),
        InlineWorkers(),
    )
    return MemoryCall(assistant_from(**fields), engines, clock, PacingWheel(clock))


async def test_what_the_caller_says_is_understood_and_the_answer_is_heard() -> None:
    async with memory_call() as call:
        await asyncio.sleep(0.3)
        call.say(spell("anchor basket candle"))
        await asyncio.sleep(4.0)
    assert [event.data["text"] for event in call.of_type("turn.ended")] == ["anchor basket candle"]
    assert read_words(bytes(call.line.heard)) == ["olive", "lemon"]
    assert call.outcome is not None
    assert call.of_type("call.ended")


async def test_a_caller_who_cuts_in_clears_the_line() -> None:
    async with memory_call(first_message="apple bridge copper desert feather glacier.") as call:
        await asyncio.sleep(0.5)
        call.say(spell("anchor basket candle"))
        await asyncio.sleep(4.0)
        assert call.line.clears > 0
    heard = read_words(bytes(call.line.heard))
    assert heard[0] == "apple"
    assert "glacier" not in heard


async def test_the_last_frame_of_the_callers_is_known() -> None:
    async with memory_call() as call:
        call.say(spell("anchor"))
        spoke = [call.speaks]
        await asyncio.sleep(1.0)
        assert [*spoke, call.speaks] == [True, False]
        assert call.last_said_frame == 14
