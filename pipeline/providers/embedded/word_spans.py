"""Which words of a text the words of its spoken form come from ("$5" is spoken "five dollars")."""

from __future__ import annotations

__all__ = ["Span", "matched", "words"]

import re
from collections.abc import Sequence
from difflib import SequenceMatcher

Span = tuple[int, int]
"""Index of the first character and behind the last one."""

_WORD = re.compile(r"\S+")


def words(text: str) -> list[Span]:
    """Spans of the words of a text, punctuation included."""
    return [match.span() for match in _WORD.finditer(text)]


def _key(word: str) -> str:
    return re.sub(r"[^\w%$]", "", word).lower() or word


def matched(written: Sequence[str], spoken: Sequence[str]) -> list[int]:
    """For each spoken word the index of the written word it belongs to, never decreasing.

    Equal words match; where the two differ, the spoken words are shared out in proportion to their length.
    `written` may not be empty.
    """
    owners = [0] * len(spoken)
    left, right = [_key(word) for word in written], [_key(word) for word in spoken]
    for _, i1, i2, j1, j2 in SequenceMatcher(None, left, right, autojunk=False).get_opcodes():
        if i1 == i2:  # words that only the spoken form has, "plus": they belong to the one before
            owners[j1:j2] = [max(0, i1 - 1)] * (j2 - j1)
            continue
        total = sum(len(word) for word in spoken[j1:j2])
        passed = 0
        for j in range(j1, j2):
            centre = (passed + len(spoken[j]) / 2) / max(1, total)
            owners[j] = j - j1 + i1 if i2 - i1 == j2 - j1 else min(i2 - 1, i1 + int(centre * (i2 - i1)))
            passed += len(spoken[j])
    return owners
