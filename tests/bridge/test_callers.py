"""Which callers are taken."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.bridge import callers
from offhook.bridge.callers import DAY_S, CallerLimits, Turned, is_listed

ANNA, BERT = "+14155550101", "+4930123456"


@pytest.mark.parametrize(
    ("number", "patterns", "listed"),
    [
        (ANNA, [ANNA], True),
        (ANNA, ["+1415*"], True),
        (ANNA, ["+1415555010"], False),
        (BERT, ["+1*", "+44*"], False),
        ("anonymous", ["anonymous"], True),
        ("", ["anonymous"], True),
        ("266696687", ["anonymous"], True),
        (ANNA, [], False),
    ],
)
def test_a_pattern_is_a_number_or_the_beginning_of_many(
    number: str, patterns: list[str], listed: bool
) -> None:
    assert is_listed(number, patterns) is listed


def test_a_blocked_caller_is_turned_away_though_an_allow_list_names_them() -> None:
    limits = CallerLimits(blocked=(ANNA,), allowed=("+1*",))
    assert limits.judge(ANNA, 0.0) is Turned.BLOCKED
    assert limits.judge("+14155550199", 0.0) is None
    assert limits.judge(BERT, 0.0) is Turned.BLOCKED


def test_a_callers_calls_count_for_a_day_and_nobody_elses() -> None:
    limits = CallerLimits(calls_per_caller=2)
    assert [limits.judge(ANNA, at) for at in (0.0, 1.0, 2.0)] == [None, None, Turned.TOO_MANY]
    assert limits.judge(BERT, 2.0) is None
    assert limits.judge(ANNA, DAY_S) is None
    assert limits.judge(ANNA, DAY_S + 0.5) is Turned.TOO_MANY


def test_a_call_that_was_turned_away_counts_for_nothing() -> None:
    limits = CallerLimits(calls_per_caller=1, calls_per_day=2)
    assert limits.judge(ANNA, 0.0) is None
    assert limits.judge(ANNA, 1.0) is Turned.TOO_MANY
    assert limits.judge(BERT, 2.0) is None
    assert limits.judge("+15550000000", 3.0) is Turned.BUDGET_SPENT


def test_a_bounded_number_of_callers_is_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(callers, "CALLERS_LIMIT", 2)
    limits = CallerLimits(calls_per_caller=1)
    for number in (ANNA, BERT, "+15550000000"):
        assert limits.judge(number, 0.0) is None
    assert limits.judge(BERT, 1.0) is Turned.TOO_MANY
    assert limits.judge(ANNA, 1.0) is None


@given(st.lists(st.tuples(st.sampled_from([ANNA, BERT, ""]), st.floats(0, 3 * DAY_S)), max_size=60))
def test_no_window_of_a_day_holds_more_calls_than_allowed(calls: list[tuple[str, float]]) -> None:
    limits = CallerLimits(calls_per_caller=3, calls_per_day=5)
    taken: list[tuple[str, float]] = []
    for number, at in sorted(calls, key=lambda call: call[1]):
        if limits.judge(number, at) is None:
            taken.append((number, at))
        window = [entry for entry in taken if entry[1] > at - DAY_S]
        assert len(window) <= 5
        assert all(sum(entry[0] == who for entry in window) <= 3 for who in (ANNA, BERT, ""))
