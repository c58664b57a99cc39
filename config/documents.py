"""YAML and JSON files as plain values, with the lines where things stand.

YAML is read by the core schema of YAML 1.2: only `true` and `false` are booleans, so that `barge_in: off`, an
example sentence `no`, a time `9:30` and a number `+15551234567` stay the words that were written.
"""

from __future__ import annotations

__all__ = ["Document", "KeyPath", "read_json", "read_yaml"]

import json
import re
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from .errors import ConfigError, ConfigProblem

KeyPath = tuple[str | int, ...]
"""Keys and indices that lead to a value."""
DEEPEST = 100
"""Levels of a document; whatever reads it further recurses."""
TOO_DEEP = f"is nested deeper than {DEEPEST} levels."

# The C parser where it was built: 10 times faster, and files are read again while calls are up.
_Fast: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class _CoreSchemaLoader(_Fast):  # type: ignore[misc]
    """A safe loader whose plain scalars follow the core schema of YAML 1.2."""

    yaml_implicit_resolvers: dict[str, list[tuple[str, re.Pattern[str]]]] = {}  # noqa: RUF012 - PyYAML's own


for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", ["~", "n", "N", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", list("tTfF")),
    ("int", r"-?(0|[1-9][0-9]*)", list("-0123456789")),
    ("float", r"-?(0|[1-9][0-9]*)?(\.[0-9]+([eE][-+]?[0-9]+)?|[eE][-+]?[0-9]+)", list("-.0123456789")),
    ("merge", r"<<", ["<"]),
):
    _CoreSchemaLoader.add_implicit_resolver(
        f"tag:yaml.org,2002:{_tag}", re.compile(f"(?:{_pattern})$"), _first
    )


@dataclass(frozen=True, slots=True)
class Document:
    """A parsed file."""

    data: Any
    lines: dict[KeyPath, int] = field(default_factory=dict)
    """The line, from 1, on which a key or list item begins; empty for JSON."""

    def line(self, path: KeyPath) -> int | None:
        """Find the line of a path, or of the nearest thing around it."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.lines:
                return self.lines[path[:length]]
        return None


def read_yaml(text: str, source: str) -> Document:
    """Parse YAML; raises ConfigError for bad syntax, keys given twice and anchors inside themselves."""
    loader = _CoreSchemaLoader(text)
    try:
        node = loader.get_single_node()
        lines: dict[KeyPath, int] = {}
        problems = list(_walk(node, (), source, lines, set(), set())) if node is not None else []
        if problems:
            raise ConfigError(problems)
        data = loader.construct_document(node) if node is not None else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        place = f"{source}:{mark.line + 1}" if mark else source
        what = f"is not valid YAML: {error.problem or error.context}."
        if error.context_mark and error.problem_mark and error.context_mark.line != error.problem_mark.line:
            what += f" What it belongs to begins on line {error.context_mark.line + 1}."
        raise ConfigError([ConfigProblem(place, "", what)]) from None
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigError([ConfigProblem(source, "", f"is not valid YAML: {error}.")]) from None
    finally:
        loader.dispose()
    return Document(data, lines)


def _walk(
    node: Any, path: KeyPath, source: str, lines: dict[KeyPath, int], around: set[int], seen: set[int]
) -> Iterator[ConfigProblem]:
    """Note every key's line and yield what is wrong; a node that anchors share is visited once."""
    if id(node) in around:
        message = "is an anchor that holds itself."
        yield ConfigProblem(f"{source}:{node.start_mark.line + 1}", _dotted(path), message)
        return
    if len(path) > DEEPEST:
        yield ConfigProblem(f"{source}:{node.start_mark.line + 1}", _dotted(path[:1]), TOO_DEEP)
        return
    if id(node) in seen:
        return
    seen.add(id(node))
    inside = around | {id(node)}
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            lines[(*path, index)] = item.start_mark.line + 1
            yield from _walk(item, (*path, index), source, lines, inside, seen)
    elif isinstance(node, yaml.MappingNode):
        first_lines: dict[str, int] = {}
        for key, value in node.value:
            line, name = key.start_mark.line + 1, str(key.value)
            if name in first_lines and name != "<<":
                message = f"is given twice; the first one is on line {first_lines[name]}."
                yield ConfigProblem(f"{source}:{line}", _dotted((*path, name)), message, "Keep one of them.")
            first_lines.setdefault(name, line)
            lines.setdefault((*path, name), line)
            yield from _walk(value, (*path, name), source, lines, inside, seen)


def read_json(text: str, source: str) -> Document:
    """Parse JSON; raises ConfigError for bad syntax and keys given twice."""
    problems: list[ConfigProblem] = []

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        seen: set[Hashable] = set()
        for key, _ in pairs:
            if key in seen:
                problems.append(ConfigProblem(source, key, "is given twice.", "Keep one of them."))
            seen.add(key)
        return dict(pairs)

    try:
        data = json.loads(text, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        message = f"is not valid JSON: {error.msg} (column {error.colno})."
        raise ConfigError([ConfigProblem(f"{source}:{error.lineno}", "", message)]) from None
    except RecursionError:
        data = None
        problems.append(ConfigProblem(source, "", TOO_DEEP))
    if not problems and _is_too_deep(data):
        problems.append(ConfigProblem(source, "", TOO_DEEP))
    if problems:
        raise ConfigError(problems)
    return Document(data)


def _is_too_deep(data: Any) -> bool:
    level = [data]
    for _ in range(DEEPEST + 1):
        level = [
            below
            for part in level
            for below in (part.values() if isinstance(part, dict) else part if isinstance(part, list) else ())
        ]
    return bool(level)


def _dotted(path: KeyPath) -> str:
    return ".".join(str(part) for part in path)
