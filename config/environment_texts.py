"""`${NAME}` in an assistant file: secrets stay in the environment and out of the file.

They may stand in a tool's headers, in the address and secret of a server, and in the address and key of a
language model. A name is looked for in
the environment, then in `.env`, each also as `NAME_FILE` with the path of a file that holds the value.
"""

from __future__ import annotations

__all__ = ["EnvironmentLookup", "environment_lookup", "with_environment"]

import os
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .documents import KeyPath
from .dotenv_file import read_dotenv
from .environment import Layer, Variable, read_variables
from .vendor_checks import vendor_choices

EnvironmentLookup = Callable[[str], str]
"""Gives a variable's value. Raises KeyError if it is not set, ValueError if it cannot be read."""

_REFERENCE = re.compile(r"\$\{([^}]*)\}?")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_OF_SERVERS, _OF_MODELS = ("url", "secret"), ("base_url", "api_key")
_UNSET = "https://unset.invalid"
"""Stands in for what is missing, good for every place, so that the same place is not told twice."""


def environment_lookup(
    environ: Mapping[str, str] | None = None, env_file: Path | None = Path(".env")
) -> EnvironmentLookup:
    """Look into the environment (the process's own for None), then into the `.env` file if it is there."""

    def lookup(name: str) -> str:
        layers = [Layer("environment", os.environ if environ is None else environ)]
        if env_file is not None and env_file.is_file():
            try:
                layers.append(Layer(str(env_file), read_dotenv(env_file)[0]))
            except (OSError, UnicodeDecodeError):
                raise ValueError(f"{env_file} cannot be read.") from None
        found, problems = read_variables((Variable(name, (name,)),), layers)
        own = [problem for problem in problems if problem.key in (name, f"{name}_FILE")]
        if name in found:
            return found[name].text
        if own:
            raise ValueError(f"{own[0].key} {own[0].message}")
        raise KeyError(name)

    return lookup


def with_environment(
    data: dict[str, Any], lookup: EnvironmentLookup
) -> tuple[dict[str, Any], list[tuple[KeyPath, str, str]]]:
    """Put the environment into an assistant's data, whose keys are our own names; the data is left alone.

    Returns a copy, and (path, message, fix) for every `${...}` that leads nowhere. No message holds a value.
    """
    problems: list[tuple[KeyPath, str, str]] = []
    copy = dict(data)
    for path in _places(data):
        holder: Any = copy
        for part in path[:-1]:
            inner = holder[part]
            holder[part] = list(inner) if isinstance(inner, list) else dict(inner)
            holder = holder[part]
        try:
            holder[path[-1]] = _filled(holder[path[-1]], lookup)
        except ValueError as error:
            message, fix = error.args
            problems.append((path, message, fix))
            holder[path[-1]] = _UNSET
    return copy, problems


def _places(data: dict[str, Any]) -> Iterator[KeyPath]:
    """Find the texts that may hold a `${NAME}` and do."""
    tools = data.get("tools")
    holders = [
        (("server",), data.get("server"), _OF_SERVERS),
        *((("tools", index, "server"), tool.get("server"), _OF_SERVERS) for index, tool in _items(tools)),
        *((("tools", index, "headers"), tool.get("headers"), None) for index, tool in _items(tools)),
        *(
            (choice.path, choice.data, _OF_MODELS)
            for choice in vendor_choices(data)
            if choice.stage == "model"
        ),
    ]
    for path, holder, keys in holders:
        if isinstance(holder, dict):
            for key in holder if keys is None else keys:
                if isinstance(holder.get(key), str) and "${" in holder[key]:
                    yield (*path, key)


def _items(tools: Any) -> list[tuple[int, dict[str, Any]]]:
    return [
        (index, tool)
        for index, tool in enumerate(tools if isinstance(tools, list) else ())
        if isinstance(tool, dict)
    ]


def _filled(text: str, lookup: EnvironmentLookup) -> str:
    """Raises ValueError with message and fix."""

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if not _NAME.fullmatch(name) or not match[0].endswith("}"):
            raise ValueError(
                "holds a `${` that is not followed by a name and `}`.", "Write it as ${API_KEY}."
            )
        try:
            return lookup(name)
        except KeyError:
            fix = f"Set {name} in the environment or in .env, or {name}_FILE to a file that holds it."
            raise ValueError(f"needs the variable `{name}`, which is not set.", fix) from None
        except ValueError as error:
            raise ValueError(f"needs the variable `{name}`: {error}", "") from None

    return _REFERENCE.sub(value, text)
