"""Whole calls through the vendors' own protocols: what each vendor was asked, and what a cut costs."""

from __future__ import annotations

import logging

import pytest
import structlog
from hosted_tutorial import TUTORIAL
from vendor_rig import ANSWER, vendor_call

from offhook.config.assistant_loading import parse_assistant

WORDS = ANSWER.replace(".", "").split()


async def test_a_turn_goes_through_all_three_vendors_and_back() -> None:
    async with vendor_call() as rig:
        await rig.caller_says("anchor basket candle")
        assert await rig.agent_answers() == WORDS
        assert rig.understood() == ["anchor basket candle"]
        assert rig.told() == WORDS
        assert rig.call.log.of("provider.failed") == []


async def test_the_assistant_of_a_hosted_tutorial_holds_a_call() -> None:
    model = {key: value for key, value in TUTORIAL["model"].items() if key != "functions"}
    # The emulated voice spells, and knows these words alone.
    own = {**TUTORIAL, "model": model, "firstMessage": "lantern meadow nutmeg."}
    async with vendor_call(assistant=parse_assistant(own, "tutorial.json")) as rig:
        await rig.agent_answers()
        assert rig.told() == ["lantern", "meadow", "nutmeg"]
        await rig.caller_says("anchor basket candle")
        await rig.agent_answers()
        assert rig.understood() == ["anchor basket candle"]
        (connected,) = rig.seen("deepgram", "connected")
        assert (connected["query"]["model"], connected["query"]["smart_format"]) == (("nova-2",), ("true",))
        (request,) = rig.seen("openai", "request")
        assert request["roles"][0] == "system"
        assert rig.call.log.of("provider.failed") == []


async def test_deepgram_is_sent_the_carriers_audio_as_it_is() -> None:
    async with vendor_call() as rig:
        await rig.caller_says("anchor basket candle")
        await rig.agent_answers()
        (connected,) = rig.seen("deepgram", "connected")
        assert connected["query"]["encoding"] == ("mulaw",)
        assert connected["query"]["sample_rate"] == ("8000",)
    (closed,) = rig.seen("deepgram", "closed")
    assert closed["audio_bytes"] >= 0.9 * 8000


async def test_openai_is_asked_once_a_turn_with_the_whole_conversation() -> None:
    async with vendor_call(turn_taking={"speculate": False, "silence_prompts": []}) as rig:
        await rig.caller_says("anchor basket candle")
        await rig.agent_answers()
        await rig.caller_says("dragon engine")
        await rig.agent_answers()
        requests = rig.seen("openai", "request")
        spoken = [[role for role in request["roles"] if role != "system"] for request in requests]
        assert spoken == [["user"], ["user", "assistant", "user"]]


async def test_elevenlabs_speaks_a_reply_in_one_context_and_is_told_of_a_cut_in() -> None:
    long = " ".join(["lantern meadow nutmeg ocean pepper quartz."] * 4)
    async with vendor_call(answers=[long, ANSWER], turn_taking={"silence_prompts": []}) as rig:
        await rig.caller_says("anchor basket candle")
        await rig.call.agent_starts()
        await rig.call.sleep(1.2)
        await rig.caller_says("dragon engine forest garden")
        await rig.agent_answers()
        assert rig.told() == rig.heard()
        assert rig.understood() == ["anchor basket candle", "dragon engine forest garden"]
    opened = rig.seen("elevenlabs", "context-opened")
    assert len(opened) >= 2


@pytest.mark.parametrize(
    "fault",
    ["deepgram audio drop after=40", "openai text drop after=2", "elevenlabs audio drop after=4"],
)
async def test_a_connection_that_is_cut_costs_no_word(fault: str) -> None:
    async with vendor_call(faults=[fault]) as rig:
        await rig.caller_says("anchor basket candle")
        heard = await rig.agent_answers()
        assert rig.understood() == ["anchor basket candle"]
        assert heard[-len(WORDS) :] == WORDS
        assert rig.told() == heard
        assert len(rig.vendors.world.faults.happened) == 1


async def test_no_key_is_in_any_event_log_or_repr(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    faults = [
        "deepgram partial error",
        "openai request refuse",
        "openai text error after=1",
        "elevenlabs text drop",
    ]
    with structlog.testing.capture_logs() as logs:
        async with vendor_call(faults=faults) as rig:
            for words in ("anchor basket", "candle dragon", "engine forest"):
                await rig.caller_says(words)
                await rig.agent_answers()
            events, shown = rig.call.log.events, repr((vars(rig.call.call), rig.settings))
    assert len(rig.vendors.world.faults.happened) == len(faults)
    told = f"{events}{shown}{logs}{caplog.text}"
    assert "provider.failed" in told
    assert [vendor for vendor, key in rig.vendors.world.keys.items() if key in told] == []
