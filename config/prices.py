"""What the operator pays for a call, from which its cost is estimated."""

from __future__ import annotations

__all__ = ["Prices"]

from typing import Annotated

from pydantic import Field

from .section import Section

Price = Annotated[float, Field(ge=0, le=10_000)]


class Prices(Section):
    """Prices in any one currency, from which a call's [cost](webhooks.md#cost) is estimated."""

    line_per_minute: Price = 0
    """The carrier's, for each minute begun."""
    transcriber_per_minute: Price = 0
    """For the caller's audio."""
    model_per_million_tokens_in: Price = 0
    """For what the model reads."""
    model_per_million_tokens_out: Price = 0
    """For what it writes."""
    voice_per_1000_characters: Price = 0
    """For text that is spoken."""
