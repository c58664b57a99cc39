"""The calls of the simulated Twilio: who calls whom, how far each has come, and what it is told to do."""

from __future__ import annotations

__all__ = ["UPDATES_LIMIT", "Call", "CallLeg", "CallStatus", "CallUpdate", "Updates", "new_sid"]

import asyncio
import random
from collections import deque
from dataclasses import dataclass, field
from typing import Literal

CallStatus = Literal[
    "queued", "ringing", "in-progress", "completed", "busy", "no-answer", "failed", "canceled"
]
UPDATES_LIMIT = 8
"""Changes of one call that wait; Twilio, too, refuses those that come faster than they are carried out."""


def new_sid(prefix: str, generator: random.Random) -> str:
    """An identifier of Twilio's: two letters and 32 hexadecimal digits."""
    return f"{prefix}{generator.getrandbits(128):032x}"


@dataclass(frozen=True, slots=True)
class CallLeg:
    """Who calls whom, as the webhook is told."""

    call_sid: str
    account_sid: str
    from_number: str = "+15005550006"
    """A number that Twilio reserves for tests."""
    to_number: str = "+15005550001"
    direction: Literal["inbound", "outbound-api"] = "inbound"

    def form(self, status: str) -> dict[str, str]:
        """The parameters of a voice webhook; Twilio documentation, "TwiML voice request"."""
        return {
            "AccountSid": self.account_sid,
            "ApiVersion": "2010-04-01",
            "CallSid": self.call_sid,
            "CallStatus": status,
            "Called": self.to_number,
            "CalledCountry": "US",
            "Caller": self.from_number,
            "CallerCountry": "US",
            "Direction": self.direction,
            "From": self.from_number,
            "FromCountry": "US",
            "To": self.to_number,
            "ToCountry": "US",
        }


@dataclass(frozen=True, slots=True)
class CallUpdate:
    """What a live call is to do in place of what it does; one of the first three is set."""

    twiml: str = ""
    url: str = ""
    completed: bool = False
    method: str = "POST"


class Updates:
    """What one call is to do, in the order in which it was asked for."""

    def __init__(self) -> None:
        self._waiting: deque[CallUpdate] = deque()
        self._news = asyncio.Event()

    def put(self, update: CallUpdate) -> bool:
        """Take one; False when too many wait."""
        if len(self._waiting) >= UPDATES_LIMIT:
            return False
        self._waiting.append(update)
        self._news.set()
        return True

    def take(self) -> CallUpdate | None:
        """Give the first; None where there is none."""
        if not self._waiting:
            return None
        first = self._waiting.popleft()
        if not self._waiting:
            self._news.clear()
        return first

    async def wait(self) -> None:
        """Return when there is one."""
        await self._news.wait()


@dataclass(slots=True)
class Call:
    """One call from its first ring to its end; times are those of the clock, in seconds."""

    leg: CallLeg
    status: CallStatus = "ringing"
    answered_at: float | None = None
    ended_at: float | None = None
    updates: Updates = field(default_factory=Updates)

    @property
    def is_over(self) -> bool:
        """Nothing can be changed about it any more."""
        return self.ended_at is not None

    @property
    def duration_s(self) -> int:
        """How long it was answered, in whole seconds; 0 while it goes on."""
        if self.answered_at is None or self.ended_at is None:
            return 0
        return round(self.ended_at - self.answered_at)

    def answer(self, now: float) -> None:
        """Somebody, or Twilio itself, has taken it; only the first time counts."""
        if self.answered_at is None:
            self.answered_at, self.status = now, "in-progress"

    def end(self, now: float, unanswered: CallStatus = "no-answer") -> None:
        """It is over: `completed` if it was answered, and `unanswered` otherwise."""
        self.ended_at = now
        self.status = unanswered if self.answered_at is None else "completed"

    def to_json(self) -> dict[str, object]:
        """What the REST interface tells of it; Twilio's API reference, "Call resource"."""
        return {
            "sid": self.leg.call_sid,
            "account_sid": self.leg.account_sid,
            "api_version": "2010-04-01",
            "from": self.leg.from_number,
            "to": self.leg.to_number,
            "direction": self.leg.direction,
            "status": self.status,
            "duration": str(self.duration_s) if self.is_over else None,
        }
