"""How a call ended, and how that is told."""

from __future__ import annotations

__all__ = ["Ending", "told_ending"]

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Ending:
    """How the whole call ended."""

    by: Literal["caller", "agent", "transfer", "lost", "limit"]
    reason: str = ""
    transferred_to: str | None = None


def told_ending(by: str) -> str:
    """How the call ended as words, from `Ending.by`: "ended by agent", "the line was lost"."""
    return _TOLD_ENDINGS.get(by, f"ended by {by}")


_TOLD_ENDINGS = {"lost": "the line was lost", "limit": "its time was up"}
