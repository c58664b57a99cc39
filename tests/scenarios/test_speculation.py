"""Replies that are prepared while the caller's silence is waited out, in whole calls on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from call_rig import CallRig, assistant_from, running_call
from fake_engines import says

from offhook.pipeline.messages import (
    CallerSaid,
    ModelDelta,
    ModelRequest,
    TextDelta,
    ToolAnswered,
    ToolRequest,
)
from offhook.pipeline.tool_run import ToolOutcome

RUNS: list[float] = []


@pytest.fixture(autouse=True)
def _no_runs() -> None:
    RUNS.clear()


async def lookup(**arguments: Any) -> dict[str, str]:
    """A tool that notes when it ran."""
    RUNS.append(asyncio.get_running_loop().time())
    return {"arrives": "Tuesday"}


TOOL = {"name": "lookup", "callable": f"{__name__}:lookup"}


def first_frame_ms(rig: CallRig) -> float:
    """From the end-of-turn decision to the first audio written."""
    return (rig.log.times("playout.first-frame")[0] - rig.log.times("turn.ended")[0]) * 1000


async def answered(*, speculate: bool, first_token_s: float = 0.05) -> CallRig:
    assistant = assistant_from(turn_taking={"speculate": speculate})
    async with running_call(assistant, says("All right, word2 word3.")) as rig:
        rig.model.first_token_s = first_token_s
        await rig.sleep(0.5)
        await rig.caller_says("where is my order")
        await rig.agent_starts()
        await rig.agent_is_silent()
        return rig


async def test_the_first_frame_leaves_in_the_callback_that_ends_the_turn() -> None:
    assert first_frame_ms(await answered(speculate=True)) == 0
    assert first_frame_ms(await answered(speculate=False)) > 90


async def test_a_model_that_is_still_thinking_has_a_head_start() -> None:
    prepared = first_frame_ms(await answered(speculate=True, first_token_s=0.6))
    assert 0 < prepared < first_frame_ms(await answered(speculate=False, first_token_s=0.6)) - 150


async def test_one_request_is_made_and_the_history_holds_it_once() -> None:
    rig = await answered(speculate=True)
    assert len(rig.model.requests) == 1
    assert rig.log.of("call.ended")[0]["speculation"] == {
        "used": 1, "dropped": 0, "dropped_ms": 0, "dropped_tokens": 0,
    }  # fmt: skip
    messages = rig.call._replies.history.messages()
    assert [message.text for message in messages if isinstance(message, CallerSaid)] == ["where is my order"]


async def test_a_caller_who_goes_on_costs_a_request_and_no_sound() -> None:
    async with running_call(answerer=says("All right.")) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("where is")
        await rig.sleep(0.42)
        assert rig.log.of("speculation.started")
        await rig.caller_says("my order")
        await rig.agent_starts()
        await rig.agent_is_silent()
    figures = rig.log.of("call.ended")[0]["speculation"]
    assert (figures["used"], figures["dropped"]) == (1, 1)
    assert figures["dropped_tokens"] >= 1
    assert figures["dropped_ms"] > 0
    asked = [message.text for message in rig.model.requests[-1].messages if isinstance(message, CallerSaid)]
    assert asked == ["where is my order"]
    assert rig.heard_replies() == ["All right."]


def with_tool(request: ModelRequest) -> Sequence[ModelDelta | float]:
    if isinstance(request.messages[-1], ToolAnswered):
        return [TextDelta("It comes on Tuesday.")]
    return [ToolRequest("call_1", "lookup", "{}"), TextDelta("Let me look.")]


async def test_a_prepared_tool_call_waits_for_the_end_of_the_turn_and_runs_once() -> None:
    async with running_call(assistant_from(tools=[TOOL]), with_tool) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("where is my order")
        await rig.agent_starts()
        await rig.agent_is_silent(for_s=1.0)
    ended = rig.log.times("turn.ended")[0]
    assert rig.log.times("speculation.started")[0] < ended
    assert len(RUNS) == 1
    assert rig.log.times("function-call") == [ended]
    assert len(rig.model.requests) == 2


async def test_a_tool_of_a_reply_that_was_dropped_never_runs() -> None:
    async with running_call(assistant_from(tools=[TOOL]), with_tool) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("where is")
        await rig.sleep(0.42)
        await rig.caller_says("my hat")
        await rig.sleep(0.3)
        assert RUNS == []
        await rig.agent_starts()
        await rig.agent_is_silent(for_s=1.0)
    assert len(RUNS) == 1


async def test_a_preparation_that_fails_is_a_fault_only_if_it_was_wanted() -> None:
    async with running_call(answerer=says("All right.")) as rig:
        rig.model.fails = 2
        await rig.sleep(0.5)
        await rig.caller_says("where is")
        await rig.sleep(0.42)
        await rig.caller_says("my order")
        await rig.agent_starts()
        await rig.agent_is_silent()
    assert rig.log.of("fault") == []
    assert rig.heard_replies() == ["All right."]


async def test_a_wanted_preparation_that_failed_is_apologised_for() -> None:
    async with running_call(answerer=says("All right.")) as rig:
        rig.model.fails = 2
        await rig.sleep(0.5)
        await rig.caller_says("where is my order")
        await rig.agent_starts()
        await rig.agent_is_silent()
    assert [event["stage"] for event in rig.log.of("fault")] == ["model"]
    assert rig.heard_replies()[1].startswith("Sorry")


@pytest.mark.parametrize("after_s", [0.0, 0.2, 0.33, 0.36, 0.45, 0.499, 0.52])
async def test_a_call_that_ends_over_a_preparation_leaves_nothing(after_s: float) -> None:
    async with running_call(answerer=says("All right.")) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("where is my order")
        await rig.sleep(after_s)
        rig.call.line_closed("hung up")


async def test_a_prepared_reply_that_must_be_heard_is_not_cut() -> None:
    text = "This call word1 is word2 recorded word3 for word4 quality."
    async with running_call(answerer=lambda request: [TextDelta(text, interruptible=False)]) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("hello there my friend")
        await rig.agent_starts()
        await rig.sleep(0.5)
        await rig.caller_says("stop stop stop", 1.0)
        await rig.agent_is_silent()
    assert rig.log.of("speculation.used")
    assert rig.heard_replies()[0] == text


async def late(**arguments: Any) -> ToolOutcome:
    """A tool that takes 6 s and says what its answer is to be told with."""
    await asyncio.sleep(6.0)
    return ToolOutcome({"arrives": "Tuesday"}, {"tier": "gold"}, fallback=arguments.get("words", ""))


def with_late_tool(request: ModelRequest) -> Sequence[ModelDelta | float]:
    last = request.messages[-1]
    if isinstance(last, CallerSaid) and "order" in last.text:
        return [TextDelta("Let me look."), ToolRequest("call_1", "late", "{}")]
    return [TextDelta("Fine.")]


@pytest.mark.parametrize(
    "tool", [{"stale_after_s": 1.0}, {"arguments": {"words": "It comes on Tuesday."}}], ids=["stale", "words"]
)
async def test_an_answer_that_comes_over_a_preparation_is_known_to_the_reply(tool: dict[str, Any]) -> None:
    parameters = {"type": "object", "properties": {"words": {"type": "string"}}}
    tools = [
        {"name": "late", "callable": f"{__name__}:late", "deadline_s": 20, "parameters": parameters, **tool}
    ]
    async with running_call(
        assistant_from(tools=tools, instructions="Tier: {{tier}}."), with_late_tool
    ) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("where is my order")
        await rig.agent_starts()
        answered_at = rig.log.times("function-call")[0] + 6.0
        await rig.agent_is_silent()
        await rig.sleep(answered_at - 0.45 - 1.2 - rig.media_s)
        await rig.caller_says("and something else please")
        await rig.agent_starts()
        await rig.agent_is_silent(for_s=2)
        messages = rig.call._replies.history.messages()
    assert rig.log.times("speculation.started")[1] < answered_at < rig.log.times("turn.ended")[1]
    assert len(rig.log.of("speculation.dropped")) == 1
    assert rig.log.of("turn.timeline")[-1]["turn"] == 2
    asked = [request for request in rig.model.requests if isinstance(request.messages[-1], CallerSaid)]
    assert "gold" in asked[-1].messages[0].text
    assert [m.text for m in messages if isinstance(m, ToolAnswered) and not m.pending] == [
        '{"arrives": "Tuesday"}'
    ]


async def test_paid_engines_prepare_nothing_unless_told() -> None:
    assert assistant_from().speculates
    assert not assistant_from(turn_taking={"speculate": False}).speculates
