"""The figures of a turn, and gaps that are underruns."""

from __future__ import annotations

from typing import Any

import pytest

from offhook.lab.bridge_log import BridgeEvent
from offhook.lab.carrier import Gap
from offhook.lab.figures import Stage, Underrun, find_underruns, turn_figures
from offhook.lab.hearing import Sound, Utterance

UTTERANCES = [Utterance("first", 1000, 2000), Utterance("second", 6000, 7000)]
AGENT = [Sound(2620, 5000), Sound(7900, 9000)]


def timeline(**moments: Any) -> BridgeEvent:
    return BridgeEvent("turn.timeline", 3000, {"turn": 1, **moments})


def test_both_latencies_are_reported() -> None:
    first, second = turn_figures(UTTERANCES, AGENT, [timeline(end_of_turn_ms=2510)])
    assert (first.response_ms, first.from_decision_ms) == (620, 110)
    assert (second.response_ms, second.from_decision_ms) == (900, None)


def test_stages_stand_beside_their_targets() -> None:
    moments = {
        "partial_ms": 1320,
        "final_ms": 2300,
        "end_of_turn_ms": 2510,
        "first_token_ms": 2512,
        "first_clause_ms": 2514,
        "first_audio_ms": 2580,
        "first_frame_ms": 2582,
    }
    first, _ = turn_figures(UTTERANCES, AGENT, [timeline(**moments)])
    assert {stage.name: stage.duration_ms for stage in first.stages} == {
        "first partial": 320,
        "final transcript": 300,
        "end of turn": 510,
        "first token": 2,
        "first clause": 2,
        "first audio": 66,
        "first frame sent": 2,
        "heard by the caller": 38,
    }
    assert {stage.name: stage.target_ms for stage in first.stages if stage.target_ms} == {
        "first partial": 200,
        "first token": 400,
        "first audio": 150,
    }


@pytest.mark.parametrize("value", [None, "2510", True])
def test_a_moment_that_is_missing_makes_no_stage(value: object) -> None:
    first, _ = turn_figures(UTTERANCES, AGENT, [timeline(end_of_turn_ms=2510, partial_ms=value)])
    assert [stage.name for stage in first.stages] == ["end of turn"]


def test_the_last_timeline_of_an_utterance_is_its_own() -> None:
    events = [timeline(end_of_turn_ms=1500), timeline(end_of_turn_ms=2510), timeline(end_of_turn_ms=7510)]
    first, second = turn_figures(UTTERANCES, AGENT, events)
    assert (first.from_decision_ms, second.from_decision_ms) == (110, 390)


def test_a_tool_is_a_stage_of_its_turn() -> None:
    events = [
        BridgeEvent("function-call", 7600, {"id": "1", "name": "look"}),
        BridgeEvent("function-result", 9100, {"id": "1", "name": "look", "ok": True}),
        BridgeEvent("function-result", 9200, {"id": "2", "name": "stray"}),
    ]
    first, second = turn_figures(UTTERANCES, AGENT, events)
    assert first.stages == ()
    assert second.stages == (Stage("tool look", 7600, 9100, 2000),)


def test_keys_are_a_turn_of_their_own() -> None:
    keys = Utterance("20#", 6000, 6520, keyed=True)
    first, second = turn_figures(
        [UTTERANCES[0], keys], AGENT, [timeline(end_of_turn_ms=2510), timeline(end_of_turn_ms=6530)]
    )
    assert (first.from_decision_ms, second.from_decision_ms) == (110, 7900 - 6530)
    assert (second.said, second.keyed, second.response_ms) == ("20#", True, 7900 - 6520)


def test_a_decision_behind_the_answer_is_another_turns() -> None:
    (turn,) = turn_figures(UTTERANCES[:1], AGENT, [timeline(end_of_turn_ms=6539)])
    assert (turn.from_decision_ms, turn.stages) == (None, ())


def test_a_short_gap_inside_a_reply_is_an_underrun() -> None:
    assert find_underruns([Gap(3000, 60)], UTTERANCES, []) == (Underrun(3000, 60),)


@pytest.mark.parametrize(
    ("gap", "events"),
    [
        (Gap(3000, 1200), []),  # a pause between replies
        (Gap(5900, 900), []),  # the caller spoke in it
        (Gap(3000, 400), [BridgeEvent("playout.first-frame", 3390, {"reply": 2})]),
    ],
)
def test_other_silences_are_none(gap: Gap, events: list[BridgeEvent]) -> None:
    assert find_underruns([gap], UTTERANCES, events) == ()
