"""Where a call stands among the providers of a stage: it stays, and moves on only when one has failed."""

from __future__ import annotations

from typing import Any

import pytest
from hand_clock import HandClock
from hypothesis import given
from hypothesis import strategies as st

from offhook.config.errors import ProviderError, ProviderRefused
from offhook.pipeline.breaker import REST_S, CircuitBreaker
from offhook.pipeline.line_up import Candidate, LineUp, Standing
from offhook.pipeline.pace import ENOUGH, SHORTEST_S, UNKNOWN_S, Pace

DOWN = ProviderError("voice", "down")


def line_up(clock: HandClock, count: int = 3) -> LineUp[str]:
    return tuple(Candidate(name, name, CircuitBreaker(clock)) for name in "abcdefgh"[:count])


def standing(candidates: LineUp[str], notes: list[Any] | None = None) -> Standing[str]:
    def note(kind: str, **data: Any) -> None:
        if notes is not None:
            notes.append((kind, data))

    return Standing("voice", candidates, note)


def test_a_call_begins_with_the_first_and_stays() -> None:
    call = standing(line_up(HandClock()))
    for _ in range(5):
        call.worked(call.present)
        assert call.fresh().name == "a"


def test_a_failure_moves_it_on_and_says_so() -> None:
    notes: list[Any] = []
    call = standing(line_up(HandClock()), notes)
    call.failed(call.present, DOWN)
    assert call.present.name == "b"
    assert notes == [
        ("provider.failed", {"stage": "voice", "provider": "a", "reason": "down"}),
        ("provider.switched", {"stage": "voice", "from": "a", "to": "b"}),
    ]


def test_it_does_not_go_back_before_all_have_failed() -> None:
    call = standing(line_up(HandClock()))
    seen = []
    for _ in range(6):
        seen.append(call.present.name)
        call.failed(call.present, DOWN)
    assert seen[:3] == ["a", "b", "c"]
    assert seen[3] == "a"


def test_a_new_call_begins_with_whoever_is_admitted() -> None:
    clock = HandClock()
    candidates = line_up(clock)
    candidates[0].breaker.failed(refused=True)
    assert standing(candidates).present.name == "b"
    clock.time_s += REST_S
    assert standing(candidates).present.name == "a", "one call is the probe"
    assert standing(candidates).present.name == "b"


def test_what_other_calls_found_broken_is_left_at_the_next_beginning() -> None:
    candidates = line_up(HandClock())
    call = standing(candidates)
    candidates[0].breaker.failed(refused=True)
    assert call.present.name == "a"
    assert call.fresh().name == "b"


def test_a_refusal_opens_the_breaker_for_everybody() -> None:
    candidates = line_up(HandClock())
    call = standing(candidates)
    call.failed(call.present, ProviderRefused("voice", "HTTP 401"))
    assert standing(candidates).present.name == "b"


def test_where_all_rest_the_one_that_rests_least_is_tried() -> None:
    clock = HandClock()
    candidates = line_up(clock, 2)
    candidates[0].breaker.failed(refused=True)
    clock.time_s -= 5
    candidates[1].breaker.failed(refused=True)
    clock.time_s += 5
    assert standing(candidates).present.name == "b"


def test_a_stand_in_is_one_that_has_not_failed_here_and_is_admitted() -> None:
    candidates = line_up(HandClock())
    call = standing(candidates)
    candidates[1].breaker.failed(refused=True)
    stand_in = call.stand_in()
    assert stand_in is not None
    assert stand_in.name == "c"
    assert standing(candidates[:1]).stand_in() is None


@given(st.integers(1, 4), st.lists(st.tuples(st.integers(0, 3), st.sampled_from("fwrt")), max_size=60))
def test_there_is_always_somebody(count: int, steps: list[tuple[int, str]]) -> None:
    clock = HandClock()
    candidates = line_up(clock, count)
    calls = [standing(candidates) for _ in range(2)]
    for number, step in steps:
        call = calls[number % 2]
        candidate = candidates[number % count]
        match step:
            case "f":
                call.failed(candidate, DOWN)
            case "r":
                call.failed(candidate, ProviderRefused("voice", "HTTP 401"))
            case "w":
                call.worked(candidate)
            case "t":
                clock.time_s += 9.0
        assert call.present in candidates
        assert call.fresh() in candidates
        assert call.stand_in() is not call.present or count == 1


def test_a_pace_is_known_from_twenty_answers_on() -> None:
    pace = Pace()
    for _ in range(ENOUGH - 1):
        pace.add(3.0)
    assert pace.slow_s == UNKNOWN_S
    pace.add(3.0)
    assert pace.slow_s == 3.0


@pytest.mark.parametrize(("durations", "slow_s"), [([0.1] * 50, SHORTEST_S), ([1.0] * 47 + [9.0] * 3, 9.0)])
def test_slow_is_what_one_of_twenty_is(durations: list[float], slow_s: float) -> None:
    pace = Pace()
    for duration in durations:
        pace.add(duration)
    assert pace.slow_s == slow_s


def test_a_request_that_is_refused_for_itself_is_no_reason_for_others() -> None:
    candidates = line_up(HandClock())
    standing(candidates).failed(candidates[0], ProviderRefused("model", "HTTP 400", only_this=True))
    assert standing(candidates).present.name == "a"
