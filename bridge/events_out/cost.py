"""What a call cost, by the operator's prices."""

from __future__ import annotations

__all__ = ["cost_of"]

import math
from collections.abc import Mapping
from typing import Any

from offhook.config.prices import Prices

from .messages import CostBreakdown

DIGITS = 6


def cost_of(prices: Prices, duration_s: float, ended: Mapping[str, Any]) -> CostBreakdown:
    """Estimate it from the fields of `call.ended`.

    A carrier bills each minute begun (Twilio's page on voice pricing).
    """
    usage: Mapping[str, int] = ended.get("usage", {})
    tokens_in, tokens_out = usage.get("tokens_in", 0), usage.get("tokens_out", 0)
    characters = usage.get("voice_characters", 0)
    read = tokens_in * prices.model_per_million_tokens_in
    written = tokens_out * prices.model_per_million_tokens_out
    parts = {
        "transport": math.ceil(duration_s / 60) * prices.line_per_minute,
        "stt": ended.get("media_s", 0.0) / 60 * prices.transcriber_per_minute,
        "llm": (read + written) / 1e6,
        "tts": characters / 1000 * prices.voice_per_1000_characters,
    }
    return CostBreakdown(
        **{name: round(cost, DIGITS) for name, cost in parts.items()},
        total=round(sum(parts.values()), DIGITS),
        llm_prompt_tokens=tokens_in,
        llm_completion_tokens=tokens_out,
        tts_characters=characters,
    )
