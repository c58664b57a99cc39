"""Telephone numbers as they are written in settings, assistant files and requests."""

from __future__ import annotations

__all__ = ["E164", "NumberPatterns", "PhoneNumber"]

import re
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
