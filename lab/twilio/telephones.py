"""Who answers when somebody else is rung: the other telephones of the simulated world."""

from __future__ import annotations

__all__ = ["ANSWERS", "Rung", "Telephone", "ring_all", "telephone_from"]

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from offhook.config.errors import ConfigError, ConfigProblem
from offhook.config.phone_numbers import E164

Answer = Literal["answers", "busy", "no-answer", "failed"]
ANSWERS: tuple[Answer, ...] = get_args(Answer)


@dataclass(frozen=True, slots=True)
class Rung:
    """What came of ringing somebody (Twilio documentation of `<Dial>`, `DialCallStatus`)."""

    status: Literal["completed", "busy", "no-answer", "failed"]
    rang_s: float
    talked_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Telephone:
    """One telephone, and what its owner does when it rings."""

    answer: Answer = "answers"
    after_s: float = 2.0
    """So long does it ring before its owner, or the network, does something."""
    talks_s: float = 3.0
    """Then the one who answered hangs up."""

    def ring(self, timeout_s: float) -> Rung:
        """Ring it for so long."""
        if self.answer == "no-answer" or self.after_s >= timeout_s:
            return Rung("no-answer", timeout_s)
        if self.answer == "answers":
            return Rung("completed", self.after_s, self.talks_s)
        return Rung(self.answer, self.after_s)


def ring_all(telephones: Mapping[str, Telephone], timeout_s: float) -> tuple[str, Rung]:
    """Ring telephones by their numbers at the same time: who was first to answer, or last to be given up."""
    rung = {number: telephone.ring(timeout_s) for number, telephone in telephones.items()}
    answered = {number: each for number, each in rung.items() if each.status == "completed"}
    if answered:
        return min(answered.items(), key=lambda item: item[1].rang_s)
    return max(rung.items(), key=lambda item: item[1].rang_s)


def telephone_from(text: str) -> tuple[str, Telephone]:
    """Read `+14155550101=busy`. Raises ConfigError."""
    number, _, answer = text.partition("=")
    chosen: Answer | None = next((known for known in ANSWERS if known == answer), None)
    if chosen is None or not re.fullmatch(E164, number):
        raise ConfigError(
            [
                ConfigProblem(
                    "--phone",
                    text,
                    "is no number and what happens when it rings.",
                    f"Write a number with its country code, =, and one of {', '.join(ANSWERS)}.",
                )
            ]
        )
    return number, Telephone(chosen)
