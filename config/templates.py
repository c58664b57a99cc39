"""Texts with holes: `{{variable}}` is a fact of the call, `{name}` a slot or a field of a tool's answer."""

from __future__ import annotations

__all__ = ["Filled", "as_pattern", "fill", "placeholders", "render", "stray_braces"]

import re
from collections.abc import Mapping
from typing import NamedTuple

_HOLE = re.compile(r"\{\{\s*(?P<variable>[A-Za-z_][\w.-]*)\s*\}\}|\{(?P<value>[A-Za-z_]\w*)\}")
_GAP_BEFORE_SIGN = re.compile(r"\s+([,.;:!?])")


class Filled(NamedTuple):
    """A text whose holes are filled."""

    text: str
    unknown: tuple[str, ...]
    """Names that nothing was known about; an empty string stands in their place."""


def fill(text: str, variables: Mapping[str, str]) -> Filled:
    """Put the call's variables into `{{name}}`; `{name}` is left as it is. Never raises."""
    return _filled(text, None, variables)


def render(template: str, values: Mapping[str, str], variables: Mapping[str, str]) -> Filled:
    """Put `values` into `{name}` and the call's variables into `{{name}}`, in one pass. Never raises."""
    return _filled(template, values, variables)


def placeholders(template: str) -> tuple[str, ...]:
    """Name every `{name}` of a template, in order; `{{variables}}` are not among them."""
    return tuple(match["value"] for match in _HOLE.finditer(template) if match["value"])


def as_pattern(template: str) -> re.Pattern[str]:
    """Make the pattern that finds a template in a text, its holes filled with anything."""
    fixed = [part.strip() for part in re.split(r"\{\{[^{}]*\}\}|\{[^{}]*\}", template)]
    return re.compile(".*?".join(map(re.escape, fixed)), re.DOTALL)


def stray_braces(template: str) -> bool:
    """Tell whether braces are left that stand around no name, as in `{order number}`."""
    return bool(re.search(r"[{}]", _HOLE.sub("", template)))


def _filled(text: str, values: Mapping[str, str] | None, variables: Mapping[str, str]) -> Filled:
    unknown: list[str] = []

    def replacement(match: re.Match[str]) -> str:
        if match["value"] and values is None:
            return match[0]
        known = variables if match["variable"] else values or {}
        name = match["variable"] or match["value"]
        if name not in known:
            unknown.append(name)
        return str(known.get(name, ""))

    filled = _HOLE.sub(replacement, text)
    if unknown:  # "Hello {{name}}, welcome." must not be spoken as "Hello , welcome."
        filled = _GAP_BEFORE_SIGN.sub(r"\1", re.sub(r" {2,}", " ", filled)).strip(" ")
    return Filled(filled, tuple(dict.fromkeys(unknown)))
