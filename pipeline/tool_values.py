"""What goes into a tool and what comes out of it, checked: JSON from the model, JSON for the model."""

from __future__ import annotations

__all__ = ["checked_arguments", "told_value"]

import json
import math
from collections.abc import Mapping
from typing import Any

from jsonschema.exceptions import best_match
from jsonschema.protocols import Validator

from offhook.config.errors import ToolError

ARGUMENTS_LIMIT = 16_384
"""Characters of arguments that are read."""
FAULT_LIMIT = 500
"""Characters of what is told of a fault, which may quote all of the arguments."""


def checked_arguments(
    text: str, defaults: Mapping[str, Any], validator: Validator, most_values: int = ARGUMENTS_LIMIT
) -> dict[str, Any]:
    """Parse and check what the model wrote, over what the tool's own defaults give.

    Raises ToolError with what to correct, also for more than `most_values` values, all levels together.
    """
    if len(text) > ARGUMENTS_LIMIT:
        raise ToolError(f"the arguments are longer than {ARGUMENTS_LIMIT} characters")
    try:
        value = json.loads(text or "{}", parse_constant=_no_number, parse_float=_finite)
    except (ValueError, RecursionError) as error:
        raise ToolError(f"the arguments are not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ToolError(f"the arguments must be a JSON object, not {type(value).__name__}")
    arguments = {**defaults, **value}
    if _values_in(arguments) > most_values:
        raise ToolError(f"the arguments hold more than {most_values} values; send fewer at a time")
    try:
        fault = best_match(validator.iter_errors(arguments))
    except (ArithmeticError, ValueError, RecursionError) as error:
        # Of numbers and depths that the matching itself cannot handle.
        raise ToolError(f"the arguments cannot be checked: {error}") from error
    if fault is not None:
        place = ".".join(str(part) for part in fault.absolute_path)
        told = f"bad arguments{f' at {place}' if place else ''}: {fault.message}"
        raise ToolError(told[:FAULT_LIMIT])
    return arguments


def _no_number(name: str) -> float:
    raise ValueError(f"{name} is no number")


def _finite(text: str) -> float:
    number = float(text)
    return number if math.isfinite(number) else _no_number(text)


def _values_in(value: Any) -> int:
    """Everything that stands anywhere in it, without recursion: it may be nested deeply."""
    count, waiting = 0, [value]
    while waiting:
        part = waiting.pop()
        count += 1
        waiting += part.values() if isinstance(part, dict) else part if isinstance(part, list) else ()
    return count


def told_value(value: Any) -> str:
    """A tool's value as text for the model. Raises ToolError if it is no JSON."""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise ToolError(f"the tool gave back something that is not JSON: {error}") from error
