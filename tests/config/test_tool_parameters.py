"""The schema of a tool's arguments: it stands on its own, it ends, and it is cheap to match with."""

from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from referencing.exceptions import Unresolvable

from offhook.config.assistant_loading import parse_assistant
from offhook.config.errors import ConfigError, ToolError
from offhook.config.tool import Tool
from offhook.config.tool_parameters import arguments_validator, checked_parameters, most_values
from offhook.pipeline.tool_values import checked_arguments


def parameters(**account: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"account": account}}


def doubled(levels: int) -> dict[str, Any]:
    """A schema of few keys whose parts double at every level."""
    definitions: dict[str, Any] = {"level0": {"type": "string"}}
    for level in range(levels):
        below = {"$ref": f"#/$defs/level{level}"}
        definitions[f"level{level + 1}"] = {"allOf": [below, below]}
    return {**parameters(**{"$ref": f"#/$defs/level{levels}"}), "$defs": definitions}


def nested(levels: int, **every_level: Any) -> dict[str, Any]:
    schema: dict[str, Any] = {"properties": {"a": {}}}
    for _ in range(levels):
        schema = {"allOf": [schema], **every_level}
    return parameters(**schema)


@pytest.mark.parametrize(
    "reference",
    [
        "http://169.254.169.254/latest/meta-data",
        "https://example.com/schema.json#/x",
        "file:///etc/passwd",
        "other.json",
        "//example.com/x",
        "http://json-schema.org/draft-07/schema#",
    ],
)
@pytest.mark.parametrize("keyword", ["$ref", "$dynamicRef"])
def test_a_reference_that_leaves_the_schema_is_refused_and_never_followed(
    reference: str, keyword: str
) -> None:
    for schema in (
        parameters(**{keyword: reference}),
        parameters(type="array", items=[{"not": {keyword: reference}}]),
        {**parameters(), "$defs": {"unused": {keyword: reference}}},
        {**parameters(), "x-later": {keyword: reference}, "allOf": [{"$ref": "#/x-later"}]},
    ):
        with pytest.raises(ValueError, match="nothing is fetched"):
            checked_parameters(schema)


def test_what_was_not_checked_is_not_fetched_either(monkeypatch: pytest.MonkeyPatch) -> None:
    opened: list[object] = []
    monkeypatch.setattr("urllib.request.urlopen", opened.append)
    validator = arguments_validator(parameters(**{"$ref": "http://127.0.0.1:9/schema.json"}))
    with pytest.raises(Unresolvable):
        list(validator.iter_errors({"account": 1}))
    assert opened == []


def test_an_assistant_file_is_told_where_such_a_reference_stands() -> None:
    tool = {"name": "t", "callable": "builtins:dict", "parameters": parameters(**{"$ref": "other.json"})}
    with pytest.raises(ConfigError) as caught:
        parse_assistant({"name": "x", "tools": [tool]}, "a.yaml")
    (problem,) = caught.value.problems
    assert problem.key == "tools.0.parameters"


@pytest.mark.parametrize(
    ("schema", "message"),
    [
        (parameters(**{"$ref": "#"}), "refers to itself"),
        ({"type": "object", "$ref": "#"}, "refers to itself"),
        (
            {
                **parameters(**{"$ref": "#/$defs/tree"}),
                "$defs": {"tree": {"items": {"$ref": "#/$defs/tree"}}},
            },
            "refers to itself by #/",
        ),
        (parameters(**{"$ref": "#/$defs/missing"}), "does not hold"),
        (parameters(**{"$ref": "#missing"}), "does not hold"),
        ({**parameters(**{"$ref": "#/x"}), "x": {"type": "nonsense"}}, "is not a JSON Schema"),
        ({**parameters(**{"$ref": "#/required"}), "required": ["account"]}, "is not a JSON Schema"),
        (parameters(**{"$id": "http://example.com/inner", "$ref": "#"}), "schema of its own"),
        (doubled(12), "parts"),
        (nested(60), "deeper"),
        (nested(9, unevaluatedProperties={"type": "integer"}), "parts"),
    ],
)
def test_a_schema_without_an_end_or_with_loose_ends_is_refused(schema: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        checked_parameters(schema)


def test_what_is_refused_for_its_size_is_refused_before_it_costs_anything() -> None:
    began = time.process_time()
    for schema in (doubled(15), doubled(40), nested(20, unevaluatedProperties=False)):
        with pytest.raises(ValueError, match=r"parts|deeper"):
            checked_parameters(schema)
    assert time.process_time() - began < 1, "doubled forty times it would take years"


def test_references_within_the_schema_hold_for_defaults_and_for_what_the_model_writes() -> None:
    digits = {"type": "string", "pattern": "^[0-9]{4}$"}
    schema = {
        "$id": "https://example.com/account.json",
        **parameters(**{"$ref": "#/$defs/digits"}),
        "$defs": {"digits": digits, "named": {"$anchor": "code", **digits}},
        "required": ["account"],
    }
    schema["properties"]["code"] = {"$ref": "#code"}
    tool = Tool(name="t", callable="builtins:dict", parameters=schema, arguments={"code": "1234"})
    validator = arguments_validator(tool.parameters)
    taken = checked_arguments('{"account": "0001"}', tool.arguments, validator)
    assert taken == {"account": "0001", "code": "1234"}
    for wrong in ('{"account": "1"}', '{"account": "0001", "code": 5}'):
        with pytest.raises(ToolError, match="bad arguments"):
            checked_arguments(wrong, tool.arguments, validator)
    with pytest.raises(ValueError, match="wrong `code`"):
        Tool(name="t", callable="builtins:dict", parameters=schema, arguments={"code": "x"})


@pytest.mark.parametrize(
    "text",
    [
        '{"account": 1e400}',
        '{"account": NaN}',
        '{"account": -Infinity}',
        f'{{"account": {"9" * 4000}}}',
        f'{{"account": {"9" * 5000}}}',
        f'{{"account": {"[" * 4000}{"]" * 4000}}}',
    ],
)
def test_numbers_and_depths_that_nothing_can_handle_are_told_to_the_model(text: str) -> None:
    validator = arguments_validator(checked_parameters(parameters(type="number", multipleOf=0.01)))
    with pytest.raises(ToolError) as told:
        checked_arguments(text, {}, validator)
    assert len(told.value.reason) <= 500


def test_many_values_for_a_large_schema_are_refused_before_they_hold_up_the_loop() -> None:
    one_of = {"anyOf": [{"type": "string", "maxLength": number} for number in range(300)]}
    schema = checked_parameters(parameters(type="array", items=one_of))
    most = most_values(schema)
    assert most_values(parameters(type="string")) > 10_000 > most > 100
    began = time.process_time()
    for count in (most, 8_000):
        with pytest.raises(ToolError) as told:
            checked_arguments(
                f'{{"account": [{",".join("1" * count)}]}}', {}, arguments_validator(schema), most
            )
        assert "send fewer at a time" in told.value.reason
    assert time.process_time() - began < 1


def test_a_schema_of_an_older_draft_is_matched_as_the_one_that_it_was_checked_as() -> None:
    schema = {"$schema": "http://json-schema.org/draft-03/schema#", **parameters(extends={"type": "string"})}
    validator = arguments_validator(checked_parameters(schema))
    assert checked_arguments('{"account": 1}', {}, validator) == {"account": 1}


SCHEMAS = st.recursive(
    st.fixed_dictionaries(
        {},
        optional={
            "type": st.sampled_from(["string", "integer", "object", "array"]),
            "$ref": st.sampled_from(["#", "#/$defs/a", "#/$defs/b", "#/properties/a", "#/nowhere", "x.json"]),
            "$id": st.sampled_from(["http://example.com/a", "b"]),
        },
    ),
    lambda below: st.fixed_dictionaries(
        {},
        optional={
            "properties": st.dictionaries(st.sampled_from(["a", "b", "$ref"]), below, max_size=3),
            "allOf": st.lists(below, min_size=1, max_size=3),
            "items": below,
            "not": below,
            "unevaluatedProperties": below,
            "$defs": st.dictionaries(st.sampled_from(["a", "b"]), below, max_size=2),
        },
    ),
    max_leaves=12,
)
VALUES = st.recursive(
    st.none() | st.integers() | st.text(max_size=3),
    lambda below: st.lists(below, max_size=3) | st.dictionaries(st.sampled_from(["a", "b"]), below),
    max_leaves=6,
)


@given(schema=SCHEMAS, value=st.dictionaries(st.sampled_from(["a", "b"]), VALUES))
def test_a_schema_is_refused_or_matches_anything_without_a_failure(
    schema: dict[str, Any], value: dict[str, Any]
) -> None:
    try:
        checked = checked_parameters({**schema, "type": "object"})
    except ValueError:
        return
    list(arguments_validator(checked).iter_errors(value))
