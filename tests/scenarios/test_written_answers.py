"""What is written beside a call, or before it: one conversation with what is said."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from call_rig import CallRig, assistant_from, running_call
from fake_engines import says
from hypothesis import given, settings
from hypothesis import strategies as st
from written_rig import Post, text_session

from offhook.config.errors import ToolError
from offhook.pipeline.conversation import Conversation
from offhook.pipeline.correspondence import WAITING_LIMIT, WrittenAnswer
from offhook.pipeline.messages import (
    AgentSaid,
    CallerSaid,
    Message,
    ModelDelta,
    ModelRequest,
    StartOver,
    TextDelta,
    ToolAnswered,
    ToolRequest,
)
from offhook.pipeline.tool_run import ToolOutcome

RUNS: list[str] = []
SCHEMA = {"type": "object", "properties": {"order": {"type": "string"}}, "required": ["order"]}


async def look(order: str) -> Any:
    """A tool that takes 3 s; some orders are odd."""
    RUNS.append(order)
    await asyncio.sleep(3)
    if order == "lost":
        raise ToolError("the order book answers 503", fallback="Our order book is down.")
    return (
        ToolOutcome({"day": "Friday"}, context={"name": "Ms Lee"}) if order == "mine" else {"day": "Monday"}
    )


@pytest.fixture(autouse=True)
def _no_runs() -> None:
    RUNS.clear()


def with_tool(**fields: Any) -> Any:
    tool = {
        "name": "look",
        "callable": f"{__name__}:look",
        "parameters": SCHEMA,
        "filler": "One moment.",
        "filler_after_ms": 500,
    }
    return assistant_from(tools=[tool], **fields)


def looks_up(request: ModelRequest) -> Sequence[ModelDelta | float]:
    """Look up the order that was named last, and tell what came of it."""
    last = request.messages[-1]
    if isinstance(last, ToolAnswered):
        return [TextDelta(f"It says {last.text}.")]
    assert isinstance(last, CallerSaid)
    order = last.text.split()[-1]
    return [ToolRequest("x", "look", f'{{"order": "{order}"}}')]


def told_next(rig: CallRig) -> tuple[Message, ...]:
    """The conversation as the model would be told it now."""
    return rig.call.conversation().messages


# ------------------------------------------------------------- beside a call


async def test_a_text_is_answered_in_writing_while_the_agent_speaks_and_nobody_hears_of_it() -> None:
    long = "One two three four five six seven eight nine ten."
    async with running_call(assistant_from(first_message=long), says("Noted.")) as rig:
        await rig.agent_starts()
        post = Post()
        rig.call.write(post.turn("My order is 4711."))
        assert await post.came(within_s=0.5) == ["Noted."]
        await rig.agent_is_silent()
        assert rig.heard_replies() == [long]
        assert rig.log.of("message.received") == [{"message": 1, "text": "My order is 4711."}]
        assert rig.log.of("message.answered") == [{"message": 1, "text": "Noted.", "ok": True, "ms": 50}]


async def test_the_next_spoken_answer_knows_what_was_written() -> None:
    async with running_call(None, says("Noted.", "It is 4711.")) as rig:
        post = Post()
        rig.call.write(post.turn("My order is 4711."))
        await post.came()
        await rig.caller_says("What is my order?")
        await rig.agent_starts()
        await rig.agent_is_silent()
        assert told_next(rig)[-4:] == (
            CallerSaid("My order is 4711."),
            AgentSaid("Noted.", "Noted."),
            CallerSaid("What is my order?"),
            AgentSaid("It is 4711.", "It is 4711."),
        )


async def test_an_answer_by_both_ways_is_given_at_once_and_read_out_when_nobody_speaks() -> None:
    async with running_call(None, says("It leaves on Monday.")) as rig:
        post = Post()
        rig.caller_begins("Hold on I am writing it down", 2.0)
        await rig.sleep(0.5)
        rig.call.write(post.turn("When does it leave?", aloud=True))
        assert await post.came(within_s=0.5) == ["It leaves on Monday."]
        assert not rig.line.speaking_at(rig.clock.now())
        await rig.agent_starts(8)
        await rig.agent_is_silent()
        assert "It leaves on Monday." in rig.heard_replies()
        assert [d["reply"] for d in rig.log.of("reply.started") if d.get("purpose") == "written"] == [3]
        said = [message for message in told_next(rig) if message == CallerSaid("When does it leave?")]
        assert len(said) == 1


async def test_a_tool_is_waited_for_and_no_filler_is_spoken() -> None:
    async with running_call(with_tool(), looks_up) as rig:
        post = Post()
        rig.call.write(post.turn("Look at mine"))
        assert await post.came() == ['It says {"day": "Friday"}.']
        await rig.sleep(3)
        assert RUNS == ["mine"]
        assert rig.heard_replies() == []
        asked, answered = [m for m in told_next(rig) if isinstance(m, AgentSaid | ToolAnswered)][:2]
        assert isinstance(asked, AgentSaid)
        assert isinstance(answered, ToolAnswered)
        assert [request.id for request in asked.tool_requests] == [answered.request_id]
        assert not answered.pending


async def test_a_tool_that_is_asked_by_voice_and_in_writing_runs_once_and_answers_both() -> None:
    async with running_call(with_tool(), looks_up) as rig:
        await rig.caller_says("Look at 4711")
        while not RUNS:
            await rig.sleep(0.1)
        post = Post()
        rig.call.write(post.turn("Look at 4711"))
        assert await post.came() == ['It says {"day": "Monday"}.']
        await rig.agent_starts()
        await rig.agent_is_silent()
        assert RUNS == ["4711"]
        assert rig.heard_replies()[-1] == 'It says {"day": "Monday"}.'


async def test_what_a_tool_gives_to_be_said_as_it_stands_is_written_so() -> None:
    async with running_call(with_tool(), looks_up) as rig:
        post = Post()
        rig.call.write(post.turn("Look at lost"))
        assert await post.came() == ["Our order book is down."]


async def test_a_text_that_ends_the_call_has_it_ended() -> None:
    assistant = assistant_from(tools=[{"name": "bye", "kind": "end_call"}], goodbye="Goodbye.")

    def hangs_up(request: ModelRequest) -> Sequence[ModelDelta | float]:
        return [TextDelta("I will."), ToolRequest("x", "bye", "{}")]

    async with running_call(assistant, hangs_up) as rig:
        post = Post()
        rig.call.write(post.turn("Please hang up"))
        assert await post.came() == ["I will."]
        await rig.sleep(3)
        assert rig.heard_replies() == ["Goodbye."]
        assert [data["reason"] for data in rig.log.of("call.ended")] == ["the assistant ended the call"]


async def test_texts_are_answered_one_after_another_and_one_too_many_is_not_taken() -> None:
    def counts(request: ModelRequest) -> Sequence[ModelDelta | float]:
        return [1.0, TextDelta(str(sum(isinstance(message, AgentSaid) for message in request.messages)))]

    async with running_call(None, counts) as rig:
        post = Post()
        for number in range(WAITING_LIMIT + 1):
            rig.call.write(post.turn(f"Text {number}"))
        assert post.answers == [WrittenAnswer("", ok=False, why="busy")]
        await post.came(WAITING_LIMIT + 1)
        assert [answer.text for answer in post.answers[1:]] == [str(n) for n in range(WAITING_LIMIT)]


async def test_a_model_that_fails_is_apologised_for_in_writing_and_the_call_goes_on() -> None:
    async with running_call(assistant_from(apology="Sorry, that failed."), says("Yes?")) as rig:
        rig.model.fails = 5
        post = Post()
        rig.call.write(post.turn("Hello"))
        assert await post.came() == ["Sorry, that failed."]
        assert not post.answers[0].ok
        assert rig.heard_replies() == []
        rig.model.fails = 0
        await rig.caller_says("Are you there")
        await rig.agent_starts()


@pytest.mark.parametrize(
    "deltas",
    [
        pytest.param([], id="no words"),
        pytest.param([TextDelta("  ")], id="blanks"),
        pytest.param([ToolRequest("x", "nothing_of_that_name", "{}")], id="a tool that is not there"),
    ],
)
async def test_a_model_without_an_answer_ends_in_an_apology(deltas: list[ModelDelta | float]) -> None:
    async with running_call(assistant_from(apology="Sorry."), lambda request: deltas) as rig:
        post = Post()
        rig.call.write(post.turn("Hello"))
        assert await post.came() == ["Sorry."]
        assert len(rig.model.requests) <= 3


async def test_an_answer_that_begins_anew_holds_only_what_came_after() -> None:
    async with running_call(None, lambda r: [TextDelta("Wro"), StartOver(), TextDelta("Right.")]) as rig:
        post = Post()
        rig.call.write(post.turn("Hello"))
        assert await post.came() == ["Right."]


async def test_whoever_waits_when_the_call_ends_is_told_that_nothing_comes() -> None:
    post = Post()
    async with running_call(with_tool(), looks_up) as rig:
        rig.call.write(post.turn("Look at mine"))
        rig.call.write(post.turn("And at 4711"))
        await rig.sleep(1)
    over = WrittenAnswer("", ok=False, why="over")
    assert post.answers == [over, over]
    rig.call.write(post.turn("Hello?"))
    assert post.answers == [over] * 3


async def test_a_reply_that_was_prepared_without_knowing_of_a_text_is_made_anew() -> None:
    def knows(request: ModelRequest) -> Sequence[ModelDelta | float]:
        written = any(message == CallerSaid("It is 4711") for message in request.messages)
        return [TextDelta("Your order is 4711." if written else "I do not know.")]

    assistant = assistant_from(turn_taking={"speculate": True, "endpointing_ms": 800})
    async with running_call(assistant, knows) as rig:
        post = Post()
        rig.caller_begins("What is my order?", 1.0)
        await rig.sleep(0.9)
        rig.call.write(post.turn("It is 4711"))
        await rig.agent_starts(8)
        await rig.agent_is_silent()
        assert rig.heard_replies() == ["Your order is 4711."]


# -------------------------------------------------- in writing, then a call


async def test_a_conversation_in_writing_uses_tools_and_learns_from_them() -> None:
    assistant = with_tool(instructions="You speak with {{name}}.")
    instructions: list[str] = []

    def notes(request: ModelRequest) -> Sequence[ModelDelta | float]:
        instructions.append(getattr(request.messages[0], "text", ""))
        return looks_up(request)

    async with text_session(notes, assistant) as (held, log):
        post = Post()
        held.write(post.turn("Look at mine"))
        assert await post.came() == ['It says {"day": "Friday"}.']
        assert instructions == ["You speak with Mr Hu.", "You speak with Ms Lee."]
        assert held.conversation().variables == {"name": "Ms Lee"}
    kinds = [event.type for event in log.events]
    assert kinds[0] == "session.started"
    assert kinds[-1] == "session.ended"
    assert len(log.of("function-call")) == len(log.of("function-result")) == 1


async def test_a_conversation_in_writing_has_no_tool_that_needs_a_line() -> None:
    kinds = ("end_call", "send_dtmf", "collect_digits")
    assistant = assistant_from(tools=[{"name": kind, "kind": kind} for kind in kinds])
    offered: list[str] = []

    def lists(request: ModelRequest) -> Sequence[ModelDelta | float]:
        offered.extend(tool.name for tool in request.tools)
        return [TextDelta("None.")]

    async with text_session(lists, assistant) as (held, _):
        post = Post()
        held.write(post.turn("What can you do?"))
        assert await post.came() == ["None."]
    assert offered == []


async def test_a_call_goes_on_with_what_was_written_and_greets_whoever_comes() -> None:
    async with text_session(says("Noted.")) as (held, _):
        post = Post()
        held.write(post.turn("My order is 4711."))
        await post.came()
        written = held.conversation()
    assistant = assistant_from(first_message="Hello.", resumed_message="Sorry, we were cut off.")
    async with running_call(assistant, says("It is 4711."), resumes=written) as rig:
        await rig.agent_starts()
        await rig.agent_is_silent()
        assert rig.heard_replies() == ["Hello."]
        assert rig.log.of("call.resumed") == []
        assert rig.log.of("call.follows-text") == [{"messages": 2}]
        await rig.caller_says("What is my order?")
        await rig.agent_starts()
        assert CallerSaid("My order is 4711.") in rig.model.requests[-1].messages


def written_conversation() -> Conversation:
    said = (CallerSaid("Hi"), AgentSaid("Hello", "Hello"))
    return Conversation(said, variables={"name": "Hu"}, written=True)


def test_a_written_conversation_is_read_back_as_it_was() -> None:
    assert Conversation.from_plain(written_conversation().to_plain()) == written_conversation()


@settings(max_examples=25)
@given(moments=st.lists(st.floats(0, 6), min_size=1, max_size=5))
async def test_at_whatever_moments_texts_come_every_one_is_answered_once_and_stands_in_the_history_once(
    moments: list[float],
) -> None:
    post = Post()
    async with running_call(assistant_from(first_message="Hello there."), says("One two three.")) as rig:
        rig.caller_begins("Tell me the news", 1.0)
        begun_s = rig.clock.now()
        for number, moment in enumerate(sorted(moments)):
            await rig.clock.sleep_until(begun_s + moment)
            rig.call.write(post.turn(f"Text {number}", aloud=number % 2 == 1))
        await post.came(len(moments))
        await rig.sleep(8)
        texts = [message for message in told_next(rig) if isinstance(message, CallerSaid)]
    assert [answer.ok for answer in post.answers] == [True] * len(moments)
    for number in range(len(moments)):
        assert sum(f"Text {number}" in message.text for message in texts) == 1
