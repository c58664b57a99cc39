"""What a server answered, as a JSON value, and the fields of it that the model is told."""

from __future__ import annotations

__all__ = ["chosen", "json_value"]

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from offhook.config.errors import ToolError

_NOTHING = object()


def json_value(body: bytes) -> Any:
    """Read JSON. Raises ValueError for anything else, infinite numbers included."""
    try:
        return json.loads(body, parse_constant=_no_number)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def chosen(value: Any, paths: Mapping[str, str]) -> dict[str, Any]:
    """Take the fields at dotted paths (`data.items.0.name`) under their names; those not there are left out.

    Raises ToolError if none of them is there.
    """
    found = {name: there for name, path in paths.items() if (there := _at(value, path)) is not _NOTHING}
    if not found:
        raise ToolError("the answer holds none of the fields that it should")
    return found


def _at(value: Any, path: str) -> Any:
    for part in path.split("."):
        if isinstance(value, dict) and part in value:
            value = value[part]
        elif isinstance(value, list) and part.isdecimal() and len(part) < 10 and int(part) < len(value):
            value = value[int(part)]
        else:
            return _NOTHING
    return value


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON")
