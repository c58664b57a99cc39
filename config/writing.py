"""An assistant as a file in our own names, with no secret in it."""

from __future__ import annotations

__all__ = ["Written", "written"]

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml
from pydantic import SecretStr

from .assistant import Assistant
from .documents import KeyPath


@dataclass(slots=True)
class Written:
    """A file's text, and the variables that it needs."""

    text: str = ""
    variables: dict[str, str] = field(default_factory=dict)
    """Name of a variable -> where its secret stood, dotted; never its value."""


def written(assistant: Assistant) -> Written:
    """Write an assistant as YAML: what differs from the defaults, and `${NAME}` for each secret."""
    result = Written()
    data = assistant.model_dump(exclude_defaults=True, exclude={"notices"})
    plain = _plain({"name": assistant.name, **data}, (), result)
    result.text = yaml.safe_dump(plain, sort_keys=False, allow_unicode=True, width=100)
    return result


def _plain(value: Any, path: KeyPath, result: Written) -> Any:
    if isinstance(value, SecretStr):
        name = re.sub(r"[^A-Z0-9]+", "_", "_".join(map(str, path)).upper())
        result.variables[name] = ".".join(map(str, path))
        return f"${{{name}}}"
    if isinstance(value, Mapping):
        return {key: _plain(held, (*path, key), result) for key, held in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(held, (*path, index), result) for index, held in enumerate(value)]
    return value
