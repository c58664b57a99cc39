"""Whole calls where something unusual happens."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from call_rig import assistant_from, running_call
from fake_engines import ScriptedStream, says

from offhook.pipeline.clock import LoopClock
from offhook.pipeline.messages import CallerSaid, ModelDelta, ModelRequest, TextDelta, ToolRequest
from offhook.pipeline.pacing import PacingWheel


async def takes_25_s() -> dict[str, bool]:
    await asyncio.sleep(25)
    return {"ok": True}


async def will_not_stop() -> None:
    try:
        await asyncio.sleep(3600)
    except asyncio.CancelledError:
        await asyncio.sleep(1.5)
        raise


def tool(function: str, **more: Any) -> dict[str, Any]:
    return {"name": "look", "callable": f"{__name__}:{function}", **more}


def looks_up(request: ModelRequest) -> Sequence[ModelDelta | float]:
    last = request.messages[-1]
    if isinstance(last, CallerSaid):
        return [TextDelta("Let me look."), ToolRequest(f"id{len(request.messages)}", "look", "{}")]
    return [TextDelta("Here it is.")]


async def test_one_calls_failure_does_not_stop_the_wheel_for_the_others() -> None:
    loop = asyncio.get_running_loop()
    wheel = PacingWheel(LoopClock(loop, loop.time))
    served: list[float] = []

    def broken(now: float) -> None:
        raise RuntimeError("line")

    wheel.join(served.append)
    wheel.join(broken)
    await asyncio.sleep(1.05)
    late: list[float] = []
    wheel.join(late.append)
    await asyncio.sleep(1)
    assert len(served) >= 19
    assert len(late) >= 9


async def test_a_recogniser_that_fails_in_an_unknown_way_is_opened_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def odd(stream: ScriptedStream) -> None:
        await asyncio.sleep(1.0)
        raise ConnectionResetError("peer went away")

    monkeypatch.setattr(ScriptedStream, "run", odd)
    async with running_call() as rig:
        await rig.sleep(1.5)
        assert len(rig.transcriber.streams) == 2


async def test_a_caller_who_waits_for_a_tool_is_not_asked_whether_they_are_there() -> None:
    assistant = assistant_from(
        tools=[tool("takes_25_s", deadline_s=60)],
        turn_taking={
            "silence_hangup_s": 20,
            "silence_prompts": [{"after_s": 8, "text": "Are you still there?"}],
        },
    )
    async with running_call(assistant, looks_up) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("what is my balance please")
        await rig.sleep(30)
        assert rig.heard_replies() == ["Let me look.", "Here it is."]


async def test_hanging_up_does_not_wait_for_a_tool_that_is_slow_to_stop() -> None:
    async with running_call(assistant_from(tools=[tool("will_not_stop", deadline_s=600)]), looks_up) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("what is my balance please")
        await rig.sleep(5)
        rig.call.hang_up("operator")
        await rig.agent_starts()
        await rig.agent_is_silent(for_s=0.3)
        assert rig.line.closed


async def test_an_operators_hang_up_cannot_be_talked_away() -> None:
    async with running_call(assistant_from(goodbye="Thank you for calling us today and goodbye.")) as rig:
        await rig.sleep(0.5)
        rig.call.hang_up("operator")
        await rig.agent_starts()
        await rig.sleep(0.5)
        await rig.caller_says("no listen to me please")
        await rig.sleep(16)
        assert rig.line.closed


async def test_a_control_that_fails_still_closes_the_line() -> None:
    async with running_call() as rig:

        async def fails(outcome: object) -> None:
            raise RuntimeError("store")

        rig.control.end = fails  # type: ignore[method-assign]
        await rig.sleep(0.5)
        rig.call.line_closed("gone")
        await rig.sleep(0.5)
        assert rig.line.closed


async def test_a_patient_barge_in_does_not_make_the_ear_deaf() -> None:
    async with running_call(assistant_from(turn_taking={"pause_after_ms": 500})) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("yes", 0.4)
        await rig.agent_starts()
        await rig.agent_is_silent()
        assert rig.heard_replies() == ["All right."]


async def test_voice_activity_that_dies_is_a_fault_and_not_silence() -> None:
    async with running_call(assistant_from(apology="Sorry.")) as rig:
        await rig.sleep(0.5)
        rig.voice_activity.later = lambda callback: None  # type: ignore[method-assign]
        await rig.caller_says("book a table please")
        await rig.sleep(5)
        assert rig.heard_replies() == ["Sorry."]


async def test_a_line_that_is_congested_gets_nothing_until_it_reads_again() -> None:
    greeting = "Hello there my friend how are you doing on this fine day."
    async with running_call(assistant_from(first_message=greeting)) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("", 0.3)
        rig.line.congested = True
        written = len(rig.line.log)
        await rig.sleep(2)
        assert not [item for item in rig.line.log[written:] if item[1] == "audio"]
        rig.line.congested = False
        await rig.agent_starts()


async def test_times_of_a_turn_are_of_that_turn_and_not_of_a_noise_before_it() -> None:
    async with running_call() as rig:
        await rig.sleep(0.5)
        await rig.caller_says("", 0.3)
        await rig.sleep(5)
        await rig.caller_says("book a table please")
        await rig.agent_starts()
        await rig.agent_is_silent()
        (timeline,) = rig.log.of("turn.timeline")
        assert timeline["onset_ms"] > 5000


async def test_a_turn_in_two_breaths_has_one_number_and_one_answer() -> None:
    async with running_call(answerer=says("All right.")) as rig:
        rig.model.first_token_s = 1.5
        await rig.sleep(0.5)
        await rig.caller_says("book a table please")
        await rig.sleep(1.2)
        await rig.caller_says("for four people tonight")
        await rig.agent_starts()
        await rig.agent_is_silent()
        assert [item["turn"] for item in rig.log.of("turn.ended")] == [1, 1]
        assert len(rig.log.of("reply.withdrawn")) == 1
        assert rig.heard_replies() == ["All right."]


async def test_a_fault_of_our_own_logic_ends_the_call_and_hands_it_to_a_person() -> None:
    async with running_call(assistant_from(fallback_number="+15005550009")) as rig:
        await rig.sleep(0.5)

        def broken(evidence: object, now: float) -> list[object]:
            raise RuntimeError("not allowed")

        rig.call._turns.feed = broken  # type: ignore[method-assign,assignment]
        rig.call.say("This never comes.")
        await rig.sleep(0.5)
        assert rig.line.closed
        assert rig.control.outcome == {"status": "transfer", "number": "+15005550009", "reason": "fault"}
