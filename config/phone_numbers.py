"""Telephone numbers as they are written in settings, assistant files and requests."""

from __future__ import annotations

__all__ = ["E164", "AssistantsByNumber", "NumberPatterns", "PhoneNumber"]

import re
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field

E164 = r"\+[1-9][0-9]{6,14}"
"""A plus sign, the country code, and no spaces; a pattern without anchors, for each reader has its own."""
PhoneNumber = Annotated[str, Field(pattern=f"^{E164}$")]
"""E.164."""

_PATTERN = re.compile(r"\+[1-9][0-9]{0,14}\*?|anonymous")


def _listed(value: Any) -> Any:
    """Split a list at its commas. Raises ValueError for what is no number."""
    entries = value.split(",") if isinstance(value, str) else value
    if not isinstance(entries, list | tuple):
        return value
    cleaned = tuple(str(entry).strip() for entry in entries if str(entry).strip())
    for entry in cleaned:
        if not _PATTERN.fullmatch(entry):
            raise ValueError(f"holds {entry[:20]!r}, which is neither a number nor a beginning of one")
    return cleaned


NumberPatterns = Annotated[tuple[str, ...], BeforeValidator(_listed)]
"""`+441632960001` is one number, `+44163296*` all that begin so, `anonymous` those that show none."""


_NAMED = re.compile(rf"({E164})\s*=\s*([a-z0-9_-]{{1,64}})")


def _named(value: Any) -> Any:
    """Read `+15551234567=sales, +15557654321=support`. Raises ValueError for what is no such pair."""
    if not isinstance(value, str):
        return value
    found: dict[str, str] = {}
    for entry in filter(None, map(str.strip, value.split(","))):
        pair = _NAMED.fullmatch(entry)
        if pair is None:
            raise ValueError(f"holds {entry[:40]!r}, which is no number, =, and an assistant's name")
        if found.setdefault(pair[1], pair[2]) != pair[2]:
            raise ValueError(f"gives {pair[1]} to two assistants")
    return found


AssistantsByNumber = Annotated[Mapping[str, str], BeforeValidator(_named)]
"""The names of assistants by the number that is called (E.164)."""
