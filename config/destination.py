"""Who may take a call over."""

from __future__ import annotations

__all__ = ["Destination", "DestinationName", "destination_parameters"]

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field

from .phone_numbers import PhoneNumber
from .section import Section

DestinationName = Annotated[str, Field(pattern=r"^[A-Za-z0-9_ -]{1,64}$")]


class Destination(Section):
    """A number that a call may be handed to; the model never learns it."""

    number: PhoneNumber
    """Who is called (E.164)."""
    description: str = ""
    """When it is the right one, for the model to read."""
    message: str = "One moment, I am putting you through."
    """Said before, unless the model said something itself; empty: nothing is."""


def destination_parameters(destinations: Mapping[str, Destination]) -> dict[str, Any]:
    """Make the JSON Schema by which a model chooses among destinations; one alone needs no choice."""
    if len(destinations) < 2:
        return {"type": "object", "properties": {}, "additionalProperties": False}
    meanings = [f"{name}: {there.description}" for name, there in destinations.items() if there.description]
    choice = {"type": "string", "enum": list(destinations)}
    if meanings:
        choice["description"] = "; ".join(meanings)
    return {
        "type": "object",
        "properties": {"destination": choice},
        "required": ["destination"],
        "additionalProperties": False,
    }
