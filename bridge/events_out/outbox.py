"""What waits to be posted to one receiver about one call: its order, its attempts, and its end.

One message is under way at a time, so that a call's messages arrive in their order; a message that fails
is tried again before the next one. No I/O and no clock: times are handed in.
"""

from __future__ import annotations

__all__ = ["HELD_LIMIT", "LIMIT", "Letter", "Outbox", "Room"]

import secrets
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from .messages import Message, is_passing

LIMIT = 1_000
"""Messages that wait; with more of them those that later ones replace are dropped, then the receiver."""
HELD_LIMIT = 50_000
"""Messages that wait in all outboxes of the process."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
GIVE_UP_S = 600.0
"""A message that was tried for so long ends the attempts for all behind it, too."""


@dataclass(frozen=True, slots=True)
class Letter:
    """A message with the name that it keeps over all its attempts."""

    message: Message
    id: str = field(default_factory=lambda: f"msg_{secrets.token_urlsafe(18)}")


@dataclass(slots=True)
class Room:
    """What all outboxes of a process hold together."""

    held: int = 0

    @property
    def overfull(self) -> bool:
        """One of them has to give up."""
        return self.held > HELD_LIMIT


class Outbox:
    """Letters in order, and when the first of them may be posted."""

    def __init__(self, jitter: Callable[[], float], room: Room) -> None:
        """`jitter` gives 0 to 1, lest many calls try again in step."""
        self._jitter, self._room = jitter, room
        self._waiting: deque[Letter] = deque()
        self._due_at = 0.0
        self._pause_s = FIRST_PAUSE_S
        self._failing_since: float | None = None
        self.given_up = ""
        """Why nothing is posted any more; what is added later is dead at once."""
        self.dropped = 0
        """Messages that were left out because a later one says the same."""

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def head(self) -> Letter | None:
        """The letter that is next."""
        return self._waiting[0] if self._waiting else None

    @property
    def due_at(self) -> float:
        """When it may be posted."""
        return self._due_at

    def add(self, letter: Letter) -> list[Letter]:
        """Queue a letter; returns those that are dead, in their order."""
        self._waiting.append(letter)
        self._room.held += 1
        if len(self._waiting) > LIMIT and not self.given_up and not self._drop_one():
            self.given_up = "too many waited"
        return self.give_up(self.given_up) if self.given_up else []

    def delivered(self) -> None:
        """The receiver has taken the first letter."""
        self._waiting.popleft()
        self._room.held -= 1
        self._pause_s, self._failing_since = FIRST_PAUSE_S, None

    def refused(self) -> Letter:
        """The receiver will never take the first letter; the next one has its turn."""
        letter = self._waiting[0]
        self.delivered()
        return letter

    def failed(self, now: float, asked_pause_s: float = 0.0) -> list[Letter]:
        """The first letter was not taken, and is tried again later; returns all if that was the last time."""
        if self._failing_since is None:
            self._failing_since = now
        pause_s = max(self._pause_s * (0.5 + self._jitter() / 2), min(asked_pause_s, LONGEST_PAUSE_S))
        self._due_at = now + pause_s
        self._pause_s = min(2 * self._pause_s, LONGEST_PAUSE_S)
        if now - self._failing_since >= GIVE_UP_S:
            return self.give_up("the receiver did not come back")
        return []

    def give_up(self, why: str) -> list[Letter]:
        """Post nothing any more; returns what waited."""
        self.given_up = why
        dead = list(self._waiting)
        self._waiting.clear()
        self._room.held -= len(dead)
        return dead

    def _drop_one(self) -> bool:
        """Drop the oldest letter that a later one replaces; never the first, which may be under way."""
        for place in range(1, len(self._waiting) - 1):
            if is_passing(self._waiting[place].message):
                del self._waiting[place]
                self._room.held -= 1
                self.dropped += 1
                return True
        return False
