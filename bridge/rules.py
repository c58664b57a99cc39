"""What the bridge does with everything that should not happen: one named, counted rule each."""

from __future__ import annotations

__all__ = ["Outcome", "Rule"]

from dataclasses import dataclass
from enum import Enum


class Outcome(Enum):
    """What becomes of a message, a socket or a request that a rule applies to."""

    NOTED = "counted"
    IGNORED = "ignored"
    CLOSED = "ends the stream"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Rule:
    """One fault, and what happens then; docs/protocol.md lists all of them."""

    name: str
    """The counter, and the reason in the log."""
    outcome: Outcome
    when: str
    """The fault, in one phrase."""
    code: int | None = None
    """WebSocket close code (RFC 6455, section 7.4) or HTTP status, where there is one."""

    def __str__(self) -> str:
        return self.name
