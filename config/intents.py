"""What the embedded agent understands: intents, the values they need, and what it answers."""

from __future__ import annotations

__all__ = ["LAST_REPLY", "RESULT", "Intent", "Slot"]

import re
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from .section import Section
from .templates import placeholders, stray_braces

LAST_REPLY = "last_reply"
"""`{last_reply}` in an intent's `reply` is what the agent said last."""
RESULT = "result"
"""`{result}` in `tool_reply` is the tool's whole answer, for tools that answer with a sentence."""

SlotName = Annotated[str, Field(pattern=r"^[a-z_][a-z0-9_]*$")]
Text = Annotated[str, Field(min_length=1)]


class Slot(Section):
    """A value that the caller has to name, such as an order number."""

    pattern: Text
    """Regular expression, case ignored; its first group, or else all of it, is the value."""
    ask: str = ""
    """The question for a value that is missing; without one the value may stay empty."""

    @field_validator("pattern")
    @classmethod
    def _compiles(cls, pattern: str) -> str:
        try:
            compiled = re.compile(pattern)
        except re.error as error:
            raise ValueError(f"is not a regular expression: {error}") from None
        if compiled.fullmatch(""):
            raise ValueError("matches an empty text, so nothing would ever be asked; demand something")
        return pattern

    @field_validator("ask")
    @classmethod
    def _no_stray_braces(cls, text: str) -> str:
        return _checked(text, None)


class Intent(Section):
    """One thing that callers want, examples of how they say it, and the answer."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
    """The name that events and other lines of the log show."""
    say: tuple[Text, ...]
    """At least three sentences that callers say for it; eight or more work much better."""
    slots: dict[SlotName, Slot] = Field(default_factory=dict)
    """Values to be heard before anything is done, by name."""
    reply: str = ""
    """What is said at once; `{slot}`, `{{variable}}` and `{last_reply}` may be used."""
    interruptible: bool = True
    """Whether the caller may cut into the answer."""
    tool: str | None = None
    """The tool to use, with the slots as arguments."""
    tool_reply: str = ""
    """Said when the tool has answered; `{field}` of its JSON answer, `{slot}` and `{result}` may be used."""
    tool_failed: str = ""
    """Said when the tool has failed; empty means the tool's own `failed`."""

    @field_validator("say")
    @classmethod
    def _enough_examples(cls, say: tuple[str, ...]) -> tuple[str, ...]:
        if len(say) < 3:
            raise ValueError(f"holds {len(say)} of at least 3 examples; add more ways of saying it")
        return say

    @field_validator("slots")
    @classmethod
    def _questions_use_slots(cls, slots: dict[str, Slot]) -> dict[str, Slot]:
        for name, slot in slots.items():
            if name in (LAST_REPLY, RESULT):
                raise ValueError(f"`{name}` has a meaning of its own; name the slot otherwise")
            try:
                _checked(slot.ask, set(slots) - {name})
            except ValueError as error:
                raise ValueError(f"{name}.ask {error}") from None
        return slots

    @field_validator("reply", "tool_failed")
    @classmethod
    def _uses_slots(cls, text: str, info: ValidationInfo) -> str:
        slots = info.data.get("slots")
        return _checked(text, None if slots is None else {*slots, LAST_REPLY})

    @field_validator("tool")
    @classmethod
    def _answers_somehow(cls, tool: str | None, info: ValidationInfo) -> str | None:
        if tool is None and info.data.get("reply") == "":
            raise ValueError("and `reply` are both missing, so nothing would be answered; give one of them")
        return tool

    @field_validator("tool_reply")
    @classmethod
    def _belongs_to_a_tool(cls, text: str, info: ValidationInfo) -> str:
        if text and info.data.get("tool", "") is None:
            raise ValueError("is never said, because the intent has no `tool`")
        return _checked(text, None)


def _checked(text: str, known: set[str] | None) -> str:
    """Return the text, or raise ValueError when it has a hole that nothing fills."""
    if stray_braces(text):
        raise ValueError("has braces around something that is not a name; write {slot} or {{variable}}")
    unknown = [name for name in placeholders(text) if known is not None and name not in known]
    if unknown:
        choice = ", ".join(f"{{{name}}}" for name in sorted(known or ()))
        raise ValueError(f"uses {{{unknown[0]}}}, which nothing fills; known here: {choice or 'none'}")
    return text
