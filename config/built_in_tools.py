"""What is fixed about the tools that come with offhook: their arguments, and how long they may take."""

from __future__ import annotations

__all__ = ["BUILT_IN_TOOLS", "BuiltIn"]

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any


@dataclass(frozen=True, slots=True)
class BuiltIn:
    """One kind of tool whose arguments are ours to say."""

    parameters: dict[str, Any]
    """JSON Schema of the arguments."""
    deadline_s: float
    """The deadline where the file names none."""
    dedupe_s: float = 10.0
    """How long an answer is shared where the file says nothing."""


_SEND_DTMF = {
    "type": "object",
    "properties": {
        "digits": {
            "type": "string",
            "pattern": "^[0-9A-D*#w]{1,64}$",
            "description": "The keys to press: 0-9, *, #, A-D; w is a pause of half a second.",
        }
    },
    "required": ["digits"],
    "additionalProperties": False,
}
_COLLECT_DIGITS = {
    "type": "object",
    "properties": {
        "prompt": {"type": "string", "description": "What to say to the caller first."},
        "length": {
            "type": "integer",
            "minimum": 1,
            "maximum": 64,
            "description": "So many keys are all; without it the terminator or a pause ends the input.",
        },
        "min": {
            "type": "integer",
            "minimum": 0,
            "maximum": 64,
            "description": "With fewer keys the terminator is ignored.",
        },
        "terminator": {
            "type": "string",
            "pattern": "^[0-9A-D*#]?$",
            "description": "The key that ends the input, # unless said otherwise; empty for none.",
        },
        "timeout_s": {
            "type": "number",
            "exclusiveMinimum": 0,
            "maximum": 60,
            "description": "The longest pause between two keys, in seconds.",
        },
        "total_s": {
            "type": "number",
            "exclusiveMinimum": 0,
            "maximum": 110,
            "description": "The longest wait in all, in seconds.",
        },
    },
    "additionalProperties": False,
}

BUILT_IN_TOOLS: Mapping[str, BuiltIn] = MappingProxyType(
    {
        "send_dtmf": BuiltIn(_SEND_DTMF, deadline_s=60.0),
        # Whoever asks for a PIN again wants another one.
        "collect_digits": BuiltIn(_COLLECT_DIGITS, deadline_s=120.0, dedupe_s=0.0),
    }
)
"""By kind."""
