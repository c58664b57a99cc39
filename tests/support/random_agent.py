"""The model and the tools of a random call: every habit, and every temper."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from call_watch import FIXED_WORDS_FROM

from offhook.pipeline.messages import (
    CallerSaid,
    ModelDelta,
    ModelRequest,
    TextDelta,
    ToolAnswered,
    ToolRequest,
)

GATE = {"type": "object", "properties": {"gate": {"type": "string"}}, "required": ["gate"]}


class Refusal(Exception):
    """What a tool of somebody else's raises."""


async def gated(gate: str) -> object:
    """A tool that takes so many seconds, or fails in the named way."""
    match gate:
        case "fails":
            raise Refusal
        case "is cancelled":
            raise asyncio.CancelledError
        case "is no JSON":
            return {1, 2}
        case "never":
            await asyncio.sleep(3600)
    await asyncio.sleep(float(gate))
    return {"gate": gate}


def tools_of_an_agent() -> list[dict[str, Any]]:
    """As an assistant file has them."""
    python = {"callable": f"{__name__}:gated", "parameters": GATE, "deadline_s": 2}
    return [
        {"name": "gated", **python, "filler": "word189.", "filler_after_ms": 300},
        {"name": "bare", **python},
        {"name": "end_call", "kind": "end_call"},
    ]


class NumberedTalker:
    """Answers by what the caller said last; each word it makes has the next number of a circle."""

    def __init__(self, word_is_born: Callable[[int], None]) -> None:
        self._word_is_born = word_is_born
        self._word = self._request = self._turn = 0

    def __call__(self, request: ModelRequest) -> Sequence[ModelDelta | float]:
        last = request.messages[-1]
        if isinstance(last, ToolAnswered):
            return [self._say(4)] if not last.failed or self._turn % 2 else [self._ask("gated", "0.3")]
        if not isinstance(last, CallerSaid):
            return []
        self._turn += 1
        return self._answer(last.text.lower())

    def _answer(self, text: str) -> list[ModelDelta | float]:
        if "bye" in text:
            return [self._say(2), ToolRequest(f"end{self._next()}", "end_call", "{}")]
        if "twice" in text:
            return [
                self._ask("gated", "0.8"),
                self._ask("gated", "0.8"),
                self._say(5),
                self._ask("bare", "0"),
            ]
        if "everything" in text:
            gates = ("0", "0.3", "0.3", "1.5", "fails", "is no JSON")
            return [self._say(3), *(self._ask("bare", gate) for gate in gates), 0.4, self._say(6)]
        if "fails" in text:
            return [self._ask("gated", "fails"), self._say(2), self._ask("bare", "is cancelled")]
        if "never" in text:
            return [self._ask("gated", "never"), self._ask("nobody", "0")]
        if "order" in text:
            return [self._ask("gated", "0"), self._say(6), self._ask("gated", "1.5"), 0.4, self._say(2)]
        if "bad" in text:
            return [ToolRequest(f"bad{self._next()}", "gated", "{")] if self._turn % 2 else [self._say(3)]
        if "story" in text:
            return [self._say(5) for _ in range(9)]
        if "nothing" in text:
            return []
        if "ask" in text:
            return [TextDelta(f"{self._words(4)}? ")]
        return [self._say(5), 0.7, self._say(3 + 7 * (self._turn % 4))]

    def _say(self, count: int) -> TextDelta:
        return TextDelta(f"{self._words(count)}. ")

    def _words(self, count: int) -> str:
        words = []
        for _ in range(count):
            self._word = self._word % (FIXED_WORDS_FROM - 1) + 1
            self._word_is_born(self._word)
            words.append(f"word{self._word}")
        return " ".join(words)

    def _ask(self, tool: str, gate: str) -> ToolRequest:
        return ToolRequest(f"{tool}-{gate}-{self._next()}", tool, f'{{"gate": "{gate}"}}')

    def _next(self) -> int:
        self._request += 1
        return self._request
