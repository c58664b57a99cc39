"""The digits in what a caller has said, however a recogniser writes them, and whether they are whole."""

from __future__ import annotations

__all__ = ["SpokenDigits", "is_card", "is_telephone", "read_digits"]

import re
from dataclasses import dataclass

from .spoken_language import SpokenLanguage
from .spoken_numbers import digit_readings

_PRONOUN = re.compile(
    r"\b(?:a|an|any|another|first|got|have|last|lost|need|new|next|no|only|other|right|same|see|that|the|this|"
    r"want|which|wrong)\s+ones?\b",
    re.IGNORECASE,
)
"""Here "one" is no number: "I don't have one", "the first one"."""
_WORD = re.compile(r"\w+")
_FILLER = re.compile(
    r"(?<=\d)[\s,.-]*\b(?:uh|um|er|erm|ah|and|then|dash|hyphen|space)\b[\s,.-]*(?=\d)", re.IGNORECASE
)
_PLUS = re.compile(r"\bplus\s+(?=\d)", re.IGNORECASE)
_REPEATED = re.compile(r"\b(double|triple|treble)\s+(\d)(?!\d)", re.IGNORECASE)
_TIMES = {"double": 2, "triple": 3, "treble": 3}
_DECIMAL = re.compile(r"(?<=\d)\.(?=\d)")
_LAST_RUN = re.compile(r"(?P<plus>\+\s*)?(?P<run>\d+(?:(?:[\s,-]|\.(?=\s))+\d+)*)[\s.,;!…-]*$")

_LONGEST_TELEPHONE = 15
_COUNTRY_LENGTHS = {
    "1": 11, "7": 11, "20": 12, "27": 11, "30": 12, "31": 11, "32": 11, "33": 11, "34": 11, "41": 11,
    "44": 12, "45": 10, "47": 10, "48": 11, "52": 12, "55": 13, "61": 11, "65": 10, "81": 12, "82": 12,
    "86": 13, "91": 12, "351": 12, "353": 12,
}  # fmt: skip
"""Digits of a mobile number with its country code, where all have the same (ITU-T E.164 numbering plans)."""


@dataclass(frozen=True, slots=True)
class SpokenDigits:
    """The digits of a text."""

    every: str
    """All of them."""
    groups: tuple[str, ...]
    """Those that the text ends in, as they were grouped; none if it ends in something else."""
    lead: str
    """The text before those."""
    international: bool
    """A plus sign stands before those."""

    decimal: bool = False
    """Somewhere a point stands between two digits: "3.45" may be a price, or 3, 4 and 5."""

    @property
    def last(self) -> str:
        """The digits that the text ends in."""
        return "".join(self.groups)


def read_digits(text: str, language: SpokenLanguage) -> SpokenDigits:
    """Find the digits of a text.

    "It's 4 1 5. 555 2671." -> every and last 4155552671, groups 4, 1, 5, 555, 2671.
    """
    text = _PRONOUN.sub("that", text.replace("(", " ").replace(")", " "))
    if language.digits:
        text = _WORD.sub(lambda match: language.digits.get(match[0].lower(), match[0]), text)
    text = digit_readings(text)[-1]
    text = _REPEATED.sub(lambda match: match[2] * _TIMES[match[1].lower()], text)
    text = _PLUS.sub("+", _FILLER.sub(" ", text))
    text, points = _DECIMAL.subn(". ", text)
    every = "".join(re.findall(r"[0-9]", text))
    run = _LAST_RUN.search(text)
    if run is None or text[: run.start("run")].endswith((":", "/", "$", "£", "€")):
        return SpokenDigits(every, (), text, international=False)
    groups = tuple(re.findall(r"[0-9]+", run["run"]))
    return SpokenDigits(every, groups, text[: run.start()].rstrip(), bool(run["plus"]), bool(points))


def is_telephone(digits: str, language: SpokenLanguage, *, international: bool) -> bool:
    """Tell whether these are a whole telephone number, national or with its country code."""
    if not international:
        return language.telephone.fullmatch(digits) is not None
    lengths = (_COUNTRY_LENGTHS.get(digits[:size], _LONGEST_TELEPHONE) for size in (1, 2, 3))
    return len(digits) >= min(lengths)


_LONG_RUN = re.compile(r"(\d)\1{7}")


def is_card(digits: str) -> bool:
    """Tell whether these are a whole card number: 16 digits (American Express: 15) and their check digit.

    The check is ISO/IEC 7812-1's (Luhn). Where one digit was said many times in a row a recogniser loses
    count, so such a number is never known to be whole.
    """
    if _LONG_RUN.search(digits):
        return False
    if len(digits) != 16 and not (len(digits) == 15 and digits.startswith(("34", "37"))):
        return False
    doubled = [int(digit) * (1 + position % 2) for position, digit in enumerate(reversed(digits))]
    return sum(value - 9 if value > 9 else value for value in doubled) % 10 == 0
