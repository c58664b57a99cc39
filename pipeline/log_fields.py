"""What may be logged of callers and of failures: never words, of numbers only the last digits."""

from __future__ import annotations

__all__ = ["failure_fields", "masked_number"]

import traceback
from pathlib import PurePath
from typing import Any

_FRAMES = 5


def masked_number(number: str) -> str:
    """A phone number or address, but for its last two characters."""
    return f"…{number[-2:]}" if number else ""


def failure_fields(error: BaseException, *, log_words: bool) -> dict[str, Any]:
    """What a log line may say of an exception.

    Its text may quote the caller, so only its type and the innermost places of its traceback are
    named, unless words are allowed in logs.
    """
    places = [
        f"{PurePath(frame.filename).name}:{frame.lineno} {frame.name}"
        for frame in traceback.extract_tb(error.__traceback__)[-_FRAMES:]
    ]
    fields: dict[str, Any] = {"error": type(error).__name__, "where": places}
    if log_words:
        fields["exc_info"] = error
    return fields
