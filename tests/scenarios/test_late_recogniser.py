"""A whole call whose recogniser is overloaded: words come late, and no turn is lost in silence."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from call_rig import SOUND, CallRig, assistant_from, running_call
from fake_engines import InlineWorkers, ScriptedModel, ScriptedVoice, ScriptedVoiceActivity, says
from slow_recogniser import SlowRecogniser

from offhook.pipeline.call import Engines
from offhook.pipeline.line_up import alone
from offhook.pipeline.providers.embedded.transcriber import WhisperTranscriber

FRAMES_A_WORD = 25


def words(audio: bytes) -> str:
    """One for each half second of sound."""
    return " ".join(f"word{n}" for n in range(audio.count(SOUND) // FRAMES_A_WORD))


@asynccontextmanager
async def overloaded_call(
    decode_s: float, hears: Callable[[bytes], str] = words
) -> AsyncIterator[tuple[CallRig, SlowRecogniser]]:
    recogniser = SlowRecogniser(decode_s, words=hears)
    clock = recogniser.clock
    voice_activity = ScriptedVoiceActivity(clock)
    engines = Engines(
        voice_activity,
        alone(WhisperTranscriber(recogniser, clock), clock),
        alone(ScriptedModel(says("Noted.")), clock),
        alone(ScriptedVoice(), clock),
        InlineWorkers(),
    )
    assistant = assistant_from(one_moment="One moment.", apology="Sorry, say that again.")
    before = asyncio.all_tasks()
    async with running_call(assistant, engines=engines) as rig:
        await rig.sleep(0.5)
        yield rig, recogniser
    assert asyncio.all_tasks() == before
    assert voice_activity.open_streams == 0


def turns(rig: CallRig) -> list[str]:
    return [str(data["text"]) for data in rig.log.of("turn.ended")]


async def test_a_caller_whose_last_words_are_late_is_asked_to_wait_and_answered_in_full() -> None:
    async with overloaded_call(2.0) as (rig, _):
        await rig.caller_says("", 3.0)
        await rig.sleep(10)
        assert turns(rig) == ["word0 word1 word2 word3 word4 word5"]
        assert rig.heard_replies() == ["One moment.", "Noted."]


async def test_nobody_is_asked_to_wait_for_an_answer_that_is_there() -> None:
    async with overloaded_call(1.6) as (rig, _):
        await rig.caller_says("", 3.0)
        await rig.sleep(10)
        assert len(rig.log.of("reply.withdrawn")) == 1, "the words come as the caller is to be told"
        assert rig.heard_replies() == ["Noted."]


async def test_a_short_answer_whose_words_come_after_all_patience_is_answered_all_the_same() -> None:
    async with overloaded_call(4.0) as (rig, _):
        await rig.caller_says("", 0.6)
        await rig.sleep(10)
        assert turns(rig) == ["word0"]
        assert rig.heard_replies() == ["Noted."]


async def test_a_sentence_of_which_nothing_came_is_apologised_for_and_answered_when_its_words_come() -> None:
    async with overloaded_call(7.0) as (rig, _):
        await rig.caller_says("", 2.0)
        await rig.sleep(30)
        assert turns(rig)[0].startswith("word0"), "the words came in the end"
        assert rig.heard_replies()[0] == "Sorry, say that again."
        assert "Noted." in rig.heard_replies()


@pytest.mark.parametrize("partial", ["", "word0 word1"])
async def test_a_recogniser_that_never_comes_to_the_end_is_waited_for_in_bounded_time(partial: str) -> None:
    async with overloaded_call(0.2, lambda audio: partial) as (rig, recogniser):
        asyncio.get_running_loop().call_later(1.0, recogniser.occupy, 1000)
        await rig.caller_says("", 3.0)
        await rig.sleep(12)
        answer = "Noted." if partial else "Sorry, say that again."
        assert rig.heard_replies()[:2] == ["One moment.", answer]
        assert turns(rig) == ([partial] if partial else [])


@pytest.mark.parametrize("decode_s", [0.13, 0.65, 1.3])
async def test_every_turn_is_answered_once_however_slow_the_recogniser_is(decode_s: float) -> None:
    async with overloaded_call(decode_s) as (rig, recogniser):
        for seconds in (1.0, 4.0, 2.0):
            await rig.caller_says("", seconds)
            await rig.agent_starts(15.0)
            await rig.sleep(8.0)
        assert turns(rig) == [" ".join(f"word{n}" for n in range(count)) for count in (2, 8, 4)]
        assert [reply for reply in rig.heard_replies() if reply != "One moment."] == ["Noted."] * 3
        assert recogniser.desk.dropped == 0
