"""Word error rate and the spoken form that both sides are brought into."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.lab.word_errors import WordErrors, spoken_form, word_errors

WORDS = st.lists(st.sampled_from(["the", "cat", "sat", "on", "a", "mat"]), max_size=8)


@pytest.mark.parametrize(
    ("written", "spoken"),
    [
        ("Hello, World!", "hello world"),
        ("What’s the weather like?", "what's the weather like"),
        ("cold-hearted and ill-disposed", "cold hearted and ill disposed"),
        ("Mr. John Dashwood", "mister john dashwood"),
        ("OK", "okay"),
        ("Go forward 10 meters.", "go forward ten meters"),
        ("42 days", "forty two days"),
        ("0", "zero"),
        ("order 12,345 arrives", "order one two three four five arrives"),
        ("order 12345 arrives", "order one two three four five arrives"),
        ("1, 2, 3, 4, 5.", "one two three four five"),
        ("1-2-3 45", "one two three four five"),
        ("one twenty three forty five", "one two three four five"),
        ("twelve thousand three hundred and forty-five", "one two three four five"),
        ("three hundred and five days", "three zero five days"),
        ("two one-way tickets", "two one way tickets"),
        ("one oh one eight oh three", "one zero one eight zero three"),
        ("1000190 21-01 803", "one zero zero zero one nine zero two one zero one eight zero three"),
        ("oh, I see", "oh i see"),
        ("hundreds of them, and a thousand more", "hundreds of them and a thousand more"),
        ("07 o'clock", "zero seven o'clock"),
        ("$4 and 5%", "four dollars and five percent"),
        ("sooner and later", "sooner and later"),
        ("", ""),
    ],
)
def test_texts_are_brought_into_spoken_form(written: str, spoken: str) -> None:
    assert " ".join(spoken_form(written)) == spoken


@given(st.lists(st.integers(0, 9), min_size=3, max_size=12), st.data())
def test_digits_are_the_same_however_they_are_grouped(digits: list[int], data: st.DataObject) -> None:
    cuts = data.draw(st.sets(st.integers(1, len(digits) - 1)))
    grouped = "".join(("-" if index in cuts else "") + str(digit) for index, digit in enumerate(digits))
    names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    assert spoken_form(grouped) == [names[digit] for digit in digits]


@given(st.text(max_size=40))
def test_spoken_form_takes_any_text_and_is_stable(text: str) -> None:
    once = spoken_form(text)
    assert spoken_form(" ".join(once)) == once


def test_each_kind_of_error_is_counted() -> None:
    assert word_errors("the cat sat on the mat", "the hat sat on mat") == WordErrors(1, 1, 0, 6)
    assert word_errors("the cat sat", "the cat sat down") == WordErrors(0, 0, 1, 3)


def test_nothing_said_and_nothing_written_is_no_error() -> None:
    assert word_errors("", "...").rate == 0
    assert word_errors("", "you").rate == 1
    assert word_errors("you", "").rate == 1


def test_errors_of_several_transcripts_add_up() -> None:
    both = word_errors("a b c", "a b") + word_errors("d", "d")
    assert both == WordErrors(0, 1, 0, 4)
    assert both.rate == 0.25


@given(WORDS, WORDS)
def test_errors_are_bounded_and_agree_with_the_lengths(said: list[str], written: list[str]) -> None:
    errors = word_errors(" ".join(said), " ".join(written))
    assert abs(len(said) - len(written)) <= errors.count <= max(len(said), len(written))
    assert len(said) - errors.deleted + errors.inserted == len(written)
    assert (errors.count == 0) == (said == written)
