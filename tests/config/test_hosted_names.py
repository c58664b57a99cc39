"""Hosted platforms' names for the same fields."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from offhook.config.assistant import Assistant
from offhook.config.assistant_loading import parse_assistant
from offhook.config.errors import ConfigError
from offhook.config.hosted_names import camel_case, section_of, translate
from offhook.config.intents import Slot
from offhook.config.tool import Tool


def keys_of(data: dict[str, Any]) -> dict[str, str]:
    with pytest.raises(ConfigError) as caught:
        parse_assistant(data, "a.json")
    return {problem.key: problem.message for problem in caught.value.problems}


def test_a_hosted_assistant_is_read() -> None:
    assistant = parse_assistant(
        {
            "name": "Support",
            "firstMessage": "Hello!",
            "endCallMessage": "Bye.",
            "serverUrl": "https://example.com/hook/",
            "serverUrlSecret": "hush",
            "fallbackNumber": "+15551234567",
            "maxDurationSeconds": 600,
            "model": {
                "messages": [
                    {"role": "system", "content": "Be kind."},
                    {"role": "system", "content": "Be brief."},
                ],
                "maxTokens": 200,
                "temperature": 0.4,
                "model": "any",
                "tools": [{"name": "find", "callable": "builtins:dict", "deadlineS": 2}],
            },
            "voice": {
                "voiceId": "heart",
                "stability": 0.5,
                "similarityBoost": 0.7,
                "optimizeStreamingLatency": 3,
            },
            "transcriber": {"language": "en-US", "smartFormat": False, "endpointing": 300},
        },
        "a.json",
    )
    assert assistant.first_message == "Hello!"
    assert assistant.goodbye == "Bye."
    assert assistant.instructions == "Be kind.\n\nBe brief."
    assert assistant.server is not None
    assert assistant.server.url == "https://example.com/hook"
    assert assistant.server.secret is not None
    assert assistant.server.secret.get_secret_value() == "hush"
    assert "hush" not in repr(assistant)
    assert (assistant.model.max_tokens, assistant.model.temperature, assistant.model.name) == (
        200,
        0.4,
        "any",
    )
    assert assistant.tools[0].deadline_s == 2
    assert (assistant.voice.name, assistant.voice.stability) == ("heart", 0.5)
    assert (assistant.voice.similarity_boost, assistant.voice.optimize_streaming_latency) == (0.7, 3)
    assert assistant.language == "en-US"
    assert not assistant.transcriber.smart_format
    assert assistant.turn_taking.endpointing_ms == 300
    assert assistant.turn_taking.max_call_s == 600
    assert assistant.fallback_number == "+15551234567"


def test_what_was_translated_is_told() -> None:
    notices = parse_assistant(
        {"name": "x", "firstMessage": "Hi", "transcriber": {"endpointing": 300}}, "a"
    ).notices
    assert "firstMessage is read as first_message." in notices
    assert "transcriber.endpointing is read as turn_taking.endpointing_ms." in notices


@pytest.mark.parametrize("section", ["transcriber", "turn_taking"])
def test_endpointing_below_1_is_a_threshold_with_a_notice(section: str) -> None:
    assistant = parse_assistant({"name": "x", section: {"endpointing": 0.4}}, "a")
    assert assistant.turn_taking.vad_threshold == 0.4
    assert assistant.turn_taking.endpointing_ms == 500
    assert any("because it is below 1" in notice for notice in assistant.notices)


def test_without_effect_is_told() -> None:
    data = {"name": "x", "voice": {"stability": 1}, "model": {"maxTokens": 5}, "instructions": "Be kind."}
    notices = " ".join(parse_assistant(data, "a").notices)
    for name in ("voice.stability", "model.max_tokens", "instructions"):
        assert name in notices


def test_both_names_of_a_field_are_an_error() -> None:
    assert (
        "first_message" in keys_of({"name": "x", "firstMessage": "a", "first_message": "b"})["firstMessage"]
    )
    assert (
        "instructions"
        in keys_of({"name": "x", "instructions": "a", "model": {"messages": []}})["model.messages"]
    )
    twice = {"name": "x", "transcriber": {"endpointing": 300}, "turn_taking": {"endpointing_ms": 400}}
    assert "turn_taking.endpointing_ms" in keys_of(twice)["transcriber.endpointing"]


def test_errors_name_the_place_as_it_was_written() -> None:
    keys = keys_of(
        {
            "name": "x",
            "serverUrl": "nonsense",
            "model": {
                "maxTokens": 0,
                "messages": [{"role": "user", "content": "a"}, {"role": "system"}, "b"],
                "tools": [{"name": "t", "callable": "nowhere:x"}],
            },
            "turnTaking": {"bargeIn": "always", "silencePrompts": [{"afterS": 0, "text": "a"}]},
        }
    )
    assert {
        "serverUrl",
        "model.maxTokens",
        "model.messages.0",
        "model.messages.1.content",
        "model.messages.2",
        "model.tools.0.callable",
        "turnTaking.bargeIn",
        "turnTaking.silencePrompts.0.afterS",
    } <= set(keys)


def test_the_assistant_of_a_hosted_platform_is_read_with_its_vendors() -> None:
    assistant = parse_assistant(
        {
            "name": "Support",
            "firstMessage": "Hi, how can I help?",
            "serverUrl": "https://example.com/hook",
            "serverUrlSecret": "hush",
            "transcriber": {
                "provider": "deepgram",
                "model": "nova-2",
                "language": "en",
                "smartFormat": True,
                "endpointing": 255,
                "keyterm": ["Parcel Post"],
            },
            "model": {
                "provider": "openai",
                "model": "gpt-4o-mini",
                "temperature": 0.7,
                "maxTokens": 250,
                "messages": [{"role": "system", "content": "Be brief."}],
            },
            "voice": {
                "provider": "11labs",
                "voiceId": "21m00Tcm4TlvDq8ikWAM",
                "model": "eleven_turbo_v2_5",
                "stability": 0.5,
                "similarityBoost": 0.75,
                "optimizeStreamingLatency": 3,
            },
        },
        "a.json",
    )
    assert (assistant.transcriber.provider, assistant.transcriber.model) == ("deepgram", "nova-2")
    assert assistant.transcriber.keyterms == ("Parcel Post",)
    assert (assistant.model.provider, assistant.model.name, assistant.model.max_tokens) == (
        "openai",
        "gpt-4o-mini",
        250,
    )
    assert assistant.instructions == "Be brief."
    assert (assistant.voice.provider, assistant.voice.name) == ("elevenlabs", "21m00Tcm4TlvDq8ikWAM")
    assert assistant.voice.optimize_streaming_latency == 3
    assert "voice.provider: 11labs is read as elevenlabs." in assistant.notices
    assert "model.model is read as model.name." in assistant.notices
    assert not any("no effect" in notice for notice in assistant.notices)


def test_fallbacks_are_read_in_the_same_names() -> None:
    assistant = parse_assistant(
        {
            "name": "x",
            "voice": {"fallbacks": [{"provider": "11labs", "voiceId": "abc", "similarityBoost": 0.5}]},
            "model": {"fallbacks": [{"provider": "openai", "model": "gpt-4o", "maxTokens": 9}]},
            "transcriber": {"fallbacks": [{"provider": "deepgram", "smartFormat": False}]},
        },
        "a.json",
    )
    voice, model = assistant.voice.fallbacks[0], assistant.model.fallbacks[0]
    assert (voice.provider, voice.name, voice.similarity_boost) == ("elevenlabs", "abc", 0.5)
    assert (model.name, model.max_tokens) == ("gpt-4o", 9)
    assert not assistant.transcriber.fallbacks[0].smart_format
    assert "voice.fallbacks.0.provider: 11labs is read as elevenlabs." in assistant.notices
    assert "voice.fallbacks.0.voiceId is read as voice.fallbacks.0.name." in assistant.notices


def test_a_fallback_plan_is_the_list_of_fallbacks() -> None:
    plan = {"voices": [{"provider": "11labs", "voiceId": "abc"}]}
    data = {"name": "x", "voice": {"fallbackPlan": plan}}
    assert parse_assistant(data, "a").voice.fallbacks[0].name == "abc"
    wrong = {"name": "x", "voice": {"fallbackPlan": {"voices": [{"provider": "11labs", "voiceId": 3}]}}}
    assert set(keys_of(wrong)) == {"voice.fallbackPlan.voices.0.voiceId"}
    more = {"name": "x", "transcriber": {"fallbackPlan": {"transcribers": [], "autoFallback": {}}}}
    assert set(keys_of(more)) == {"transcriber.fallbackPlan"}


def test_a_model_of_ones_own_speaks_the_protocol_at_its_address() -> None:
    url = "http://127.0.0.1:11434/v1"
    data = {"name": "x", "model": {"provider": "custom-llm", "url": url, "model": "llama3.2"}}
    model = parse_assistant(data, "a").model
    assert (model.provider, model.base_url, model.name) == ("openai", url, "llama3.2")
    lost = {"name": "x", "model": {"provider": "custom-llm", "model": "llama3.2"}}
    assert "`url`" in keys_of(lost)["model.provider"]


def test_two_foreign_names_of_one_field_are_an_error() -> None:
    twice = {"name": "x", "voice": {"voiceId": "heart", "voice_id": "heart"}}
    assert "same field" in keys_of(twice)["voice.voice_id"]


@pytest.mark.parametrize(
    "odd",
    [None, 3, "text", [], {"endpointing": 300}, {"fallbackPlan": 3}, {"fallbacks": [3, {"provider": []}]}],
)
@pytest.mark.parametrize("section", ["turn_taking", "transcriber", "model", "voice", "server", "tools"])
def test_sections_of_the_wrong_kind_are_told_not_raised(section: str, odd: object) -> None:
    with contextlib.suppress(ConfigError):
        parse_assistant(
            {"name": "x", section: odd, "transcriber": {"endpointing": 300}, "serverUrlSecret": "x"}, "a"
        )


def test_the_given_data_is_left_alone() -> None:
    data = {"firstMessage": "a", "transcriber": {"endpointing": 300}, "voice": {"provider": "11labs"}}
    before = repr(data)
    translate(data, Assistant)
    assert repr(data) == before


def test_slots_keep_the_names_their_author_gave() -> None:
    data = {"model": {"intents": [{"slots": {"ask": {"pattern": "a"}, "toolReply": {"pattern": "b"}}}]}}
    assert translate(data, Assistant).data == data


def test_spelling_and_places() -> None:
    assert camel_case("first_message") == "firstMessage"
    assert section_of(Assistant, ("tools", 3)) is Tool
    assert section_of(Assistant, ("model", "intents", 0, "slots", "number")) is Slot
    assert section_of(Assistant, ("name",)) is None
