"""A language model that is a table: intents with examples, slots, tools and fixed answers.

It needs no key and no download, answers in well under a millisecond, and says nothing that is not in the
assistant file. It cannot follow free instructions.
"""

from __future__ import annotations

__all__ = ["IntentsAgent"]

import asyncio
import hashlib
import json
import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from offhook.config.assistant import Assistant, ModelChoice
from offhook.config.intents import LAST_REPLY, RESULT, Intent
from offhook.config.templates import placeholders, render

from ...messages import (
    AgentSaid,
    CallerSaid,
    Message,
    ModelDelta,
    ModelRequest,
    TextDelta,
    ToolAnswered,
    ToolRequest,
)
from .slots import missing_slot, typed_arguments
from .understanding import Understander

_WORDS_A_PIECE = 3


@dataclass(frozen=True, slots=True)
class _Reply:
    text: str = ""
    request: ToolRequest | None = None
    interruptible: bool = True


class IntentsAgent:
    """Answers with the texts of an assistant's intents; a pure function of the request's messages.

    It answers what stands behind the agent's last words: tools that have finished, each once, and the caller.
    Instructions are not followed. Implements `LanguageModel`; never raises.
    """

    def __init__(self, assistant: Assistant, choice: ModelChoice | None = None) -> None:
        """Learn the examples of the intents (a few milliseconds): those of `choice`, or of the assistant."""
        self._choice, self._assistant = choice or assistant.model, assistant
        self._intents = self._choice.intents
        self._understander = Understander(self._intents, self._choice.floor)
        self._passing = {prompt.text for prompt in assistant.turn_taking.silence_prompts}
        self._passing |= {stage.text for tool in assistant.tools for stage in tool.stages}
        """What is said while nothing is to be said."""

    async def respond(self, request: ModelRequest) -> AsyncIterator[ModelDelta]:
        """Yield the reply's text in pieces of a few words, then what is asked of tools."""
        replies = list(self._replies(request))
        interruptible = all(reply.interruptible for reply in replies)
        for piece in _pieces(" ".join(reply.text for reply in replies if reply.text)):
            yield TextDelta(piece, interruptible)
            await asyncio.sleep(0)  # what is downstream may begin
        for reply in replies:
            if reply.request is not None:
                yield reply.request

    def _replies(self, request: ModelRequest) -> Iterator[_Reply]:
        messages = request.messages
        start = _behind_the_last_reply(messages)
        told = {m.request_id for m in messages[:start] if isinstance(m, ToolAnswered) and not m.pending}
        last_heard = max((i for i, m in enumerate(messages) if isinstance(m, CallerSaid)), default=-1)
        sentences: set[str] = set()
        for index in range(start, len(messages)):
            message = messages[index]
            if isinstance(message, ToolAnswered) and not message.pending and message.request_id not in told:
                told.add(message.request_id)
                sentence = self._told(message, request)
                if sentence not in sentences:  # two requests may share one answer
                    sentences.add(sentence)
                    yield _Reply(sentence)
            elif index == last_heard:
                yield self._answer(index, request)

    # -------------------------------------------------------------- the caller

    def _answer(self, index: int, request: ModelRequest) -> _Reply:
        """Answer the caller's words, which are message `index`."""
        understood = self._understander.understand(request.messages[: index + 1])
        intent, values = understood.intent, dict(understood.values)
        if intent is None:
            return _Reply(self._filled(self._choice.fallback, {}, request))
        missing = missing_slot(intent, values)
        if missing is not None:
            return _Reply(self._filled(intent.slots[missing].ask, values, request))
        if LAST_REPLY in intent.reply:
            values[LAST_REPLY] = self._said_last(request.messages[:index])
            if not values[LAST_REPLY]:
                return _Reply(self._filled(self._choice.fallback, {}, request))
        reply = self._filled(intent.reply, dict.fromkeys(intent.slots, "") | values, request)
        if intent.tool is None:
            return _Reply(reply, interruptible=intent.interruptible)
        answer = self._with_tool(index, intent.tool, values, reply, request)
        return replace(answer, interruptible=intent.interruptible)

    def _with_tool(
        self, index: int, name: str, values: Mapping[str, str], reply: str, request: ModelRequest
    ) -> _Reply:
        tool = self._assistant.tool(name)
        typed = typed_arguments(values, tool.parameters if tool is not None else {})
        arguments = _canonical(typed)
        tool_request = ToolRequest(_request_id(index, name, arguments), name, arguments)
        if any(
            isinstance(message, ToolAnswered) and message.request_id == tool_request.id
            for message in request.messages[index:]
        ):
            return _Reply()  # these very words were answered by the request already
        if _is_running(name, arguments, request.messages[:index]):
            filler = tool.stages[0].text if tool is not None and tool.stages else ""
            return _Reply(self._filled(filler, {}, request) or reply)
        return _Reply(reply, tool_request)

    def _said_last(self, messages: Sequence[Message]) -> str:
        """Find the last reply, as it was made, that was more than "one moment" or "are you still there?"."""
        for message in reversed(messages):
            said = (message.generated or message.text) if isinstance(message, AgentSaid) else ""
            if said.strip() and said not in self._passing:
                return said.strip()
        return ""

    # --------------------------------------------------------------- the tools

    def _told(self, answer: ToolAnswered, request: ModelRequest) -> str:
        """Put a tool's answer into words."""
        arguments = _arguments(answer.request_id, request.messages)
        intent = self._intent_of(answer.name, arguments)
        optional = dict.fromkeys(intent.slots if intent is not None else (), "")
        values = {**optional, **arguments, **_fields(answer.text)}
        template = (intent.tool_reply if intent is not None else "") or f"{{{RESULT}}}"
        if not answer.failed and set(placeholders(template)) <= set(values):
            return self._filled(template, values, request)
        if not answer.failed and template == f"{{{RESULT}}}":
            return ""  # data without a sentence: there is nothing to say
        tool = self._assistant.tool(answer.name)
        template = intent.tool_failed if intent is not None else ""
        template = template or (tool.failed if tool is not None else "") or self._assistant.apology
        return self._filled(template, values, request)

    def _intent_of(self, tool: str, arguments: Mapping[str, str]) -> Intent | None:
        """Find the intent that asked for a tool; of several the one whose slots were its arguments."""
        users = [intent for intent in self._intents if intent.tool == tool]
        fitting = [intent for intent in users if set(arguments) <= set(intent.slots)]
        return next(iter(fitting or users), None)

    @staticmethod
    def _filled(template: str, values: Mapping[str, str], request: ModelRequest) -> str:
        return render(template, values, request.variables).text


def _behind_the_last_reply(messages: Sequence[Message]) -> int:
    return max((i + 1 for i, message in enumerate(messages) if isinstance(message, AgentSaid)), default=0)


def _is_running(name: str, arguments: str, messages: Sequence[Message]) -> bool:
    """Tell whether the same request was told to be pending and has not been answered since."""
    state: dict[str, bool] = {}
    same: set[str] = set()
    for message in messages:
        if isinstance(message, ToolAnswered):
            state[message.request_id] = message.pending
        elif isinstance(message, AgentSaid):
            same.update(
                r.id for r in message.tool_requests if r.name == name and _again(r.arguments) == arguments
            )
    return any(state.get(request_id, False) for request_id in same)


def _again(arguments: str) -> str:
    """Write JSON text in the canonical way; text that is none stays as it is."""
    try:
        return _canonical(json.loads(arguments))
    except (ValueError, RecursionError):
        return arguments


def _canonical(arguments: Any) -> str:
    return json.dumps(arguments, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _request_id(index: int, name: str, arguments: str) -> str:
    """Make the same id for the same words at the same place, so that asking twice is one request."""
    return "call_" + hashlib.sha256(f"{index}|{name}|{arguments}".encode()).hexdigest()[:16]


def _arguments(request_id: str, messages: Sequence[Message]) -> dict[str, str]:
    """Find what a tool was asked, as texts."""
    for message in messages:
        if isinstance(message, AgentSaid):
            for tool_request in message.tool_requests:
                if tool_request.id == request_id:
                    return _fields(tool_request.arguments)
    return {}


def _fields(text: str) -> dict[str, str]:
    """Read a JSON object's fields as spoken texts; a plain sentence, or JSON text, is the field `result`."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        data = text
    if isinstance(data, Mapping):
        return {str(name): _spoken(value) for name, value in data.items() if value is not None}
    return {RESULT: _spoken(data)} if data not in (None, "") else {}


def _spoken(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(_spoken(item) for item in value)
    return str(value)


def _pieces(text: str) -> Iterator[str]:
    """Split into a few words each, ending early with a clause; joined they are the text again."""
    piece, words = "", 0
    for word in re.findall(r"\s*\S+\s*?(?=\s|$)|\s+$", text):
        piece, words = piece + word, words + 1
        if words == _WORDS_A_PIECE or word.rstrip().endswith((",", ".", "!", "?", ";", ":")):
            yield piece
            piece, words = "", 0
    if piece:
        yield piece
