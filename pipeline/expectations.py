"""What an assistant's questions ask for, worked out once from its tools, its intents and the language."""

from __future__ import annotations

__all__ = ["Expectations", "Rule"]

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Any

from offhook.config.assistant import Assistant
from offhook.config.patience import LONGEST_TEXT, PatienceRule, is_quick
from offhook.config.templates import as_pattern

from .spoken_language import SpokenLanguage, ValueKind, spoken_language
from .spoken_values import Expected

_LONGEST_NUMBER = 24
_FORMATS = {
    "email": ValueKind.EMAIL,
    "idn-email": ValueKind.EMAIL,
    "date": ValueKind.DATE,
    "date-time": ValueKind.DATE,
    "phone": ValueKind.TELEPHONE,
}
_NUMBERS = (ValueKind.DIGITS, ValueKind.TELEPHONE, ValueKind.CARD)
_GENERAL = frozenset(("number", "no", "id", "code", "my", "the", "your", "customer", "caller", "of"))
"""Words of a parameter's name that say nothing of which number it is."""
_BORN = re.compile(
    r"\bbirth|\bborn\b|geburt|\bgeboren\b|\bnaissance\b|nacimiento|\bnascita\b|nascimento", re.IGNORECASE
)
_SENTENCE = re.compile(r"[^.?!]+[.?!]*")
_COUNTS = {
    "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10,
    "twelve": 12, "sixteen": 16,
}  # fmt: skip
_SO_MANY_DIGITS = re.compile(
    rf"\b(\d{{1,2}}|{'|'.join(_COUNTS)})[\s-]+(?:digits?|figures|numbers)\b", re.IGNORECASE
)
_LAST_FOUR = re.compile(r"\blast (four|five|six|\d)\b", re.IGNORECASE)
_ANSWERS = re.compile(r"(?:\W+(?:number|code|id|no|is|it's))*\W*\Z", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule of the assistant file, ready to be tried."""

    question: re.Pattern[str] | None
    words: re.Pattern[str] | None
    wait_s: float
    reason: str

    def fits(self, question: str, words: str) -> bool:
        """Tell whether it holds for the agent's last text and the caller's words."""
        pairs = ((self.question, question), (self.words, words))
        return all(pattern is None or pattern.search(text[-LONGEST_TEXT:]) for pattern, text in pairs)


@dataclass(frozen=True, slots=True)
class _Parameter:
    """A value that a tool or an intent wants."""

    names: re.Pattern[str] | None
    """The words that tell it from others; None if its name has no such words."""
    expected: Expected


@dataclass(frozen=True, slots=True)
class Expectations:
    """What is expected after which question; a plain value, the same for all calls of an assistant."""

    language: SpokenLanguage
    asked: tuple[tuple[re.Pattern[str], Expected], ...] = ()
    """Questions of the intents."""
    parameters: tuple[_Parameter, ...] = ()
    rules: tuple[Rule, ...] = ()

    @staticmethod
    def of(assistant: Assistant) -> Expectations:
        """Read an assistant's tools, intents and rules."""
        return _of(assistant)

    def after(self, said: str) -> Expected | None:
        """What the agent's words ask for; None if they are no question and name no value."""
        sentences = _SENTENCE.findall(said[-LONGEST_TEXT:])
        question = next((s for s in reversed(sentences) if s.rstrip().endswith("?")), "")
        slot = self._slot(said)
        if slot is not None:
            return slot
        kind = _kind(question or "".join(sentences[-1:]), self.language)
        if not question and kind not in (*_NUMBERS, ValueKind.SPELLING, ValueKind.EMAIL, ValueKind.ADDRESS):
            return None
        return self._asked_for(question or sentences[-1], kind)

    def mentioned(self, lead: str) -> Expected:
        """What a caller names unasked ("where is order ..."); `lead` is what stands before the digits."""
        for parameter in self.parameters:
            if parameter.names is not None and parameter.expected.kind in _NUMBERS:
                for name in parameter.names.finditer(lead):
                    if _ANSWERS.match(lead, name.end()):
                        return parameter.expected
        return Expected()

    def _slot(self, said: str) -> Expected | None:
        found = [(match.end(), expected) for asks, expected in self.asked if (match := asks.search(said))]
        return max(found, key=lambda pair: pair[0])[1] if found else None

    def _asked_for(self, question: str, kind: ValueKind) -> Expected:
        named = [p.expected for p in self.parameters if p.names is not None and p.names.search(question)]
        fitting = [expected for expected in named if expected.kind is kind or kind not in _NUMBERS]
        if fitting and kind is not ValueKind.QUANTITY:
            return fitting[0]
        count = _SO_MANY_DIGITS.search(question) or _LAST_FOUR.search(question)
        if kind in _NUMBERS and count is not None:
            digits = int(count[1]) if count[1].isdigit() else _COUNTS.get(count[1].lower(), 0)
            return Expected(ValueKind.DIGITS, frozenset((digits,)) if digits else frozenset())
        if kind is ValueKind.DIGITS:
            numbers = [p.expected for p in self.parameters if p.expected.kind is ValueKind.DIGITS]
            if len(numbers) == 1:
                return numbers[0]
        return Expected(kind, with_year=kind is ValueKind.DATE and _BORN.search(question) is not None)


def _of(assistant: Assistant) -> Expectations:
    language = spoken_language(assistant.language)
    asked: list[tuple[re.Pattern[str], Expected]] = []
    parameters: list[_Parameter] = []
    schemas = {
        name: schema
        for tool in assistant.tools
        for name, schema in tool.parameters.get("properties", {}).items()
        if isinstance(schema, Mapping)
    }
    for name, schema in schemas.items():
        parameters.append(_Parameter(_name_words(name), _by_schema(name, schema, language)))
    for intent in assistant.model.intents:
        for name, slot in intent.slots.items():
            expected = _by_pattern(slot.pattern, _kind(f"{name} {slot.ask}".replace("_", " "), language))
            if name in schemas and not expected.lengths:
                expected = _by_schema(name, schemas[name], language)
            if slot.ask:
                asked.append((as_pattern(slot.ask), expected))
            if name not in schemas:
                parameters.append(_Parameter(_name_words(name), expected))
    rules = tuple(map(_rule, assistant.turn_taking.patience))
    return Expectations(language, tuple(asked), tuple(parameters), rules)


def _rule(rule: PatienceRule) -> Rule:
    compiled = [re.compile(text, re.IGNORECASE) if text else None for text in (rule.question, rule.words)]
    return Rule(compiled[0], compiled[1], rule.wait_ms / 1000, rule.reason or "a rule of the assistant")


def _kind(question: str, language: SpokenLanguage) -> ValueKind:
    text = question.strip()
    return next((kind for kind, words in language.questions if words.search(text)), ValueKind.FREE)


def _name_words(name: str) -> re.Pattern[str] | None:
    """The pattern of a parameter's own words: "order_number" -> "order"."""
    words = [word for word in re.split(r"[_\W]+|(?<=[a-z])(?=[A-Z])", name) if word]
    own = [word for word in words if word.lower() not in _GENERAL]
    return re.compile(r"\b" + r"\W+".join(map(re.escape, own)) + r"\b", re.IGNORECASE) if own else None


def _by_schema(name: str, schema: Mapping[str, Any], language: SpokenLanguage) -> Expected:
    kind = _FORMATS.get(str(schema.get("format", "")))
    if kind is None:
        words = re.sub(r"(?<=[a-z])(?=[A-Z])|_", " ", name)
        kind = next(iter(_kinds(words, language)), ValueKind.FREE)
    if "enum" in schema or schema.get("type") == "boolean":
        return Expected(ValueKind.FREE)
    if isinstance(pattern := schema.get("pattern"), str):
        return _by_pattern(pattern, kind)
    shortest, longest = schema.get("minLength"), schema.get("maxLength")
    if kind in _NUMBERS and isinstance(longest, int) and shortest == longest:
        return Expected(kind, frozenset((longest,)))
    return Expected(
        kind, with_year=kind is ValueKind.DATE and _BORN.search(name.replace("_", " ")) is not None
    )


def _kinds(words: str, language: SpokenLanguage) -> Iterator[ValueKind]:
    """A parameter's name is read as English too, whatever the callers speak."""
    for known in (language, spoken_language("en")):
        if (kind := _kind(words, known)) is not ValueKind.FREE:
            yield kind


@lru_cache(maxsize=512)
def _by_pattern(text: str, kind: ValueKind) -> Expected:
    """A pattern that digits alone can satisfy is a number's, and its lengths are those that satisfy it."""
    try:
        pattern = re.compile(text, re.IGNORECASE)
    except re.error:
        return Expected(kind)
    if not is_quick(pattern):
        return Expected(kind)
    lengths = frozenset(
        length
        for length in range(1, _LONGEST_NUMBER + 1)
        if any(pattern.search((first + "1234567890" * 3)[:length]) for first in "0123456789")
    )
    if not lengths:
        holds_digits = r"\d" in text or "0-9" in text
        known = ValueKind.DIGITS if kind is ValueKind.FREE and holds_digits else kind
        return Expected(known, pattern=pattern)
    if lengths == frozenset(range(1, _LONGEST_NUMBER + 1)):
        return Expected(kind)  # it says nothing of the length, or is no pattern of a number
    number = Expected(kind if kind in _NUMBERS else ValueKind.DIGITS, lengths, pattern)
    if max(lengths) == _LONGEST_NUMBER or (kind is ValueKind.TELEPHONE and len(lengths) > 1):
        return replace(number, lengths=frozenset(), pattern=None)  # as long as the caller likes
    return number
