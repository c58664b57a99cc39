"""What may be set, as Markdown tables made from the models themselves: the reference part of docs/.

Names, kinds, limits, defaults and meanings are those of the code, so a page that holds these tables
cannot say anything else. Such a page keeps them between two markers; all else in it is written by hand.
"""

from __future__ import annotations

__all__ = ["REFERENCES", "assistant_reference", "heading_anchor", "refreshed", "settings_reference"]

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType, NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo

from .assistant import Assistant
from .errors import ConfigError, ConfigProblem
from .hosted_names import foreign_names
from .section import Section
from .settings import _FIXES, _VARIABLES, Settings

_BEGIN = "<!-- begin: offhook config reference {topic} -->"
_END = "<!-- end: offhook config reference {topic} -->"
_KINDS: Mapping[Any, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "`true` or `false`",
    Path: "path of a folder",
    SecretStr: "text, secret",
}
_UNWRITTEN = "notices"
"""The one field of an assistant that no file may hold."""


def settings_reference() -> str:
    """Make the table of all settings, in the order in which they are declared."""
    rows = [("Variable", "Kind", "Default", "Meaning")]
    for variable in _VARIABLES:
        field = Settings.model_fields[variable.field]
        fix = _FIXES.get(variable.field, "").removesuffix(".")
        kind = f"text; {fix[0].lower()}{fix[1:]}" if fix and not _has_plain_kind(field) else _kind(field)
        names = " or ".join(f"`{name}`" for name in variable.names)
        rows.append((names, kind, _default(field), field.description or ""))
    return _table(rows)


def assistant_reference() -> str:
    """Make a table for each section of an assistant file, and one of the hosted platforms' names."""
    sections = list(_sections("", Assistant))
    parts = [_section_table(path, section) for path, section in sections]
    parts.append(f"### Names of hosted platforms\n\n{_hosted_table([path for path, _ in sections])}")
    return "\n\n".join(parts)


REFERENCES: Mapping[str, Callable[[], str]] = MappingProxyType(
    {"settings": settings_reference, "assistant": assistant_reference}
)
"""What makes the reference on each topic."""


def refreshed(
    page: str, topic: str, source: str, references: Mapping[str, Callable[[], str]] = REFERENCES
) -> str:
    """Put the reference on a topic between its markers in a page's text; `source` names the page in errors.

    Raises ConfigError for a page without the two markers.
    """
    begin, end = _BEGIN.format(topic=topic), _END.format(topic=topic)
    before, found, rest = page.partition(begin)
    _, found_end, after = rest.partition(end)
    if not found or not found_end:
        fix = f"Write them as lines of their own: {begin} and {end}"
        raise ConfigError([ConfigProblem(source, "", "has no place for the reference.", fix)])
    return f"{before}{begin}\n\n{references[topic]()}\n\n{end}{after}"


def heading_anchor(heading: str) -> str:
    """Name the anchor that a heading of a Markdown page gets, by the rules of GitHub."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


# ------------------------------------------------------------------ sections


def _sections(path: str, section: type[Section]) -> Iterator[tuple[str, type[Section]]]:
    """Yield a section and all within it, each with its dotted place; one like its own owner is told there."""
    yield path, section
    for name, field in section.model_fields.items():
        place, inner = _place(path, name, field)
        if inner is not None and not issubclass(section, inner):
            yield from _sections(place, inner)


def _place(path: str, name: str, field: FieldInfo) -> tuple[str, type[Section] | None]:
    """Say how a key is written, and which section lies behind it."""
    annotation, _ = _bare(field.annotation, ())
    key = f"{path}.{name}" if path else name
    if isinstance(annotation, type) and issubclass(annotation, Section):
        return key, annotation
    if get_origin(annotation) is tuple and _is_section(get_args(annotation)[0]):
        return f"{key}[]", get_args(annotation)[0]
    if get_origin(annotation) is dict and _is_section(get_args(annotation)[1]):
        return f"{key}.NAME", get_args(annotation)[1]
    return key, None


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, Section)


def _section_table(path: str, section: type[Section]) -> str:
    rows = [("Key", "Kind", "Default", "Meaning")]
    for name, field in section.model_fields.items():
        if name == _UNWRITTEN:
            continue
        key = f"{path}.{name}" if path else name
        place, inner = _place(path, name, field)
        if inner is None:
            kind = _kind(field)
        elif issubclass(section, inner):
            kind = f"list of sections, each as `{path}`, without `{name}`"
        else:
            kind = f"[{_shape(place)}](#{heading_anchor(place)})"
        default = "see there" if _is_section(type(field.default)) else _default(field)
        rows.append((f"`{key}`", kind, default, field.description or ""))
    heading = f"`{path}`" if path else "The file"
    return f"### {heading}\n\n{(section.__doc__ or '').strip()}\n\n{_table(rows)}"


def _shape(place: str) -> str:
    if place.endswith("[]"):
        return "list of sections"
    return "sections by name" if place.endswith(".NAME") else "section"


def _hosted_table(paths: Sequence[str]) -> str:
    rows = [("Written there", "Read here as")]
    for path in paths:
        if "[]" in path:
            continue
        before = f"{path}." if path else ""
        names = foreign_names(tuple(path.split(".")) if path else ())
        rows += [(f"`{before}{theirs}`", f"`{ours}`") for theirs, ours in names.items()]
    return _table(rows)


# -------------------------------------------------------------------- fields


def _bare(annotation: Any, metadata: Sequence[Any]) -> tuple[Any, tuple[Any, ...]]:
    """Take `None` and `Annotated` off a type; returns it with everything that limits it."""
    limits = tuple(metadata)
    if get_origin(annotation) is Annotated:
        inner, *more = get_args(annotation)
        for extra in more:
            limits += tuple(extra.metadata) if isinstance(extra, FieldInfo) else (extra,)
        return _bare(inner, limits)
    if get_origin(annotation) in (Union, UnionType):
        choices = [choice for choice in get_args(annotation) if choice is not NoneType]
        if len(choices) == 1:
            return _bare(choices[0], limits)
    return annotation, limits


def _has_plain_kind(field: FieldInfo) -> bool:
    """Its kind and limits say all that there is to know of what may be written."""
    annotation, _ = _bare(field.annotation, ())
    return annotation in (int, float, bool, SecretStr)


def _kind(field: FieldInfo) -> str:
    """Say in plain words what may be written for a field that holds no section."""
    annotation, limits = _bare(field.annotation, field.metadata)
    if get_origin(annotation) is Literal:
        *others, last = (f"`{choice}`" for choice in get_args(annotation))
        return f"{', '.join(others)} or {last}"
    if get_origin(annotation) is tuple:
        words = "list of texts"
    elif get_origin(annotation) is dict:
        words = "mapping"
    else:
        words = _KINDS[annotation]
    return ", ".join((words, *_limits(limits)))


def _limits(metadata: Sequence[Any]) -> Iterator[str]:
    """Say what the markers of `annotated_types` and pydantic demand."""
    bounds: dict[str, Any] = {}
    for item in metadata:
        for name in ("ge", "gt", "le", "lt", "min_length", "max_length", "pattern"):
            value = getattr(item, name, None)
            if value is not None:
                bounds[name] = value
    if "ge" in bounds and "le" in bounds:
        yield f"{_number(bounds.pop('ge'))} to {_number(bounds.pop('le'))}"
    for name, words in (("ge", "at least"), ("gt", "above"), ("le", "at most"), ("lt", "below")):
        if name in bounds:
            yield f"{words} {_number(bounds[name])}"
    if "min_length" in bounds:
        yield "not empty" if bounds["min_length"] == 1 else f"at least {bounds['min_length']} long"
    if "max_length" in bounds:
        yield f"at most {bounds['max_length']}"
    if "pattern" in bounds:
        yield f"form `{bounds['pattern']}`"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "required"
    value = field.get_default(call_default_factory=True, validated_data={})
    if value is None:
        return "none"
    if value in ("", (), {}):
        return "empty"
    if isinstance(value, tuple) and not isinstance(value[0], BaseModel):
        return ", ".join(value)
    if isinstance(value, tuple):
        return ", ".join(f"`{json.dumps(item.model_dump())}`" for item in value)
    if isinstance(value, bool | dict):
        return f"`{json.dumps(value)}`"
    return f"`{_number(value) if isinstance(value, int | float) else value}`"


def _number(value: float) -> str:
    return f"{value:.10g}"


# --------------------------------------------------------------------- table


def _table(rows: Sequence[Sequence[str]]) -> str:
    head, *body = ("| " + " | ".join(map(_cell, row)) + " |" for row in rows)
    return "\n".join((head, "|" + "---|" * len(rows[0]), *body))


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", r"\|")
