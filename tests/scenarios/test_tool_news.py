"""Answers of tools in whole calls: each is told once, by whatever comes between."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from typing import Any

import pytest
from call_laws import WatchedRig, history_of, lawful_call
from call_rig import assistant_from
from fake_engines import Answerer

from offhook.config.errors import ToolError
from offhook.pipeline.messages import (
    AgentSaid,
    CallerSaid,
    Instructions,
    ModelDelta,
    ModelRequest,
    TextDelta,
    ToolAnswered,
    ToolRequest,
)
from offhook.pipeline.providers.embedded.agent import IntentsAgent
from offhook.pipeline.tool_run import ToolOutcome, ToolRun

RUNS: list[str] = []
SCHEMA = {"type": "object", "properties": {"order": {"type": "string"}}, "required": ["order"]}


async def slow(order: str) -> dict[str, str]:
    """A tool that takes 6 s."""
    RUNS.append(order)
    await asyncio.sleep(6)
    return {"arrives": f"Day {order}"}


async def brisk(order: str) -> dict[str, str]:
    """A tool that takes 1.5 s."""
    RUNS.append(order)
    await asyncio.sleep(1.5)
    return {"arrives": f"Day {order}"}


async def down(order: str) -> None:
    """A tool that fails and says what the caller should hear."""
    RUNS.append(order)
    await asyncio.sleep(1.5)
    raise ToolError("the order book answers 503", fallback="Our order book is down, sorry.")


async def knows_more(order: str, call: ToolRun) -> ToolOutcome:
    """A tool that adds to the call's variables."""
    RUNS.append(f"{call.variables.get('name', 'nobody')} {call.call_id}")
    return ToolOutcome({"found": True}, context={"name": "Ms Lee"})


@pytest.fixture(autouse=True)
def _no_runs() -> None:
    RUNS.clear()


def tool(function: Callable[..., Any], **more: Any) -> dict[str, Any]:
    reference = f"{__name__}:{function.__name__}"
    return {"name": "look", "callable": reference, "parameters": SCHEMA, "deadline_s": 20, **more}


def naive(lead: str = "Let me look.", telling: str = "It comes on {} as it seems.") -> Answerer:
    """A model that tells new answers, and asks the tool again at every other turn of the caller's."""

    def answer(request: ModelRequest) -> Sequence[ModelDelta | float]:
        new = new_answers(request)
        if new:
            return [TextDelta(telling.format(" and ".join(dict.fromkeys(new))))]
        number = len(request.messages)
        return [TextDelta(lead), ToolRequest(f"r{number}", "look", '{"order": "1"}')]

    return answer


def new_answers(request: ModelRequest) -> list[str]:
    """What tools answered since the agent last spoke."""
    texts: list[str] = []
    for message in reversed(request.messages):
        if isinstance(message, AgentSaid):
            break
        if isinstance(message, ToolAnswered) and not message.pending:
            texts.append(message.text if message.failed else json.loads(message.text).get("arrives", "there"))
    return texts[::-1]


def told(rig: WatchedRig, word: str = "Day") -> list[str]:
    return [text for text in rig.heard_replies() if word in text]


async def test_a_tool_of_six_seconds_is_run_once_though_caller_and_model_ask_again() -> None:
    async with lawful_call(assistant_from(tools=[tool(slow)]), naive()) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("Where is my order?")
        await rig.sleep(2.5)
        await rig.caller_says("hello?", 0.5)
        await rig.agent_is_silent(for_s=5)
        requests = [m for m in history_of(rig) if isinstance(m, AgentSaid) and m.tool_requests]
        assert len(requests) == 2, "the model asked twice"
        assert RUNS == ["1"]
        assert told(rig) == ["It comes on Day 1 as it seems."]
        assert not any(isinstance(m, ToolAnswered) and m.pending for m in unanswered(rig))


def unanswered(rig: WatchedRig) -> list[ToolAnswered]:
    last = {m.request_id: m for m in history_of(rig) if isinstance(m, ToolAnswered)}
    return [message for message in last.values() if message.pending]


async def test_the_embedded_agent_does_not_ask_again_while_its_tool_runs() -> None:
    assistant = assistant_from(
        tools=[tool(slow, messages=[{"after_ms": 2000, "text": "Still looking."}])],
        model={
            "intents": [
                {
                    "name": "order",
                    "say": ["where is order 1", "where is my order", "track order 1"],
                    "slots": {"order": {"pattern": r"\d", "ask": "Which order?"}},
                    "reply": "Let me see.",
                    "tool": "look",
                    "tool_reply": "It comes on {arrives}.",
                }
            ],
            "fallback": "Yes, I am here.",
        },
    )
    async with lawful_call(assistant, naive()) as rig:
        agent = IntentsAgent(assistant)
        rig.model.respond = agent.respond  # type: ignore[method-assign]
        await rig.sleep(0.5)
        await rig.caller_says("where is order 1")
        await rig.sleep(2.9)
        await rig.caller_says("hello?", 0.5)
        await rig.sleep(0.6)
        await rig.caller_says("where is order 1")
        await rig.agent_is_silent(for_s=5)
        assert RUNS == ["1"]
        assert told(rig) == ["It comes on Day 1."]


async def test_two_calls_50_ms_apart_are_one_execution_and_one_answer() -> None:
    def twice(request: ModelRequest) -> Sequence[ModelDelta | float]:
        if new_answers(request):
            return [TextDelta("It comes on Day 1.")]
        a, b = ToolRequest("a", "look", '{"order": "1"}'), ToolRequest("b", "look", '{ "order":"1" }')
        return [TextDelta("Let me look."), a, 0.05, b]

    async with lawful_call(assistant_from(tools=[tool(brisk)]), twice) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("Where is my order?")
        await rig.agent_is_silent(for_s=4)
        assert RUNS == ["1"]
        assert rig.heard_replies() == ["Let me look.", "It comes on Day 1."]


async def test_an_answer_that_the_same_reply_learns_by_asking_again_is_told_once() -> None:
    lead = "Let me look that up in our very large book of orders for you, one moment."

    def again_when_it_is_there(request: ModelRequest) -> Sequence[ModelDelta | float]:
        if any(isinstance(m, ToolAnswered) and not m.pending for m in request.messages):
            return [TextDelta(" It comes on Day 1.")]
        a, b = ToolRequest("a", "look", '{"order": "1"}'), ToolRequest("b", "look", '{"order": "1"}')
        return [TextDelta(lead), a, 2.0, b]

    async with lawful_call(assistant_from(tools=[tool(brisk)]), again_when_it_is_there) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("Where is my order?")
        await rig.agent_is_silent(for_s=4)
        assert RUNS == ["1"]
        assert len(told(rig)) == 1
        assert not unanswered(rig)


async def test_a_telling_that_is_cut_before_a_clause_was_heard_is_told_with_the_next_turn() -> None:
    async with lawful_call(assistant_from(tools=[tool(brisk)]), naive()) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("Where is my order?")
        await rig.agent_starts()
        await rig.agent_is_silent(for_s=0.3)
        await rig.agent_starts()
        await rig.sleep(0.3)
        await rig.caller_says("no wait a second please", 1.0)
        assert rig.log.of("audio.cancelled"), "the telling was cut"
        await rig.agent_is_silent(for_s=5)
        heard = [m for m in history_of(rig) if isinstance(m, AgentSaid) and "as it seems." in m.text]
        assert len(heard) == 1, "told once, to its end"
        assert RUNS == ["1"]
        assert not unanswered(rig)
        assert [m.text for m in history_of(rig) if isinstance(m, ToolAnswered) and not m.pending] == [
            '{"arrives": "Day 1"}'
        ]


async def test_a_telling_that_is_withdrawn_before_it_sounds_goes_with_the_callers_turn() -> None:
    async with lawful_call(assistant_from(tools=[tool(brisk)]), naive()) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("Where is my order?")
        await rig.agent_starts()
        rig.model.first_token_s = 1.0
        await rig.sleep(1.55)
        await rig.caller_says("tell me quickly please", 1.0)
        rig.model.first_token_s = 0.05
        await rig.agent_is_silent(for_s=3)
        assert rig.log.of("reply.withdrawn")
        assert told(rig) == ["It comes on Day 1 as it seems."]
        assert RUNS == ["1"]


async def test_a_telling_of_which_a_clause_was_heard_is_not_repeated() -> None:
    telling = "It comes on {}. And that is all there is to say about that order of yours today."
    async with lawful_call(assistant_from(tools=[tool(brisk)]), naive(telling=telling)) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("Where is my order?")
        await rig.agent_starts()
        await rig.agent_is_silent(for_s=0.3)
        await rig.agent_starts()
        await rig.sleep(2.2)
        rig.model.answerer = lambda request: [TextDelta("You are welcome.")]
        await rig.caller_says("okay thank you that is enough", 1.0)
        await rig.agent_is_silent(for_s=4)
        assert len(told(rig)) == 1
        last = rig.model.requests[-1].messages
        assert isinstance(last[-1], CallerSaid)
        assert isinstance(last[-2], AgentSaid), "the answer stands before the telling that was heard"


async def test_several_answers_that_wait_are_told_in_one_reply() -> None:
    def two(request: ModelRequest) -> Sequence[ModelDelta | float]:
        new = new_answers(request)
        if new:
            return [TextDelta(f"They come on {' and '.join(new)}.")]
        asked = [ToolRequest(f"r{n}", "look", f'{{"order": "{n}"}}') for n in (1, 2)]
        return [TextDelta("Let me look up both of them in our book of orders for you."), *asked]

    async with lawful_call(assistant_from(tools=[tool(brisk)]), two) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("Where are my orders?")
        await rig.agent_is_silent(for_s=4)
        assert told(rig) in (["They come on Day 1 and Day 2."], ["They come on Day 2 and Day 1."])


async def test_an_answer_that_comes_too_late_is_not_told_unasked_but_known_at_the_next_turn() -> None:
    async with lawful_call(assistant_from(tools=[tool(slow, stale_after_s=5)]), naive()) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("Where is my order?")
        await rig.sleep(9)
        assert told(rig) == []
        await rig.caller_says("and where is it now?")
        await rig.agent_is_silent(for_s=2)
        assert told(rig) == ["It comes on Day 1 as it seems."]
        assert RUNS == ["1"]


async def test_a_telling_that_the_model_failed_in_is_tried_once_more() -> None:
    async with lawful_call(assistant_from(tools=[tool(brisk)], apology="Sorry about that."), naive()) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("Where is my order?")
        await rig.agent_starts()
        rig.model.fails = 2
        await rig.agent_is_silent(for_s=3)
        assert rig.heard_replies()[-2:] == ["Sorry about that.", "It comes on Day 1 as it seems."]
        assert not unanswered(rig)


async def test_a_model_that_is_down_does_not_end_the_call_over_one_answer() -> None:
    async with lawful_call(assistant_from(tools=[tool(brisk)]), naive()) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("Where is my order?")
        await rig.agent_starts()
        rig.model.fails = 9
        await rig.sleep(20)
        assert not rig.line.closed
        assert not unanswered(rig), "the history has it"


async def test_an_answer_to_a_request_that_was_withdrawn_is_not_told() -> None:
    def slow_words(request: ModelRequest) -> Sequence[ModelDelta | float]:
        last = request.messages[-1]
        assert isinstance(last, CallerSaid)
        if "forget" in last.text:
            return [TextDelta("As you wish.")]
        return [ToolRequest("a", "look", '{"order": "1"}'), 1.5, TextDelta("Let me look.")]

    async with lawful_call(assistant_from(tools=[tool(down)]), slow_words) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("Where is my order?")
        await rig.sleep(0.9)
        await rig.caller_says("no forget it", 0.8)
        await rig.agent_is_silent(for_s=4)
        assert rig.log.of("reply.withdrawn")
        assert RUNS == ["1"]
        assert [text for text in rig.heard_replies() if text] == ["As you wish."]


# ------------------------------------------------------------------- failures


async def test_a_fallback_is_said_as_it_stands_and_the_model_finds_the_failure_in_its_history() -> None:
    async with lawful_call(assistant_from(tools=[tool(down)]), naive()) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("Where is my order?")
        await rig.agent_is_silent(for_s=3)
        assert rig.heard_replies() == ["Let me look.", "Our order book is down, sorry."]
        assert len(rig.model.requests) == 1, "the model was not asked for words"
        failed, said = history_of(rig)[-2:]
        assert isinstance(failed, ToolAnswered)
        assert failed.failed
        assert failed.text == "the order book answers 503"
        assert isinstance(said, AgentSaid)


async def test_a_fallback_that_was_cut_off_is_said_once_later() -> None:
    async with lawful_call(assistant_from(tools=[tool(down)]), naive()) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("Where is my order?")
        await rig.agent_starts()
        await rig.agent_is_silent(for_s=0.3)
        await rig.agent_starts()
        await rig.sleep(0.3)
        rig.model.answerer = lambda request: [TextDelta("Of course.")]
        await rig.caller_says("no wait a second please", 1.0)
        await rig.agent_is_silent(for_s=4)
        assert rig.heard_replies()[-2:] == ["Of course.", "Our order book is down, sorry."]
        assert not unanswered(rig)


async def test_arguments_that_are_never_right_end_in_the_tools_own_words() -> None:
    assistant = assistant_from(tools=[tool(brisk, failed="I cannot look that up.")])
    async with lawful_call(
        assistant, lambda request: [ToolRequest(f"r{len(request.messages)}", "look", "{")]
    ) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("Where is my order?")
        await rig.agent_is_silent(for_s=2)
        assert len(rig.model.requests) == 3
        assert rig.heard_replies() == ["I cannot look that up."]
        assert RUNS == []


async def test_a_model_that_tries_a_failing_tool_for_ever_is_stopped_and_the_caller_told() -> None:
    assistant = assistant_from(
        tools=[tool(down, failed="I cannot look that up.", callable=f"{__name__}:refuses")],
        max_tool_calls_per_turn=3,
    )

    def stubborn(request: ModelRequest) -> Sequence[ModelDelta | float]:
        return [ToolRequest(f"r{len(request.messages)}", "look", '{"order": "1"}')]

    async with lawful_call(assistant, stubborn) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("Where is my order?")
        await rig.agent_is_silent(for_s=4)
        assert RUNS == ["1"] * 3
        assert [text for text in rig.heard_replies() if text] == ["I cannot look that up."]


async def refuses(order: str) -> None:
    """A tool that fails without words of its own."""
    RUNS.append(order)
    raise ToolError("not today")


async def test_a_model_without_words_for_an_answer_leaves_no_turn_unanswered() -> None:
    def mute(request: ModelRequest) -> Sequence[ModelDelta | float]:
        new = isinstance(request.messages[-1], ToolAnswered)
        return [] if new else [ToolRequest("a", "look", '{"order": "1"}')]

    async with lawful_call(assistant_from(tools=[tool(brisk)], apology="Sorry about that."), mute) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("Where is my order?")
        await rig.agent_is_silent(for_s=4)
        assert rig.heard_replies()[-1] == "Sorry about that."


# ------------------------------------------------------------------- messages


async def test_messages_are_said_at_their_times_while_the_tool_runs() -> None:
    messages = [{"after_ms": 800, "text": "One moment."}, {"after_ms": 4000, "text": "Still looking."}]
    async with lawful_call(assistant_from(tools=[tool(slow, messages=messages)]), naive(lead="")) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("Where is my order?")
        await rig.agent_is_silent(for_s=5)
        said = [text for text in rig.heard_replies() if text]
        assert said == ["One moment.", "Still looking.", "It comes on Day 1 as it seems."]
        asked = rig.log.times("function-call")[0]
        begins = [
            event.at_ms / 1000
            for event in rig.log.events
            if event.type == "reply.started" and event.data.get("purpose") == "filler"
        ]
        assert begins == pytest.approx([asked + 0.8, asked + 4.0], abs=0.01)


async def test_a_message_is_not_said_over_the_caller_nor_behind_their_words() -> None:
    messages = [{"after_ms": 1500, "text": "One moment."}]
    async with lawful_call(assistant_from(tools=[tool(slow, messages=messages)]), naive(lead="")) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("Where is my order?")
        await rig.sleep(1.6)
        await rig.caller_says("and I need it today please", 2.0)
        await rig.agent_is_silent(for_s=4)
        assert told(rig, "moment") == []


async def test_a_message_in_play_ends_at_a_word_when_the_answer_comes() -> None:
    long_filler = "One moment please while I am going through all of our many many books."
    assistant = assistant_from(tools=[tool(brisk, filler=long_filler, filler_after_ms=500)])
    async with lawful_call(assistant, naive(lead="")) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("Where is my order?")
        await rig.agent_is_silent(for_s=4)
        cut, telling = [text for text in rig.heard_replies() if text]
        assert long_filler.startswith(cut)
        assert 2 <= len(cut.split()) <= 6
        assert telling == "It comes on Day 1 as it seems."
        (said,) = (m for m in history_of(rig) if isinstance(m, AgentSaid) and m.text == cut)
        assert (said.generated, said.interrupted) == (cut, False)
        assert rig.line.clears == [], "no word was torn"
        answered = rig.log.times("function-result")[0]
        begins = rig.log.times("reply.started")[-1]
        assert begins - answered < 0.8


async def test_a_message_whose_audio_is_not_there_yet_gives_way_to_the_answer() -> None:
    assistant = assistant_from(tools=[tool(brisk, filler="One moment.", filler_after_ms=1400)])
    async with lawful_call(assistant, naive(lead="")) as rig:
        rig.voice.first_audio_s = 0.5
        await rig.sleep(0.5)
        await rig.caller_says("Where is my order?")
        await rig.agent_is_silent(for_s=4)
        assert [text for text in rig.heard_replies() if text] == ["It comes on Day 1 as it seems."]


async def test_a_message_that_is_nearly_over_is_heard_to_its_end() -> None:
    assistant = assistant_from(tools=[tool(brisk, filler="One moment please.", filler_after_ms=600)])
    async with lawful_call(assistant, naive(lead="")) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("Where is my order?")
        await rig.agent_is_silent(for_s=4)
        assert next(filter(None, rig.heard_replies())) == "One moment please."


# ------------------------------------------------------------------ variables


async def test_what_a_tool_learns_joins_the_calls_variables() -> None:
    assistant = assistant_from(tools=[tool(knows_more)], instructions="You talk to {{name}}.")
    async with lawful_call(assistant, naive()) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("Where is my order?")
        await rig.agent_is_silent(for_s=2)
        request = rig.model.requests[-1]
        assert request.variables["name"] == "Ms Lee"
        assert request.messages[0] == Instructions("You talk to Ms Lee.")
        assert RUNS == ["nobody "]


# --------------------------------------------------------------------- dedupe


async def test_wait_and_actually_yes_are_one_stop_one_request_one_run_and_one_reply() -> None:
    def model(request: ModelRequest) -> Sequence[ModelDelta | float]:
        last = request.messages[-1]
        if isinstance(last, CallerSaid) and "yes" in last.text:
            return [TextDelta("I book it."), ToolRequest("b", "look", '{"order": "1"}')]
        if isinstance(last, ToolAnswered):
            return [TextDelta("Booked for Day 1.")]
        return [TextDelta("I can offer you a table by the window this evening at eight o'clock if you like.")]

    async with lawful_call(assistant_from(tools=[tool(brisk)]), model) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("Have you got a table?")
        await rig.agent_starts()
        await rig.sleep(1.5)
        before = len(rig.model.requests)
        await rig.caller_says("wait", 0.35)
        await rig.sleep(0.2)
        await rig.caller_says("actually yes", 0.6)
        await rig.agent_starts()
        assert len(rig.model.requests) == before + 1
        await rig.agent_is_silent(for_s=3)
        assert len(rig.log.of("audio.cancelled")) == 1
        assert len(rig.line.clears) == 1
        assert RUNS == ["1"]
        assert rig.heard_replies()[-2:] == ["I book it.", "Booked for Day 1."]
        turns = [data["text"] for data in rig.log.of("turn.ended")]
        assert turns[-1] == "wait actually yes"
        assert len(turns) == 2
