"""YAML and JSON as plain values."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.config.documents import read_json, read_yaml
from offhook.config.errors import ConfigError, ConfigProblem


def problems_of(text: str) -> list[ConfigProblem]:
    with pytest.raises(ConfigError) as caught:
        read_yaml(text, "a.yaml")
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("off", "off"),
        ("no", "no"),
        ("Yes", "Yes"),
        ("y", "y"),
        ("true", True),
        ("False", False),
        ("9:30", "9:30"),
        ("2026-01-01", "2026-01-01"),
        ("+15551234567", "+15551234567"),
        ("007", "007"),
        ("-12", -12),
        ("0", 0),
        ("1.5", 1.5),
        (".5", 0.5),
        ("1e3", 1000.0),
        ("0x1f", "0x1f"),
        ("1_000", "1_000"),
        ("~", None),
        ("null", None),
        ("", None),
    ],
)
def test_plain_words_stay_what_was_written(written: str, value: object) -> None:
    assert read_yaml(f"key: {written}\n", "a.yaml").data == {"key": value}


def test_lines_are_known_for_keys_items_and_what_lies_in_them() -> None:
    document = read_yaml("a: 1\nb:\n  - c: 2\n    d: 3\n  - e\n", "a.yaml")
    assert document.line(("a",)) == 1
    assert document.line(("b", 0, "d")) == 4
    assert document.line(("b", 1)) == 5
    assert document.line(("b", 0, "missing", "deeper")) == 3
    assert document.line(("nowhere",)) is None


def test_keys_given_twice_are_told_with_both_lines() -> None:
    first, second = problems_of("a: 1\nb: {c: 1, c: 2}\na: 2\n")
    assert (first.source, first.key) == ("a.yaml:2", "b.c")
    assert (second.source, second.key) == ("a.yaml:3", "a")
    assert "line 1" in second.message


@pytest.mark.parametrize(
    "text", ["a: [1, 2", "a: 'b", "a: b: c", "\ta: 1", "a: !!python/object:x.Y {}", "- a\nb: c"]
)
def test_bad_syntax_names_its_line(text: str) -> None:
    (problem,) = problems_of(f"x: 1\n{text}\n" if not text.startswith("-") else text)
    assert "not valid YAML" in problem.message
    assert problem.source.startswith("a.yaml:")


@pytest.mark.parametrize("text", ["a: \x00", "a: 1\n---\nb: 2\n", "? [a]\n: 1\n"])
def test_what_is_no_single_plain_document_is_refused(text: str) -> None:
    assert "not valid YAML" in problems_of(text)[0].message


def test_anchors_are_shared_but_never_inside_themselves() -> None:
    assert read_yaml("a: &x [1]\nb: *x\n", "a.yaml").data == {"a": [1], "b": [1]}
    assert read_yaml("a: &x {p: 1}\nb:\n  <<: *x\n  q: 2\n", "a.yaml").data["b"] == {"p": 1, "q": 2}
    assert "holds itself" in problems_of("a: &x [*x]\n")[0].message


def test_anchors_cannot_blow_the_walk_up() -> None:
    lines = ["a0: &a0 [x]", *(f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 9)}]" for i in range(1, 30))]
    assert len(read_yaml("\n".join(lines), "a.yaml").data) == 30


def test_an_empty_file_holds_nothing() -> None:
    assert read_yaml("# nothing\n", "a.yaml").data is None


def test_json_errors_name_their_line() -> None:
    with pytest.raises(ConfigError, match=r"a\.json:2: is not valid JSON"):
        read_json('{"a": 1,\n b}', "a.json")
    with pytest.raises(ConfigError, match="given twice"):
        read_json('{"a": 1, "a": 2}', "a.json")
    with pytest.raises(ConfigError, match="deeper"):
        read_json("[" * 100_000, "a.json")


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text("abc é-:#'\"", max_size=8),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1), inner, max_size=3)
        ),
        max_leaves=8,
    )
)
def test_json_means_the_same_read_as_yaml(value: Any) -> None:
    text = json.dumps(value)
    assert read_yaml(text, "a.yaml").data == read_json(text, "a.json").data == value
