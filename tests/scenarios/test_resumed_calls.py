"""Calls that go on where a process that is gone left them."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from call_rig import CallRig, assistant_from, running_call
from fake_engines import Answerer

from offhook.config.assistant import Assistant
from offhook.pipeline.conversation import OUTCOME_UNKNOWN, Conversation
from offhook.pipeline.messages import (
    AgentSaid,
    CallerSaid,
    Message,
    ModelDelta,
    ModelRequest,
    TextDelta,
    ToolAnswered,
    ToolRequest,
)

RUNS: list[str] = []
BOOKED = "It is booked for Monday, and a letter is on its way to you."
LINE = "Sorry, the line broke for a moment."


async def book(day: str) -> dict[str, str]:
    """A tool that must not be run twice, and takes 2 s."""
    RUNS.append(day)
    await asyncio.sleep(2)
    return {"booked": day}


@pytest.fixture(autouse=True)
def _no_runs() -> None:
    RUNS.clear()


def clerk() -> Assistant:
    schema = {"type": "object", "properties": {"day": {"type": "string"}}, "required": ["day"]}
    tool = {"name": "book", "callable": f"{__name__}:book", "parameters": schema, "deadline_s": 10}
    return assistant_from(tools=[tool], fallback_number="+15550100200")


def books(seen: list[Sequence[Message]]) -> Answerer:
    """A model that books when it is asked to, and tells what came of it."""

    def answer(request: ModelRequest) -> Sequence[ModelDelta | float]:
        seen.append(request.messages)
        last = request.messages[-1]
        if isinstance(last, ToolAnswered):
            return [TextDelta(last.text if last.failed else BOOKED)]
        if isinstance(last, CallerSaid) and "book" in last.text:
            return [
                TextDelta("Let me book that for you now."),
                ToolRequest("r1", "book", '{"day": "Monday"}'),
            ]
        return [TextDelta("We are open from nine to five, from Monday to Friday, all the year round.")]

    return answer


async def cut(assistant: Assistant, answerer: Answerer, story: Callable[[CallRig], Any]) -> Conversation:
    """Hold a call up to a moment at which its process dies; returns what was kept of it."""
    async with running_call(assistant, answerer) as rig:
        await story(rig)
        kept = json.dumps(rig.call.conversation().to_plain())
    return Conversation.from_plain(json.loads(kept))


async def test_a_reply_that_was_cut_is_made_anew_for_the_same_turn_without_asking_the_caller() -> None:
    seen: list[Sequence[Message]] = []

    async def story(rig: CallRig) -> None:
        await rig.sleep(0.5)
        await rig.caller_says("When are you open?")
        await rig.agent_starts()
        await rig.sleep(1.0)

    kept = await cut(clerk(), books(seen), story)
    assert (kept.unanswered, kept.messages) == ("When are you open?", ())
    async with running_call(clerk(), books(seen), resumes=kept) as rig:
        await rig.agent_is_silent(for_s=2)
        assert rig.heard_replies() == [
            LINE,
            "We are open from nine to five, from Monday to Friday, all the year round.",
        ]
        assert rig.log.of("call.resumed") == [{"messages": 0}]


async def test_what_was_said_before_is_known_and_the_callers_next_turn_goes_on() -> None:
    seen: list[Sequence[Message]] = []

    async def story(rig: CallRig) -> None:
        await rig.sleep(0.5)
        await rig.caller_says("When are you open?")
        await rig.agent_starts()
        await rig.agent_is_silent(for_s=2)

    kept = await cut(clerk(), books(seen), story)
    assert kept.unanswered == ""
    async with running_call(clerk(), books(seen), resumes=kept) as rig:
        await rig.agent_is_silent(for_s=1)
        assert rig.heard_replies() == [LINE], "nothing is owed"
        await rig.caller_says("And on Sunday?")
        await rig.agent_is_silent(for_s=2)
        told = [message for message in seen[-1] if isinstance(message, CallerSaid | AgentSaid)]
        assert told[0] == CallerSaid("When are you open?")
        assert told[-1] == CallerSaid("And on Sunday?")
        assert any(isinstance(message, AgentSaid) and "nine to five" in message.text for message in told)


@pytest.mark.parametrize("after_s", [round(0.2 * step, 1) for step in range(3, 40)])
async def test_a_tool_is_never_run_twice_whenever_the_process_dies(after_s: float) -> None:
    seen: list[Sequence[Message]] = []

    async def story(rig: CallRig) -> None:
        await rig.sleep(0.5)
        rig.caller_begins("Please book Monday.")
        await rig.sleep(after_s)

    kept = await cut(clerk(), books(seen), story)
    ran_before, known = list(RUNS), [answer.text for answer in kept.untold]
    async with running_call(clerk(), books(seen), resumes=kept) as rig:
        await rig.agent_is_silent(for_s=6)
        heard = " ".join(rig.heard_replies())
    assert heard.startswith(LINE)
    assert len(RUNS) <= 1
    if ran_before:
        settled = any(isinstance(m, AgentSaid) and m.text == BOOKED for m in kept.messages)
        assert settled or (BOOKED if known else OUTCOME_UNKNOWN.split(":")[0]) in heard
    elif kept.unanswered:
        assert BOOKED in heard


async def test_variables_that_a_tool_learned_and_the_fallback_go_along() -> None:
    async def story(rig: CallRig) -> None:
        await rig.sleep(0.5)

    kept = await cut(clerk(), books([]), story)
    assert kept.variables == {"from": "+15550100"}
    assert kept.fallback_number == "+15550100200"
    more = Conversation.from_plain({**kept.to_plain(), "variables": {"name": "Ms Lee"}})
    assistant = assistant_from(instructions="Talk to {{name}}, who calls from {{from}}.")
    seen: list[Sequence[Message]] = []
    async with running_call(assistant, books(seen), resumes=more) as rig:
        await rig.agent_is_silent(for_s=1)
        await rig.caller_says("Hello?")
        await rig.agent_is_silent(for_s=1)
    assert getattr(seen[-1][0], "text", "") == "Talk to Ms Lee, who calls from +15550100."
