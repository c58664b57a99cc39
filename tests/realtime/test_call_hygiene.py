"""Calls that ended leave nothing: no task, timer, socket, stream or memory, however they ended."""

from __future__ import annotations

import asyncio
import gc
import tracemalloc
from collections.abc import AsyncIterator, Sequence
from typing import Any

import pytest
from call_rig import assistant_from
from socket_rig import ScriptedServer, scripted_server, silent_logs, sockets, tasks, timers

from offhook.bridge import media_socket, registry
from offhook.config.assistant import Assistant
from offhook.lab.phone import Phone
from offhook.lab.script import HangUp, HangUpKind, Say, Silence, Step, WaitFor
from offhook.pipeline.messages import ModelDelta, ModelRequest, TextDelta, ToolAnswered, ToolRequest

pytestmark = [pytest.mark.realtime, pytest.mark.both_loops]

GREETING = "Hello, this is a long greeting, long enough to be cut into, with many words over."
KINDS = tuple(kind for kind in HangUpKind if kind is not HangUpKind.NONE)
CLEAN_WITHIN_S = 2.0
CALLS = 200
KEPT_CALLS = 10
BYTES_PER_CALL = 2048


async def slow() -> str:
    """A tool that outlives every call of these tests."""
    await asyncio.sleep(30)
    return "never told"


class Asker:
    """Asks for the slow tool at every turn."""

    async def respond(self, request: ModelRequest) -> AsyncIterator[ModelDelta]:
        if not isinstance(request.messages[-1], ToolAnswered):
            yield ToolRequest(f"t{len(request.messages)}", "slow", "{}")
        yield TextDelta("All right over.")


def assistant() -> Assistant:
    return assistant_from(
        first_message="{{greeting}}",
        tools=[{"name": "slow", "callable": f"{__name__}:slow", "deadline_s": 60, "filler": "One moment."}],
        turn_taking={"endpointing_ms": 100},
    )


SHORT_CALL = (WaitFor("agent_speaks"), HangUp())
MOMENTS: dict[str, tuple[Sequence[Step], str, str | None]] = {
    "greeting": ([WaitFor("agent_speaks")], "playout.first-frame", "barge-in.paused"),
    "caller speaks": ([Say("sound")], "speech-update", "turn.ended"),
    "tool runs": ([Say("sound"), Silence(0.7)], "function-call", "function-result"),
    "paused": ([WaitFor("agent_speaks"), Say("sound")], "barge-in.paused", "barge-in.decided"),
}
"""What the caller does before hanging up; what must have happened by then, and what must not."""


async def caller(place: ScriptedServer, moment: str, kind: HangUpKind) -> Phone:
    """Be on the phone up to the moment, then hang up; returns the phone, whose socket may still be open."""
    steps, happened, not_yet = MOMENTS[moment]
    greeting = "" if moment in ("caller speaks", "tool runs") else GREETING
    phone, call_sid = place.phone(*steps, HangUp(kind), parameters={"greeting": greeting})
    end = await phone.stream(place.url)
    entry = place.server.state.registry.get(call_sid)
    assert entry is not None
    kinds = {event.type for event in entry.log.events}
    assert end.reason == kind.value, f"{moment}, {kind}: {end}"
    assert happened in kinds, f"{moment}, {kind}: {sorted(kinds)}"
    assert not_yet not in kinds, f"{moment}, {kind}: {sorted(kinds)}"
    return phone


async def test_calls_that_are_hung_up_in_the_middle_in_every_way_leave_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(media_socket, "SILENT_LINE_S", 1.0)
    async with scripted_server(assistant(), Asker()) as place:
        await caller(place, "greeting", HangUpKind.STOP)
        await asyncio.sleep(0.2)
        before = tasks(), timers(), sockets()
        phones = await asyncio.gather(*(caller(place, moment, kind) for moment in MOMENTS for kind in KINDS))
        # A vanished caller is found out by its silence; its socket is cut when nobody answers the goodbye.
        await asyncio.sleep(media_socket.SILENT_LINE_S + 1.0 + media_socket.CLOSE_WITHIN_S + CLEAN_WITHIN_S)
        assert set(place.live_parts().values()) == {0}, place.live_parts()
        assert len(sockets() - before[2]) == len(MOMENTS), "those that the vanished callers still hold"
        for phone in phones:
            await phone.release()
        await asyncio.sleep(0.1)
        gc.collect()
        assert tasks() <= before[0]
        assert len(timers()) <= len(before[1]), timers()
        assert sockets() == before[2]
        outcomes = [entry.outcome for entry in place.server.state.registry.all()]
        assert len(outcomes) == len(MOMENTS) * len(KINDS) + 1
        assert all(outcome and outcome["status"] == "ended" for outcome in outcomes)


async def test_two_hundred_calls_one_after_another_leave_nothing_and_memory_is_flat(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(registry, "FINISHED_LIMIT", KEPT_CALLS)
    with silent_logs():
        async with scripted_server(assistant(), Asker()) as place:
            readings = []
            before: tuple[set[str], set[str]] = set(), set()
            for number in range(CALLS):
                phone, _ = place.phone(
                    WaitFor("agent_speaks"), HangUp(), parameters={"greeting": "Hello over."}
                )
                end = await phone.stream(place.url)
                assert end.by == "caller"
                if number == 48:
                    tracemalloc.start()
                    before = tasks(), sockets()
                if number >= 49 and number % 10 == 9:
                    gc.collect()
                    readings.append((number, tracemalloc.get_traced_memory()[0]))
            tracemalloc.stop()
            await asyncio.sleep(0.1)
            assert set(place.live_parts().values()) == {0}, place.live_parts()
            assert tasks() <= before[0]
            assert sockets() <= before[1]
            growth = slope(readings)
            assert growth < BYTES_PER_CALL, f"{growth:.0f} bytes a call: {readings}"


def slope(readings: Sequence[tuple[int, int]]) -> float:
    """Bytes a call, by least squares."""
    mean_x = sum(x for x, _ in readings) / len(readings)
    mean_y = sum(y for _, y in readings) / len(readings)
    rise: Any = sum((x - mean_x) * (y - mean_y) for x, y in readings)
    return float(rise / sum((x - mean_x) ** 2 for x, _ in readings))
