"""Cuts a stream of text into clauses that can be spoken one by one.

The first clause is cut as early as its sound allows, since the caller waits for it; later ones at
sentence ends, or at a comma once they are long, since longer pieces sound better.
"""

from __future__ import annotations

__all__ = ["Segmenter", "clauses_of"]

import re
from itertools import islice

FIRST_CLAUSE_WORDS = 4
"""The first clause may end at a comma once it has so many words."""
LONG_CLAUSE_WORDS = 12
"""A later clause may end at a comma once it has so many words."""
LONGEST_CLAUSE_WORDS = 40
"""A clause without any sign is cut here."""
LONGEST_CLAUSE_LETTERS = 400
"""Nor do texts without spaces grow longer."""
ABBREVIATIONS = frozenset(
    [
        "mr",
        "mrs",
        "ms",
        "dr",
        "prof",
        "st",
        "no",
        "vs",
        "etc",
        "e.g",
        "i.e",
        "a.m",
        "p.m",
        "u.s",
        "approx",
        "inc",
        "ltd",
        "jr",
        "sr",
    ]
)
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]]*(?=\s)")
_CLAUSE_END = re.compile(r"[,;:—–][\"'”’)\]]*(?=\s)")


class Segmenter:
    """Takes text deltas, gives whole clauses; nothing is lost or added but outer space."""

    def __init__(self) -> None:
        self._text = ""
        self._given = 0

    def feed(self, delta: str) -> list[str]:
        """Add text; returns the clauses that are complete now."""
        self._text += delta
        clauses = []
        while (cut := self._cut()) is not None:
            clause, self._text = self._text[:cut].strip(), self._text[cut:].lstrip()
            if clause:
                clauses.append(clause)
                self._given += 1
        return clauses

    def flush(self) -> list[str]:
        """The text has ended: give what is left."""
        clause, self._text = self._text.strip(), ""
        return [clause] if clause else []

    def _cut(self) -> int | None:
        """Where the next clause ends, or None if that is not known yet."""
        limit = LONG_CLAUSE_WORDS if self._given else FIRST_CLAUSE_WORDS
        ends = [match.end() for match in _SENTENCE_END.finditer(self._text) if self._ends_sentence(match)]
        ends += [
            match.end()
            for match in _CLAUSE_END.finditer(self._text)
            if len(self._text[: match.end()].split()) >= limit
        ]
        if ends:
            return min(ends)
        gaps = list(islice(re.finditer(r"\s", self._text), LONGEST_CLAUSE_WORDS))
        if len(gaps) == LONGEST_CLAUSE_WORDS:
            return gaps[-1].end()
        return LONGEST_CLAUSE_LETTERS if len(self._text) > LONGEST_CLAUSE_LETTERS else None

    def _ends_sentence(self, match: re.Match[str]) -> bool:
        """Not after an abbreviation, an initial, or before a word in lower case."""
        before = self._text[: match.start()].split()
        last = before[-1].lower().lstrip("(\"'“‘") if before else ""
        after = self._text[match.end() :].lstrip()
        if match.group().startswith(".") and (
            last in ABBREVIATIONS or (len(last) == 1 and last.isalpha() and last != "i")
        ):
            return False
        return not after[:1].islower()


def clauses_of(text: str) -> list[str]:
    """All clauses of a whole text, cut as they would be while it streams."""
    segmenter = Segmenter()
    return [*segmenter.feed(text), *segmenter.flush()]
