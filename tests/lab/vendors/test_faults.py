"""What goes wrong at emulated vendors: exactly when it was planned to, and no more often."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.config.errors import OffhookError
from offhook.lab.vendors.fault_words import fault_as_json, fault_from_json, parse_fault
from offhook.lab.vendors.faults import MOMENTS, FaultKind, FaultPlan, PlannedFault

PLACES = [(vendor, moment) for vendor, moments in MOMENTS.items() for moment in moments]


@st.composite
def faults(draw: st.DrawFn) -> PlannedFault:
    vendor, moment = draw(st.sampled_from(PLACES))
    kind = draw(st.sampled_from(FaultKind))
    waits = kind is FaultKind.SLOW
    retries = kind in (FaultKind.BUSY, FaultKind.ERROR)
    return PlannedFault(
        vendor,
        moment,
        kind,
        after=draw(st.integers(0, 50)),
        times=draw(st.integers(0, 5)),
        wait_ms=draw(st.floats(0.1, 10_000)) if waits else 0.0,
        retry_after_s=draw(st.none() | st.floats(0, 60)) if retries else None,
    )


def in_words(fault: PlannedFault) -> str:
    words = f"{fault.vendor} {fault.at} {fault.kind.value} after={fault.after} times={fault.times}"
    if fault.wait_ms:
        words += f" wait_ms={fault.wait_ms!r}"
    return words + (f" retry_after_s={fault.retry_after_s!r}" if fault.retry_after_s is not None else "")


# ------------------------------------------------------------------- the plan


@given(st.integers(0, 30), st.integers(1, 10), st.integers(0, 60))
def test_a_fault_lets_so_many_moments_pass_and_happens_so_often(after: int, times: int, moments: int) -> None:
    plan = FaultPlan()
    fault = PlannedFault("openai", "text", FaultKind.DROP, after=after, times=times)
    plan.plan(fault)
    happened = [plan.take("openai", "text") is fault for _ in range(moments)]
    expected = [after <= moment < after + times for moment in range(moments)]
    assert happened == expected
    assert plan.happened == [fault] * sum(expected)
    assert plan.planned == (() if sum(expected) == times else (fault,))


def test_a_fault_for_ever_goes_on_until_the_plan_is_cleared() -> None:
    plan = FaultPlan()
    plan.plan(PlannedFault("openai", "request", FaultKind.BUSY, times=0))
    assert all(plan.take("openai", "request") for _ in range(1000))
    plan.clear()
    assert plan.take("openai", "request") is None
    assert plan.planned == ()


def test_other_vendors_and_moments_are_left_alone() -> None:
    plan = FaultPlan()
    plan.plan(PlannedFault("deepgram", "connect", FaultKind.DROP))
    assert plan.take("elevenlabs", "connect") is None
    assert plan.take("deepgram", "audio") is None
    assert plan.take("deepgram", "connect") is not None


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(1, 3)), max_size=4), st.integers(0, 25))
def test_every_planned_fault_happens_in_the_end_and_never_two_at_once(
    planned: list[tuple[int, int]], moments: int
) -> None:
    plan = FaultPlan()
    for after, times in planned:
        plan.plan(PlannedFault("deepgram", "audio", FaultKind.SLOW, after=after, times=times, wait_ms=1))
    taken = sum(plan.take("deepgram", "audio") is not None for _ in range(moments))
    assert taken == len(plan.happened)
    latest = max((after for after, _ in planned), default=0) + sum(times for _, times in planned)
    if moments >= latest:
        assert taken == sum(times for _, times in planned)
        assert plan.planned == ()


@pytest.mark.parametrize("late_first", [True, False])
def test_when_a_fault_is_due_does_not_depend_on_what_was_planned_beside_it(late_first: bool) -> None:
    plan = FaultPlan()
    late = PlannedFault("deepgram", "audio", FaultKind.CLOSE, after=2)
    soon = PlannedFault("deepgram", "audio", FaultKind.STALL)
    for fault in (late, soon) if late_first else (soon, late):
        plan.plan(fault)
    taken = [plan.take("deepgram", "audio") for _ in range(4)]
    assert taken == [soon, None, late, None]


def test_what_happened_is_remembered_within_bounds() -> None:
    plan = FaultPlan()
    plan.plan(PlannedFault("deepgram", "audio", FaultKind.SLOW, times=0, wait_ms=1))
    for _ in range(12_000):
        plan.take("deepgram", "audio")
    assert len(plan.happened) == 10_000


# ------------------------------------------------------------------- in words


def test_a_fault_is_read_from_words() -> None:
    assert parse_fault("deepgram audio drop after=50 times=3") == PlannedFault(
        "deepgram", "audio", FaultKind.DROP, after=50, times=3
    )
    assert parse_fault("  openai request busy   retry_after_s=0.5 ") == PlannedFault(
        "openai", "request", FaultKind.BUSY, retry_after_s=0.5
    )


@given(faults())
def test_words_and_json_say_the_same_fault(fault: PlannedFault) -> None:
    assert parse_fault(in_words(fault)) == fault
    assert fault_from_json(json.loads(json.dumps(fault_as_json(fault)))) == fault
    FaultPlan().plan(fault)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("", "write VENDOR MOMENT KIND [after=N]"),
        ("openai busy", "`openai busy` is no fault: write VENDOR MOMENT KIND"),
        ("openai busy times=2", "write VENDOR MOMENT KIND"),
        ("azure request busy", "`azure` is no vendor; there are: deepgram, openai, elevenlabs"),
        (
            "openai audio drop",
            "`audio` is no moment of openai's; there are: request, first_token, text, tool",
        ),
        (
            "openai text dropp",
            "`dropp` is no kind of fault; there are: drop, close, stall, busy, error, refuse",
        ),
        ("openai text drop twice", "`twice` has no place in a fault: write VENDOR"),
        ("openai text drop vendor=openai", "`vendor=openai` has no place"),
        ("openai text drop wen=3", "`wen=3` has no place"),
        ("openai text drop times=2 times=3", "`times` is given twice"),
        ("openai text drop times=many", "`times` is a number, not `many`"),
        ("openai text drop times=1.5", "`times` is a whole number, not `1.5`"),
        ("openai text drop after=-1", "`after` is from 0 to 1,000,000, not -1"),
        ("openai text slow wait_ms=nan", "`wait_ms` is from 0 to 1,000,000, not nan"),
        ("openai text drop wait_ms=5", "`wait_ms` goes with `slow`, not with `drop`"),
        ("openai text drop retry_after_s=5", "`retry_after_s` goes with `busy` and `error`, not with `drop`"),
        ("openai text slow", "`slow` needs `wait_ms`"),
        ("openai text slow wait_ms=0", "`slow` needs `wait_ms`"),
    ],
)
def test_what_is_no_fault_is_told(words: str, said: str) -> None:
    with pytest.raises(OffhookError) as caught:
        parse_fault(words)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ([], "a fault is a JSON object of vendor, at, kind, after, times, wait_ms, retry_after_s"),
        ({"vendor": "openai", "at": "text", "kind": "drop", "wen": 1}, "`wen` is no field of a fault"),
        ({"vendor": "openai", "at": "text"}, "a fault needs `kind`, a text"),
        ({"vendor": 7, "at": "text", "kind": "drop"}, "a fault needs `vendor`, a text"),
        ({"vendor": "openai", "at": "text", "kind": "drop", "times": "2"}, "`times` is a whole number"),
        ({"vendor": "openai", "at": "text", "kind": "drop", "times": True}, "`times` is a whole number"),
    ],
)
def test_json_that_is_no_fault_is_told(fields: object, said: str) -> None:
    with pytest.raises(OffhookError) as caught:
        fault_from_json(fields)
    assert said in str(caught.value)


@pytest.mark.parametrize("place", [("azure", "request"), ("openai", "audio")])
def test_a_moment_that_there_is_not_cannot_be_planned(place: tuple[str, str]) -> None:
    with pytest.raises(OffhookError):
        FaultPlan().plan(PlannedFault(*place, FaultKind.DROP))
