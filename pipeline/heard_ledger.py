"""The ledger of a reply: which characters of its text lie at which bytes of its audio."""

from __future__ import annotations

__all__ = ["HeardLedger"]

import bisect
import re
from array import array
from collections.abc import Sequence

from offhook.codecs.framing import SAMPLE_RATE_HZ as BYTES_PER_S

from .ports import WordTiming

BYTES_PER_LETTER = 560
"""A letter lasts 70 ms at 170 words a minute."""
ASKED_WITHIN_BYTES = BYTES_PER_S // 2
"""A question still waits for its answer this long after its end, though the agent goes on."""
_WORD = re.compile(r"\S+")


class _Words:
    """Ends of words in the text, and their places in the audio, in order; twelve bytes a word."""

    __slots__ = ("end_chars", "ends", "starts")

    def __init__(self) -> None:
        self.end_chars, self.starts, self.ends = array("i"), array("i"), array("i")

    def __len__(self) -> int:
        return len(self.ends)

    def add(self, end_char: int, start_byte: int, end_byte: int) -> None:
        self.end_chars.append(end_char)
        self.starts.append(start_byte)
        self.ends.append(end_byte)

    def __add__(self, other: _Words) -> _Words:
        both = _Words()
        both.end_chars = self.end_chars + other.end_chars
        both.starts, both.ends = self.starts + other.starts, self.ends + other.ends
        return both

    def half_heard_before(self, offset: int) -> int:
        """How many words lie before this byte by more than half."""
        places = range(len(self))
        return bisect.bisect_left(places, 2 * offset, key=lambda at: self.starts[at] + self.ends[at])

    def keep(self, count: int) -> None:
        """Forget all but the first."""
        for column in (self.end_chars, self.starts, self.ends):
            del column[count:]


class HeardLedger:
    """Words of a reply with the place of each in the outgoing bytes, clause after clause.

    Where the voice gives word timings they are used; inside a clause without them the words share
    its audio in proportion to their letters.
    """

    def __init__(self) -> None:
        self._text = ""
        self._words = _Words()
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
            self._words.add(
                self._clause_char + word.end_char,
                self._clause_byte + round(word.start_s * BYTES_PER_S),
                self._clause_byte + round(word.end_s * BYTES_PER_S),
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
            self._words.add(self._clause_char + end, first, last)

    def heard_text(self, offset: int) -> str:
        """The text up to the last word of which more than half lies before `offset`."""
        words = self._words + self._estimated(offset)
        count = words.half_heard_before(offset)
        return self._text[: words.end_chars[count - 1]] if count else ""

    def text_between(self, first: int, last: int) -> str:
        """The text of all words that lie in this stretch of audio, even in part."""
        words = self._words + self._estimated(last)
        begin, end = bisect.bisect_right(words.ends, first), bisect.bisect_right(words.starts, last)
        if begin >= end:
            return ""
        return self._text[words.end_chars[begin - 1] if begin else 0 : words.end_chars[end - 1]].strip()

    def asks_at(self, offset: int) -> bool:
        """More than half of a clause that asks lies before `offset`, and not much of what follows it."""
        return any(
            2 * offset > first + last and offset <= last + ASKED_WITHIN_BYTES
            for first, last in self._questions
        )

    def _estimated(self, offset: int) -> _Words:
        """The words of a clause that is still being made, at the usual pace of speech."""
        words, at = _Words(), self._clause_byte
        if self._ended or self._timed or offset <= self._clause_byte:
            return words
        for match in _WORD.finditer(self._clause):
            begins, at = at, at + len(match.group()) * BYTES_PER_LETTER
            words.add(self._clause_char + match.end(), begins, at)
        return words

    def word_start(self, offset: int) -> int:
        """Where to go on after a cut: at the start of the word that was cut, or at `offset` between words."""
        index = bisect.bisect_right(self._words.ends, offset)
        if index < len(self._words) and self._words.starts[index] < offset:
            return self._words.starts[index]
        return offset

    def word_end(self, offset: int) -> int | None:
        """Where the first word ends that is not over before `offset`, or None if that is not known."""
        index = bisect.bisect_left(self._words.ends, offset)
        return self._words.ends[index] if index < len(self._words) else None

    def cut(self, at_byte: int) -> None:
        """Forget the words that end behind this byte, and all text that follows."""
        self._words.keep(bisect.bisect_right(self._words.ends, at_byte))
        self._text = self._text[: self._words.end_chars[-1]] if self._words else ""
        self._ended = True
