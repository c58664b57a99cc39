"""Whole calls on virtual time."""

from __future__ import annotations

from itertools import pairwise

import pytest
from call_rig import assistant_from, running_call
from fake_engines import says

POLICY = " ".join(f"word{number}" for number in range(60)) + "."


async def test_the_greeting_is_heard_to_its_end() -> None:
    async with running_call(assistant_from(first_message="Hello, you called the order line.")) as rig:
        await rig.sleep(4)
        assert rig.heard_replies() == ["Hello, you called the order line."]
        assert rig.states() == ["idle->processing", "processing->responding", "responding->listening"]


async def test_a_turn_of_the_callers_is_answered() -> None:
    async with running_call(answerer=says("We are open from nine to five.")) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("When are you open?")
        ended_at = rig.clock.now()
        started_at = await rig.agent_starts()
        assert started_at - ended_at == pytest.approx(0.65, abs=0.15)
        await rig.agent_is_silent()
        assert rig.heard_replies() == ["We are open from nine to five."]
        assert rig.log.of("turn.ended")[0]["text"] == "When are you open?"


async def test_a_caller_who_cuts_in_silences_the_agent_and_the_model_is_told_what_was_heard() -> None:
    async with running_call(answerer=says(POLICY, "On Tuesday.")) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("What is your shipping policy?")
        await rig.agent_starts()
        await rig.sleep(4.0)
        cut_in_at = rig.clock.now()
        await rig.caller_says("Just tell me when order 12345 arrives", 2.4)
        assert rig.line.clears
        assert rig.line.clears[0] - cut_in_at < 0.2
        await rig.agent_starts()
        await rig.agent_is_silent()
        cancelled = rig.log.of("audio.cancelled")[0]
        heard = str(cancelled["heard_text"]).split()
        assert heard == POLICY.split()[: len(heard)]
        assert len(heard) in (13, 14)
        said = rig.model.requests[1].messages
        assert said[-2].text == cancelled["heard_text"]
        assert said[-1].text == "Just tell me when order 12345 arrives"


async def test_a_backchannel_pauses_the_agent_and_it_goes_on_from_the_word_that_was_cut() -> None:
    async with running_call(answerer=says(POLICY)) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("What is your shipping policy?")
        await rig.agent_starts()
        await rig.sleep(3.0)
        await rig.caller_says("yeah", 0.4)
        await rig.agent_is_silent(for_s=1.5)
        assert [item["decision"] for item in rig.log.of("barge-in.decided")] == ["resume"]
        assert rig.heard_replies() == [POLICY]
        heard = rig.line.heard_bytes()
        words = [heard[index] for index in range(0, len(heard), 400)]
        assert sorted(set(words)) == list(range(60))
        steps = {b - a for a, b in pairwise(words)}
        assert steps <= {0, 1}, "no word was left out, and none came twice"


async def test_noise_resumes_and_only_words_pause_after_two_wordless_pauses() -> None:
    async with running_call(answerer=says(POLICY)) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("What is your shipping policy?")
        await rig.agent_starts()
        for _ in range(3):
            await rig.sleep(2.0)
            await rig.caller_says("", 0.2)
        await rig.agent_is_silent(for_s=1.5)
        assert [item["decision"] for item in rig.log.of("barge-in.decided")] == ["resume", "resume"]
        assert rig.heard_replies() == [POLICY]


async def test_a_silent_caller_is_asked_twice_and_then_the_call_ends_with_a_goodbye() -> None:
    async with running_call(assistant_from(first_message="Hello.", goodbye="Goodbye then.")) as rig:
        await rig.sleep(40)
        assert len(rig.log.of("silence.prompt")) == 2
        assert rig.heard_replies()[-1] == "Goodbye then."
        assert rig.control.outcome == {"status": "ended", "reason": "the caller is silent", "by": "agent"}
        assert rig.line.closed


async def test_a_recogniser_that_breaks_hears_what_it_missed() -> None:
    async with running_call(answerer=says("Noted.")) as rig:
        await rig.sleep(0.5)
        rig.transcriber.streams[-1].breaks.set()
        await rig.caller_says("Please note this down")
        await rig.agent_starts()
        await rig.agent_is_silent()
        assert rig.log.of("turn.ended")[0]["text"] == "Please note this down"


async def test_a_recogniser_without_words_gets_an_apology() -> None:
    async with running_call(assistant_from(apology="Sorry, please repeat.")) as rig:
        rig.transcriber.deaf = True
        await rig.sleep(0.5)
        await rig.caller_says("Hello there, can you hear me?", 2.0)
        await rig.agent_starts()
        await rig.agent_is_silent()
        assert rig.heard_replies() == ["Sorry, please repeat."]
        assert "listening->error" in rig.states()


async def test_a_model_that_fails_gets_an_apology_and_the_next_turn_works() -> None:
    async with running_call(assistant_from(apology="Sorry, please repeat."), says("Here you are.")) as rig:
        rig.model.fails = 2
        await rig.sleep(0.5)
        await rig.caller_says("Give it to me")
        await rig.agent_starts()
        await rig.agent_is_silent()
        await rig.caller_says("Give it to me")
        await rig.agent_starts()
        await rig.agent_is_silent()
        assert rig.heard_replies() == ["", "Sorry, please repeat.", "Here you are."]


async def test_a_caller_who_goes_on_before_the_answer_is_heard_gets_one_answer_to_both() -> None:
    async with running_call(answerer=says("Answer.")) as rig:
        rig.model.first_token_s = 1.0
        await rig.sleep(0.5)
        await rig.caller_says("I want to change")
        await rig.sleep(0.9)
        await rig.caller_says("my delivery address")
        await rig.agent_starts()
        await rig.agent_is_silent()
        assert rig.heard_replies() == ["Answer."]
        assert rig.model.requests[-1].messages[-1].text == "I want to change my delivery address"


async def test_an_uplink_stall_is_no_end_of_turn() -> None:
    async with running_call(answerer=says("Answer.")) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("one two three", 0.9)
        rig.uplink_stalls(True)
        await rig.sleep(2.0)
        assert not rig.log.of("turn.ended")
        rig.uplink_stalls(False)
        await rig.agent_starts()
        assert len(rig.log.of("turn.ended")) == 1


async def test_keys_are_one_value() -> None:
    async with running_call(answerer=says("Thank you.")) as rig:
        await rig.sleep(0.5)
        for digit in "123":
            rig.call.dtmf(digit)
            await rig.sleep(0.3)
        rig.call.dtmf("#")
        await rig.agent_starts()
        assert rig.log.of("turn.ended")[0]["text"] == "123"
