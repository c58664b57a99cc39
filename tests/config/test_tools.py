"""Tools of an assistant file: what fits together and what does not."""

from __future__ import annotations

from typing import Any

import pytest

from offhook.config.assistant_loading import parse_assistant
from offhook.config.built_in_tools import BUILT_IN_TOOLS
from offhook.config.callables import given_parameters
from offhook.config.errors import ConfigError
from offhook.config.tool import Tool, ToolMessage

ACCOUNT = {
    "type": "object",
    "properties": {"account_id": {"type": "string"}, "note": {"type": "string"}},
    "required": ["account_id"],
}


DESK = {"front desk": {"number": "+14155550101"}}
SHOP = {"shop": {"number": "+14155550102"}}


def python_tool(**fields: Any) -> dict[str, Any]:
    return {"name": "t", "callable": "builtins:dict", "parameters": ACCOUNT, **fields}


def keyed(account_id: str, idempotency_key: str) -> str:
    return account_id + idempotency_key


def told_call(call: str, /, **arguments: Any) -> None:
    """Its `call` is given by place, so it is no name that could be given."""


@pytest.mark.parametrize(
    ("tool", "key", "message"),
    [
        ({"name": "t", "kind": "send_dtmf", "parameters": ACCOUNT}, "parameters", "are fixed"),
        ({"name": "t", "kind": "send_dtmf", "callable": "builtins:dict"}, "callable", "no use"),
        ({"name": "t", "kind": "collect_digits", "arguments": {"length": 0}}, "arguments", "wrong `length`"),
        ({"name": "t", "kind": "transfer_call"}, "destinations", "are needed"),
        (
            {"name": "t", "kind": "transfer_call", "destinations": {"a": {"number": "911"}}},
            "destinations.a.number",
            "",
        ),
        ({"name": "t", "kind": "end_call", "destinations": DESK}, "destinations", "no use"),
        (python_tool(arguments={"amount": 1}), "arguments", "`amount`"),
        (python_tool(arguments={"note": 1}), "arguments", "wrong `note`"),
        (python_tool(resource="account-{account}"), "resource", "account"),
        (python_tool(resource="note-{note}"), "resource", "does not require"),
        (python_tool(resource="account-{account id}"), "resource", "braces"),
        (
            python_tool(filler="One moment.", messages=[{"after_ms": 1, "text": "x"}]),
            "messages",
            "cannot both be given",
        ),
        (
            python_tool(messages=[{"after_ms": 9, "text": "x"}, {"after_ms": 9, "text": "y"}]),
            "messages",
            "ascending",
        ),
    ],
)
def test_a_tool_that_cannot_work_is_refused(tool: dict[str, Any], key: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_assistant({"name": "x", "tools": [tool]}, "a.yaml")
    (problem,) = caught.value.problems
    assert problem.key == f"tools.0.{key}"
    assert message in problem.message


def test_what_the_function_gets_from_the_bridge_is_no_argument_of_the_models() -> None:
    schema = {"type": "object", "properties": {"idempotency_key": {"type": "string"}}}
    tool = {"name": "t", "callable": f"{__name__}:keyed", "parameters": schema}
    with pytest.raises(ConfigError, match="from the bridge"):
        parse_assistant({"name": "x", "tools": [tool]}, "a.yaml")


def test_only_parameters_that_have_a_name_are_given() -> None:
    assert given_parameters(keyed) == {"idempotency_key"}
    assert given_parameters(told_call) == frozenset()
    assert given_parameters(dict) == frozenset()


def test_a_built_in_tool_brings_its_schema_and_a_deadline_that_may_be_changed() -> None:
    tool = Tool(name="t", kind="collect_digits")
    assert tool.parameters == BUILT_IN_TOOLS["collect_digits"].parameters
    assert tool.deadline_s == 120
    assert Tool(name="t", kind="collect_digits", deadline_s=9).deadline_s == 9
    assert Tool(name="t", callable="builtins:dict").deadline_s == 5


def test_a_filler_is_the_short_form_of_one_message() -> None:
    tool = Tool(name="t", callable="builtins:dict", filler="One moment.", filler_after_ms=700)
    assert tool.stages == (ToolMessage(after_ms=700, text="One moment."),)
    assert Tool(name="t", callable="builtins:dict").stages == ()


def test_a_message_behind_the_deadline_is_told() -> None:
    tool = python_tool(messages=[{"after_ms": 9000, "text": "Still there?"}])
    notices = parse_assistant({"name": "x", "tools": [tool]}, "a.yaml").notices
    assert any("9000 ms" in notice for notice in notices)


def test_an_intent_needs_slots_for_what_neither_file_nor_tool_gives() -> None:
    intent = {"name": "i", "say": ["dial it", "press it", "call it"], "tool": "t"}

    def problems(**tool: Any) -> list[str]:
        try:
            parse_assistant(
                {"name": "x", "tools": [{"name": "t", **tool}], "model": {"intents": [intent]}}, "a.yaml"
            )
        except ConfigError as error:
            return [problem.key for problem in error.problems]
        return []

    assert problems(kind="send_dtmf") == ["model.intents.0.slots"]
    assert problems(kind="send_dtmf", arguments={"digits": "1"}) == []
    assert problems(kind="collect_digits") == []
    assert problems(kind="transfer_call", destinations=DESK) == []
    assert problems(kind="transfer_call", destinations={**DESK, **SHOP}) == ["model.intents.0.slots"]
