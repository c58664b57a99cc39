"""Plans of hosted platforms for when an assistant speaks, and fields that mean nothing here."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from hosted_tutorial import TUTORIAL

from offhook.config.assistant import Assistant
from offhook.config.assistant_loading import parse_assistant
from offhook.config.errors import ConfigError
from offhook.config.hosted_plans import IGNORED


def read(**fields: Any) -> Assistant:
    return parse_assistant({"name": "x", **fields}, "a.json")


def keys_of(**fields: Any) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        read(**fields)
    return {problem.key: problem.message for problem in caught.value.problems}


def test_the_plan_for_starting_to_speak_is_read() -> None:
    plan = {
        "waitSeconds": 0.4,
        "smartEndpointingPlan": {"provider": "livekit"},
        "transcriptionEndpointingPlan": {
            "onPunctuationSeconds": 0.1,
            "onNoPunctuationSeconds": 1.5,
            "onNumberSeconds": 0.5,
        },
        "customEndpointingRules": [
            {"type": "assistant", "regex": "phone|email", "timeoutSeconds": 3},
            {"type": "customer", "regex": "hold on", "timeoutSeconds": 2.5},
            {"type": "both", "assistantRegex": "name", "customerRegex": "is$", "timeoutSeconds": 1},
        ],
    }
    assistant = read(startSpeakingPlan=plan)
    turn_taking = assistant.turn_taking
    assert (turn_taking.endpointing_ms, turn_taking.max_endpointing_ms) == (400, 1500)
    assert turn_taking.value_patience.digits_ms == 500
    assert [(rule.question, rule.words, rule.wait_ms) for rule in turn_taking.patience] == [
        ("phone|email", None, 3000),
        (None, "hold on", 2500),
        ("name", "is$", 1000),
    ]
    told = "\n".join(assistant.notices)
    assert "startSpeakingPlan.waitSeconds is read as turn_taking.endpointing_ms." in told
    assert "smartEndpointingPlan is left out" in told
    assert "onPunctuationSeconds is left out" in told


def test_the_plan_for_falling_silent_is_read() -> None:
    plan = {
        "numWords": 2,
        "voiceSeconds": 0.2,
        "backoffSeconds": 1,
        "acknowledgementPhrases": ["right", "okay"],
        "interruptionPhrases": ["stop"],
    }
    assistant = read(stopSpeakingPlan=plan)
    turn_taking = assistant.turn_taking
    assert (turn_taking.barge_in, turn_taking.pause_after_ms) == ("partial", 200)
    assert "right" in str(turn_taking.backchannels)
    assert "stop" in str(turn_taking.stop_words)
    assert any("backoffSeconds is left out" in notice for notice in assistant.notices)


def test_no_words_to_wait_for_leaves_the_pause_by_sound() -> None:
    assert read(stopSpeakingPlan={"numWords": 0}).turn_taking.barge_in == "pause"


@pytest.mark.parametrize(("seconds", "milliseconds"), [(0, 100), (0.05, 100), (1, 1000), (9, 5000)])
def test_a_wait_is_brought_to_what_is_possible(seconds: float, milliseconds: int) -> None:
    plan = {"waitSeconds": seconds, "transcriptionEndpointingPlan": {"onNoPunctuationSeconds": 20}}
    assert read(startSpeakingPlan=plan).turn_taking.endpointing_ms == milliseconds


def test_the_transcribers_own_endpointing_counts_before_the_wait() -> None:
    transcriber = {"provider": "deepgram", "endpointing": 300}
    assistant = read(transcriber=transcriber, startSpeakingPlan={"waitSeconds": 1})
    assert assistant.turn_taking.endpointing_ms == 300
    assert any("waitSeconds is left out" in notice for notice in assistant.notices)


def test_what_is_wrong_in_a_plan_is_told_where_it_is_written() -> None:
    assert keys_of(stopSpeakingPlan={"voiceSeconds": "soon", "numWord": 1}).keys() == {
        "stopSpeakingPlan.voiceSeconds",
        "stopSpeakingPlan.numWord",
    }
    assert keys_of(startSpeakingPlan=7).keys() == {"startSpeakingPlan"}
    assert keys_of(stopSpeakingPlan={"voiceSeconds": 0.1}, turn_taking={"pause_after_ms": 50}).keys() == {
        "stopSpeakingPlan.voiceSeconds"
    }


@pytest.mark.parametrize("field", IGNORED)
def test_what_means_nothing_here_is_left_out_with_its_reason(field: str) -> None:
    (notice,) = [text for text in read(**{field: {"any": "thing"}}).notices if text.startswith(f"{field} ")]
    assert IGNORED[field] in notice


def test_the_page_tells_every_field_that_is_left_out() -> None:
    page = (Path(__file__).parents[2] / "docs" / "moving-from-vapi.md").read_text()
    assert (
        dict(re.findall(r"^\| `(\w+)` \| (.+) \|$", page.partition("## What is left out")[2], re.MULTILINE))
        == IGNORED
    )


def test_the_assistant_of_a_hosted_tutorial_is_read() -> None:
    assistant = parse_assistant(TUTORIAL, "a.json")
    assert (assistant.model.provider, assistant.model.name, assistant.model.max_tokens) == (
        "openai",
        "gpt-4o",
        150,
    )
    assert (assistant.voice.provider, assistant.voice.name) == ("elevenlabs", "21m00Tcm4TlvDq8ikWAM")
    assert assistant.transcriber.provider == "deepgram"
    assert (assistant.turn_taking.endpointing_ms, assistant.turn_taking.pause_after_ms) == (200, 200)
    assert assistant.server is not None
    assert assistant.server.url == "https://example.com/webhook/vapi"
    (tool,) = assistant.tools
    assert (tool.name, tool.kind, tool.posts) == ("checkOrder", "server", "function-call")
    assert "a-shared-secret" not in "".join(assistant.notices)


def test_functions_stand_beside_tools() -> None:
    function = {"name": "one", "parameters": {"type": "object", "properties": {}}}
    bye = {"type": "endCall"}
    assistant = read(
        model={"functions": [function], "tools": [bye]}, server={"url": "https://example.com/hook"}
    )
    assert [(tool.name, tool.kind) for tool in assistant.tools] == [
        ("endCall", "end_call"),
        ("one", "server"),
    ]


def test_a_function_that_is_wrong_is_told() -> None:
    functions = [{"name": "no name at all"}]
    assert any(
        "name" in key for key in keys_of(model={"functions": functions}, server={"url": "https://x.example"})
    )


def test_an_assistant_that_waits_for_the_caller_has_no_greeting() -> None:
    waiting = read(firstMessage="Hello.", firstMessageMode="assistant-waits-for-user")
    assert waiting.first_message == ""
    assert read(firstMessage="Hello.", firstMessageMode="assistant-speaks-first").first_message == "Hello."


def test_the_greeting_may_be_cut_only_if_it_says_so() -> None:
    assert not read(firstMessage="Hello.", firstMessageInterruptionsEnabled=False).first_message_interruptible
