"""Whether a value is whole, in the forms in which recognisers write what callers say."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.pipeline.spoken_digits import is_card, is_telephone, read_digits
from offhook.pipeline.spoken_language import ValueKind, spoken_language
from offhook.pipeline.spoken_values import Expected, Progress, judge_value

ENGLISH = spoken_language("en")
ANYTHING = Expected()
FIVE_DIGITS = Expected(ValueKind.DIGITS, frozenset((5,)), re.compile(r"(?<!\d)\d{5}(?!\d)"))
NUMBER = Expected(ValueKind.DIGITS)
TELEPHONE = Expected(ValueKind.TELEPHONE)
CARD = Expected(ValueKind.CARD)
SPELLING = Expected(ValueKind.SPELLING)
EMAIL = Expected(ValueKind.EMAIL)
DATE = Expected(ValueKind.DATE)
BIRTHDAY = Expected(ValueKind.DATE, with_year=True)
ADDRESS = Expected(ValueKind.ADDRESS)
QUANTITY = Expected(ValueKind.QUANTITY)
CODE = Expected(ValueKind.DIGITS, pattern=re.compile(r"^[a-z]{2}\d{4}$", re.IGNORECASE))

OPEN = [
    ("1, 2.", FIVE_DIGITS),
    ("It's 7.9", FIVE_DIGITS),
    ("It's 2 sex.", FIVE_DIGITS),
    ("Sure, it's 3.45.", TELEPHONE),
    ("42.", FIVE_DIGITS),
    ("It's 1, 2, 3", FIVE_DIGITS),
    ("my order number is four two", FIVE_DIGITS),
    ("twelve thousand", Expected(ValueKind.DIGITS, frozenset((8,)))),
    ("415.", TELEPHONE),
    ("415. 555.", TELEPHONE),
    ("My number is 415. 555. 2 6 7", TELEPHONE),
    ("555-0192", TELEPHONE),
    ("+44 20 7946", TELEPHONE),
    ("plus four four two zero", TELEPHONE),
    ("415 and", TELEPHONE),
    ("415, uh", TELEPHONE),
    ("4539.", CARD),
    ("4 5 3 9 1 4 8 8 0 3 4 3", CARD),
    ("4539 1488 0343 6468", CARD),
    ("12345", NUMBER),
    ("Yes, it's", FIVE_DIGITS),
    ("Sure, my number is", TELEPHONE),
    ("Let me see.", FIVE_DIGITS),
    ("One moment, I have to find it.", FIVE_DIGITS),
    ("my number is five five five", ANYTHING),
    ("My number is 415.", ANYTHING),
    ("it's J O H N", ANYTHING),
    ("It's J-O-H-N.", ANYTHING),
    ("S as in Sam, M as in Mary.", ANYTHING),
    ("john dot smith at", ANYTHING),
    ("my e-mail is john at", ANYTHING),
    ("john@", ANYTHING),
    ("4 1 5 5 5", ANYTHING),
    ("1-48-8", ANYTHING),
    ("it starts with 7", ANYTHING),
    ("JOHN", SPELLING),
    ("397 872 872 872 872 872", ANYTHING),
    ("S, M, I", SPELLING),
    ("my name is Smith, S M I", SPELLING),
    ("John Smith", EMAIL),
    ("It's Jane.", EMAIL),
    ("john.smith at example", EMAIL),
    ("john dot smith at example dot", EMAIL),
    ("March.", DATE),
    ("the fifth", DATE),
    ("the fifth of", DATE),
    ("5", DATE),
    ("May 5th", BIRTHDAY),
    ("12 Main Street", ADDRESS),
    ("Springfield", ADDRESS),
    ("A B 1", CODE),
]  # fmt: skip

COMPLETE = [
    ("12345", FIVE_DIGITS),
    ("12,345.", FIVE_DIGITS),
    ("250", QUANTITY),
    ("John Dot Smith, at example.com.", EMAIL),
    ("It's 4.5. 7.34.", FIVE_DIGITS),
    ("1, 2, 3, 4, 5.", FIVE_DIGITS),
    ("42. 18. 9.", FIVE_DIGITS),
    ("twelve thousand three hundred and forty-five", FIVE_DIGITS),
    ("It's 12345, thank you.", FIVE_DIGITS),
    ("one two, uh, three four five", FIVE_DIGITS),
    ("double 5 1 2 3", FIVE_DIGITS),
    ("415. 555. 2 6 7 1.", TELEPHONE),
    ("My number is 415. 555-2671.", ANYTHING),
    ("(415) 555-2671", TELEPHONE),
    ("1 415 555 2671", TELEPHONE),
    ("+1 415 555 2671", TELEPHONE),
    ("plus 44 20 7946 0958", TELEPHONE),
    ("4539 1488 0343 6467", CARD),
    ("4 5 3 9 1 4 8 8 0 3 4 3 6 4 6 7", ANYTHING),
    ("3782 822463 10005", CARD),
    ("my name is Smith, S M I T H", ANYTHING),
    ("My name is Smith's S-M-I-T-H.", SPELLING),
    ("John.Smith at example.com.", EMAIL),
    ("john dot smith at example dot co dot uk", EMAIL),
    ("john.smith@example.com", ANYTHING),
    ("March the fifth", DATE),
    ("5 March", DATE),
    ("May 5th, 1985", BIRTHDAY),
    ("12 Main Street, Springfield 62701", ADDRESS),
    ("A B 1 2 3 4", CODE),
    ("AB1234", CODE),
]

NOTHING = [
    ("yes", FIVE_DIGITS),
    ("No, thanks.", TELEPHONE),
    ("I don't have one.", FIVE_DIGITS),
    ("I don't have that one", TELEPHONE),
    ("I need another one.", ANYTHING),
    ("where is my order?", FIVE_DIGITS),
    ("I lost it", FIVE_DIGITS),
    ("I don't know my e-mail address.", EMAIL),
    ("Can I speak to a human", EMAIL),
    ("Why do you need my address", ADDRESS),
    ("Next Tuesday, please.", DATE),
    ("Tomorrow.", DATE),
    ("Jones.", SPELLING),
    ("a few", QUANTITY),
    ("I have 2 orders", FIVE_DIGITS),
    ("Table for 4.", ANYTHING),
    ("at 5", ANYTHING),
    ("It costs $250", ANYTHING),
    ("It costs 12.50", ANYTHING),
    ("I paid $12.50", ANYTHING),
    ("at 7:30", ANYTHING),
    ("I was born in 1985.", ANYTHING),
    ("It was on May 5, 2024.", ANYTHING),
    ("we open at 9 a.m.", ANYTHING),
    ("I live in the U.S.", ANYTHING),
    ("What is 4 1 5?", ANYTHING),
    ("I like the first one", ANYTHING),
    ("", FIVE_DIGITS),
]


@pytest.mark.parametrize(("text", "expected"), OPEN)
def test_more_of_the_value_is_to_come(text: str, expected: Expected) -> None:
    assert judge_value(text, expected, ENGLISH).progress is Progress.OPEN


@pytest.mark.parametrize(("text", "expected"), COMPLETE)
def test_the_value_is_whole(text: str, expected: Expected) -> None:
    assert judge_value(text, expected, ENGLISH).progress is Progress.COMPLETE


@pytest.mark.parametrize(("text", "expected"), NOTHING)
def test_there_is_no_such_value_in_it(text: str, expected: Expected) -> None:
    assert judge_value(text, expected, ENGLISH).progress is Progress.NONE


@pytest.mark.parametrize(
    ("language", "text"),
    [
        ("de", "null eins sieben"),
        ("es", "seis uno dos"),
        ("fr", "zéro six deux"),
        ("nl", "nul zes een"),
        ("it", "tre due uno"),
        ("pt", "nove um dois"),
        ("de", "0 1 7"),
    ],
)
def test_digits_in_other_languages_are_digits(language: str, text: str) -> None:
    assert judge_value(text, TELEPHONE, spoken_language(language)).progress is Progress.OPEN


def test_a_verdict_says_why_in_words() -> None:
    assert judge_value("1, 2.", FIVE_DIGITS, ENGLISH).why == "2 of 5 digits"
    assert judge_value("1 2 3 4 5", FIVE_DIGITS, ENGLISH).why == "all 5 digits are there"


def test_digits_are_read_with_what_stands_before_them() -> None:
    spoken = read_digits("I said 2, it's 4 1 5. 555", ENGLISH)
    assert (spoken.every, spoken.groups, spoken.lead) == ("2415555", ("4", "1", "5", "555"), "I said 2, it's")


@pytest.mark.parametrize(
    ("digits", "whole"),
    [
        ("4539148803436467", True),
        ("4539148803436468", False),
        ("453914880343646", False),
        ("", False),
        ("4111111111111111", False),
    ],
)
def test_a_card_number_has_its_check_digit(digits: str, whole: bool) -> None:
    assert is_card(digits) is whole


@pytest.mark.parametrize(
    ("digits", "international", "whole"),
    [
        ("4155552671", False, True),
        ("14155552671", False, True),
        ("1155552671", False, False),
        ("5552671", False, False),
        ("14155552671", True, True),
        ("442079460958", True, True),
        ("44207946095", True, False),
        ("4930901820", True, False),
    ],
)
def test_a_telephone_number_has_its_length(digits: str, international: bool, whole: bool) -> None:
    assert is_telephone(digits, ENGLISH, international=international) is whole


@given(st.text(alphabet="0123456789", min_size=5, max_size=5), st.sampled_from([" ", ", ", ". ", "-"]))
def test_five_digits_are_whole_however_they_are_written(digits: str, between: str) -> None:
    for cut in range(1, 5):
        text = digits[:cut] + between + digits[cut:]
        assert judge_value(text, FIVE_DIGITS, ENGLISH).progress is Progress.COMPLETE
        assert judge_value(text[:-1], FIVE_DIGITS, ENGLISH).progress is Progress.OPEN


@given(st.text(max_size=300), st.sampled_from([*ValueKind]), st.sampled_from(["en", "de", "fr"]))
def test_any_text_is_judged(text: str, kind: ValueKind, language: str) -> None:
    verdict = judge_value(text, Expected(kind), spoken_language(language))
    assert bool(verdict.why) == (verdict.progress is not Progress.NONE)
