"""Keys in whole calls: tones that the agent sends, and keys that a tool takes from the caller."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from call_laws import WatchedRig, history_of, lawful_call
from call_rig import assistant_from
from fake_engines import Answerer

from offhook.codecs import g711
from offhook.codecs.tones import DtmfDetector
from offhook.config.assistant import Assistant
from offhook.pipeline.messages import (
    CallerSaid,
    ModelDelta,
    ModelRequest,
    TextDelta,
    ToolAnswered,
    ToolRequest,
)
from offhook.pipeline.phone_keys import key_tones

PROMPT = "Please enter your card number now and end with the hash key if you please."


def assistant(**arguments: Any) -> Assistant:
    tools = [
        {"name": "press", "kind": "send_dtmf"},
        {"name": "collect", "kind": "collect_digits", "arguments": arguments},
    ]
    return assistant_from(tools=tools, first_message="")


def asks(name: str, arguments: str = "{}", lead: str = "") -> Answerer:
    """A model that asks for a tool at each turn of the caller's, and tells what came of it."""

    def answer(request: ModelRequest) -> Sequence[ModelDelta | float]:
        last = request.messages[-1]
        if isinstance(last, CallerSaid):
            return [TextDelta(lead), ToolRequest(f"r{len(request.messages)}", name, arguments)]
        return [TextDelta("Thank you.")]

    return answer


def result(rig: WatchedRig) -> dict[str, Any]:
    """What the model was told last."""
    answers = [m for m in history_of(rig) if isinstance(m, ToolAnswered) and not m.pending]
    found: dict[str, Any] = json.loads(answers[-1].text)
    return found


async def press(rig: WatchedRig, keys: str, every_s: float = 0.3) -> None:
    for key in keys:
        rig.call.dtmf(key)
        await rig.sleep(every_s)


async def ask(rig: WatchedRig) -> None:
    await rig.sleep(0.5)
    await rig.caller_says("I want to pay")
    await rig.sleep(1.0)


@pytest.mark.parametrize(
    ("keys", "arguments", "digits", "ended_by"),
    [
        ("4711#", {}, "4711", "terminator"),
        ("4711", {"length": 4}, "4711", "length"),
        ("47", {"timeout_s": 2}, "47", "timeout"),
        ("", {"total_s": 4}, "", "timeout"),
        ("12*", {"terminator": "*"}, "12", "terminator"),
        ("1#23#", {"min": 3}, "123", "terminator"),
    ],
)
async def test_keys_go_to_the_tool_and_make_no_turn(
    keys: str, arguments: dict[str, Any], digits: str, ended_by: str
) -> None:
    async with lawful_call(assistant(**arguments), asks("collect")) as rig:
        await ask(rig)
        await press(rig, keys)
        await rig.agent_is_silent(for_s=6)
        assert result(rig) == {"digits": digits, "ended_by": ended_by}
        assert [data["text"] for data in rig.log.of("turn.ended")] == ["I want to pay"]
        assert rig.heard_replies()[-1] == "Thank you."


async def test_a_key_ends_the_prompt_at_a_word() -> None:
    async with lawful_call(assistant(prompt=PROMPT), asks("collect")) as rig:
        await ask(rig)
        await rig.sleep(1.0)
        await press(rig, "4711#")
        await rig.agent_is_silent(for_s=2)
        prompt = rig.heard_replies()[1]
        assert PROMPT.startswith(prompt)
        assert len(prompt.split()) < 8
        assert result(rig)["digits"] == "4711"


async def test_a_prompt_that_waited_while_the_caller_began_is_not_said() -> None:
    lead = "Of course, I will take your card number right away over the keys of your phone."
    async with lawful_call(assistant(prompt=PROMPT), asks("collect", lead=lead)) as rig:
        await ask(rig)
        await press(rig, "4711#")
        await rig.agent_is_silent(for_s=3)
        begun, thanks = [text for text in rig.heard_replies() if text]
        assert lead.startswith(begun), "a key cuts in on whatever is said"
        assert thanks == "Thank you."
        assert result(rig)["digits"] == "4711"


async def test_a_hash_out_of_habit_behind_the_last_key_stops_nobody() -> None:
    async with lawful_call(assistant(length=4), asks("collect")) as rig:
        await ask(rig)
        await press(rig, "4711#", every_s=0.2)
        await rig.agent_is_silent(for_s=4)
        assert rig.heard_replies()[-1] == "Thank you."
        assert not rig.log.of("audio.cancelled")
        assert len(rig.log.of("turn.ended")) == 1


async def test_keys_before_and_after_are_turns_as_ever() -> None:
    async with lawful_call(assistant(length=2), asks("collect")) as rig:
        await ask(rig)
        await press(rig, "12")
        await rig.agent_is_silent(for_s=3)
        rig.model.answerer = lambda request: [TextDelta("Yes.")]
        await press(rig, "9#")
        await rig.agent_is_silent(for_s=2)
        assert [data["text"] for data in rig.log.of("turn.ended")] == ["I want to pay", "9"]


async def test_a_caller_who_hangs_up_while_keys_are_wanted_leaves_nothing_behind() -> None:
    async with lawful_call(assistant(), asks("collect")) as rig:
        await ask(rig)
        await press(rig, "47")


async def test_no_event_tells_which_keys_were_pressed_or_sent() -> None:
    async with lawful_call(assistant(), asks("collect")) as rig:
        await ask(rig)
        await press(rig, "4711#")
        await rig.agent_is_silent(for_s=2)
        rig.model.answerer = asks("press", '{"digits": "0815"}')
        await rig.caller_says("now dial it")
        await rig.agent_is_silent(for_s=3)
        assert result(rig) == {"sent": "0815"}
        told = " ".join(str(event.data) for event in rig.log.events)
        assert "4711" not in told
        assert "0815" not in told
        collected, sent = rig.log.of("function-result")
        assert json.loads(collected["text"]) == {"digits": "4 keys", "ended_by": "terminator"}
        assert json.loads(sent["text"]) == {"sent": "4 keys"}


async def test_tones_are_heard_on_the_line_and_the_tool_answers_when_they_were_played() -> None:
    async with lawful_call(assistant(), asks("press", '{"digits": "12w3#"}', lead="I dial now.")) as rig:
        await ask(rig)
        await rig.agent_is_silent(for_s=3)
        assert heard_keys(rig) == "123#"
        assert result(rig) == {"sent": "12w3#"}
        (data,) = rig.log.of("function-result")
        assert data["ms"] >= 1300, "four keys and a pause"
        assert rig.heard_replies()[-1] == "Thank you."


async def test_a_caller_who_talks_does_not_cut_into_the_tones() -> None:
    async with lawful_call(assistant(), asks("press", '{"digits": "123456789012"}')) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("dial it for me")
        await rig.agent_starts()
        await rig.sleep(0.5)
        rig.model.answerer = lambda request: [TextDelta("Yes.")]
        await rig.caller_says("hello are you there", 1.0)
        await rig.agent_is_silent(for_s=3)
        assert rig.line.clears == []
        assert heard_keys(rig) == "123456789012"


@pytest.mark.parametrize("digits", ["12x", "", "1" * 65])
async def test_what_is_no_key_goes_back_to_the_model(digits: str) -> None:
    async with lawful_call(assistant(), asks("press", json.dumps({"digits": digits}))) as rig:
        await ask(rig)
        await rig.agent_is_silent(for_s=3)
        failed = [m for m in history_of(rig) if isinstance(m, ToolAnswered)]
        assert failed[0].failed
        assert heard_keys(rig) == ""


async def test_keys_that_are_asked_for_again_are_other_keys() -> None:
    def model(request: ModelRequest) -> Sequence[ModelDelta | float]:
        known = [m.text for m in request.messages if isinstance(m, ToolAnswered) and not m.pending]
        if known and "2222" in known[-1]:
            return [TextDelta("Thank you.")]
        return [ToolRequest(f"r{len(request.messages)}", "collect", '{"length": 4}')]

    async with lawful_call(assistant(), model) as rig:
        await ask(rig)
        await press(rig, "1111")
        await rig.sleep(1.0)
        await press(rig, "2222")
        await rig.agent_is_silent(for_s=2)
        assert rig.heard_replies()[-1] == "Thank you."


async def test_tones_that_a_tool_has_given_up_are_not_sent_for_another() -> None:
    greeting = "word1 word2 word3 word4 word5 word6 word7."
    async with lawful_call(assistant_from(first_message=greeting), asks("press")) as rig:
        await rig.sleep(0.2)
        given_up = asyncio.create_task(rig.call._replies.keys.send("111"))
        await rig.sleep(0.2)
        given_up.cancel()
        wanted = asyncio.create_task(rig.call._replies.keys.send("222"))
        await rig.agent_is_silent(for_s=2)
        assert heard_keys(rig) == "222"
        await wanted


def heard_keys(rig: WatchedRig) -> str:
    return DtmfDetector().feed(g711.decode(rig.line.heard_bytes()))


def test_tones_last_as_long_as_they_should() -> None:
    assert len(key_tones("1w2")) == 8 * (200 + 500 + 200)
    assert key_tones("") == b""
    assert np.ptp(g711.decode(key_tones("5"))[800:1600]) <= 16, "a break of 100 ms"
