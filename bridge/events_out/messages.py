"""The messages that are posted, as types: their JSON, and its schema.

The names are those of hosted platforms, so that a server that was written for one can stay as it is.
Source: the public documentation of Vapi (server events).
"""

from __future__ import annotations

__all__ = [
    "AssistantRequest",
    "CallFacts",
    "ConversationUpdate",
    "CostBreakdown",
    "EndOfCallReport",
    "Envelope",
    "Hang",
    "Latency",
    "Line",
    "Message",
    "Number",
    "Recorded",
    "SpeechUpdate",
    "StatusUpdate",
    "ToolUse",
    "TranscriptUpdate",
    "TransferUpdate",
    "UserInterrupted",
    "is_passing",
    "message_schema",
]

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

Role = Literal["user", "assistant"]


class Number(msgspec.Struct, frozen=True):
    """A telephone number; empty for one that is not shown."""

    number: str


class CallFacts(msgspec.Struct, frozen=True, rename="camel"):
    """Which call it is."""

    id: str
    """Twilio's CallSid."""
    assistant: str
    customer: Number
    phone_number: Number
    type: str = "inboundPhoneCall"


class _Told(msgspec.Struct, frozen=True, rename="camel", kw_only=True):
    timestamp: int
    """Unix time in milliseconds."""
    call: CallFacts


class StatusUpdate(_Told, frozen=True, tag_field="type", tag="status-update", kw_only=True):
    """The call began, or is over."""

    status: Literal["in-progress", "ended"]
    ended_reason: str | None = None


class TranscriptUpdate(_Told, frozen=True, tag_field="type", tag="transcript", kw_only=True):
    """Words of the caller's, or those of the assistant's that were heard."""

    role: Role
    transcript_type: Literal["partial", "final"]
    transcript: str


class SpeechUpdate(_Told, frozen=True, tag_field="type", tag="speech-update", kw_only=True):
    """Somebody began or ended to speak; of the assistant, by what was really played."""

    role: Role
    status: Literal["started", "stopped"]


class UserInterrupted(_Told, frozen=True, tag_field="type", tag="user-interrupted", kw_only=True):
    """The caller cut in: this was heard of the reply, and this would have been said."""

    heard: str
    generated: str


class Line(msgspec.Struct, frozen=True, rename="camel"):
    """One turn or reply of the conversation."""

    role: Role
    content: str
    """Of a reply, the words that were heard."""
    at_ms: int
    """Since the stream began."""
    generated: str | None = None
    """Of a reply that was cut, all its words."""
    by: Literal["voice", "text"] = "voice"
    """Said, or written beside the call."""


class ConversationUpdate(_Told, frozen=True, tag_field="type", tag="conversation-update", kw_only=True):
    """The conversation so far, its last 100 lines."""

    messages: tuple[Line, ...]


class TransferUpdate(_Told, frozen=True, tag_field="type", tag="transfer-update", kw_only=True):
    """The call is handed over."""

    destination: Number


class Hang(_Told, frozen=True, tag_field="type", tag="hang", kw_only=True):
    """A reply did not come in its time; the caller heard an apology."""

    reason: str


class ToolUse(msgspec.Struct, frozen=True, rename="camel"):
    """One execution of a tool."""

    name: str
    arguments: Mapping[str, Any]
    ok: bool | None = None
    """None: it had not answered when the call was over."""
    ms: int | None = None
    result: str | None = None


class Latency(msgspec.Struct, frozen=True, rename="camel"):
    """Milliseconds, over the turns of the call."""

    turns: int
    p50: int
    p95: int
    max: int


class Recorded(msgspec.Struct, frozen=True, rename="camel"):
    """The recording of a call."""

    path: str | None = None
    """The file on the bridge's machine; null if there is none."""
    seconds: float = 0.0


class CostBreakdown(msgspec.Struct, frozen=True, rename="camel"):
    """An estimate in the currency of the assistant's `prices`, and what it is made from."""

    transport: float = 0.0
    stt: float = 0.0
    llm: float = 0.0
    tts: float = 0.0
    total: float = 0.0
    llm_prompt_tokens: int = 0
    llm_completion_tokens: int = 0
    tts_characters: int = 0


class EndOfCallReport(_Told, frozen=True, tag_field="type", tag="end-of-call-report", kw_only=True):
    """All that there is to tell of a call that is over."""

    ended_reason: str
    started_at: int
    """Unix time in milliseconds."""
    duration_seconds: float
    transcript: str
    messages: tuple[Line, ...]
    tools: tuple[ToolUse, ...]
    latency: Mapping[str, Latency]
    """`fromLastSound` and `fromEndOfTurn`, both to the answer's first frame, and each stage's own part."""
    recording: Recorded = Recorded()
    cost: float = 0.0
    """The total of the breakdown."""
    cost_breakdown: CostBreakdown = CostBreakdown()


class AssistantRequest(_Told, frozen=True, tag_field="type", tag="assistant-request", kw_only=True):
    """A call comes in: which assistant is to take it? The answer counts for 5 s."""


Message = (
    AssistantRequest
    | StatusUpdate
    | TranscriptUpdate
    | SpeechUpdate
    | UserInterrupted
    | ConversationUpdate
    | TransferUpdate
    | Hang
    | EndOfCallReport
)


class Envelope(msgspec.Struct, frozen=True):
    """The body of a post."""

    message: Message


def is_passing(message: Message) -> bool:
    """A later message says the same: the final words of a partial, the conversation as it went on."""
    return isinstance(message, ConversationUpdate) or (
        isinstance(message, TranscriptUpdate) and message.transcript_type == "partial"
    )


def message_schema() -> dict[str, Any]:
    """Make the JSON Schema of everything that is posted, but for calls of tools."""
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "What offhook posts of a call",
        **msgspec.json.schema(Envelope),
    }
