"""Collecting keys that the caller presses, for a tool that asked for them.

The keys end with the terminator, with the last key of the wanted length, with a pause after a key, or
with the time. The terminator is no key of the value, and with fewer keys than `min` it is ignored.
No I/O and no clock here: the caller hands in keys and times.
"""

from __future__ import annotations

__all__ = ["Collected", "KeyWish", "Keypad"]

from dataclasses import dataclass
from typing import Literal

EndedBy = Literal["length", "terminator", "timeout", "hangup"]
KEYS_LIMIT = 64


@dataclass(frozen=True, slots=True)
class KeyWish:
    """What a tool wants of the caller; the names are those of its arguments."""

    prompt: str = ""
    """Said first, or empty."""
    length: int = KEYS_LIMIT
    min: int = 1
    terminator: str = "#"
    """The key that ends the input; empty for none."""
    timeout_s: float = 5.0
    """The longest pause after a key."""
    total_s: float = 30.0
    """The longest wait in all."""


@dataclass(frozen=True, slots=True)
class Collected:
    """What the caller pressed, and why there is no more of it."""

    digits: str
    ended_by: EndedBy


class Keypad:
    """Takes keys until one of the ends is reached; `collected` is None until then."""

    def __init__(self, wish: KeyWish, now: float) -> None:
        self._wish = wish
        self._digits = ""
        self._ends_at = now + wish.total_s
        self._pause_ends_at = self._ends_at
        self.collected: Collected | None = None

    @property
    def terminator(self) -> str:
        """The key that ends the input, or empty."""
        return self._wish.terminator

    @property
    def pressed(self) -> bool:
        """The caller has begun."""
        return bool(self._digits)

    @property
    def next_deadline(self) -> float:
        """When `advance` must be called."""
        return min(self._ends_at, self._pause_ends_at)

    def press(self, key: str, now: float) -> Collected | None:
        """Take a key; nothing is taken after the end. Returns what was collected, if it has ended."""
        self.advance(now)
        if self.collected is not None:
            return self.collected
        if key == self._wish.terminator:
            if len(self._digits) >= self._wish.min:
                self._end("terminator")
            return self.collected
        self._digits += key
        self._pause_ends_at = now + self._wish.timeout_s
        if len(self._digits) >= self._wish.length:
            self._end("length")
        return self.collected

    def advance(self, now: float) -> None:
        """End the input if its time is over."""
        if now >= self.next_deadline:
            self._end("timeout")

    def hang_up(self) -> None:
        """The caller is gone."""
        self._end("hangup")

    def _end(self, why: EndedBy) -> None:
        if self.collected is None:
            self.collected = Collected(self._digits, why)
