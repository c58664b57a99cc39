"""The ledger of a reply: which characters of its text lie at which bytes of its audio."""

from __future__ import annotations

__all__ = ["HeardLedger"]

import bisect
import re
from collections.abc import Sequence
from dataclasses import dataclass

from offhook.codecs.framing import SAMPLE_RATE_HZ as BYTES_PER_S

from .ports import WordTiming

BYTES_PER_LETTER = 560
"""A letter lasts 70 ms at 170 words a minute."""
ASKED_WITHIN_BYTES = BYTES_PER_S // 2
"""A question still waits for its answer this long after its end, though the agent goes on."""
_WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class _Word:
    end_char: int
    start_byte: int
    end_byte: int

    @property
    def twice_its_middle(self) -> int:
        return self.start_byte + self.end_byte


class HeardLedger:
    """Words of a reply with the place of each in the outgoing bytes, clause after clause.

    Where the voice gives word timings they are used; inside a clause without them the words share
    its audio in proportion to their letters.
    """

    def __init__(self) -> None:
        self._text = ""
        self._words: list[_Word] = []
        self._questions: list[tuple[int, int]] = []
        """First and last byte of every clause that asks."""
        self._clause = ""
        self._clause_char = 0
        self._clause_byte = 0
        self._timed = False
        self._ended = True

    @property
    def text(self) -> str:
        """All text of the reply so far."""
        return self._text

    def begin_clause(self, text: str, at_byte: int) -> None:
        """The audio from `at_byte` on holds this text, which follows the text before it.

        A clause that was begun and got no audio was never made.
        """
        if not self._ended and at_byte == self._clause_byte:
            self._text = self._text[: self._clause_char].rstrip()
        separator = " " if self._text and not self._text[-1].isspace() and text[:1].strip() else ""
        self._clause = text
        self._clause_char = len(self._text) + len(separator)
        self._clause_byte = at_byte
        self._timed = self._ended = False
        self._text += separator + text

    def add_words(self, words: Sequence[WordTiming]) -> None:
        """Take the voice's own timings, relative to the clause."""
        for word in words:
            self._timed = True
            self._words.append(
                _Word(
                    self._clause_char + word.end_char,
                    self._clause_byte + round(word.start_s * BYTES_PER_S),
                    self._clause_byte + round(word.end_s * BYTES_PER_S),
                )
            )

    def end_clause(self, at_byte: int) -> None:
        """The clause's audio ends here; words without timings get their share of it."""
        self._ended = True
        if self._clause.rstrip("\"'”’) ").endswith("?"):
            self._questions.append((self._clause_byte, at_byte))
        if self._timed:
            return
        spans = [match.span() for match in _WORD.finditer(self._clause)]
        letters = sum(end - start for start, end in spans)
        length = at_byte - self._clause_byte
        done = 0
        for start, end in spans:
            first = self._clause_byte + length * done // letters
            done += end - start
            last = self._clause_byte + length * done // letters
            self._words.append(_Word(self._clause_char + end, first, last))

    def heard_text(self, offset: int) -> str:
        """The text up to the last word of which more than half lies before `offset`."""
        words = self._words + self._estimated(offset)
        count = bisect.bisect_left(words, 2 * offset, key=lambda word: word.twice_its_middle)
        return self._text[: words[count - 1].end_char] if count else ""

    def text_between(self, first: int, last: int) -> str:
        """The text of all words that lie in this stretch of audio, even in part."""
        words = self._words + self._estimated(last)
        ends = [0, *(word.end_char for word in words)]
        inside = [i for i, word in enumerate(words) if word.end_byte > first and word.start_byte <= last]
        return self._text[ends[inside[0]] : ends[inside[-1] + 1]].strip() if inside else ""

    def asks_at(self, offset: int) -> bool:
        """More than half of a clause that asks lies before `offset`, and not much of what follows it."""
        return any(
            2 * offset > first + last and offset <= last + ASKED_WITHIN_BYTES
            for first, last in self._questions
        )

    def _estimated(self, offset: int) -> list[_Word]:
        """The words of a clause that is still being made, at the usual pace of speech."""
        if self._ended or self._timed or offset <= self._clause_byte:
            return []
        words, at = [], self._clause_byte
        for match in _WORD.finditer(self._clause):
            begins, at = at, at + len(match.group()) * BYTES_PER_LETTER
            words.append(_Word(self._clause_char + match.end(), begins, at))
        return words

    def word_start(self, offset: int) -> int:
        """Where to go on after a cut: at the start of the word that was cut, or at `offset` between words."""
        index = bisect.bisect_right(self._words, offset, key=lambda word: word.end_byte)
        if index < len(self._words) and self._words[index].start_byte < offset:
            return self._words[index].start_byte
        return offset

    def word_end(self, offset: int) -> int | None:
        """Where the first word ends that is not over before `offset`, or None if that is not known."""
        index = bisect.bisect_left(self._words, offset, key=lambda word: word.end_byte)
        return self._words[index].end_byte if index < len(self._words) else None

    def cut(self, at_byte: int) -> None:
        """Forget the words that end behind this byte, and all text that follows."""
        self._words = [word for word in self._words if word.end_byte <= at_byte]
        self._text = self._text[: self._words[-1].end_char] if self._words else ""
        self._ended = True
