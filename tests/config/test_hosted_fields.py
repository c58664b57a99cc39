"""Single fields of hosted platforms: read, or left out with a reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from typer.testing import CliRunner

from offhook.cli import app
from offhook.config.assistant import Assistant
from offhook.config.assistant_loading import load_assistant, parse_assistant
from offhook.config.errors import ConfigError
from offhook.config.hosted_fields import LEFT_OUT_INSIDE
from offhook.config.hosted_plans import IGNORED
from offhook.config.writing import written

BASE: dict[str, Any] = {
    "name": "Shop",
    "firstMessage": "Hello.",
    "server": {"url": "https://example.com/hook"},
    "transcriber": {"provider": "deepgram", "model": "nova-2"},
    "voice": {"provider": "11labs", "voiceId": "x"},
    "model": {"provider": "openai", "model": "gpt-4o"},
}
INSIDE = [(section, field) for section, fields in LEFT_OUT_INSIDE.items() for field in fields]


def read(**fields: Any) -> Assistant:
    return parse_assistant({**BASE, **fields}, "a.json")


def told(assistant: Assistant, beginning: str) -> str:
    (notice,) = [text for text in assistant.notices if text.startswith(beginning)]
    return notice


@pytest.mark.parametrize(("section", "field"), INSIDE)
def test_what_a_section_holds_in_vain_is_left_out_with_its_reason(section: str, field: str) -> None:
    assistant = read(**{section: {**BASE[section], field: "anything"}})
    assert LEFT_OUT_INSIDE[section][field] in told(assistant, f"{section}.{field} ")


def test_the_page_tells_them() -> None:
    page = (Path(__file__).parents[2] / "docs" / "moving-from-vapi.md").read_text()
    for section, field in INSIDE:
        assert f"| `{section}.{field}` | {LEFT_OUT_INSIDE[section][field]} |" in page


def test_the_body_of_a_request_is_the_assistant_in_it_and_errors_name_the_place_there() -> None:
    assistant = parse_assistant({"assistant": BASE, "phoneNumberId": "1"}, "a.json")
    assert assistant.first_message == "Hello."
    assert "phoneNumberId" in told(assistant, "assistant is read")
    with pytest.raises(ConfigError) as caught:
        parse_assistant({"assistant": {**BASE, "fristMessage": "Hi."}}, "a.json")
    assert [problem.key for problem in caught.value.problems] == ["assistant.fristMessage"]


def test_null_is_not_given() -> None:
    assert read(firstMessage=None, model={**BASE["model"], "temperature": None}).first_message == ""


def test_switches_of_functions_are_tools() -> None:
    tools = read(
        endCallFunctionEnabled=True, dialKeypadFunctionEnabled=True, forwardingPhoneNumber="+14155550101"
    ).tools
    assert [(tool.name, tool.kind) for tool in tools] == [
        ("endCall", "end_call"),
        ("dialKeypad", "send_dtmf"),
        ("transferCall", "transfer_call"),
    ]
    assert tools[2].destinations["forwarding"].number == "+14155550101"
    assert read(endCallFunctionEnabled=False).tools == ()


def test_older_fields_are_those_of_the_plans_and_do_not_overrule_them() -> None:
    assert read(responseDelaySeconds=0.7).turn_taking.endpointing_ms == 700
    both = read(responseDelaySeconds=0.7, startSpeakingPlan={"waitSeconds": 0.5})
    assert both.turn_taking.endpointing_ms == 500
    assert "startSpeakingPlan.waitSeconds counts" in told(both, "responseDelaySeconds")
    assert read(numWordsToInterruptAssistant=2).turn_taking.barge_in == "partial"


def test_the_recognisers_own_default_and_its_many_languages_do_no_harm() -> None:
    assistant = read(transcriber={**BASE["transcriber"], "endpointing": 10, "language": "multi"})
    assert assistant.turn_taking.endpointing_ms == 100
    assert "10 ms is raised to 100 ms" in told(assistant, "transcriber.endpointing of")
    assert assistant.language == read().language
    assert "multi" in told(assistant, "transcriber.language")


def test_numbers_that_are_not_possible_are_told_with_what_they_became() -> None:
    assistant = read(startSpeakingPlan={"waitSeconds": 9}, stopSpeakingPlan={"numWords": 7})
    assert (assistant.turn_taking.endpointing_ms, assistant.turn_taking.max_endpointing_ms) == (5000, 5000)
    assert "9 s is not possible; it is 5000 ms" in told(assistant, "startSpeakingPlan.waitSeconds")
    assert "not 7" in told(assistant, "stopSpeakingPlan.numWords")


def test_a_wait_above_the_usual_longest_one_makes_room_for_itself() -> None:
    assert read(startSpeakingPlan={"waitSeconds": 4}).turn_taking.max_endpointing_ms == 4000


@pytest.mark.parametrize(
    ("slip", "meant"),
    [
        ("stratSpeakingPlan", "startSpeakingPlan"),
        ("stopSpeekingPlan", "stopSpeakingPlan"),
        ("fristMessage", "firstMessage"),
    ],
)
def test_a_slip_is_told_with_what_was_meant(slip: str, meant: str) -> None:
    with pytest.raises(ConfigError, match=meant):
        read(**{slip: {}})


def test_a_first_message_mode_that_is_none_is_an_error_that_names_them() -> None:
    with pytest.raises(ConfigError, match=r"firstMessageMode.*assistant-waits-for-user"):
        read(firstMessageMode="nobody-speaks")


VALUES = st.sampled_from([True, 7, "text", [], {}, {"any": "thing"}])


@given(
    st.dictionaries(st.sampled_from(sorted(IGNORED)), VALUES, max_size=6),
    st.dictionaries(st.sampled_from(INSIDE), VALUES, max_size=6),
    st.booleans(),
)
def test_any_choice_of_fields_loads_and_what_is_written_of_it_is_the_same_assistant(
    outside: dict[str, Any], inside: dict[tuple[str, str], Any], wrapped: bool
) -> None:
    data: dict[str, Any] = {**json.loads(json.dumps(BASE)), **outside}
    for (section, field), value in inside.items():
        data[section][field] = value
    assistant = parse_assistant({"assistant": data} if wrapped else data, "a.json")
    again = parse_assistant(json.loads(json.dumps(yaml_of(assistant))), "b.yaml")
    assert again.model_copy(update={"notices": ()}) == assistant.model_copy(update={"notices": ()})


def yaml_of(assistant: Assistant) -> Any:
    import yaml

    return yaml.safe_load(written(assistant).text)


def test_a_file_that_is_written_tells_what_was_read_and_left_out(tmp_path: Path) -> None:
    source, target = tmp_path / "a.json", tmp_path / "a.yaml"
    source.write_text(json.dumps({**BASE, "hooks": [], "serverUrlSecret": "hush"}))
    result = CliRunner().invoke(app, ["config", "import", "vapi", str(source), "--write", str(target)])
    assert result.exit_code == 0, result.output
    text = target.read_text()
    assert "# hooks is left out: " in text
    assert "hush" not in text
    assert load_assistant(target, lambda name: "hush").first_message == "Hello."


@pytest.mark.parametrize("key", ["eotThreshold", "eagerEotThreshold", "eotTimeoutMs"])
def test_what_only_flux_knows_is_left_out_of_another_model_and_kept_for_flux(key: str) -> None:
    value = 900 if key == "eotTimeoutMs" else 0.6
    nova = read(transcriber={**BASE["transcriber"], key: value})
    assert "only Deepgram's Flux models" in told(nova, f"transcriber.{key} is left out")
    flux = read(transcriber={"provider": "deepgram", "model": "flux-general-en", key: value})
    name = {"eotThreshold": "eot_threshold", "eotTimeoutMs": "eot_timeout_ms"}.get(key, "eager_eot_threshold")
    assert getattr(flux.transcriber, name) == value


@pytest.mark.parametrize(
    ("options", "left"),
    [
        ([{"type": "ignore-case", "enabled": True}], ""),
        ([{"type": "whole-string", "enabled": False}], ""),
        (
            [{"type": "whole-string", "enabled": True}, {"type": "multi-line", "enabled": True}],
            "multi-line, whole",
        ),
        ("all", ""),
    ],
)
def test_options_of_a_pattern_that_would_change_it_are_told(options: Any, left: str) -> None:
    rule = {"type": "customer", "regex": "yes", "regexOptions": options, "timeoutSeconds": 2}
    assistant = read(startSpeakingPlan={"customEndpointingRules": [rule]})
    notices = [notice for notice in assistant.notices if "options of its patterns are left out" in notice]
    assert len(notices) == bool(left)
    assert left in "".join(notices)
