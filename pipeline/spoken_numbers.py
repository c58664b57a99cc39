"""Numbers as recognisers write what callers said, read as digits.

The order number 12345 arrives as "12,345", "12345", "1, 2, 3, 4, 5", "one two three four five", "one
twenty-three forty-five" or "twelve thousand three hundred and forty-five". Nobody can know from the words
alone which digits belong together, so there are two readings, and a pattern decides.
"""

from __future__ import annotations

__all__ = ["digit_readings"]

import re

_DIGITS = {
    "zero": 0, "one": 1, "two": 2, "three": 3, "four": 4,
    "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9,
}  # fmt: skip
_TEENS = {
    "ten": 10, "eleven": 11, "twelve": 12, "thirteen": 13, "fourteen": 14,
    "fifteen": 15, "sixteen": 16, "seventeen": 17, "eighteen": 18, "nineteen": 19,
}  # fmt: skip
_TENS = {
    "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50,
    "sixty": 60, "seventy": 70, "eighty": 80, "ninety": 90,
}  # fmt: skip
_VALUES = _DIGITS | _TEENS | _TENS
_SCALES = {"hundred": 100, "thousand": 1000}
_TIMES = {"double": 2, "triple": 3, "treble": 3}
_ZERO_IN_A_ROW = ("oh", "o")

_THOUSANDS = re.compile(r"(?<![\d,])\d{1,3}(?:,\d{3})+(?![\d,]*\d)")
_ANY_WORD = "|".join(sorted((*_VALUES, *_SCALES, *_TIMES, *_ZERO_IN_A_ROW), key=len, reverse=True))
_RUN_OF_WORDS = re.compile(
    rf"\b(?:{_ANY_WORD})(?:(?:(?<=thousand),)?(?:[\s-]+and)?[\s-]+(?:{_ANY_WORD}))*\b",
    re.IGNORECASE,
)
_BETWEEN_GROUPS = re.compile(r"(?<=\d)(?:[\s,-]|\.(?=\s))+(?=\d)")


def digit_readings(text: str) -> tuple[str, ...]:
    """Rewrite the numbers of a sentence in digits: neighbouring groups joined first, then kept apart.

    "order 1, 2, 3 for two" -> ("order 123 for 2", "order 1, 2, 3 for 2").
    """
    apart = _RUN_OF_WORDS.sub(_in_digits, _THOUSANDS.sub(lambda match: match[0].replace(",", ""), text))
    joined = _BETWEEN_GROUPS.sub("", apart)
    return (joined,) if joined == apart else (joined, apart)


def _in_digits(match: re.Match[str]) -> str:
    words = re.findall(r"[a-z]+", match[0].lower())
    if all(word in _ZERO_IN_A_ROW or word in _SCALES or word in _TIMES for word in words):
        return match[0]  # "oh", "hundreds of", "double": no number by themselves
    if any(word in _SCALES for word in words):
        return _sum(words)
    return " ".join(_groups([word for word in words if word != "and"]))


def _sum(words: list[str]) -> str:
    """Read "twelve thousand three hundred and five" as a sum."""
    total = current = 0
    for word in words:
        if word == "thousand":
            total, current = total + max(current, 1) * 1000, 0
        elif word == "hundred":
            current = max(current, 1) * 100
        else:
            current += _VALUES.get(word, 0)
    return str(total + current)


def _groups(words: list[str]) -> list[str]:
    """Read "one twenty three double five oh" as groups of digits: 1, 23, 55, 0."""
    groups: list[str] = []
    position = 0
    while position < len(words):
        word, rest = words[position], words[position + 1 :]
        following = _DIGITS.get(rest[0], 0) if rest else 0
        if word in _TENS and following:
            groups.append(str(_TENS[word] + following))
            position += 2
        elif word in _TIMES:
            digit = (
                "0" if rest and rest[0] in _ZERO_IN_A_ROW else str(_DIGITS.get(rest[0], "")) if rest else ""
            )
            groups.append(digit * _TIMES[word] or word)
            position += 2 if digit else 1
        else:
            groups.append(str(_VALUES.get(word, 0)))
            position += 1
    return groups
