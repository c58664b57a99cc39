"""Holes in texts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from offhook.config.templates import fill, placeholders, render, stray_braces


def test_variables_are_filled_and_slots_left_alone() -> None:
    assert fill("Hi {{ name }}, order {number}.", {"name": "Ada"}) == ("Hi Ada, order {number}.", ())


def test_an_unknown_variable_leaves_no_gap_and_is_reported() -> None:
    assert fill("Hello {{name}}, welcome to {{ shop }}!", {}) == ("Hello, welcome to!", ("name", "shop"))


def test_a_value_is_never_filled_again() -> None:
    assert render("{a} {{b}}", {"a": "{{b}}"}, {"b": "{a}"}).text == "{{b}} {a}"


def test_placeholders_are_named_and_stray_braces_found() -> None:
    assert placeholders("{a} {{b}} {c_1} {not one}") == ("a", "c_1")
    assert stray_braces("{not one}")
    assert stray_braces("{")
    assert not stray_braces("{a} {{b.c-d}}")


@given(st.text(), st.dictionaries(st.text(max_size=3), st.text(max_size=3), max_size=3))
def test_no_text_makes_filling_fail(text: str, variables: dict[str, str]) -> None:
    assert fill(text, variables).text is not None
    assert render(text, variables, variables).text is not None


@given(st.text(st.characters(exclude_characters="{}")))
def test_a_text_without_holes_stays_as_it_is(text: str) -> None:
    assert fill(text, {}) == (text, ())
