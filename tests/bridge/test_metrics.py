"""`GET /metrics`, read as Prometheus reads it."""

from __future__ import annotations

import math
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from bridge_rig import CALL_SID, EchoFactory, loop_clock, settings
from prometheus_client.parser import text_string_to_metric_families

from offhook.bridge import http_rules
from offhook.bridge.metrics import metrics_text
from offhook.bridge.server import create_app
from offhook.bridge.server_state import STATE, ServerState
from offhook.bridge.stall_watch import Place, Usage
from offhook.bridge.trust import control_key
from offhook.pipeline.ports import CallEvent

TOKEN, PUBLIC = "t0ken", "https://bridge.example.com"
Labels = frozenset[tuple[str, str]]


@asynccontextmanager
async def bridge(**fields: Any) -> AsyncIterator[tuple[TestClient[Any, Any], ServerState]]:
    app = create_app(settings(**fields), EchoFactory(), loop_clock())
    async with TestClient(TestServer(app)) as client:
        yield client, app[STATE]


def samples(text: str) -> dict[str, dict[Labels, float]]:
    """Every sample by its name and its labels."""
    found: dict[str, dict[Labels, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[frozenset(sample.labels.items())] = sample.value
    return found


def of(state: ServerState) -> dict[str, dict[Labels, float]]:
    return samples(metrics_text(state).decode())


def labelled(**labels: str) -> Labels:
    return frozenset(labels.items())


BARE: Labels = frozenset()


async def test_a_new_server_has_all_its_figures_at_zero() -> None:
    async with bridge() as (client, _), client.get("/metrics") as answer:
        assert answer.status == 200
        assert answer.headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        figures = samples(await answer.text())
    assert figures["offhook_calls_live"] == {BARE: 0}
    assert figures["offhook_ready"] == {BARE: 1}
    assert figures["offhook_calls_refused_total"][labelled(rule="overloaded")] == 0
    assert figures["offhook_frames_received_total"] == {BARE: 0}
    assert figures["offhook_process_resident_memory_bytes"][BARE] > 1e6
    assert all(name.startswith("offhook_") for name in figures)


async def test_calls_and_what_was_refused_are_told_by_rule() -> None:
    async with bridge(max_calls=1) as (_, state):
        state.registry.admit(
            CALL_SID, assistant=None, may_replace=False, hang_up=lambda reason: None, cut=lambda reason: None
        )
        state.apply(http_rules.SPOKEN_AT_CAPACITY, call_sid="CA2")
        state.counters["not_json"] += 3
        figures = of(state)
    assert figures["offhook_calls_live"] == figures["offhook_calls_total"] == {BARE: 1}
    assert figures["offhook_ready"] == {BARE: 0}
    assert figures["offhook_calls_refused_total"][labelled(rule="spoken_at_capacity")] == 1
    assert figures["offhook_rules_applied_total"] == {
        labelled(rule="spoken_at_capacity"): 1,
        labelled(rule="not_json"): 3,
    }


async def test_stalls_are_told_by_kind_and_place_and_lag_in_seconds() -> None:
    async with bridge() as (_, state):
        watch, lag = state.lag.stalls, state.lag
        for _ in range(2):
            watch.expect(10.0, Usage())
            watch.look(10.1, lambda: Place("json.loads:1", "offhook.bridge.slow.look_up:7"))
            watch.beat(10.25, Usage())
        watch.expect(10.0, Usage())
        watch.beat(10.5, Usage(collected_s=0.4))
        lag.collections.counts[2], lag.collections.seconds[2] = 3, 0.4
        lag._late_s.extend([0.002] * 100)
        figures = of(state)
    place = labelled(kind="code", place="offhook.bridge.slow.look_up:7")
    assert figures["offhook_loop_stalls_total"][place] == 2
    assert figures["offhook_loop_stall_seconds_total"][place] == pytest.approx(0.5)
    assert figures["offhook_loop_stalls_total"][labelled(kind="garbage-collection", place="")] == 1
    assert figures["offhook_gc_pauses_total"][labelled(generation="2")] == 3
    assert figures["offhook_loop_lag_p99_seconds"] == {BARE: 0.002}


async def test_what_calls_did_is_told_when_they_end_and_never_what_they_said() -> None:
    ended = {
        "media_s": 10.0, "sent_s": 4.0, "underruns": 2, "underrun_s": 0.3, "clears": 1, "stale_marks": 0,
        "reconnects": 1, "switches": 0, "reason": "Rumpelstiltskin",
    }  # fmt: skip
    times = {"last_sound_ms": 1000, "end_of_turn_ms": 1400, "first_frame_ms": 2000}
    async with bridge() as (_, state):
        log = state.registry.admit(
            CALL_SID, assistant="x", may_replace=False, hang_up=lambda reason: None, cut=lambda reason: None
        ).log
        log.emit(CallEvent("transcript.final", 900, {"text": "Rumpelstiltskin", "utterance": 1}))
        log.emit(CallEvent("turn.timeline", 2100, {"turn": 1, **times}))
        log.emit(CallEvent("call.ended", 9000, ended))
        figures = of(state)
        assert b"Rumpelstiltskin" not in metrics_text(state)
        assert CALL_SID.encode() not in metrics_text(state)
    assert figures["offhook_frames_received_total"] == {BARE: 500}
    assert figures["offhook_audio_sent_bytes_total"] == {BARE: 32_000}
    assert figures["offhook_underrun_seconds_total"] == {BARE: pytest.approx(0.3)}
    assert figures["offhook_clears_total"] == figures["offhook_recogniser_reconnects_total"] == {BARE: 1}
    assert figures["offhook_call_events_total"][labelled(type="transcript.final")] == 1
    latency = figures["offhook_reply_latency_seconds_bucket"]
    assert latency[labelled(since="last_sound", le="0.8")] == 0
    assert latency[labelled(since="last_sound", le="1.0")] == 1
    assert latency[labelled(since="end_of_turn", le="0.65")] == 1
    assert figures["offhook_stage_seconds_sum"][labelled(stage="endpointing")] == pytest.approx(0.4)


async def test_a_stranger_gets_no_figures() -> None:
    async with bridge(twilio_auth_token=TOKEN, public_url=PUBLIC) as (client, _):
        async with client.get("/metrics") as answer:
            assert (answer.status, (await answer.text()).partition(":")[0]) == (403, "control_key_required")
        headers = {"Authorization": f"Bearer {control_key(TOKEN)}"}
        async with client.get("/metrics", headers=headers) as answer:
            assert answer.status == 200


async def test_a_scrape_is_no_stall_even_with_every_label_in_use() -> None:
    async with bridge() as (_, state):
        for number in range(60):
            state.lag.stalls.expect(10.0, Usage())
            state.lag.stalls.look(10.1, lambda: Place(f"offhook.bridge.slow.look_up:{number}"))  # noqa: B023
            state.lag.stalls.beat(10.25, Usage())
            state.counters[f"rule_{number}"] += 1
            state.totals.events[f"event.{number}"] += 1
        shortest = math.inf
        for _ in range(5):
            begun = time.thread_time()
            metrics_text(state)
            shortest = min(shortest, time.thread_time() - begun)
    assert shortest < 0.02
