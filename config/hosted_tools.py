"""Tools as hosted platforms write them, read as ours: `type: function`, `apiRequest` and `endCall`.

Source of the foreign names: the public API reference of Vapi ("Create Tool").
"""

from __future__ import annotations

__all__ = ["HostedTool", "is_hosted_tool", "read_hosted_tool"]

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .documents import KeyPath

_KINDS = {"function": "server", "apiRequest": "http", "endCall": "end_call"}
_READ_APART = frozenset(("type", "function", "messages", "timeoutSeconds", "async"))
_NOT_NEEDED = frozenset(("id", "orgId", "createdAt", "updatedAt", "strict"))
_HOLE = re.compile(r"\{\{\s*(\w+)\s*\}\}")


@dataclass(slots=True)
class HostedTool:
    """What became of a tool."""

    data: dict[str, Any] | None = None
    """In our own names; None for a tool that this release has nothing for."""
    notices: list[str] = field(default_factory=list)
    """What was left out, each a sentence's end behind the tool's place."""
    origins: dict[KeyPath, KeyPath] = field(default_factory=dict)
    """Our path inside the tool -> the path as written, also inside it."""


def is_hosted_tool(tool: Any) -> bool:
    """It names its kind as hosted platforms do."""
    return isinstance(tool, dict) and isinstance(tool.get("type"), str) and "kind" not in tool


def read_hosted_tool(tool: Mapping[str, Any]) -> HostedTool:
    """Translate one tool; the given data is left as it was."""
    result = HostedTool()
    kind = _KINDS.get(tool["type"])
    if kind is None:
        result.notices.append(f"is left out: there are no tools of the type {tool['type']} here.")
        return result
    kept = {key: value for key, value in tool.items() if key not in _READ_APART | _NOT_NEEDED}
    data: dict[str, Any] = {"kind": kind, **kept}
    result.data = data
    function = _mapping(tool.get("function"))
    for key in ("name", "description", "parameters"):
        if key in function:
            data[key] = function[key]
            result.origins[(key,)] = ("function", key)
    data.setdefault("name", tool["type"])
    if tool.get("async") is True:
        result.notices.append("has `async: true`: its answer is told nevertheless, when it comes.")
    _take_server(data, result)
    _take_time(tool, data, result)
    _take_messages(tool, data, result)
    if kind == "http":
        _take_request(data, result)
    for key in ("backoffPlan", "rejectionPlan", "variableExtractionPlan", "credentialId", "encryptedPaths"):
        if data.pop(key, None) is not None:
            result.notices.append(f"loses its `{key}`, which has no counterpart here.")
    return result


def _take_server(data: dict[str, Any], result: HostedTool) -> None:
    server = data.get("server")
    if data["kind"] != "server":
        data.pop("server", None)
    if data["kind"] != "server" or not isinstance(server, dict):
        return
    data["server"] = {key: value for key, value in server.items() if key in ("url", "secret")}
    if not data["server"]:
        del data["server"]  # it held a time-out alone
    for key in server:
        if key not in ("url", "secret", "timeoutSeconds"):
            result.notices.append(f"loses its `server.{key}`, which has no counterpart here.")


def _take_time(tool: Mapping[str, Any], data: dict[str, Any], result: HostedTool) -> None:
    """A tool's own time-out counts before its server's."""
    for place, holder in (((), tool), (("server",), _mapping(tool.get("server")))):
        if "timeoutSeconds" in holder and "deadline_s" not in data:
            data["deadline_s"] = holder["timeoutSeconds"]
            result.origins[("deadline_s",)] = (*place, "timeoutSeconds")


def _take_messages(tool: Mapping[str, Any], data: dict[str, Any], result: HostedTool) -> None:
    """Take what is said meanwhile and when it failed; the model says the answer itself."""
    messages = tool.get("messages")
    for index, message in enumerate(messages if isinstance(messages, list) else ()):
        kind, text = _mapping(message).get("type"), _mapping(message).get("content")
        if kind in ("request-start", "request-response-delayed") and text and "filler" not in data:
            data["filler"] = text
            result.origins[("filler",)] = ("messages", index, "content")
            if kind == "request-start":
                data["filler_after_ms"] = 0
            elif "timingMilliseconds" in message:
                data["filler_after_ms"] = message["timingMilliseconds"]
                result.origins[("filler_after_ms",)] = ("messages", index, "timingMilliseconds")
        elif kind == "request-failed" and text and "failed" not in data:
            data["failed"] = text
            result.origins[("failed",)] = ("messages", index, "content")
        else:
            result.notices.append(f"loses its `messages.{index}`, which has no counterpart here.")


def _take_request(data: dict[str, Any], result: HostedTool) -> None:
    """The body's schema describes the arguments there; `{{name}}` of the address may be one of them."""
    body = data.pop("body", None)
    if isinstance(body, dict) and "parameters" not in data:
        data["parameters"] = body
        result.origins[("parameters",)] = ("body",)
    if isinstance(data.get("parameters"), list):
        del data["parameters"]
        result.notices.append("loses its `parameters`, which have no counterpart here; write a `body`.")
    headers = data.get("headers")
    if isinstance(headers, dict) and isinstance(headers.get("properties"), dict):
        data["headers"] = {
            name: _mapping(described).get("value", _mapping(described).get("default", ""))
            for name, described in headers["properties"].items()
        }
        result.origins[("headers",)] = ("headers", "properties")
    schema = data.get("parameters")
    known = _mapping(_mapping(schema).get("properties"))
    if not isinstance(data.get("url"), str) or not known:
        return
    named = [name for name in _HOLE.findall(data["url"]) if name in known]
    data["url"] = _HOLE.sub(lambda hole: f"{{{hole[1]}}}" if hole[1] in known else hole[0], data["url"])
    required = _mapping(schema).get("required", [])
    if named and isinstance(required, list):
        data["parameters"] = {**_mapping(schema), "required": sorted({*required, *named})}


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}
