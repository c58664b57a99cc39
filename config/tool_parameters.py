"""The JSON Schema of a tool's arguments, checked so that it can cost or reach nothing it should not.

The model's words are matched against it while calls run on the same loop. So it stands on its own (no
reference leaves it, and nothing is ever fetched), it ends (no reference leads back into itself), and it is
small enough that a match takes milliseconds.

Source of the keywords: JSON Schema draft 2020-12, Core sections 8 and 11.
"""

from __future__ import annotations

__all__ = ["arguments_validator", "checked_parameters", "most_values"]

import re
from collections.abc import Iterator, Mapping
from typing import Any

from jsonschema import Draft202012Validator, SchemaError
from jsonschema.protocols import Validator
from referencing import Registry
from referencing.exceptions import Unresolvable
from referencing.jsonschema import DRAFT202012

from .patience import is_quick

MOST_PARTS = 1_000
"""What a match may go through, each part about 20 us; a part that is referred to twice counts twice."""
MOST_MATCHES = 50_000
"""Values times parts; what a match may take at the worst, which is half a second."""
DEEPEST = 50
"""Levels; the matching and the reading of it recurse."""
UNEVALUATED_WEIGHT = 3
"""How often `unevaluated...` goes through what lies below it, which multiplies where it is nested."""
_REFERENCES = ("$ref", "$dynamicRef")


def arguments_validator(schema: Mapping[str, Any]) -> Validator:
    """Give what matches arguments with a schema that was checked; it fetches nothing."""
    return Draft202012Validator(schema, registry=Registry())


def most_values(schema: dict[str, Any]) -> int:
    """How many values, all levels together, may be matched with a schema that was checked."""
    extent = _Extent(schema)
    extent.measure()
    return MOST_MATCHES // max(extent.parts, 1)


def checked_parameters(schema: dict[str, Any]) -> dict[str, Any]:
    """Give the schema back. Raises ValueError with what is wrong with it."""
    # First of all: to check a schema takes as long as to match with it.
    extent = _Extent(schema)
    extent.measure()
    try:
        for part in (schema, *extent.referred.values()):
            Draft202012Validator.check_schema(part)
    except SchemaError as error:
        place = ".".join(str(part) for part in error.absolute_path)
        raise ValueError(
            f"is not a JSON Schema{f' (at {place})' if place else ''}: {error.message}"
        ) from None
    if schema.get("type") != "object":
        raise ValueError('must describe an object: write "type: object" and "properties"')
    unknown = sorted(set(schema.get("required", ())) - set(schema.get("properties", {})))
    if unknown:
        raise ValueError(f"requires {', '.join(unknown)}, which `properties` does not describe")
    slow = next((text for text in _patterns(schema) if not is_quick(re.compile(text))), None)
    if slow is not None:
        raise ValueError(f"holds {slow}, which takes long on some texts; write a simpler one")
    return schema


class _Extent:
    """Goes through a schema as a match does: references are followed."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self._schema = schema
        self._resolver = Registry().resolver_with_root(DRAFT202012.create_resource(schema))
        self.referred: dict[str, Any] = {}
        """What is used as a schema wherever it stands, by the reference."""
        self.parts = 0

    def measure(self) -> None:
        """Raises ValueError for a schema that is too large, or refers to what it does not hold."""
        self._visit(self._schema, depth=0, weight=1, within=())

    def _visit(self, part: Any, depth: int, weight: int, within: tuple[str, ...]) -> None:
        if not isinstance(part, dict | list):
            return
        if depth > DEEPEST:
            raise ValueError(f"nests deeper than {DEEPEST} levels; write it flatter")
        if isinstance(part, dict):
            self.parts += weight
            if self.parts > MOST_PARTS:
                raise ValueError(f"has more than {MOST_PARTS} parts, with every reference; write it simpler")
            if depth and isinstance(part.get("$id"), str):
                raise ValueError(f"holds a schema of its own, {part['$id']}; name it in `$defs` instead")
            for reference in (part.get(keyword) for keyword in _REFERENCES):
                if isinstance(reference, str):
                    self._visit(self._referred(reference, within), depth + 1, weight, (*within, reference))
            weight *= UNEVALUATED_WEIGHT if any(key.startswith("unevaluated") for key in part) else 1
        for below in part.values() if isinstance(part, dict) else part:
            self._visit(below, depth + 1, weight, within)

    def _referred(self, reference: str, within: tuple[str, ...]) -> Any:
        if not reference.startswith("#"):
            raise ValueError(f"refers to {reference}, and nothing is fetched; copy it into `$defs`")
        if reference in within:
            raise ValueError(f"refers to itself by {reference}; write out as many levels as are needed")
        try:
            self.referred[reference] = self._resolver.lookup(reference).contents
        except (Unresolvable, LookupError, TypeError, ValueError):
            raise ValueError(f"refers to {reference}, which it does not hold") from None
        return self.referred[reference]


def _patterns(schema: Any) -> Iterator[str]:
    """Every regular expression of a JSON Schema; the model's words are matched with them."""
    if isinstance(schema, dict):
        yield from (text for text in (schema.get("pattern"),) if isinstance(text, str))
        yield from schema.get("patternProperties", ())
    for part in schema.values() if isinstance(schema, dict) else schema if isinstance(schema, list) else ():
        yield from _patterns(part)
