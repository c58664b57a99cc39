"""A conversation as the messages of Chat Completions, without I/O.

Source: OpenAI API reference, "Create chat completion".
"""

from __future__ import annotations

__all__ = ["chat_messages", "chat_tools"]

import json
from collections.abc import Collection, Sequence
from hashlib import sha256
from typing import Any

from ..messages import AgentSaid, CallerSaid, Instructions, Message, ToolAnswered, ToolRequest, ToolSpec

CUT_OFF = " --"
"""Stands behind words of the agent's at which the caller cut in."""
LONGEST_ID = 40
"""Letters; the vendor refuses a request with longer ones, and vLLM makes them."""


def chat_messages(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Write a conversation as the protocol wants it.

    Every request of the assistant's is answered directly behind it, once. An answer that comes later is
    written as one more request and its answer, since the protocol knows no second answer.
    """
    requests: dict[str, ToolRequest] = {}
    later = 0
    chat: list[dict[str, Any]] = []
    for index, message in enumerate(messages):
        match message:
            case Instructions(text) if text:
                chat.append({"role": "system", "content": _writable(text)})
            case CallerSaid(text):
                _add_user(chat, _writable(text))
            case AgentSaid() if message.text or message.tool_requests:
                asked = {request.id: request for request in message.tool_requests}
                requests |= asked
                chat.append(_assistant(message, tuple(asked.values())))
                answers = _answers_behind(messages[index + 1 :])
                chat += [_tool(id_, answers.get(id_, '{"status": "pending"}')) for id_ in asked]
            case ToolAnswered() if _is_later(message, messages[:index]):
                later += 1
                known = requests.get(message.request_id)
                arguments = known.arguments if known else "{}"
                again = ToolRequest(_short(f"{message.request_id} {later}"), message.name, arguments)
                chat.append(_assistant(AgentSaid(""), [again]))
                chat.append(_tool(again.id, message.text))
    return chat


def chat_tools(specs: Sequence[ToolSpec]) -> list[dict[str, Any]]:
    """Write the tools as the protocol wants them."""
    return [
        {
            "type": "function",
            "function": {
                "name": spec.name,
                "description": spec.description,
                "parameters": dict(spec.parameters),
            },
        }
        for spec in specs
    ]


def _add_user(chat: list[dict[str, Any]], text: str) -> None:
    """Two turns without an answer between them are one: some chat templates want roles to alternate."""
    if chat and chat[-1]["role"] == "user":
        chat[-1]["content"] += f" {text}"
    else:
        chat.append({"role": "user", "content": text})


def _assistant(said: AgentSaid, requests: Collection[ToolRequest]) -> dict[str, Any]:
    text = said.text + CUT_OFF if said.interrupted and said.text else said.text
    message: dict[str, Any] = {"role": "assistant", "content": _writable(text)}
    if requests:
        message["tool_calls"] = [
            {
                "id": _sendable(request.id),
                "type": "function",
                "function": {"name": request.name, "arguments": _json_object(request.arguments)},
            }
            for request in requests
        ]
    return message


def _json_object(arguments: str) -> str:
    """Servers read the arguments back: what a model wrote that is no JSON would end the conversation."""
    try:
        return _writable(arguments) if isinstance(json.loads(arguments), dict) else "{}"
    except (ValueError, RecursionError):
        return "{}"


def _tool(request_id: str, text: str) -> dict[str, Any]:
    return {"role": "tool", "tool_call_id": _sendable(request_id), "content": _writable(text)}


def _writable(text: str) -> str:
    """Half a character, as a tool's cut JSON may hold, cannot be sent; it would end the conversation."""
    return text.encode("utf-8", "replace").decode()


def _sendable(request_id: str) -> str:
    """What stands for an id of another server's that is too long for this one."""
    return request_id if len(request_id) <= LONGEST_ID else _short(request_id)


def _short(name: str) -> str:
    """An id of nine letters and digits, the only form that Mistral's models take."""
    return sha256(name.encode()).hexdigest()[:9]


def _answers_behind(messages: Sequence[Message]) -> dict[str, str]:
    """What stands directly behind requests as their first answers."""
    answers: dict[str, str] = {}
    for message in messages:
        if not isinstance(message, ToolAnswered):
            break
        answers.setdefault(message.request_id, message.text)
    return answers


def _is_later(message: ToolAnswered, before: Sequence[Message]) -> bool:
    """It is not the one that was written directly behind its request."""
    for earlier in reversed(before):
        if isinstance(earlier, ToolAnswered):
            if earlier.request_id == message.request_id:
                return True
            continue
        mine = isinstance(earlier, AgentSaid) and any(
            request.id == message.request_id for request in earlier.tool_requests
        )
        return not mine
    return True
