"""How long a caller is waited for who has not finished: per kind of value, and by rules of one's own."""

from __future__ import annotations

__all__ = ["LONGEST_TEXT", "PatienceRule", "ValuePatience", "is_quick"]

import re
import time
from itertools import pairwise
from typing import Annotated

from pydantic import Field, ValidationInfo, field_validator

from .section import Section

LONGEST_TEXT = 300
"""Characters of a text, the last ones, that a pattern is tried on."""
_MOST_S = 0.02
_ALPHABETS = ("a", "1", " ", "a ", "1 ", "a1")

Milliseconds = Annotated[int, Field(ge=0, le=20_000)]
Pattern = Annotated[str, Field(min_length=1, max_length=500)]


class ValuePatience(Section):
    """Silence that a value may hold which is said in parts, in milliseconds behind the last part."""

    digits_ms: Milliseconds = 1800
    """Telephone, card and order numbers, codes."""
    spelling_ms: Milliseconds = 1800
    """Names that are spelled."""
    email_ms: Milliseconds = 1800
    """E-mail addresses."""
    date_ms: Milliseconds = 1200
    """Dates."""
    address_ms: Milliseconds = 1500
    """Postal addresses."""


class PatienceRule(Section):
    """A silence of one's own for certain words; the first rule that fits holds, before all else."""

    question: Pattern | None = None
    """Regular expression, case ignored, that is found in what the agent said last."""
    words: Pattern | None = None
    """Regular expression, case ignored, that is found in what the caller has said in this turn."""
    wait_ms: Milliseconds
    """The silence, in milliseconds; at least `endpointing_ms` and at most `max_endpointing_ms` are waited."""
    reason: str = ""
    """What the log says of it."""

    @field_validator("question", "words")
    @classmethod
    def _compiles(cls, pattern: str | None) -> str | None:
        if pattern is None:
            return None
        try:
            compiled = re.compile(pattern, re.IGNORECASE)
        except re.error as error:
            raise ValueError(f"is not a regular expression: {error}") from None
        if not is_quick(compiled):
            raise ValueError("takes far too long on some texts; avoid a repeat of what is itself repeated")
        return pattern

    @field_validator("wait_ms")
    @classmethod
    def _fits_something(cls, wait_ms: int, info: ValidationInfo) -> int:
        given = [info.data.get(name, "refused already") for name in ("question", "words")]
        if not any(given):
            raise ValueError("would hold for everything; give `question`, `words` or both")
        return wait_ms


def is_quick(pattern: re.Pattern[str]) -> bool:
    """Tell whether a pattern stays quick on texts of `LONGEST_TEXT` characters that nearly match it.

    The texts grow, so a pattern whose time doubles with each character is found out before it takes long.
    """
    words = list(dict.fromkeys(re.findall(r"[a-z0-9@]+", re.sub(r"\\.", " ", pattern.pattern.lower()))))[:20]
    letters = list(dict.fromkeys("".join(words)))
    phrases = [f"{word} " for word in words] + [f"{one} {other} " for one, other in pairwise(words)]
    own = (*letters[:8], "".join(letters), *phrases)
    alphabets = dict.fromkeys(filter(None, (*_ALPHABETS, *own)))
    lengths = [*range(8, 40, 2), *range(40, LONGEST_TEXT + 1, 20)]
    for length in lengths:
        for unit in alphabets:
            text = (unit * length)[:length] + "\x00"
            # Once more in case of doubt: the first time may have been the garbage collector's.
            if _search_s(pattern, text) > _MOST_S and _search_s(pattern, text) > _MOST_S:
                return False
    return True


def _search_s(pattern: re.Pattern[str], text: str) -> float:
    """Seconds of this thread's processor time that a search takes."""
    begun_s = time.thread_time()
    pattern.search(text)
    return time.thread_time() - begun_s
