"""A streamed Chat Completions answer without I/O: the body's bytes go in, text and tool requests come out.

Source: OpenAI API reference, "Chat Completions, streaming"; WHATWG HTML, "Server-sent events". What other
servers do otherwise is told where it is handled.
"""

from __future__ import annotations

__all__ = ["STAGE", "ChatReader"]

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from secrets import token_hex
from typing import Any

from offhook.config.errors import ProviderError

from ..messages import ModelDelta, TextDelta, ToolRequest

STAGE = "openai"
LONGEST_EVENT = 1_000_000
"""Bytes; a token takes hundreds."""
_DONE = b"[DONE]"
_THINKING, _THOUGHT = "<think>", "</think>"


@dataclass(slots=True)
class _Call:
    """A tool request on its way."""

    id: str = ""
    name: str = ""
    arguments: str = ""
    given: bool = False


class ChatReader:
    """Reads one answer. `finished` says that it is whole, whatever the connection does then."""

    def __init__(self, taken: Collection[str] = ()) -> None:
        """`taken` are the ids of earlier requests: some servers count from the start in every answer."""
        self.finished = False
        self._said_something = False
        self._taken = set(taken)
        self._calls: dict[int, _Call] = {}
        self._current: _Call | None = None
        self._bytes = b""
        """The beginning of a line."""
        self._held = ""
        """The beginning of what may be a tag."""
        self._thinks = False

    def feed(self, received: bytes) -> Iterator[ModelDelta]:
        """Yield what a piece of the body, however cut, brings.

        Raises ProviderError for an answer that the server broke off, or that cannot be read.
        """
        *lines, self._bytes = (self._bytes + received).split(b"\n")
        for line in lines:
            # An event of this protocol is one line; its other fields, and comments, say nothing.
            if line.startswith(b"data:") and not self.finished:
                yield from self._event(line[5:].strip())
        if len(self._bytes) > LONGEST_EVENT:
            raise ProviderError(STAGE, "the answer cannot be read")

    def _event(self, data: bytes) -> Iterator[ModelDelta]:
        if data == _DONE:  # some servers give no reason to finish
            yield from self._finish("stop")
            return
        try:
            chunk = json.loads(data)
            if not isinstance(chunk, dict):
                raise ValueError
            if chunk.get("error"):
                raise ProviderError(STAGE, "the server reported an error in its answer")
            # No choices: the usage at the end; null: llama.cpp.
            for choice in (chunk.get("choices") or ())[:1]:
                yield from self._choice(choice)
        except (ValueError, TypeError, AttributeError, LookupError, RecursionError):
            raise ProviderError(STAGE, "the answer cannot be read") from None

    def _choice(self, choice: Mapping[str, Any]) -> Iterator[ModelDelta]:
        delta = choice.get("delta") or {}
        if text := delta.get("content"):
            yield from self._text(text)
        for piece in delta.get("tool_calls") or ():
            yield from self._piece(piece)
        if reason := choice.get("finish_reason"):
            yield from self._finish(reason)

    # -------------------------------------------------------------------- text

    def _text(self, text: str) -> Iterator[ModelDelta]:
        """Leave out what local models think aloud, though its tags come in pieces."""
        self._held += text
        while self._held:
            tag = _THOUGHT if self._thinks else _THINKING
            before, found, after = self._held.partition(tag)
            if found:
                self._held, spoken = after, before
            else:
                cut = len(self._held) - _overlap(self._held, tag)
                spoken, self._held = self._held[:cut], self._held[cut:]
            if spoken and not self._thinks:
                yield self._said(spoken)
            if not found:
                return
            self._thinks = not self._thinks

    def _said(self, text: str) -> TextDelta:
        self._said_something |= not text.isspace()
        return TextDelta(text)

    # ------------------------------------------------------------------- tools

    def _piece(self, piece: Mapping[str, Any]) -> Iterator[ModelDelta]:
        function = piece.get("function") or {}
        begins = self._call_of(piece.get("index"), piece.get("id"), function.get("name"))
        if begins is not self._current:
            yield from self._complete()
            self._current = begins
        begins.id = begins.id or piece.get("id") or ""
        begins.name = begins.name or function.get("name") or ""
        begins.arguments += function.get("arguments") or ""
        yield TextDelta("")  # a sign of life: arguments may be long

    def _call_of(self, index: int | None, id_: str | None, name: str | None) -> _Call:
        """Find the request that a piece belongs to.

        Ollama gives whole calls without an index, others all of them under the same one: there a name under
        another id begins another call.
        """
        call = self._current if index is None else self._calls.get(index)
        another = bool(name) and call is not None and (index is None or bool(id_ and id_ != call.id))
        if call is None or another:
            call = _Call()
            self._calls[len(self._calls) if index is None else index] = call
        return call

    def _complete(self) -> Iterator[ModelDelta]:
        """Give the request that has come whole, once."""
        call, self._current = self._current, None
        if call is None or call.given or not call.name:
            return
        call.given = self._said_something = True
        yield ToolRequest(self._fresh(call.id), call.name, call.arguments or "{}")

    def _fresh(self, id_: str) -> str:
        """An id that no other request of the conversation has; some servers give none."""
        if not id_ or id_ in self._taken:
            id_ = f"call_{token_hex(12)}"
        self._taken.add(id_)
        return id_

    def _finish(self, reason: str) -> Iterator[ModelDelta]:
        if self._held and not self._thinks:
            yield self._said(self._held)
        self._held = ""
        yield from self._complete()
        self.finished = True
        if self._said_something:
            return
        if reason == "content_filter":
            raise ProviderError(STAGE, "the answer was filtered out")
        if reason == "length":  # a reasoning model may spend all of it before its first word
            raise ProviderError(STAGE, "the limit of tokens was reached before a word")


def _overlap(text: str, tag: str) -> int:
    """How many of the last letters may be the beginning of the tag."""
    return next(
        (size for size in range(min(len(text), len(tag) - 1), 0, -1) if tag.startswith(text[-size:])), 0
    )
