"""What another process needs to go on with a conversation, as one plain value."""

from __future__ import annotations

__all__ = ["Conversation", "RecordingSoFar"]

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import msgspec

from .messages import AgentSaid, CallerSaid, Instructions, Message, ToolAnswered

OUTCOME_UNKNOWN = (
    "The connection broke while this ran: it may or may not have been done. Find out before you do it again."
)
"""The model is told so of a tool whose process is gone."""

_KINDS: Mapping[str, type[CallerSaid | AgentSaid | ToolAnswered]] = {
    "caller": CallerSaid,
    "agent": AgentSaid,
    "tool": ToolAnswered,
}
_NAMES = {kind: name for name, kind in _KINDS.items()}


@dataclass(frozen=True, slots=True)
class RecordingSoFar:
    """What whoever goes on with a recorded call must know, so that nothing is kept that must not be."""

    consent_heard: bool = False
    """The caller was told of the recording, to the last word."""
    paused_by: tuple[str, ...] = ()
    """Why nothing is kept at present; empty: it is."""
    stopped: bool = False
    """Nothing more of this call may be kept."""


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation as it stands, without the assistant's instructions."""

    messages: tuple[Message, ...] = ()
    """What was said and heard; a tool whose answer nobody was told is pending there."""
    untold: tuple[ToolAnswered, ...] = ()
    """Answers of tools that the caller has not been told."""
    unanswered: str = ""
    """The caller's last turn, if no reply to it was settled and nothing was done for it."""
    variables: Mapping[str, str] = field(default_factory=dict)
    fallback_number: str = ""
    """Who takes the call when it cannot go on (E.164); or empty."""
    written: bool = False
    """It was held in writing so far: whoever comes on the line is greeted."""
    recording: RecordingSoFar = RecordingSoFar()

    def answers_due(self) -> Iterator[ToolAnswered]:
        """Yield what the caller is to be told of tools: their answers, or that nobody knows them."""
        known = {answer.request_id for answer in self.untold}
        yield from self.untold
        open_requests: dict[str, ToolAnswered] = {}
        for message in self.messages:
            if isinstance(message, ToolAnswered):
                open_requests.pop(message.request_id, None)
                if message.pending:
                    open_requests[message.request_id] = message
        for name, message in open_requests.items():
            if name not in known:
                yield ToolAnswered(name, message.name, OUTCOME_UNKNOWN, failed=True)

    def to_plain(self) -> dict[str, Any]:
        """Give the same as JSON values."""
        return {
            "messages": [
                {"kind": _NAMES[type(message)], **msgspec.to_builtins(message)}
                for message in self.messages
                if not isinstance(message, Instructions)
            ],
            "untold": msgspec.to_builtins(self.untold),
            "unanswered": self.unanswered,
            "variables": dict(self.variables),
            "fallback_number": self.fallback_number,
            "written": self.written,
            "recording": msgspec.to_builtins(self.recording),
        }

    @classmethod
    def from_plain(cls, plain: Mapping[str, Any]) -> Conversation:
        """Read what `to_plain` gave. Raises ValueError for anything else."""
        try:
            return cls(
                messages=tuple(msgspec.convert(item, _KINDS[item["kind"]]) for item in plain["messages"]),
                untold=msgspec.convert(plain["untold"], tuple[ToolAnswered, ...]),
                unanswered=msgspec.convert(plain["unanswered"], str),
                variables=msgspec.convert(plain["variables"], dict[str, str]),
                fallback_number=msgspec.convert(plain["fallback_number"], str),
                written=msgspec.convert(plain["written"], bool),
                recording=msgspec.convert(plain["recording"], RecordingSoFar),
            )
        except (KeyError, TypeError, msgspec.ValidationError) as error:
            raise ValueError(f"no conversation: {error}") from error
