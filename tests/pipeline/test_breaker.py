"""A provider that fails again and again is left alone for a while, then one call tries it."""

from __future__ import annotations

from hand_clock import HandClock
from hypothesis import given
from hypothesis import strategies as st

from offhook.pipeline.breaker import (
    FAILURES,
    LONGEST_REST_S,
    PROBE_WITHIN_S,
    REST_S,
    BreakerState,
    CircuitBreaker,
)


def broken() -> tuple[CircuitBreaker, HandClock]:
    clock = HandClock()
    breaker = CircuitBreaker(clock)
    for _ in range(FAILURES):
        breaker.failed()
    return breaker, clock


def test_a_few_failures_in_a_row_open_it() -> None:
    breaker = CircuitBreaker(HandClock())
    for _ in range(FAILURES - 1):
        breaker.failed()
    assert breaker.admits()
    breaker.failed()
    assert breaker.state is BreakerState.OPEN
    assert not breaker.admits()


def test_failures_with_success_between_them_do_not() -> None:
    breaker = CircuitBreaker(HandClock())
    for _ in range(10):
        breaker.failed()
        breaker.worked()
    assert breaker.admits()


def test_a_refusal_opens_it_at_once() -> None:
    breaker = CircuitBreaker(HandClock())
    breaker.failed(refused=True)
    assert not breaker.admits()


def test_after_its_rest_one_call_is_the_probe_and_no_other_is_admitted() -> None:
    breaker, clock = broken()
    clock.time_s += REST_S
    assert [breaker.admits() for _ in range(3)] == [True, False, False]


def test_a_probe_that_works_closes_it_and_one_that_fails_rests_twice_as_long() -> None:
    breaker, clock = broken()
    clock.time_s += REST_S
    assert breaker.admits()
    breaker.failed()
    clock.time_s += 2 * REST_S - 0.1
    assert not breaker.admits()
    clock.time_s += 0.1
    assert breaker.admits()
    breaker.worked()
    assert breaker.state is BreakerState.CLOSED
    assert breaker.rests_until == 0


def test_a_probe_whose_call_is_gone_lets_another_try() -> None:
    breaker, clock = broken()
    clock.time_s += REST_S
    assert breaker.admits()
    clock.time_s += PROBE_WITHIN_S
    assert breaker.admits()


@given(st.lists(st.sampled_from(["worked", "failed", "refused", "asked", "waits"]), max_size=80))
def test_it_never_rests_longer_than_it_may_and_never_for_ever(steps: list[str]) -> None:
    clock = HandClock()
    breaker = CircuitBreaker(clock)
    for step in steps:
        match step:
            case "worked":
                breaker.worked()
            case "failed":
                breaker.failed()
            case "refused":
                breaker.failed(refused=True)
            case "asked":
                breaker.admits()
            case "waits":
                clock.time_s += 7.0
        assert breaker.rests_until <= clock.time_s + LONGEST_REST_S
    clock.time_s += LONGEST_REST_S + PROBE_WITHIN_S
    assert breaker.admits()
