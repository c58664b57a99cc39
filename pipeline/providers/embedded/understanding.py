"""What the caller wants, worked out anew from the whole conversation each time.

A conversation is folded exchange by exchange. An exchange is what the agent said since the caller spoke last,
and then the caller's words. A question of the agent's that asks for a slot keeps its intent open; the values
that were heard since it was opened are kept with it. Nothing is remembered outside the messages, so a reply
that was cut, taken back or made twice can leave no trace.
"""

from __future__ import annotations

__all__ = ["Understander", "Understanding"]

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from offhook.config.intents import Intent

from ...messages import AgentSaid, CallerSaid, Message
from .likeness import Likeness
from .slots import asks_for, missing_slot, slot_values

_EXCHANGES = 12
"""How far back a value may have been heard."""
_CLEAR = 0.6
"""Likeness of a sentence that means another intent although it would also fit the question asked."""
_QUESTIONS_IN_VAIN = 2


@dataclass(frozen=True, slots=True)
class Understanding:
    """What the caller wants and the values named for it; no intent means nothing that is known."""

    intent: Intent | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    in_vain: int = 0
    """How often the open question was asked without an answer."""


@dataclass(slots=True)
class _Exchange:
    said: list[str] = field(default_factory=list)
    heard: list[str] = field(default_factory=list)


class Understander:
    """Finds intents and the values of their slots in a conversation."""

    def __init__(self, intents: Sequence[Intent], floor: float) -> None:
        """Learn the examples; a sentence less like them than `floor` (0 to 1) means nothing."""
        self._intents, self._floor = intents, floor
        self._likeness = Likeness([intent.say for intent in intents])

    def understand(self, messages: Sequence[Message]) -> Understanding:
        """Tell what the last words of the caller's in these messages mean."""
        understood = frame = Understanding()
        for exchange in _exchanges(messages)[-_EXCHANGES:]:
            intent, slot = self._open_question(exchange.said, frame.intent)
            if intent is None or intent is not frame.intent:
                frame = Understanding(intent)
            understood = self._after(exchange.heard, frame, slot)
            if understood.intent is not None and understood.intent.slots:
                frame = understood  # else it stays, for the question may be said again
        return understood

    def _after(self, heard: Sequence[str], frame: Understanding, asked: str | None) -> Understanding:
        understood = self._meaning(heard[-1], frame, asked)
        if len(heard) > 1 and (understood.intent is None or _incomplete(understood)):
            # Several turns with no word of ours between them are one turn in pieces.
            joined = self._meaning(" ".join(heard), frame, asked)
            understood = joined if joined.intent is not None else understood
        return understood

    def _open_question(self, said: Sequence[str], likely: Intent | None) -> tuple[Intent | None, str | None]:
        """Find the slot that was asked for last; of intents with the same question the likely one."""
        for text in reversed(said):
            asked = [
                (intent, name)
                for intent in self._intents
                for name, slot in intent.slots.items()
                if asks_for(slot, text)
            ]
            if asked:
                return next((pair for pair in asked if pair[0] is likely), asked[0])
        return None, None

    def _meaning(self, text: str, frame: Understanding, asked: str | None) -> Understanding:
        """Read one sentence, with the open intent and the slot that was asked for."""
        label, likeness = self._likeness.nearest(text)
        intent = self._intents[label] if label is not None and likeness >= self._floor else None
        if frame.intent is not None and asked is not None:
            values = slot_values(text, frame.intent.slots, first=asked)
            value = values.get(asked, "")
            another = intent is not None and intent is not frame.intent and likeness >= _CLEAR
            if value and (any(sign.isdigit() for sign in value) or not another):
                return Understanding(frame.intent, {**frame.values, **values})
            if intent is None or intent is frame.intent:
                if frame.in_vain + 1 >= _QUESTIONS_IN_VAIN:
                    return Understanding()
                return replace(frame, values={**frame.values, **values}, in_vain=frame.in_vain + 1)
        if intent is None:
            intent = self._wants_such_a_number(text)
        if intent is None:
            return Understanding()
        return Understanding(intent, slot_values(text, intent.slots))

    def _wants_such_a_number(self, text: str) -> Intent | None:
        """Find the one intent that asks for a number like the one in a sentence that means nothing else."""
        fitting = [
            intent
            for intent in self._intents
            if any(
                intent.slots[name].ask and any(sign.isdigit() for sign in value)
                for name, value in slot_values(text, intent.slots).items()
            )
        ]
        return fitting[0] if len(fitting) == 1 else None


def _incomplete(understanding: Understanding) -> bool:
    intent = understanding.intent
    return intent is not None and missing_slot(intent, understanding.values) is not None


def _exchanges(messages: Sequence[Message]) -> list[_Exchange]:
    exchanges: list[_Exchange] = []
    current = _Exchange()
    for message in messages:
        if isinstance(message, AgentSaid):
            if current.heard:
                exchanges.append(current)
                current = _Exchange()
            current.said.append(message.generated or message.text)
        elif isinstance(message, CallerSaid):
            current.heard.append(message.text)
    return [*exchanges, current] if current.heard else exchanges
