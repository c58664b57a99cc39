"""Tools as hosted platforms write them."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from offhook.config.assistant import Assistant
from offhook.config.assistant_loading import parse_assistant
from offhook.config.errors import ConfigError
from offhook.config.hosted_tools import read_hosted_tool

PARAMETERS = {"type": "object", "properties": {"orderId": {"type": "string"}}}
FUNCTION = {
    "type": "function",
    "async": False,
    "server": {"url": "https://example.com/tools", "secret": "hush", "timeoutSeconds": 12},
    "function": {"name": "order_status", "description": "Look it up.", "parameters": PARAMETERS},
    "messages": [
        {"type": "request-response-delayed", "content": "One moment.", "timingMilliseconds": 2000},
        {"type": "request-failed", "content": "That did not work."},
        {"type": "request-complete", "content": "Here it is."},
    ],
}
REQUEST = {
    "type": "apiRequest",
    "name": "order_status",
    "method": "POST",
    "url": "https://api.example.com/{{orderId}}/{{from}}",
    "headers": {"type": "object", "properties": {"X-Key": {"type": "string", "value": "k"}}},
    "body": PARAMETERS,
    "timeoutSeconds": 7,
    "backoffPlan": {"maxRetries": 1},
}


def parsed(*tools: dict[str, Any], **more: Any) -> Assistant:
    return parse_assistant({"name": "x", "model": {"tools": list(tools)}, **more}, "a.json")


def test_a_function_is_asked_at_its_server() -> None:
    assistant = parsed(FUNCTION)
    (tool,) = assistant.tools
    assert (tool.kind, tool.name, tool.description) == ("server", "order_status", "Look it up.")
    assert (tool.deadline_s, tool.filler, tool.filler_after_ms, tool.failed) == (
        12,
        "One moment.",
        2000,
        "That did not work.",
    )
    assert tool.server is not None
    assert tool.server.url == "https://example.com/tools"
    assert "model.tools.0 loses its `messages.2`, which has no counterpart here." in assistant.notices


def test_a_function_without_a_server_is_asked_at_the_assistants_own() -> None:
    data = {**FUNCTION, "server": {"timeoutSeconds": 3}}
    assistant = parsed(data, serverUrl="https://example.com/all")
    assert (assistant.tools[0].server, assistant.tools[0].deadline_s) == (None, 3)
    with pytest.raises(ConfigError, match="so is the assistant's own"):
        parsed(data)


def test_a_request_is_an_http_tool() -> None:
    assistant = parsed(REQUEST)
    (tool,) = assistant.tools
    assert (tool.kind, tool.method, tool.deadline_s) == ("http", "POST", 7)
    assert tool.url == "https://api.example.com/{orderId}/{{from}}"
    assert tool.parameters["required"] == ["orderId"]
    assert tool.headers["X-Key"].get_secret_value() == "k"
    assert tool.body is None
    assert any("backoffPlan" in notice for notice in assistant.notices)


def test_what_has_no_counterpart_is_left_out_and_errors_still_name_their_place() -> None:
    bad = {**FUNCTION, "function": {**FUNCTION["function"], "name": "two words"}}  # type: ignore[dict-item]
    with pytest.raises(ConfigError) as caught:
        parsed({"type": "transferCall"}, {"type": "endCall"}, bad)
    (problem,) = caught.value.problems
    assert problem.key == "model.tools.2.function.name"
    assistant = parsed({"type": "transferCall"}, {"type": "endCall"})
    assert [(tool.kind, tool.name) for tool in assistant.tools] == [("end_call", "endCall")]
    assert "model.tools.0 is left out: there are no tools of the type transferCall here." in assistant.notices


@pytest.mark.parametrize("key", ["server", "function", "messages", "headers", "body", "parameters", "url"])
@pytest.mark.parametrize("odd", [None, 3, "text", [], {}, [None], {"properties": 1}])
@pytest.mark.parametrize("tool", [FUNCTION, REQUEST])
def test_parts_of_the_wrong_kind_are_told_not_raised(tool: dict[str, Any], key: str, odd: Any) -> None:
    before = repr(tool)
    with contextlib.suppress(ConfigError):
        parsed({**tool, key: odd})
    read_hosted_tool({**tool, key: odd})
    assert repr(tool) == before


def test_our_own_tools_among_them_are_left_alone() -> None:
    ours = {"name": "t", "callable": "builtins:dict"}
    assert [tool.kind for tool in parsed(ours, FUNCTION).tools] == ["python", "server"]
    with pytest.raises(ConfigError, match="must hold"):
        parsed(None, FUNCTION)  # type: ignore[arg-type]
