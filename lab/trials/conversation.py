"""What caller and agent say in a trial: words that the audio itself spells, so each can be accounted for."""

from __future__ import annotations

__all__ = [
    "APOLOGY",
    "LEAD_IN",
    "TOOL_SAYS",
    "TOOL_WORD",
    "EchoingModel",
    "answer_to",
    "caller_words",
    "look_up",
    "look_up_slowly",
    "trial_assistant",
]

import asyncio
from collections.abc import AsyncIterator, Sequence
from typing import Any

from offhook.config.assistant import Assistant
from offhook.config.assistant_loading import parse_assistant
from offhook.pipeline.messages import (
    CallerSaid,
    ModelDelta,
    ModelRequest,
    TextDelta,
    ToolAnswered,
    ToolRequest,
)

from ..spelled_speech import WORDS, bare_words

APOLOGY = "violin almond barrel."
TOOL_WORD = "paddle"
"""A turn with this word in it is answered with a tool."""
_CALLER = WORDS[:24]
_AGENT = WORDS[24:44]
TOOL_SAYS = "marble nectar olive."
"""What the model makes of the tool's answer."""
LEAD_IN = "cactus dolphin."
"""What the model says before it asks for the tool."""


def caller_words(turn: int, count: int = 4) -> list[str]:
    """What the caller says in a turn; no two turns of a call share a word."""
    return [_CALLER[(turn * count + number) % len(_CALLER)] for number in range(count)]


def answer_to(turn_text: str) -> str:
    """The model's answer: three sentences that depend on what it was told."""
    known = [_CALLER.index(word) for word in bare_words(turn_text) if word in _CALLER]
    start = sum(known) % len(_AGENT)
    words = [_AGENT[(start + number) % len(_AGENT)] for number in range(12)]
    return " ".join(f"{' '.join(words[at : at + 4])}." for at in (0, 4, 8))


class EchoingModel:
    """Answers each turn with the words that belong to it; implements `LanguageModel` inside an emulator."""

    async def respond(self, request: ModelRequest) -> AsyncIterator[ModelDelta]:
        """Yield the answer word by word, or ask for the tool and then tell its answer."""
        last = request.messages[-1]
        if isinstance(last, ToolAnswered) and not last.pending:
            for delta in _spoken(TOOL_SAYS):
                yield delta
            return
        text = next((m.text for m in reversed(request.messages) if isinstance(m, CallerSaid)), "")
        if TOOL_WORD in text and not isinstance(last, ToolAnswered):
            for delta in _spoken(LEAD_IN):
                yield delta
            yield ToolRequest(f"call-{len(request.messages)}", "look_up", '{"what": "order"}')
            return
        for delta in _spoken(answer_to(text)):
            yield delta


def _spoken(text: str) -> Sequence[ModelDelta]:
    return [TextDelta(f"{word} ") for word in text.split()]


async def look_up(what: str) -> dict[str, Any]:
    """The trial's tool: takes a while, and knows nothing."""
    await asyncio.sleep(0.2)
    return {"what": what}


async def look_up_slowly(what: str) -> dict[str, Any]:
    """The same in the time that guides to building voice agents give for a tool."""
    await asyncio.sleep(2.0)
    return {"what": what}


def trial_assistant(**fields: Any) -> Assistant:
    """An assistant whose every text can be spelled; `fields` replace or add to its file."""
    data: dict[str, Any] = {
        "name": "trial",
        "transcriber": {"provider": "deepgram", "model": "nova-3"},
        "model": {"provider": "openai", "name": "gpt-trial"},
        "voice": {"provider": "elevenlabs", "name": "trialvoice0000000001"},
        "goodbye": "",
        "apology": APOLOGY,
        "one_moment": "",
        "tools": [
            {
                "name": "look_up",
                "description": "Looks something up.",
                "kind": "python",
                "callable": "offhook.lab.trials.conversation:look_up",
                "parameters": {
                    "type": "object",
                    "properties": {"what": {"type": "string"}},
                    "required": ["what"],
                },
            }
        ],
        "turn_taking": {"silence_prompts": [], "silence_hangup_s": 600, "endpointing_ms": 400},
        **fields,
    }
    return parse_assistant(data, "trial")
