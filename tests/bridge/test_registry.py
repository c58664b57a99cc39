"""The registry: who is live, who wins, and that nothing stays for ever."""

from __future__ import annotations

import pytest
from bridge_rig import ManualClock

from offhook.bridge import registry as limits
from offhook.bridge.registry import HANG_UP_GRACE_S, CallEntry, CallRegistry, CallStatus
from offhook.config.errors import Refused
from offhook.pipeline.ports import CallEvent


class Calls:
    """A registry, and what it asked of its calls."""

    def __init__(self, max_calls: int = 2) -> None:
        self.clock = ManualClock()
        self.registry = CallRegistry(
            self.clock, max_calls=max_calls, max_call_s=100.0, wall_time=lambda: 1.75e9
        )
        self.asked: list[tuple[str, str, str]] = []

    def admit(self, call_sid: str, *, may_replace: bool = False) -> CallEntry:
        return self.registry.admit(
            call_sid,
            assistant=None,
            may_replace=may_replace,
            hang_up=lambda reason: self.asked.append((call_sid, "hang_up", reason)),
            cut=lambda reason: self.asked.append((call_sid, "cut", reason)),
        )


def test_a_call_is_live_then_remembered_with_its_outcome() -> None:
    calls = Calls()
    entry = calls.admit("CA1")
    assert calls.registry.live() == (entry,)
    entry.outcome = {"status": "ended"}
    entry.log.emit(CallEvent("call.started", 0, {"a": 1}))
    calls.registry.finish(entry)
    calls.registry.finish(entry)
    assert calls.registry.live() == ()
    assert calls.registry.get("CA1") is entry
    assert entry.record(with_events=True) == {
        "id": "CA1",
        "status": "ended",
        "assistant": None,
        "started_at": 1.75e9,
        "outcome": {"status": "ended"},
        "events": [{"type": "call.started", "at_ms": 0, "data": {"a": 1}}],
        "events_dropped": 0,
    }


def test_no_call_beyond_the_limit() -> None:
    calls = Calls(max_calls=1)
    first = calls.admit("CA1")
    assert calls.registry.full
    with pytest.raises(Refused) as refused:
        calls.admit("CA2")
    assert refused.value.status == 503
    calls.registry.finish(first)
    assert calls.admit("CA2").status is CallStatus.LIVE


def test_the_newest_stream_wins_if_it_may() -> None:
    calls = Calls(max_calls=1)
    old = calls.admit("CA1")
    with pytest.raises(Refused) as refused:
        calls.admit("CA1")
    assert refused.value.status == 409
    new = calls.admit("CA1", may_replace=True)
    assert calls.asked == [("CA1", "cut", "replaced")]
    assert old.status is CallStatus.ENDED
    assert calls.registry.live() == (new,)
    calls.registry.finish(old)
    assert calls.registry.get("CA1") is new


def test_a_call_of_the_longest_time_is_asked_to_end_and_then_cut() -> None:
    calls = Calls()
    calls.admit("CA1")
    calls.clock.advance(99.9)
    assert calls.asked == []
    calls.clock.advance(0.1)
    assert calls.asked == [("CA1", "hang_up", "max-duration")]
    calls.clock.advance(HANG_UP_GRACE_S)
    assert calls.asked[1:] == [("CA1", "cut", "max-duration")]


def test_an_ended_call_leaves_no_timer() -> None:
    calls = Calls()
    calls.registry.finish(calls.admit("CA1"))
    assert calls.clock.pending == []


def test_the_memory_of_ended_calls_is_bounded_in_number(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FINISHED_LIMIT", 3)
    calls = Calls()
    for number in range(10):
        calls.registry.finish(calls.admit(f"CA{number}"))
    assert [entry.call_sid for entry in calls.registry.all()] == ["CA9", "CA8", "CA7"]
    assert calls.registry.get("CA1") is None


def test_the_memory_of_ended_calls_is_bounded_in_events(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "FINISHED_EVENTS_LIMIT", 25)
    calls = Calls()
    for number in range(4):
        entry = calls.admit(f"CA{number}")
        for _ in range(10):
            entry.log.emit(CallEvent("x", 0))
        calls.registry.finish(entry)
    assert [entry.call_sid for entry in calls.registry.all()] == ["CA3", "CA2"]


def test_the_memory_of_ended_calls_is_bounded_in_time() -> None:
    calls = Calls()
    calls.registry.finish(calls.admit("CA1"))
    calls.clock.advance(limits.FINISHED_FOR_S - 1)
    assert calls.registry.get("CA1") is not None
    calls.clock.advance(2)
    assert calls.registry.get("CA1") is None
    assert calls.registry.all() == ()


async def test_one_can_wait_for_the_last_call() -> None:
    calls = Calls()
    await calls.registry.wait_idle()
    entry = calls.admit("CA1")
    assert not calls.registry._idle.is_set()
    calls.registry.finish(entry)
    await calls.registry.wait_idle()
