"""Word error rate: how far a transcript is from what was said, whatever way its writer spells.

Before they are compared both sides are brought into one form: lower case, no punctuation, titles
written out, and numbers in words. A number that stands alone and is below a hundred is its name ("10"
is "ten"); longer numbers, and numbers side by side, are their digits one by one, since nobody can
hear where a writer will put the comma ("12,345", "1-2-3 45" and "one two three forty-five" are the
same). "Oh" is a zero beside other digits.
"""

from __future__ import annotations

__all__ = ["WordErrors", "digits_in", "spoken_form", "word_errors"]

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

_DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
_TEENS = (
    "ten", "eleven", "twelve", "thirteen", "fourteen",
    "fifteen", "sixteen", "seventeen", "eighteen", "nineteen",
)  # fmt: skip
_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
_VALUES = {word: value for value, word in enumerate(_DIGITS + _TEENS)} | {
    word: 10 * value for value, word in enumerate(_TENS, 2)
}
_SCALES = {"hundred": 100, "thousand": 1000}
_ZERO_IN_A_ROW = ("oh", "o")
_WRITTEN_OUT = {
    "mr": "mister", "mrs": "missus", "dr": "doctor", "ok": "okay", "%": "percent", "&": "and",
}  # fmt: skip
_NEXT_TO_A_NUMBER = (*_SCALES, *_ZERO_IN_A_ROW)

_THOUSANDS = re.compile(r"(?<![\d,])\d{1,3}(?:,\d{3})+(?![\d,]*\d)")
_DOLLARS = re.compile(r"\$\s?(\d+(?:\.\d+)?)")
_WORD = re.compile(r"\d+|[^\W\d_]+(?:'[^\W\d_]+)*|[%&]")


@dataclass(frozen=True, slots=True)
class WordErrors:
    """The fewest changes that make the transcript of what was said."""

    substituted: int
    deleted: int
    """Words that were said and are not in the transcript."""
    inserted: int
    """Words of the transcript that were not said."""
    said: int
    """Words that were said, in spoken form."""

    @property
    def count(self) -> int:
        """All errors."""
        return self.substituted + self.deleted + self.inserted

    @property
    def rate(self) -> float:
        """Errors per word said; above 1 where more was written than said."""
        return self.count / self.said if self.said else float(bool(self.count))

    def __add__(self, other: WordErrors) -> WordErrors:
        """Both transcripts together."""
        return WordErrors(
            self.substituted + other.substituted,
            self.deleted + other.deleted,
            self.inserted + other.inserted,
            self.said + other.said,
        )


def word_errors(said: str, transcript: str) -> WordErrors:
    """Compare a transcript with what was said, both in spoken form (Levenshtein distance on words)."""
    return _compare(spoken_form(said), spoken_form(transcript))


def spoken_form(text: str) -> list[str]:
    """The words of a text as they are compared."""
    plain = text.lower().replace("’", "'")
    plain = _THOUSANDS.sub(lambda match: match[0].replace(",", ""), plain)
    plain = _DOLLARS.sub(r"\1 dollars", plain)
    words = [_WRITTEN_OUT.get(word, word) for word in _WORD.findall(plain)]
    spoken: list[str] = []
    position = 0
    while position < len(words):
        run = _number_run(words, position)
        if run:
            spoken += _in_words(list(_numbers(words[position : position + run])))
            position += run
        else:
            spoken.append(words[position])
            position += 1
    return spoken


def digits_in(text: str) -> str:
    """The digits of a text, however they are written: "five, 55 oh one" has 55501."""
    return "".join(str(_DIGITS.index(word)) for word in spoken_form(text) if word in _DIGITS)


def _number_run(words: Sequence[str], start: int) -> int:
    """How many words from `start` on tell numbers; 0 where none begins."""
    end = start
    while end < len(words):
        word, after = words[end], words[end + 1 : end + 2]
        joins = word == "and" and end > start and words[end - 1] in _SCALES and after and _is_number(after[0])
        if not (_is_number(word) or word in _NEXT_TO_A_NUMBER or joins):
            break
        end += 1
    return end - start if any(map(_is_number, words[start:end])) else 0


def _is_number(word: str) -> bool:
    return word.isdecimal() or word in _VALUES


def _numbers(run: Sequence[str]) -> Iterator[str]:
    """The figures of a run of numbers, one string for each number."""
    position = 0
    while position < len(run):
        word, following = run[position], run[position + 1 : position + 2]
        if _has_scale(run, position):
            length, value = _sum(run[position:])
            yield str(value)
            position += length
        elif word in _ZERO_IN_A_ROW:
            yield "0"
            position += 1
        elif word in _TENS and following and 0 < _VALUES.get(following[0], 0) < 10:
            yield str(_VALUES[word] + _VALUES[following[0]])
            position += 2
        else:
            yield word if word.isdecimal() else str(_VALUES.get(word, _SCALES.get(word, 0)))
            position += 1


def _has_scale(run: Sequence[str], position: int) -> bool:
    """A number with "hundred" or "thousand" in it begins here ("twenty five thousand", not "two five")."""
    words = run[position : position + 3]
    at = next((index for index, word in enumerate(words) if word in _SCALES), None)
    if at is None or not _is_number(words[0]):
        return False
    return at == 1 or (at == 2 and words[0] in _TENS and _VALUES.get(words[1], 0) in range(1, 10))


def _sum(run: Sequence[str]) -> tuple[int, int]:
    """Length and value of the number in words that begins a run: "twelve thousand three hundred and five"."""
    total = current = used = 0
    room = 1000
    for word in run:
        if word == "thousand":
            total, current, room = total + max(current, 1) * 1000, 0, 1000
        elif word == "hundred":
            current, room = max(current, 1) * 100, 100
        elif word != "and":
            value = int(word) if word.isdecimal() else _VALUES.get(word, 0)
            if word in _ZERO_IN_A_ROW or value >= room:
                break
            current += value
            room = 10 if word in _TENS else 1
        used += 1
    return used, total + current


def _in_words(numbers: list[str]) -> list[str]:
    if len(numbers) == 1 and len(numbers[0]) < 3 and str(int(numbers[0])) == numbers[0]:
        return _name(int(numbers[0]))
    return [_DIGITS[int(digit)] for number in numbers for digit in number]


def _name(value: int) -> list[str]:
    """The name of a number below a hundred."""
    if value < 20:
        return [(_DIGITS + _TEENS)[value]]
    rest = [_DIGITS[value % 10]] if value % 10 else []
    return [_TENS[value // 10 - 2], *rest]


def _compare(said: Sequence[str], heard: Sequence[str]) -> WordErrors:
    costs = [list(range(len(heard) + 1))]
    for i, word in enumerate(said, 1):
        row = [i]
        for j, other in enumerate(heard, 1):
            row.append(min(costs[i - 1][j - 1] + (word != other), costs[i - 1][j] + 1, row[j - 1] + 1))
        costs.append(row)
    path = list(_path(costs, said, heard))
    steps = [(before[0] - after[0], before[1] - after[1]) for before, after in pairwise(path)]
    deleted, inserted = steps.count((1, 0)), steps.count((0, 1))
    return WordErrors(costs[-1][-1] - deleted - inserted, deleted, inserted, len(said))


def _path(costs: list[list[int]], said: Sequence[str], heard: Sequence[str]) -> Iterator[tuple[int, int]]:
    """One cheapest way through the table, from its end to its beginning."""
    i, j = len(said), len(heard)
    yield i, j
    while i or j:
        if i and j and costs[i][j] == costs[i - 1][j - 1] + (said[i - 1] != heard[j - 1]):
            i, j = i - 1, j - 1
        elif i and costs[i][j] == costs[i - 1][j] + 1:
            i -= 1
        else:
            j -= 1
        yield i, j
