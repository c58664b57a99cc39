"""A Chat Completions request read back as a conversation, for the engine behind the emulated vendor."""

from __future__ import annotations

__all__ = ["model_request"]

import json
from collections.abc import Mapping
from typing import Any

from offhook.pipeline.messages import (
    AgentSaid,
    CallerSaid,
    Instructions,
    Message,
    ModelRequest,
    ToolAnswered,
    ToolRequest,
    ToolSpec,
)

UNDER_WAY = ("pending", "ending")
"""What a tool's answer says that is no answer yet."""


def model_request(body: Mapping[str, Any]) -> ModelRequest:
    """Read a request that keeps the protocol's rules."""
    reader = _Reader()
    for message in body["messages"]:
        reader.read(message)
    functions = [tool["function"] for tool in body.get("tools") or ()]
    specs = [ToolSpec(it["name"], it.get("description", ""), it.get("parameters", {})) for it in functions]
    return ModelRequest(tuple(reader.messages), tuple(specs))


class _Reader:
    """Reads message by message.

    The protocol knows no second answer to a request: one that comes after "pending" is written behind the
    same request made once more. To a model it is plain what that means; an engine that is a table is told.
    """

    def __init__(self) -> None:
        self.messages: list[Message] = []
        self._running: dict[tuple[str, str], list[str]] = {}
        """What was asked and told to be pending, and under which ids."""
        self._asked: dict[str, tuple[str, str]] = {}
        self._again: dict[str, str] = {}
        """The id of a request made once more, and of the first."""

    def read(self, message: Mapping[str, Any]) -> None:
        text = str(message.get("content") or "")
        match message["role"]:
            case "system" | "developer":
                self.messages.append(Instructions(text))
            case "user":
                self.messages.append(CallerSaid(text))
            case "assistant":
                self._assistant(text, message.get("tool_calls") or ())
            case "tool":
                self._answered(message["tool_call_id"], text)

    def _assistant(self, text: str, calls: Any) -> None:
        requests = [
            ToolRequest(call["id"], call["function"]["name"], call["function"]["arguments"]) for call in calls
        ]
        for request in requests:
            waiting = self._running.get((request.name, request.arguments))
            if waiting and not text:
                self._again[request.id] = waiting.pop(0)
            self._asked[request.id] = request.name, request.arguments
        if text or not all(request.id in self._again for request in requests):
            self.messages.append(AgentSaid(text, text, tool_requests=tuple(requests)))

    def _answered(self, request_id: str, text: str) -> None:
        asked = self._asked[request_id]
        pending = _is_pending(text)
        first = self._again.get(request_id, request_id)
        if pending:
            self._running.setdefault(asked, []).append(first)
        self.messages.append(ToolAnswered(first, asked[0], text, pending=pending))


def _is_pending(text: str) -> bool:
    """A model reads it in the words."""
    try:
        answer = json.loads(text)
    except ValueError:
        return False
    return isinstance(answer, dict) and answer.get("status") in UNDER_WAY
