"""What the Chat Completions protocol allows in a request; the vendor answers anything else with 400.

Source: OpenAI API reference, "Create chat completion", and the errors that the service gives.
"""

from __future__ import annotations

__all__ = ["Wrong", "wrong_with"]

import re
from collections.abc import Mapping, Sequence
from typing import Any

Wrong = tuple[str, str]
"""The parameter, and the sentence."""

PARAMETERS = frozenset(
    (
        *("model", "messages", "tools", "tool_choice", "parallel_tool_calls", "stream", "stream_options"),
        *("temperature", "top_p", "n", "stop", "seed", "user", "metadata", "store", "response_format"),
        *("max_tokens", "max_completion_tokens", "reasoning_effort", "frequency_penalty"),
        *("presence_penalty", "logit_bias", "logprobs", "service_tier", "safety_identifier"),
        *("prompt_cache_key", "verbosity"),
    )
)
ROLES = ("system", "developer", "user", "assistant", "tool")
REASONS_FIRST = ("gpt-5", "gpt-6", "o1", "o3", "o4")
"""Models of these families refuse `max_tokens`."""
REASONS_UNLESS_TOLD = re.compile(r"gpt-(5\.[6-9]|[6-9])")
"""Models of these families reason where nothing is said of it."""
NO_TOOLS_WHILE_REASONING = re.compile(r"gpt-(5\.[4-9]|[6-9])")
"""Source: errors reported in public for gpt-5.4 to gpt-5.6."""
NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
LONGEST_ID = 40


def wrong_with(body: Any) -> Wrong | None:
    """Say what the vendor would refuse a request for, or None."""
    if not isinstance(body, dict):
        return "", "We could not parse the JSON body of your request."
    for name in body:
        if name not in PARAMETERS:
            return name, f"Unrecognized request argument supplied: {name}"
    if not isinstance(body.get("model"), str) or not body["model"]:
        return "model", "you must provide a model parameter"
    if body["model"].startswith(REASONS_FIRST) and "max_tokens" in body:
        return "max_tokens", "Unsupported parameter: use 'max_completion_tokens' instead."
    if "max_tokens" in body and "max_completion_tokens" in body:
        return (
            "max_tokens",
            "Setting it and 'max_completion_tokens' at the same time is not supported.",
        )
    if "stream_options" in body and not body.get("stream"):
        return "stream_options", "The 'stream_options' parameter is only allowed when 'stream' is enabled."
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        return "messages", "Invalid 'messages': it must be an array with at least one message."
    return (
        _wrong_with_tools(body.get("tools")) or _wrong_with_reasoning(body) or _wrong_with_messages(messages)
    )


def _wrong_with_reasoning(body: Mapping[str, Any]) -> Wrong | None:
    model, effort = body["model"], body.get("reasoning_effort")
    reasons = effort != "none" if effort is not None else bool(REASONS_UNLESS_TOLD.match(model))
    if body.get("tools") and reasons and NO_TOOLS_WHILE_REASONING.match(model):
        return (
            "reasoning_effort",
            f"Function tools with reasoning_effort are not supported for {model} in /v1/chat/completions.",
        )
    return None


def _wrong_with_tools(tools: Any) -> Wrong | None:
    if tools is None:
        return None
    if not isinstance(tools, list) or not tools:
        return "tools", "[] is too short - 'tools'"
    for index, tool in enumerate(tools):
        function = tool.get("function") if isinstance(tool, dict) else None
        if not isinstance(function, dict) or not function.get("name"):
            return f"tools[{index}].function", "Missing required parameter."
        if not NAME.fullmatch(str(function["name"])):
            return f"tools[{index}].function.name", "Expected a string that matches '^[a-zA-Z0-9_-]+$'."
        parameters = function.get("parameters", {"type": "object"})
        if not isinstance(parameters, dict) or parameters.get("type") != "object":
            return (
                f"tools[{index}].function.parameters",
                "it must be the JSON Schema of an object.",
            )
    return None


def _wrong_with_messages(messages: Sequence[Any]) -> Wrong | None:
    owed: list[str] = []
    """Requests of the assistant's that nobody has answered."""
    for index, message in enumerate(messages):
        place = f"messages.[{index}]"
        if not isinstance(message, Mapping) or message.get("role") not in ROLES:
            return f"{place}.role", "Invalid value for role."
        content = message.get("content")
        if message["role"] == "tool":
            if message.get("tool_call_id") not in owed:
                return place, "messages with role 'tool' must be a response to a preceeding 'tool_calls'."
            owed.remove(message["tool_call_id"])
        elif owed:
            return place, "An assistant message with 'tool_calls' must be followed by tool messages."
        calls = message.get("tool_calls")
        if not isinstance(content, str) and not (message["role"] == "assistant" and calls):
            return f"{place}.content", "Invalid type for content: expected a string."
        if calls is not None:
            if message["role"] != "assistant" or not isinstance(calls, list) or not calls:
                return f"{place}.tool_calls", "Invalid 'tool_calls'."
            if (wrong := _wrong_with_calls(calls, f"{place}.tool_calls")) is not None:
                return wrong
            owed = [call["id"] for call in calls]
    return ("messages", "tool_call_ids did not have response messages.") if owed else None


def _wrong_with_calls(calls: Sequence[Any], place: str) -> Wrong | None:
    for index, call in enumerate(calls):
        function = call.get("function") if isinstance(call, dict) else None
        if not isinstance(function, dict) or not isinstance(function.get("arguments"), str):
            return f"{place}[{index}].function", "Missing required parameter."
        if not NAME.fullmatch(str(function.get("name"))):
            return f"{place}[{index}].function.name", "Invalid function name."
        if not isinstance(call.get("id"), str) or not 0 < len(call["id"]) <= LONGEST_ID:
            return f"{place}[{index}].id", f"Expected a string with maximum length {LONGEST_ID}."
    if len({call["id"] for call in calls}) < len(calls):
        return place, "Duplicate tool call id."
    return None
