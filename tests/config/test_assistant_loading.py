"""Assistant files: what is accepted, and what is said about what is not."""

from __future__ import annotations

import contextlib
import json
import sys
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from offhook.config.assistant import Assistant, assistant_schema
from offhook.config.assistant_loading import load_assistant, parse_assistant
from offhook.config.assistants import DEMO
from offhook.config.documents import read_yaml
from offhook.config.errors import ConfigError, ConfigProblem

SAY = ["a", "b", "c"]
LOOK_UP = {
    "name": "look_up",
    "callable": "builtins:dict",
    "parameters": {"type": "object", "properties": {"number": {"type": "string"}}, "required": ["number"]},
}


def intent(**fields: Any) -> dict[str, Any]:
    return {"name": "x", "model": {"intents": [{"name": "i", "say": SAY, **fields}]}}


def problems_of(data: Any) -> dict[str, ConfigProblem]:
    with pytest.raises(ConfigError) as caught:
        parse_assistant(data, "a.yaml")
    return {problem.key: problem for problem in caught.value.problems}


def only_problem(data: Any) -> ConfigProblem:
    (problem,) = problems_of(data).values()
    return problem


# ------------------------------------------------------------------------- files


def test_the_smallest_file_is_a_name(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text("name: Small\n")
    assistant = load_assistant(path)
    assert (assistant.name, assistant.language, assistant.voice.name) == ("Small", "en", "heart")


def test_json_is_read_too(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{"name": "Small", "turn_taking": {"barge_in": "off"}}')
    assert load_assistant(path).turn_taking.barge_in == "off"


def test_words_of_yaml_1_1_are_no_booleans(tmp_path: Path) -> None:
    path = tmp_path / "a.yml"
    path.write_text(
        "name: on\nturn_taking: {barge_in: off, stop_words: [no, off]}\nfallback_number: +15551234567\n"
    )
    assistant = load_assistant(path)
    assert (assistant.name, assistant.turn_taking.barge_in) == ("on", "off")
    assert assistant.turn_taking.stop_words == {"*": ("no", "off")}
    assert assistant.fallback_number == "+15551234567"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"name: x", "neither"),
        ("a.yaml", b"", "is empty"),
        ("a.yaml", b"- a\n", "pairs"),
        ("a.yaml", b"name: \xff", "UTF-8"),
        ("a.yaml", b"name: x\n" + b"#" * (1 << 20), "1 MiB"),
        ("a.yaml", b"name: x\nname: y\n", "given twice"),
        ("a.yaml", b"name: [x\n", "not valid YAML"),
        ("a.json", b'{"name": "x",}', "not valid JSON"),
    ],
)
def test_a_file_that_cannot_be_used_says_why(tmp_path: Path, name: str, content: bytes, message: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=message) as caught:
        load_assistant(path)
    assert str(path) in str(caught.value)


def test_a_file_that_is_not_there_says_so(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="No such file"):
        load_assistant(tmp_path / "none.yaml")


def test_problems_name_file_line_and_key_in_the_order_of_lines(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(
        "name: x\nfirst_mesage: hi\ntools:\n  - name: a\n    callable: nowhere:f\n"
        "  - name: a\n    deadline_s: 0\nlanguage: de\n"
    )
    with pytest.raises(ConfigError) as caught:
        load_assistant(path)
    places = [(problem.source.removeprefix(str(path)), problem.key) for problem in caught.value.problems]
    assert [line for line, _ in places] == [":2", ":5", ":6", ":6", ":7", ":8"]
    assert sorted(places) == [
        (":2", "first_mesage"),
        (":5", "tools.0.callable"),
        (":6", "tools.1.callable"),
        (":6", "tools.1.name"),
        (":7", "tools.1.deadline_s"),
        (":8", "language"),
    ]


def test_a_tools_module_may_lie_beside_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "beside_the_file.py").write_text("def find(): return 1\n")
    path = tmp_path / "a.yaml"
    path.write_text("name: x\ntools: [{name: find, callable: 'beside_the_file:find'}]\n")
    assert load_assistant(path).tools[0].callable == "beside_the_file:find"
    assert sys.path[0] != str(tmp_path)


# ------------------------------------------------------------------ unknown keys


@pytest.mark.parametrize(
    ("data", "hint"),
    [
        ({"name": "x", "first_mesage": "hi"}, "Did you mean `first_message`?"),
        ({"name": "x", "firstMesage": "hi"}, "Did you mean `firstMessage`?"),
        ({"name": "x", "serverURI": "hi"}, "Did you mean `serverUrl`?"),
        ({"name": "x", "barge_in": "off"}, "It belongs in `turn_taking`."),
        ({"name": "x", "voice": {"turn_taking": {}}}, "It belongs at the top of the file."),
        ({"name": "x", "voice": {"sped": 1}}, "Did you mean `speed`?"),
        ({"name": "x", "voice": {"zebra": 1}}, "Known here: provider, name"),
        (intent(tool_replly="x"), "Did you mean `tool_reply`?"),
    ],
)
def test_an_unknown_key_is_an_error_with_a_hint(data: dict[str, Any], hint: str) -> None:
    problems = problems_of(data)
    assert any(problem.fix.startswith(hint) for problem in problems.values()), problems


def test_notices_cannot_be_written() -> None:
    assert "not a key" in only_problem({"name": "x", "notices": ["a"]}).message


# ---------------------------------------------------------------------- messages


@pytest.mark.parametrize(
    ("data", "key", "message"),
    [
        ({}, "name", "is missing"),
        ({"name": ""}, "name", "must not be empty"),
        ({"name": 5}, "name", "must be a text"),
        ({"name": "x", "tools": "y"}, "tools", "must be a list"),
        ({"name": "x", "voice": "y"}, "voice", "must hold `key: value` pairs"),
        ({"name": "x", "voice": {"speed": 3}}, "voice.speed", "must be at most 2"),
        ({"name": "x", "voice": {"speed": "fast"}}, "voice.speed", "must be a number"),
        ({"name": "x", "voice": {"name": "rachel"}}, "voice.name", "it has heart"),
        ({"name": "x", "voice": {"provider": "elevenlabs"}}, "voice.name", "the vendor's voices"),
        (
            {"name": "x", "voice": {"provider": "elevenlabs", "name": "a", "speed": 2}},
            "voice.speed",
            "0.7 to 1.2",
        ),
        ({"name": "x", "voice": {"provider": "deepgram"}}, "voice.provider", "no provider that is known"),
        (
            {"name": "x", "model": {"provider": "openai", "base_url": "ws://x"}},
            "model.base_url",
            "http:// or https://",
        ),
        ({"name": "x", "model": {"provider": "opnai"}}, "model.provider", "Did you mean `openai`?"),
        ({"name": "x", "transcriber": {"model_dir": "/no/where"}}, "transcriber.model_dir", "not a folder"),
        ({"name": "x", "first_message_interruptible": 3}, "first_message_interruptible", "true or false"),
        ({"name": "x", "fallback_number": "555"}, "fallback_number", "E.164"),
        ({"name": "x", "fallback_number": 15551234567}, "fallback_number", "in quotes"),
        ({"name": "x", "language": "de"}, "language", "English"),
        ({"name": "x", "language": "English please"}, "language", "language tag"),
        ({"name": "x", "server": {"url": "ws://x"}}, "server.url", "http"),
        (
            {"name": "x", "turn_taking": {"barge_in": "x"}},
            "turn_taking.barge_in",
            "`off`, `partial` or `pause`",
        ),
        ({"name": "x", "turn_taking": {"decide_ms": 1.5}}, "turn_taking.decide_ms", "whole number"),
        ({"name": "x", "turn_taking": {"stop_words": ["a"] * 501}}, "turn_taking.stop_words.*", "501 items"),
        (intent(reply="r", say=["a", "b"]), "model.intents.0.say", "2 of at least 3"),
        (intent(), "model.intents.0.tool", "both missing"),
        (intent(reply="{number}"), "model.intents.0.reply", "{number}"),
        (intent(reply="{order number}"), "model.intents.0.reply", "braces"),
        (intent(reply="r", tool_reply="x"), "model.intents.0.tool_reply", "never said"),
        (intent(reply="r", slots={"n": {"pattern": "("}}), "model.intents.0.slots.n.pattern", "expression"),
        (intent(reply="r", slots={"n": {"pattern": "a*"}}), "model.intents.0.slots.n.pattern", "empty text"),
        (intent(reply="r", slots={"N": {"pattern": "a"}}), "model.intents.0.slots.N", "small letters"),
        (
            intent(reply="r", slots={"result": {"pattern": "a"}}),
            "model.intents.0.slots",
            "meaning of its own",
        ),
        (intent(reply="r", slots={"n": {"pattern": "a", "ask": "{m}?"}}), "model.intents.0.slots", "{m}"),
    ],
)
def test_what_is_wrong_is_said_in_plain_words(data: dict[str, Any], key: str, message: str) -> None:
    problem = problems_of(data)[key]
    assert message in str(problem)
    assert ".." not in str(problem).replace("...", "")


def test_data_that_is_no_mapping_is_refused() -> None:
    assert "pairs" in only_problem([]).message
    assert "empty" in only_problem(None).message


# ------------------------------------------------------------------------- tools


@pytest.mark.parametrize(
    ("tool", "key", "message"),
    [
        ({"name": "t"}, "callable", "is needed"),
        ({"name": "t", "kind": "end_call", "callable": "builtins:dict"}, "callable", "no use"),
        ({"name": "t", "kind": "shell"}, "kind", "must be one of `python`, "),
        ({"name": "t t", "callable": "builtins:dict"}, "name", "letters"),
        ({"name": "t", "callable": "nothing"}, "callable", "package.module:function"),
        ({"name": "t", "callable": "no.such.module:f"}, "callable", "cannot be imported"),
        ({"name": "t", "callable": "builtins:no_such"}, "callable", "has no `no_such`"),
        ({"name": "t", "callable": "sys:version"}, "callable", "no function"),
        ({"name": "t", "callable": "asyncio:sleep", "cpu_bound": True}, "cpu_bound", "async"),
        (
            {"name": "t", "callable": "builtins:dict", "parameters": {"type": "thing"}},
            "parameters",
            "JSON Schema",
        ),
        (
            {"name": "t", "callable": "builtins:dict", "parameters": {"type": "array"}},
            "parameters",
            "an object",
        ),
        (
            {"name": "t", "callable": "builtins:dict", "parameters": {"type": "object", "required": ["n"]}},
            "parameters",
            "does not describe",
        ),
    ],
)
def test_a_tool_that_cannot_work_is_refused(tool: dict[str, Any], key: str, message: str) -> None:
    assert message in str(problems_of({"name": "x", "tools": [tool]})[f"tools.0.{key}"])


def test_a_module_that_fails_while_imported_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "failing_tool.py").write_text("raise RuntimeError('no database')\n")
    problem = only_problem({"name": "x", "tools": [{"name": "t", "callable": "failing_tool:f"}]})
    assert "RuntimeError: no database" in problem.message


def test_tools_and_intents_have_names_of_their_own() -> None:
    tool = {"name": "t", "kind": "end_call"}
    assert "tools.0" in problems_of({"name": "x", "tools": [tool, tool]})["tools.1.name"].message
    row = {"name": "i", "say": SAY, "reply": "r"}
    assert "model.intents.1.name" in problems_of({"name": "x", "model": {"intents": [row, row]}})


def test_an_intents_tool_must_exist_and_get_what_it_needs() -> None:
    lost = {**intent(tool="look_upp"), "tools": [LOOK_UP]}
    assert only_problem(lost).fix == "Did you mean `look_up`?"
    assert "no `number`" in only_problem({**intent(tool="look_up"), "tools": [LOOK_UP]}).message
    silent = {**intent(tool="look_up", slots={"number": {"pattern": "a"}}), "tools": [LOOK_UP]}
    assert only_problem(silent).key == "model.intents.0.slots.number.ask"
    whole = {**intent(tool="look_up", slots={"number": {"pattern": "a", "ask": "b?"}}), "tools": [LOOK_UP]}
    assert parse_assistant(whole, "a").model.intents[0].tool == "look_up"


def test_problems_of_every_kind_are_told_at_once() -> None:
    data = {
        **intent(tool="gone", say=["a"]),
        "zebra": 1,
        "language": "fr",
        "tools": [{"name": "t", "callable": "x:y"}],
    }
    assert {"model.intents.0.tool", "model.intents.0.say", "zebra", "language", "tools.0.callable"} <= set(
        problems_of(data)
    )


# ------------------------------------------------------------------------ values


def test_an_assistant_never_changes() -> None:
    with pytest.raises(ValidationError):
        Assistant(name="x").name = "y"


def test_the_schema_accepts_the_demo_and_refuses_what_the_loader_refuses() -> None:
    schema = assistant_schema()
    validator = jsonschema.Draft202012Validator(schema)
    validator.check_schema(schema)
    assert validator.is_valid(read_yaml(DEMO.read_text(), "demo").data)
    assert not validator.is_valid({"name": "x", "zebra": 1})
    assert not validator.is_valid({"name": "x", "notices": []})
    assert "greeting" in schema["properties"]["first_message"]["description"]
    json.dumps(schema)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
SECTIONS = [
    "name",
    "language",
    "voice",
    "model",
    "transcriber",
    "turn_taking",
    "tools",
    "server",
    "firstMessage",
]
PARTS = [
    "intents",
    "provider",
    "messages",
    "endpointing",
    "voiceId",
    "name",
    "slots",
    "tools",
    "url",
    "language",
]


@given(st.dictionaries(st.sampled_from(SECTIONS), JSON | st.dictionaries(st.sampled_from(PARTS), JSON)))
def test_no_data_raises_anything_but_a_config_error(data: dict[str, Any]) -> None:
    with contextlib.suppress(ConfigError):
        parse_assistant(data, "a")
