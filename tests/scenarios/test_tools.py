"""Tools inside whole calls: detached, deduplicated, told when there is room."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from call_rig import asks_once, assistant_from, running_call

from offhook.pipeline.messages import (
    AgentSaid,
    CallerSaid,
    ModelDelta,
    ModelRequest,
    TextDelta,
    ToolAnswered,
    ToolRequest,
)

RUNS: list[dict[str, Any]] = []


async def slow(**arguments: Any) -> dict[str, str]:
    """A tool that takes 1.5 s."""
    RUNS.append(arguments)
    await asyncio.sleep(1.5)
    return {"arrives": "Tuesday"}


async def stuck(**arguments: Any) -> None:
    """A tool that never answers."""
    RUNS.append(arguments)
    await asyncio.Event().wait()


async def broken(**arguments: Any) -> None:
    """A tool that fails."""
    raise RuntimeError("secret detail")


@pytest.fixture(autouse=True)
def _no_runs() -> None:
    RUNS.clear()


def tool(name: str, function: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "callable": f"{__name__}:{function}",
        "parameters": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]},
        **more,
    }


def asks_for(name: str, arguments: str = '{"id": "1"}', lead: str = "Let me look.") -> Any:
    """A model that asks for a tool once a turn of the caller's, and tells the answer."""

    def answer(request: ModelRequest) -> Sequence[ModelDelta | float]:
        last = request.messages[-1]
        if isinstance(last, ToolAnswered):
            return [TextDelta(f"It says {last.text}")]
        assert isinstance(last, CallerSaid)
        number = sum(isinstance(message, AgentSaid) for message in request.messages)
        return [TextDelta(lead), ToolRequest(f"t{number}", name, arguments)]

    return answer


async def test_a_slow_tool_is_answered_at_once_and_its_result_is_told_later() -> None:
    assistant = assistant_from(tools=[tool("look", "slow")])
    async with running_call(assistant, asks_for("look")) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("Where is my order?")
        await rig.agent_starts()
        await rig.agent_is_silent(for_s=2.5)
        assert rig.heard_replies() == ["Let me look.", 'It says {"arrives": "Tuesday"}']
        assert RUNS == [{"id": "1"}]
        assert rig.log.of("function-result")[0]["ok"] is True
        pending = [m for m in rig.model.requests[-1].messages if isinstance(m, ToolAnswered) and m.pending]
        assert len(pending) == 1


async def test_a_tool_survives_a_barge_in_and_the_model_knows_its_result_at_the_next_turn() -> None:
    assistant = assistant_from(tools=[tool("look", "slow")])
    lead = "Let me look that up for you in our very large book of orders, it may take a little while."
    async with running_call(assistant, asks_for("look", lead=lead)) as rig:
        rig.model.answerer = asks_for("look", lead=lead)
        await rig.sleep(0.5)
        await rig.caller_says("Where is my order?")
        await rig.agent_starts()
        await rig.sleep(0.6)
        rig.model.answerer = lambda request: [TextDelta("It comes on Tuesday.")]
        await rig.caller_says("please hurry up with that", 1.0)
        await rig.agent_is_silent(for_s=3)
        assert rig.heard_replies()[1:] == ["It comes on Tuesday."], "told once, with the answer to the caller"
        last = rig.model.requests[-1].messages
        assert isinstance(last[-2], ToolAnswered)
        assert (last[-2].text, last[-2].pending) == ('{"arrives": "Tuesday"}', False)
        assert len(RUNS) == 1


async def test_an_answer_that_comes_while_a_reply_is_made_to_the_caller_is_told_after_it() -> None:
    assistant = assistant_from(tools=[tool("look", "slow")])
    async with running_call(assistant, asks_for("look")) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("Where is my order?")
        await rig.sleep(0.6)
        await rig.caller_says("Are you there?", 0.6)
        rig.model.answerer = lambda request: [
            TextDelta(
                f"It says {request.messages[-1].text}"
                if isinstance(request.messages[-1], ToolAnswered)
                else "I am still looking for it."
            )
        ]
        await rig.agent_is_silent(for_s=3)
        assert rig.heard_replies()[-1] == 'It says {"arrives": "Tuesday"}'
        assert len(RUNS) == 1


async def test_a_tool_that_hangs_ends_at_its_deadline_and_the_model_is_told() -> None:
    assistant = assistant_from(tools=[tool("look", "stuck", deadline_s=2)])
    async with running_call(assistant, asks_for("look")) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("Where is my order?")
        await rig.agent_is_silent(for_s=4)
        assert rig.heard_replies()[-1] == "It says look did not answer within 2 s"


async def test_a_tool_that_fails_tells_the_model_no_secrets() -> None:
    assistant = assistant_from(tools=[tool("look", "broken")])
    async with running_call(assistant, asks_for("look")) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("Where is my order?")
        await rig.agent_is_silent(for_s=4)
        assert rig.heard_replies()[-1] == "It says look failed: RuntimeError"


async def test_the_same_request_while_the_tool_runs_shares_its_execution() -> None:
    assistant = assistant_from(tools=[tool("look", "slow")])

    def twice(request: ModelRequest) -> Sequence[ModelDelta | float]:
        if isinstance(request.messages[-1], ToolAnswered):
            return [TextDelta("Tuesday.")]
        return [
            TextDelta("Looking."),
            ToolRequest("a", "look", '{"id": "1"}'),
            ToolRequest("b", "look", '{ "id" : "1" }'),
        ]

    async with running_call(assistant, twice) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("Where is my order?")
        await rig.agent_is_silent(for_s=4)
        assert len(RUNS) == 1
        assert rig.heard_replies() == ["Looking.", "Tuesday."]


async def test_bad_arguments_go_back_to_the_model_in_the_same_reply() -> None:
    assistant = assistant_from(tools=[tool("look", "slow")])

    def corrects(request: ModelRequest) -> Sequence[ModelDelta | float]:
        last = request.messages[-1]
        if isinstance(last, ToolAnswered) and last.failed:
            return [ToolRequest("b", "look", '{"id": "7"}')]
        if isinstance(last, ToolAnswered):
            return [TextDelta("Tuesday.")]
        return [ToolRequest("a", "look", '{"order": 7}')]

    async with running_call(assistant, corrects) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("Where is my order?")
        await rig.agent_is_silent(for_s=4)
        assert RUNS == [{"id": "7"}]
        assert rig.heard_replies()[-1] == "Tuesday."


async def test_a_filler_is_said_while_a_tool_is_slow_and_nobody_speaks() -> None:
    assistant = assistant_from(tools=[tool("look", "slow", filler="One moment please.", filler_after_ms=800)])
    async with running_call(assistant, asks_for("look", lead="")) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("Where is my order?")
        await rig.agent_is_silent(for_s=4)
        assert rig.heard_replies() == ["", "One moment please.", 'It says {"arrives": "Tuesday"}']


async def test_the_call_ends_after_the_goodbye_was_heard() -> None:
    assistant = assistant_from(
        tools=[{"name": "end_call", "kind": "end_call"}], goodbye="Thank you, goodbye."
    )
    async with running_call(assistant, lambda request: [ToolRequest("x", "end_call", "{}")]) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("That is all, bye.")
        await rig.agent_starts()
        await rig.agent_is_silent()
        assert rig.heard_replies()[-1] == "Thank you, goodbye."
        assert rig.line.closed
        assert rig.control.outcome is not None
        assert rig.control.outcome["reason"] == "the assistant ended the call"


async def test_a_caller_who_speaks_into_the_goodbye_takes_the_call_up_again() -> None:
    assistant = assistant_from(
        tools=[{"name": "end_call", "kind": "end_call"}],
        goodbye="Thank you very much for your call and goodbye.",
    )

    async with running_call(assistant, asks_once("end_call", then="Of course.")) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("That is all, bye.")
        await rig.agent_starts()
        await rig.sleep(0.5)
        await rig.caller_says("oh wait one more question", 1.0)
        await rig.agent_is_silent(for_s=1.5)
        assert rig.heard_replies()[-1] == "Of course."
        assert not rig.line.closed


async def test_a_model_that_never_gets_the_arguments_right_gets_an_apology_not_silence() -> None:
    assistant = assistant_from(tools=[tool("look", "slow")], apology="Sorry about that.")
    async with running_call(assistant, lambda request: [ToolRequest("a", "look", "{")]) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("Where is my order?")
        await rig.agent_is_silent(for_s=2)
        assert len(rig.model.requests) == 3
        assert rig.heard_replies()[-1] == "Sorry about that."


async def test_words_that_tell_an_answer_stand_behind_it_in_the_history() -> None:
    assistant = assistant_from(tools=[tool("look", "slow")])

    def asks_what_is_not_there(request: ModelRequest) -> Sequence[ModelDelta | float]:
        if isinstance(request.messages[-1], ToolAnswered):
            return [TextDelta("I cannot look that up for you today.")]
        return [TextDelta("Let me look."), ToolRequest("a", "search", "{}")]

    async with running_call(assistant, asks_what_is_not_there) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("Where is my order?")
        await rig.agent_is_silent(for_s=2)
        assert rig.heard_replies() == ["Let me look. I cannot look that up for you today."]
        rig.model.answerer = lambda request: [TextDelta("You are welcome.")]
        await rig.caller_says("Thank you.")
        await rig.agent_is_silent(for_s=1)
        asked, answer, told, thanks = rig.model.requests[-1].messages[-4:]
        assert isinstance(asked, AgentSaid)
        assert (asked.text, [request.id for request in asked.tool_requests]) == ("Let me look.", ["a"])
        assert isinstance(answer, ToolAnswered)
        assert isinstance(told, AgentSaid)
        assert (told.text, told.tool_requests) == ("I cannot look that up for you today.", ())
        assert thanks == CallerSaid("Thank you.")


async def test_words_about_an_answer_of_which_nothing_was_heard_leave_the_answer_untold() -> None:
    assistant = assistant_from(tools=[tool("look", "slow")])
    lead = "Let me look that up in our very large book of orders for you."

    def asks_what_is_not_there(request: ModelRequest) -> Sequence[ModelDelta | float]:
        if isinstance(request.messages[-1], ToolAnswered):
            return [TextDelta("I cannot look that up for you today.")]
        return [TextDelta(lead), ToolRequest("a", "search", "{}")]

    async with running_call(assistant, asks_what_is_not_there) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("Where is my order?")
        await rig.agent_starts()
        await rig.sleep(0.8)
        rig.model.answerer = lambda request: [TextDelta("You are welcome.")]
        await rig.caller_says("no wait a second", 1.0)
        await rig.agent_is_silent(for_s=1)
        said, answer, _ = rig.model.requests[-1].messages[-3:]
        assert isinstance(said, AgentSaid)
        assert said.interrupted
        assert lead.startswith(said.text)
        assert isinstance(answer, ToolAnswered)
