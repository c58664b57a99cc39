"""What the carrier says to a caller whom no assistant can talk to."""

from __future__ import annotations

__all__ = ["BUSY", "FAILED", "NOBODY_THERE", "TOO_OFTEN", "UNAVAILABLE", "Apology"]

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Apology:
    """Why nobody talks to the caller, and what they may do."""

    why: str
    advice: str
    """Said where nobody else takes the call."""

    @property
    def whole(self) -> str:
        """Both."""
        return f"{self.why} {self.advice}"


BUSY = Apology("Sorry, all our lines are busy.", "Please call again in a few minutes. Goodbye.")
UNAVAILABLE = Apology(
    "Sorry, this line cannot take calls right now.", "Please call again in a minute. Goodbye."
)
TOO_OFTEN = Apology(
    "Sorry, there were too many calls from your number.", "Please call again tomorrow. Goodbye."
)
FAILED = Apology("Sorry, something went wrong on our side.", "Please call again. Goodbye.")
NOBODY_THERE = Apology("Sorry, nobody can take your call right now.", "Please call again later. Goodbye.")
