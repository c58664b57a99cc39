"""Values that callers name, found by the patterns of an intent's slots."""

from __future__ import annotations

__all__ = ["asks_for", "missing_slot", "slot_values", "typed_arguments"]

import contextlib
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from offhook.config.intents import Intent, Slot
from offhook.config.templates import as_pattern

from ...spoken_numbers import digit_readings

_LONGEST_TEXT = 1000


def slot_values(text: str, slots: Mapping[str, Slot], first: str | None = None) -> dict[str, str]:
    """Find the values of slots in a sentence, each in words of its own; `first` chooses before the others.

    Of the sentence's readings the one that fills most slots counts.
    """
    order = sorted(slots, key=lambda name: name != first)
    best: dict[str, str] = {}
    for reading in digit_readings(text[:_LONGEST_TEXT]):
        values: dict[str, str] = {}
        taken: list[tuple[int, int]] = []
        for name in order:
            for match in _compiled(slots[name].pattern).finditer(reading):
                group = 1 if match.re.groups and match[1] is not None else 0
                start, end = match.span(group)
                if start < end and all(end <= begin or start >= stop for begin, stop in taken):
                    values[name] = match[group].strip()
                    taken.append((start, end))
                    break
        if len(values) > len(best):
            best = values
    return best


def missing_slot(intent: Intent, values: Mapping[str, str]) -> str | None:
    """Name the first slot that has a question and no value."""
    return next((name for name, slot in intent.slots.items() if slot.ask and name not in values), None)


def asks_for(slot: Slot, said: str) -> bool:
    """Tell whether a text of the agent's holds the slot's question, its own holes filled with anything."""
    return bool(slot.ask) and _question(slot.ask).search(said) is not None


def typed_arguments(values: Mapping[str, str], schema: Mapping[str, Any]) -> dict[str, Any]:
    """Make a tool's arguments of the values that its JSON Schema has properties for."""
    properties: Mapping[str, Any] = schema.get("properties", {})
    return {name: _typed(value, properties[name]) for name, value in values.items() if name in properties}


def _typed(value: str, schema: Any) -> Any:
    wanted = schema.get("type") if isinstance(schema, Mapping) else None
    with contextlib.suppress(ValueError):  # the tool's own check tells the rest
        if wanted == "integer":
            return int(value)
        if wanted == "number":
            return float(value)
    return value


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> re.Pattern[str]:
    return re.compile(pattern, re.IGNORECASE)


@lru_cache(maxsize=512)
def _question(ask: str) -> re.Pattern[str]:
    return as_pattern(ask)
