"""How much of the model and the voice a call used, which is what their vendors bill."""

from __future__ import annotations

__all__ = ["Usage"]

import json
from dataclasses import dataclass

from .messages import AgentSaid, ModelDelta, ModelRequest, TextDelta, ToolRequest

CHARACTERS_A_TOKEN = 4
"""Of English text (OpenAI's help pages, "What are tokens and how to count them?")."""


@dataclass(slots=True)
class Usage:
    """What was asked and given, also for replies that nobody heard; speech made in advance is not in it."""

    model_requests: int = 0
    """Those to a stand-in or a rival count as well."""
    characters_in: int = 0
    characters_out: int = 0
    voice_characters: int = 0

    def asked(self, request: ModelRequest) -> None:
        """A model is asked."""
        self.model_requests += 1
        texts = [message.text for message in request.messages]
        calls = [it for said in request.messages if isinstance(said, AgentSaid) for it in said.tool_requests]
        texts += [call.name + call.arguments for call in calls]
        texts += [tool.name + tool.description + json.dumps(tool.parameters) for tool in request.tools]
        self.characters_in += sum(map(len, texts))

    def answered(self, delta: ModelDelta) -> None:
        """It gave a piece."""
        if isinstance(delta, TextDelta):
            self.characters_out += len(delta.text)
        elif isinstance(delta, ToolRequest):
            self.characters_out += len(delta.name) + len(delta.arguments)

    def as_data(self) -> dict[str, int]:
        """Give the figures of an event; tokens are estimated from characters."""
        return {
            "model_requests": self.model_requests,
            "tokens_in": round(self.characters_in / CHARACTERS_A_TOKEN),
            "tokens_out": round(self.characters_out / CHARACTERS_A_TOKEN),
            "voice_characters": self.voice_characters,
        }
