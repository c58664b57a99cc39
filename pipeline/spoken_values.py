"""Whether a value that a caller is saying is whole: a number, a spelled name, an e-mail address, a date.

Pure functions of the words so far. A value is OPEN when more of it is to come, COMPLETE when nothing can be,
and NONE when the words hold no such value. In doubt it is NONE: whoever says "yes" must not be kept waiting.
"""

from __future__ import annotations

__all__ = ["Expected", "Progress", "Verdict", "judge_value"]

import enum
import re
from dataclasses import dataclass

from .phrases import normalised
from .spoken_digits import SpokenDigits, is_card, is_telephone, read_digits
from .spoken_language import SpokenLanguage, ValueKind

_NUMBERS = (ValueKind.DIGITS, ValueKind.TELEPHONE, ValueKind.CARD)
_VALUES = (*_NUMBERS, ValueKind.SPELLING, ValueKind.EMAIL, ValueKind.DATE, ValueKind.ADDRESS)

_NUMBER_IS_NEXT = re.compile(
    r"\b(?:number|phone|code|card|pin|zip|account|digits?|reference|cell|mobile|(?:starts|begins|ends)\s+with)"
    r"(?:\W+(?:number|is|it's|are|code|id))*\W*$",
    re.IGNORECASE,
)
_NO_WORDS = re.compile(
    r"(?:\W|\b(?:it's|that's|it|is|yes|yeah|sure|okay|ok|uh|um|er|well|so|the|and)\b)*$", re.IGNORECASE
)
_YEAR = re.compile(r"(?:19|20)\d\d")
_SEEKING = re.compile(
    r"\b(?:let me (?:see|check|look|think|find|get)|one (?:moment|second|sec)|hold on|hang on"
    r"|just a (?:moment|second|sec|minute))\b[^.?!]*[.!…]*\s*$",
    re.IGNORECASE,
)
_LETTERS = re.compile(r"(?<!['’])\b[^\W\d_](?:[\s,.-]+[^\W\d_]\b)+[\s,.-]*$")
_ABBREVIATIONS = frozenset(("am", "pm", "us", "uk", "usa", "eu", "tv", "ii"))
_CAPITALS = re.compile(r"\b[A-Z]{2,}(?:[\s,.-]+[A-Z]+)*[\s,.-]*$")
_AS_IN = re.compile(r"\b[a-z],?\s+(?:as in|is in|for|like)\s+\w+[\s,.]*$", re.IGNORECASE)
_SIGNS = (
    (r"[\s,.]+at\s+", "@"),
    (r"[\s,.]+dot\s+", "."),
    (r"\s+underscore\s+", "_"),
    (r"\s+(?:dash|hyphen)\s+", "-"),
)
_EMAIL = re.compile(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)*\.[a-z]{2,}\b")
_PART_OF_EMAIL = re.compile(r"(?:@[\w-]*\.?|\b(?:dot|underscore|arobase|arroba|chiocciola))\W*$")
_SOUNDS_LIKE_EMAIL = re.compile(r"@|\w\.\w|\b(?:dot|underscore|hyphen)\b")
_SPEAKS_OF_EMAIL = re.compile(r"\be-?mail\b", re.IGNORECASE)
_AT_LAST = re.compile(r"\b(?:at|dash|hyphen|plus)\W*$")
_TALK = re.compile(
    r"\b(?:i|you|we|they|he|she|can|can't|could|will|would|what|why|who|how|where|not|don't|no|never|the|want|need|"
    r"please|help|speak|sorry|this|thanks|thank|am|are|was|were|did|do|have|has|had|when)\b",
    re.IGNORECASE,
)
_MOST_WORDS = 6
_ORDINAL = (
    r"(?:\d{1,2}(?:st|nd|rd|th)|first|second|third|fourth|fifth|sixth|seventh|eighth|ninth|tenth|eleventh|"
    r"twelfth|\w+teenth|twentieth|thirtieth|(?:twenty|thirty)[ -]\w+(?:st|nd|rd|th))"
)
_DAY_ALONE = re.compile(
    rf"(?:\b(?:on|the|it's|is|um?|uh)\W+)*(?:{_ORDINAL}|\d{{1,2}})(?:\s+of)?\W*$", re.IGNORECASE
)
_DAY = re.compile(rf"\b(?:{_ORDINAL}|\d{{1,2}})\b", re.IGNORECASE)
_POSTCODE_LAST = re.compile(r"(?:\b\d{5}(?:-\d{4})?|\b[a-z]{1,2}\d[a-z\d]?\s*\d[a-z]{2})\W*$", re.IGNORECASE)


class Progress(enum.Enum):
    """How far a value has come."""

    NONE = "none"
    OPEN = "open"
    COMPLETE = "complete"


@dataclass(frozen=True, slots=True)
class Expected:
    """What the caller is going to say, as far as it is known."""

    kind: ValueKind = ValueKind.FREE
    lengths: frozenset[int] = frozenset()
    """Of a number: how many digits it may have; empty if that is not known."""
    pattern: re.Pattern[str] | None = None
    """What a whole value looks like."""
    with_year: bool = False
    """A date has a year."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How far a value has come, which kind it is, and why that is thought."""

    progress: Progress
    kind: ValueKind = ValueKind.FREE
    why: str = ""


_NOTHING = Verdict(Progress.NONE)


def judge_value(text: str, expected: Expected, language: SpokenLanguage) -> Verdict:
    """Judge the caller's words (the last few hundred characters of them) where `expected` was asked for."""
    said = normalised(text)
    if not said or said in language.plain_answers or text.rstrip().endswith("?"):
        return _NOTHING
    verdict = _judge_kind(text, expected, language)
    if verdict.progress is Progress.NONE and expected.kind in _VALUES:
        last = said.split()[-1]
        if last in language.unfinished or _SEEKING.search(text):
            return _open(expected.kind, f"{expected.kind.value} was asked for and is still to come")
    return verdict


def _judge_kind(text: str, expected: Expected, language: SpokenLanguage) -> Verdict:
    match expected.kind:
        case ValueKind.QUANTITY:
            some = read_digits(text, language).every
            return _complete(expected.kind, "a quantity") if some else _NOTHING
        case ValueKind.DATE:
            return _date(text, expected, language)
        case ValueKind.ADDRESS:
            return _address(text)
    if expected.pattern is not None and not expected.lengths and expected.pattern.search(_squeezed(text)):
        return _complete(expected.kind, "it has the form that was asked for")
    for verdict in (
        _email(text, expected),
        _spelling(text, expected),
        _digits(read_digits(text, language), expected, language),
    ):
        if verdict.progress is not Progress.NONE:
            return verdict
    return _NOTHING


# -------------------------------------------------------------------- numbers


def _digits(spoken: SpokenDigits, expected: Expected, language: SpokenLanguage) -> Verdict:
    if not spoken.every:
        return _NOTHING
    kind = expected.kind if expected.kind in _NUMBERS else ValueKind.DIGITS
    if expected.lengths:
        longest = max(expected.lengths)
        if longest in (len(spoken.last), len(spoken.every)):
            return _complete(kind, f"all {longest} digits are there")
        if len(spoken.every) < longest:
            return _open_number(spoken, kind, language, f"{len(spoken.every)} of {longest} digits")
    for digits in (spoken.last, spoken.every):
        if expected.kind is not ValueKind.CARD and is_telephone(
            digits, language, international=spoken.international
        ):
            return _complete(ValueKind.TELEPHONE, f"a telephone number is complete ({len(digits)} digits)")
        if expected.kind is not ValueKind.TELEPHONE and is_card(digits):
            return _complete(ValueKind.CARD, f"a card number is complete ({len(digits)} digits)")
    if expected.kind in _NUMBERS and not expected.lengths:
        return _open_number(spoken, kind, language, f"{len(spoken.every)} digits so far")
    return _unasked_number(spoken, language)


def _open_number(spoken: SpokenDigits, kind: ValueKind, language: SpokenLanguage, why: str) -> Verdict:
    """A number was asked for, and this is some of it."""
    last_word = normalised(spoken.lead).split()[-1:]
    goes_on = bool(last_word) and last_word[0] in language.unfinished
    if spoken.groups or goes_on or _could_be_a_value(spoken.lead):
        return _open(kind, why)
    return _NOTHING


def _unasked_number(spoken: SpokenDigits, language: SpokenLanguage) -> Verdict:
    """Nobody asked for a number, but these digits may be the beginning of one."""
    count = len(spoken.last)
    if not count:
        return _NOTHING
    announced = spoken.international or _NUMBER_IS_NEXT.search(spoken.lead) is not None
    bare = _NO_WORDS.match(spoken.lead) is not None
    dated = language.months.search(spoken.lead[-20:]) is not None
    one_by_one = len(spoken.groups) > 1 and not dated and not spoken.decimal
    year = len(spoken.groups) == 1 and _YEAR.fullmatch(spoken.last) is not None
    if (
        announced
        or (one_by_one and count > 2)
        or (bare and not year and (one_by_one or count > 2 or spoken.decimal))
    ):
        return _open(ValueKind.DIGITS, f"a number has begun, {count} digits so far")
    return _NOTHING


# -------------------------------------------------------- letters and addresses


def _spelling(text: str, expected: Expected) -> Verdict:
    asked = expected.kind is ValueKind.SPELLING
    match = _LETTERS.search(text) or (_CAPITALS.search(text) if asked else None)
    if match is None:
        return _open(ValueKind.SPELLING, "letters are spelled") if _AS_IN.search(text) else _NOTHING
    letters = re.sub(r"[\W\d_]", "", match[0]).lower()
    if letters in _ABBREVIATIONS:
        return _NOTHING
    named = normalised(text[: match.start()]).split()
    if len(letters) > 2 and letters in (*named, *(word.removesuffix("'s") for word in named)):
        return _complete(ValueKind.SPELLING, "the name that was said is spelled")
    return _open(ValueKind.SPELLING, f"{len(letters)} letters are spelled so far")


def _email(text: str, expected: Expected) -> Verdict:
    asked = expected.kind is ValueKind.EMAIL
    said = text.lower()
    for words, sign in _SIGNS:
        said = re.sub(words, sign, said)
    if _EMAIL.search(said):
        return (
            _complete(ValueKind.EMAIL, "the e-mail address is complete") if asked or "@" in text else _NOTHING
        )
    hints = asked or _SPEAKS_OF_EMAIL.search(text) or _SOUNDS_LIKE_EMAIL.search(text.lower())
    if _PART_OF_EMAIL.search(said) or (hints and _AT_LAST.search(said)):
        return _open(ValueKind.EMAIL, "the e-mail address is not complete")
    if asked and (_SOUNDS_LIKE_EMAIL.search(said) or _could_be_a_value(text)):
        return _open(ValueKind.EMAIL, "the e-mail address is not complete")
    return _NOTHING


def _address(text: str) -> Verdict:
    if _POSTCODE_LAST.search(text) and len(text.split()) > 2:
        return _complete(ValueKind.ADDRESS, "the address ends in a postal code")
    if (re.search(r"\d", text) and not _TALK.search(text)) or _could_be_a_value(text):
        return _open(ValueKind.ADDRESS, "more of the address may follow")
    return _NOTHING


def _date(text: str, expected: Expected, language: SpokenLanguage) -> Verdict:
    month, day = language.months.search(text), _DAY.search(text)
    if month and day:
        year = _YEAR.search(read_digits(text, language).every)
        if expected.with_year and not year:
            return _open(ValueKind.DATE, "the year is still to come")
        return _complete(ValueKind.DATE, "the date is complete")
    if (month and normalised(text).endswith(month[0].lower())) or _DAY_ALONE.fullmatch(text.strip()):
        return _open(ValueKind.DATE, "the date is not complete")
    return _NOTHING


def _could_be_a_value(text: str) -> bool:
    """A few words without any talk in them: a name, a town, a part of an address."""
    return len(text.split()) <= _MOST_WORDS and _TALK.search(text) is None


def _squeezed(text: str) -> str:
    """Letters and digits that were said one by one, written together: "A B 1 2" -> "AB12"."""
    return re.sub(r"(?<=\b\w)[\s,.-]+(?=\w\b)", "", text.strip(" .,!"))


def _open(kind: ValueKind, why: str) -> Verdict:
    return Verdict(Progress.OPEN, kind, why)


def _complete(kind: ValueKind, why: str) -> Verdict:
    return Verdict(Progress.COMPLETE, kind, why)
