"""What was said and done in a conversation, as the language model is told it."""

from __future__ import annotations

__all__ = [
    "AgentSaid",
    "CallerSaid",
    "Instructions",
    "Message",
    "ModelDelta",
    "ModelRequest",
    "StartOver",
    "TextDelta",
    "ToolAnswered",
    "ToolRequest",
    "ToolSpec",
]

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class ToolRequest:
    """The model asks for a tool."""

    id: str
    """The model's name for this request; the answer carries it."""
    name: str
    arguments: str
    """JSON text as the model wrote it, not yet checked."""


@dataclass(frozen=True, slots=True)
class Instructions:
    """What the assistant is and how it behaves; also a one-off order such as "ask if the caller is there"."""

    text: str


@dataclass(frozen=True, slots=True)
class CallerSaid:
    """One turn of the caller's, as it was recognised."""

    text: str


@dataclass(frozen=True, slots=True)
class AgentSaid:
    """One reply of the agent's."""

    text: str
    """The words the caller heard, no more."""
    generated: str = ""
    """The words that were made, heard or not."""
    interrupted: bool = False
    """The caller cut in before the end."""
    tool_requests: tuple[ToolRequest, ...] = ()


@dataclass(frozen=True, slots=True)
class ToolAnswered:
    """A tool's answer, or the news that it still runs."""

    request_id: str
    name: str
    text: str
    """JSON text, or a plain sentence."""
    pending: bool = False
    """The tool still runs; its answer follows as a later message."""
    failed: bool = False


Message = Instructions | CallerSaid | AgentSaid | ToolAnswered


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as the model sees it."""

    name: str
    description: str
    parameters: Mapping[str, Any]
    """JSON Schema of the arguments, an object."""


@dataclass(frozen=True, slots=True)
class ModelRequest:
    """What a language model is asked to answer."""

    messages: tuple[Message, ...]
    tools: tuple[ToolSpec, ...] = ()
    variables: Mapping[str, str] = field(default_factory=dict)
    """The call's variables (`from`, `to`, stream parameters, a tool's `context`)."""


@dataclass(frozen=True, slots=True)
class TextDelta:
    """The next piece of the reply's text, spaces included."""

    text: str
    interruptible: bool = True
    """Whether the caller may cut into the reply from here on."""


@dataclass(frozen=True, slots=True)
class StartOver:
    """Text that was given and is no whole clause yet is void: the answer begins anew."""


ModelDelta = TextDelta | ToolRequest | StartOver
