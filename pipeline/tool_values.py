"""What goes into a tool and what comes out of it, checked: JSON from the model, JSON for the model."""

from __future__ import annotations

__all__ = ["checked_arguments", "told_value"]

import json
from collections.abc import Mapping
from typing import Any

from jsonschema.exceptions import best_match
from jsonschema.protocols import Validator

from offhook.config.errors import ToolError

ARGUMENTS_LIMIT = 16_384
"""Characters of arguments that are read."""


def checked_arguments(text: str, defaults: Mapping[str, Any], validator: Validator) -> dict[str, Any]:
    """Parse and check what the model wrote, over what the tool's own defaults give.

    Raises ToolError with what to correct.
    """
    if len(text) > ARGUMENTS_LIMIT:
        raise ToolError(f"the arguments are longer than {ARGUMENTS_LIMIT} characters")
    try:
        value = json.loads(text or "{}")
    except (ValueError, RecursionError) as error:
        raise ToolError(f"the arguments are not JSON: {error}") from error
    if not isinstance(value, dict):
        raise ToolError(f"the arguments must be a JSON object, not {type(value).__name__}")
    arguments = {**defaults, **value}
    fault = best_match(validator.iter_errors(arguments))
    if fault is not None:
        place = ".".join(str(part) for part in fault.absolute_path)
        raise ToolError(f"bad arguments{f' at {place}' if place else ''}: {fault.message}")
    return arguments


def told_value(value: Any) -> str:
    """A tool's value as text for the model. Raises ToolError if it is no JSON."""
    if isinstance(value, str):
        return value
    try:
        return json.dumps(value, ensure_ascii=False)
    except (TypeError, ValueError) as error:
        raise ToolError(f"the tool gave back something that is not JSON: {error}") from error
