"""Numbers as recognisers write them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.pipeline.spoken_numbers import digit_readings

DIGITS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")


@pytest.mark.parametrize(
    "written",
    [
        "12345",
        "12,345",
        "1, 2, 3, 4, 5",
        "1 2 3 4 5",
        "1-2-3-4-5",
        "1. 2. 3. 4. 5",
        "12 345",
        "123-45",
        "one two three four five",
        "One, two, three, four, five",
        "one-two-three-four-five",
        "one twenty-three forty-five",
        "twelve three forty five",
        "twelve thousand three hundred forty-five",
        "Twelve thousand, three hundred and forty-five",
        "1, 2, three, four 5",
    ],
)
def test_twelve_thousand_is_read_from_every_spelling(written: str) -> None:
    assert digit_readings(f"it is {written}, please")[0] == "it is 12345, please"


@pytest.mark.parametrize(
    ("written", "digits"),
    [
        ("double five three two one", "55321"),
        ("one triple two three", "12223"),
        ("five oh two one oh", "50210"),
        ("nine double oh seven", "9007"),
        ("ninety eight seven sixty five", "98765"),
        ("three hundred", "300"),
        ("sixty-seven thousand eight hundred ninety", "67890"),
        ("zero one two three four", "01234"),
    ],
)
def test_groups_and_repeats_are_read(written: str, digits: str) -> None:
    assert digit_readings(written)[0] == digits


def test_numbers_side_by_side_have_a_second_reading() -> None:
    assert digit_readings("order 12345, 2 items") == ("order 123452 items", "order 12345, 2 items")


@pytest.mark.parametrize(
    "text",
    ["oh no", "hello there", "hundreds of people", "double check it", "1,2", "at 9:30", "3.5 stars", ""],
)
def test_what_is_no_row_of_digits_keeps_its_words(text: str) -> None:
    assert digit_readings(text)[-1] == text


def test_words_that_only_begin_like_numbers_stay() -> None:
    assert digit_readings("someone weighs tennis balls often") == ("someone weighs tennis balls often",)


@given(st.lists(st.integers(0, 9), min_size=2, max_size=12))
def test_any_row_of_spoken_digits_comes_back(digits: list[int]) -> None:
    number = "".join(map(str, digits))
    assert digit_readings(" ".join(DIGITS[digit] for digit in digits))[0] == number
    assert digit_readings(", ".join(map(str, digits)))[0] == number


@given(st.text(max_size=200))
def test_any_text_has_a_reading(text: str) -> None:
    assert len(digit_readings(text)) in (1, 2)
