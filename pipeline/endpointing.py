"""How long a silence must last before a caller's turn is over, and why.

The floor is the assistant's `endpointing_ms`. Text that is plainly unfinished asks for patience:
a trailing conjunction, article or filler ("and", "the", "um"), or a comma at the end.
"""

from __future__ import annotations

__all__ = ["Patience", "patience_for"]

import re
from dataclasses import dataclass

from offhook.config.turn_taking import TurnTaking

_LAST_WORD = re.compile(r"([\w']+)\W*$")
UNFINISHED = frozenset((
    "a", "an", "and", "as", "at", "because", "but", "er", "erm", "for", "from", "if", "in", "into",
    "is", "like", "my", "of", "on", "or", "our", "so", "than", "that's", "the", "their", "then", "to",
    "uh", "um", "well", "which", "with", "your",
))  # fmt: skip
"""English words that hardly ever end a turn."""
TRAILING_FACTOR = 2.0


@dataclass(frozen=True, slots=True)
class Patience:
    """A silence to wait for, in seconds of the caller's audio, and the reason for its length."""

    silence_s: float
    reason: str


def patience_for(text: str, settings: TurnTaking) -> Patience:
    """How long to wait after these words."""
    floor = settings.endpointing_ms / 1000
    longer = min(floor * TRAILING_FACTOR, max(floor, settings.max_endpointing_ms / 1000))
    last = _LAST_WORD.search(text)
    if text.rstrip().endswith((",", "-", "…", "...")):
        return Patience(longer, "the sentence goes on")
    if last and last.group(1).lower() in UNFINISHED and not text.rstrip().endswith(("?", "!")):
        return Patience(longer, f"{last.group(1).lower()!r} ends no turn")
    return Patience(floor, "silence")
