"""What pydantic says about an assistant file, in plain words that name the fix."""

from __future__ import annotations

__all__ = ["explained"]

from collections.abc import Iterator
from typing import Any

from pydantic import ValidationError

from .assistant import Assistant
from .documents import KeyPath
from .hosted_names import camel_case, foreign_names, section_of
from .section import Section, did_you_mean
from .translation import Translation

_KINDS = {
    "string_type": "must be a text",
    "string_too_short": "must not be empty",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "int_type": "must be a whole number",
    "int_parsing": "must be a whole number",
    "int_from_float": "must be a whole number",
    "float_type": "must be a number",
    "float_parsing": "must be a number",
    "finite_number": "must be a finite number",
    "tuple_type": "must be a list",
    "dict_type": "must hold `key: value` pairs",
    "mapping_type": "must hold `key: value` pairs",
    "model_type": "must hold `key: value` pairs",
    "model_attributes_type": "must hold `key: value` pairs",
    "path_type": "must be the path of a folder",
}
_PATTERNS = {
    "fallback_number": "must be a number like +15551234567 (E.164), in quotes",
    "language": "must be a language tag like en or en-US",
    "name": "must be letters, digits, `_` and `-` only",
}


def explained(error: ValidationError, translation: Translation) -> Iterator[tuple[KeyPath, str, str]]:
    """Yield (path as written in the file, message, fix) for every error."""
    for detail in error.errors(include_url=False):
        path = tuple(part for part in detail["loc"] if part != "[key]")
        kind, context = detail["type"], detail.get("ctx", {})
        message, fix = _sentence(path, kind, context, detail["msg"]), ""
        if kind == "extra_forbidden":
            fix = _suggestion(path)
        elif kind == "string_type":
            example = _PATTERNS.get(str(path[-1])) if path == ("fallback_number",) else None
            fix = f"It {example}." if example else "Put it in quotes if it is meant as text."
        yield translation.written(path), message if message.endswith("?") else f"{message}.", fix


def _sentence(path: KeyPath, kind: str, context: dict[str, Any], original: str) -> str:
    if kind == "missing":
        return "is missing"
    if kind == "extra_forbidden":
        return "is not a key that is known here"
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        return f"must be one of {context['expected']}".replace("'", "`")
    if kind == "string_pattern_mismatch" and len(path) > 1 and path[-2] == "slots":
        return "must be named with small letters, digits and `_`"
    if kind == "string_pattern_mismatch":
        return _PATTERNS.get(str(path[-1]), f"must match {context['pattern']}")
    if kind == "too_long":
        return f"holds {context['actual_length']} items, more than {context['max_length']}"
    for sign, words in (("ge", "at least"), ("gt", "more than"), ("le", "at most"), ("lt", "less than")):
        if sign in context:
            return f"must be {words} {context[sign]:g}"
    return _KINDS.get(kind, f"is wrong: {original}")


def _suggestion(path: KeyPath) -> str:
    """Find what a key that nothing knows was meant to be."""
    name, place = str(path[-1]), path[:-1]
    section = section_of(Assistant, place)
    if section is None:
        return ""
    own = [key for key in section.model_fields if key != "notices"]
    foreign = foreign_names(place)
    ours_first = [*own, *foreign] if name.islower() else [*map(camel_case, own), *foreign]
    hint = did_you_mean(name, ours_first)
    if hint:
        return hint
    elsewhere = [home for home in _homes(name) if home != ".".join(map(str, place))]
    if elsewhere:
        return f"It belongs {elsewhere[0]}."
    return f"Known here: {', '.join(own)}."


def _homes(name: str) -> list[str]:
    """Name the places where a key of this name is known."""
    plain = name.replace("_", "").lower()
    homes: list[str] = []
    sections: list[tuple[str, type[Section]]] = [("at the top of the file", Assistant)]
    for key in ("transcriber", "model", "voice", "turn_taking", "server"):
        section = section_of(Assistant, (key,))
        if section is not None:
            sections.append((f"in `{key}`", section))
    for place, section in sections:
        if any(field.replace("_", "") == plain for field in section.model_fields):
            homes.append(place)
    return homes
