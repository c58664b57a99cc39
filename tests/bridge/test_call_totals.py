"""Sums over calls: from their events to counters and histograms."""

from __future__ import annotations

import pytest
from call_rig import assistant_from, running_call
from fake_engines import says

from offhook.bridge.call_log import CallLog
from offhook.bridge.call_totals import FIGURES, STAGE_SPANS, CallTotals
from offhook.bridge.histogram import BOUNDS_S, Histogram
from offhook.pipeline.ports import CallEvent
from offhook.pipeline.timeline import STAGES

TURN = {
    "turn": 1,
    "onset_ms": 0,
    "last_sound_ms": 1000,
    "partial_ms": 700,
    "final_ms": 1150,
    "prepared_ms": None,
    "end_of_turn_ms": 1500,
    "first_token_ms": 1900,
    "first_clause_ms": 1950,
    "first_audio_ms": 2050,
    "first_frame_ms": 2051,
    "first_mark_ms": 2120,
}


def turn(**changes: int | None) -> CallTotals:
    """Totals of one turn."""
    totals = CallTotals()
    totals.observe(CallEvent("turn.timeline", 3000, {**TURN, **changes}))
    return totals


def seconds(totals: CallTotals) -> dict[str, float]:
    return {stage: round(histogram.sum_s, 3) for stage, histogram in totals.stages.items()}


def counted(histogram: Histogram) -> float:
    return histogram.cumulative()[-1][1]


def test_the_stages_of_a_turn_are_stages_of_the_timeline() -> None:
    ends = {name for beginnings, end in STAGE_SPANS.values() for name in (*beginnings, end)}
    assert ends <= set(STAGES)


def test_both_latencies_and_every_stage_of_a_turn_are_counted() -> None:
    totals = turn()
    assert totals.latencies["last_sound"].sum_s == pytest.approx(1.051)
    assert totals.latencies["end_of_turn"].sum_s == pytest.approx(0.551)
    assert seconds(totals) == {
        "endpointing": 0.5,
        "recogniser": 0.15,
        "model": 0.4,
        "clause": 0.05,
        "voice": 0.1,
        "playout": 0.001,
        "line": 0.069,
    }


def test_a_reply_that_was_prepared_waits_for_its_turn_and_not_for_its_model() -> None:
    totals = turn(prepared_ms=1100, first_token_ms=1200, first_clause_ms=1250, first_audio_ms=1350,
                  first_frame_ms=1501)  # fmt: skip
    assert seconds(totals)["model"] == 0.1
    assert seconds(totals)["playout"] == 0.001


def test_a_stage_that_was_not_reached_is_not_counted() -> None:
    totals = turn(first_token_ms=None, first_mark_ms=None)
    assert counted(totals.stages["model"]) == counted(totals.stages["line"]) == 0
    assert counted(totals.stages["voice"]) == 1


def test_a_final_that_came_before_the_last_sound_took_no_time() -> None:
    assert seconds(turn(final_ms=900))["recogniser"] == 0.0


def test_a_histogram_counts_what_is_at_most_each_bound() -> None:
    histogram = Histogram()
    for value in (-1.0, 0.05, 0.051, 4.9, 60.0):
        histogram.add(value)
    buckets = dict(histogram.cumulative())
    assert list(buckets) == [*map(str, BOUNDS_S), "+Inf"]
    assert (buckets["0.05"], buckets["0.1"], buckets["5.0"], buckets["+Inf"]) == (2, 3, 4, 5)


async def test_a_real_call_adds_its_figures_when_it_ends() -> None:
    totals = CallTotals()
    log = CallLog(totals.observe)
    async with running_call(assistant_from(first_message="Hello."), says("All right.")) as rig:
        rig.log.listener = log.emit
        await rig.sleep(2)
        await rig.caller_says("book a table please")
        await rig.agent_starts()
        await rig.agent_is_silent()
        assert totals.figures["media_s"] == 0.0
        sent = sum(size for _, kind, size in rig.line.log if kind == "audio")
    assert totals.figures["media_s"] == pytest.approx(rig.media_s, abs=0.1)
    assert totals.figures["sent_s"] == pytest.approx(sent / 8000, abs=0.001)
    assert set(FIGURES) <= set(rig.log.of("call.ended")[0])
    assert totals.events["turn.ended"] == totals.events["call.ended"] == 1
    assert counted(totals.latencies["last_sound"]) == 1


def test_events_that_a_log_does_not_keep_are_counted_all_the_same() -> None:
    totals = CallTotals()
    log = CallLog(totals.observe)
    for _ in range(10_005):
        log.emit(CallEvent("state", 0))
    assert (log.dropped, totals.events["state"]) == (5, 10_005)
