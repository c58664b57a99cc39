"""The embedded agent in conversation: a pure function of what was said."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offhook.config.assistant import Assistant
from offhook.config.assistant_loading import load_assistant, parse_assistant
from offhook.config.assistants import DEMO
from offhook.pipeline.messages import (
    AgentSaid,
    CallerSaid,
    Instructions,
    Message,
    ModelRequest,
    TextDelta,
    ToolAnswered,
    ToolRequest,
)
from offhook.pipeline.ports import LanguageModel
from offhook.pipeline.providers.embedded.agent import IntentsAgent

DEMO_ASSISTANT = load_assistant(DEMO)
DEMO_AGENT: LanguageModel = IntentsAgent(DEMO_ASSISTANT)
ASK = "What is your order number?"
FOUND = json.dumps({"status": "is out for delivery", "arrival": "It arrives today."})

TABLE: dict[str, Any] = {
    "name": "Table",
    "tools": [
        {
            "name": "book",
            "callable": "builtins:dict",
            "parameters": {
                "type": "object",
                "properties": {"people": {"type": "integer"}, "hour": {"type": "string"}},
                "required": ["people", "hour"],
            },
            "filler": "Still booking.",
            "failed": "The booking failed.",
        }
    ],
    "model": {
        "fallback": "I only book tables, {{from}}.",
        "intents": [
            {
                "name": "book",
                "say": ["I want to book a table", "book a table please", "a table for 4 at 7 pm"],
                "slots": {
                    "people": {"pattern": r"\b(\d{1,2})\b(?! ?pm)", "ask": "For how many people?"},
                    "hour": {"pattern": r"\b(\d{1,2}) ?pm", "ask": "At what hour, for {people} people?"},
                    "name": {"pattern": r"name is (\w+)"},
                },
                "tool": "book",
                "tool_reply": "{result}",
            },
            {
                "name": "hours",
                "say": ["opening hours", "when do you open", "closing time"],
                "reply": "At six.",
            },
            {"name": "again", "say": ["repeat that", "say that again", "pardon"], "reply": "{last_reply}"},
        ],
    },
}
TABLE_AGENT = IntentsAgent(parse_assistant(TABLE, "table"))


async def respond(
    messages: Sequence[Message], agent: LanguageModel = DEMO_AGENT, **variables: str
) -> tuple[str, list[ToolRequest]]:
    text = ""
    requests: list[ToolRequest] = []
    async for delta in agent.respond(ModelRequest(tuple(messages), variables=variables)):
        if isinstance(delta, TextDelta):
            assert not requests, "text after a tool request"
            text += delta.text
        elif isinstance(delta, ToolRequest):
            requests.append(delta)
    return text, requests


def reply_of(name: str) -> str:
    return next(intent.reply for intent in DEMO_ASSISTANT.model.intents if intent.name == name)


async def asked_for(number: str) -> tuple[list[Message], ToolRequest]:
    """A conversation in which order `number` was asked for and the tool still runs."""
    messages: list[Message] = [CallerSaid(f"where is order {number}")]
    text, (request,) = await respond(messages)
    messages += [
        AgentSaid(text, text, tool_requests=(request,)),
        ToolAnswered(request.id, request.name, "still running", pending=True),
    ]
    return messages, request


# ---------------------------------------------------------------- plain answers


async def test_a_known_question_gets_its_answer() -> None:
    assert await respond([CallerSaid("what are your opening hours")]) == (reply_of("opening_hours"), [])


async def test_anything_else_gets_the_fallback_that_names_what_it_can_do() -> None:
    text, requests = await respond([CallerSaid("who won the match last night")])
    assert text == DEMO_ASSISTANT.model.fallback
    assert "shipping" in text
    assert requests == []


async def test_the_reply_comes_in_pieces_of_a_few_words() -> None:
    request = ModelRequest((CallerSaid("what is your shipping policy"),))
    deltas = [delta async for delta in DEMO_AGENT.respond(request)]
    pieces = [delta.text for delta in deltas if isinstance(delta, TextDelta)]
    assert len(pieces) > 20
    assert max(len(piece.split()) for piece in pieces) <= 3
    assert "".join(pieces) == reply_of("shipping_policy")


async def test_variables_of_the_call_fill_the_texts() -> None:
    assert (await respond([CallerSaid("zebra")], TABLE_AGENT, **{"from": "Ada"}))[
        0
    ] == "I only book tables, Ada."
    assert (await respond([CallerSaid("zebra")], TABLE_AGENT))[0] == "I only book tables,."


async def test_nothing_is_said_to_nothing() -> None:
    assert await respond([]) == ("", [])
    assert await respond([AgentSaid("Hello.", "Hello.")]) == ("", [])


async def test_instructions_are_met_with_silence() -> None:
    messages: list[Message] = [
        Instructions("Be kind."),
        CallerSaid("hello"),
        AgentSaid("Hi."),
        Instructions("Ask for a name."),
    ]
    assert await respond(messages) == ("", [])
    assert (await respond([Instructions("Be kind."), CallerSaid("thank you")]))[0] == reply_of("thanks")


async def test_an_assistant_without_intents_always_falls_back() -> None:
    agent = IntentsAgent(Assistant(name="Bare"))
    assert (await respond([CallerSaid("hello")], agent))[0].startswith("Sorry")


async def test_goodbye_asks_for_the_end_of_the_call_and_says_nothing_itself() -> None:
    text, requests = await respond([CallerSaid("okay, goodbye")])
    assert text == ""
    assert [(request.name, request.arguments) for request in requests] == [("end_call", "{}")]


# ------------------------------------------------------------------------ slots


@pytest.mark.parametrize(
    "said",
    [
        "where is order 12345",
        "when does order 12,345 arrive",
        "can you check order 1, 2, 3, 4, 5",
        "I'm calling about order number one two three four five.",
        "Order 12345 arrives.",
        "12345",
        "It's 12,345.",
    ],
)
async def test_an_order_number_in_any_spelling_is_looked_up(said: str) -> None:
    text, requests = await respond([CallerSaid(said)])
    assert text == "Let me look up order 12345."
    assert [(r.name, r.arguments) for r in requests] == [("check_order_status", '{"order_number":"12345"}')]


async def test_a_missing_number_is_asked_for_and_the_bare_number_fills_it() -> None:
    messages: list[Message] = [CallerSaid("when does my order come")]
    assert await respond(messages) == (ASK, [])
    messages += [AgentSaid(ASK, ASK), CallerSaid("One two three four five.")]
    text, (request,) = await respond(messages)
    assert text == "Let me look up order 12345."
    assert json.loads(request.arguments) == {"order_number": "12345"}


async def test_a_silence_prompt_does_not_close_the_question() -> None:
    messages: list[Message] = [
        CallerSaid("I want to book a table"),
        AgentSaid("For how many people?"),
        AgentSaid("Are you still there?"),
        CallerSaid("yes, 4"),
    ]
    assert (await respond(messages, TABLE_AGENT))[0] == "At what hour, for 4 people?"


async def test_another_question_leaves_the_open_one() -> None:
    messages: list[Message] = [
        CallerSaid("where is my order"),
        AgentSaid(ASK),
        CallerSaid("what are your opening hours"),
    ]
    assert await respond(messages) == (reply_of("opening_hours"), [])


async def test_a_question_in_vain_is_asked_twice_and_then_given_up() -> None:
    messages: list[Message] = [
        CallerSaid("where is my order"),
        AgentSaid(ASK),
        CallerSaid("purple elephants"),
    ]
    assert (await respond(messages))[0] == ASK
    messages += [AgentSaid(ASK), CallerSaid("purple elephants")]
    assert (await respond(messages))[0] == DEMO_ASSISTANT.model.fallback


async def test_values_are_kept_while_the_rest_is_asked_for() -> None:
    messages: list[Message] = [CallerSaid("book a table please, my name is Ada")]
    assert (await respond(messages, TABLE_AGENT))[0] == "For how many people?"
    messages += [AgentSaid("For how many people?"), CallerSaid("for four")]
    assert (await respond(messages, TABLE_AGENT))[0] == "At what hour, for 4 people?"
    messages += [AgentSaid("At what hour, for 4 people?"), CallerSaid("at 7 pm")]
    _, (request,) = await respond(messages, TABLE_AGENT)
    assert request.arguments == '{"hour":"7","people":4}'


async def test_one_sentence_may_fill_every_slot() -> None:
    _, (request,) = await respond([CallerSaid("a table for 4 at 7 pm")], TABLE_AGENT)
    assert json.loads(request.arguments) == {"people": 4, "hour": "7"}


async def test_repeating_the_question_keeps_it_open_and_the_values_too() -> None:
    messages: list[Message] = [
        CallerSaid("book a table for 4"),
        AgentSaid("At what hour, for 4 people?"),
        CallerSaid("pardon"),
        AgentSaid("At what hour, for 4 people?"),
        CallerSaid("7 pm"),
    ]
    _, requests = await respond(messages, TABLE_AGENT)
    assert [json.loads(request.arguments) for request in requests] == [{"people": 4, "hour": "7"}]


async def test_a_turn_in_pieces_is_read_as_one() -> None:
    messages: list[Message] = [
        CallerSaid("could you look up"),
        CallerSaid("my order"),
        CallerSaid("number 54321"),
    ]
    text, (request,) = await respond(messages)
    assert text == "Let me look up order 54321."
    assert json.loads(request.arguments) == {"order_number": "54321"}


# ----------------------------------------------------------------- interruptions


async def test_an_interrupted_question_is_still_open() -> None:
    messages: list[Message] = [
        CallerSaid("where is my order"),
        AgentSaid("What is", ASK, interrupted=True),
        CallerSaid("54321"),
    ]
    assert (await respond(messages))[0] == "Let me look up order 54321."


async def test_an_interrupted_answer_does_not_touch_the_next_one() -> None:
    policy = reply_of("shipping_policy")
    messages: list[Message] = [
        CallerSaid("what is your shipping policy"),
        AgentSaid(policy[:20], policy, interrupted=True),
        CallerSaid("stop, when do you open"),
    ]
    assert (await respond(messages))[0] == reply_of("opening_hours")


async def test_repeat_says_the_last_reply_as_it_was_made() -> None:
    policy = reply_of("shipping_policy")
    messages: list[Message] = [
        CallerSaid("what is your shipping policy"),
        AgentSaid(policy[:20], policy, interrupted=True),
        AgentSaid("Are you still there?", "Are you still there?"),
        CallerSaid("can you say that again"),
    ]
    assert (await respond(messages))[0] == policy


async def test_repeat_with_nothing_said_yet_falls_back() -> None:
    assert (await respond([CallerSaid("repeat that please")]))[0] == DEMO_ASSISTANT.model.fallback


# ------------------------------------------------------------------------- tools


async def test_the_tools_answer_is_told_in_words() -> None:
    messages, request = await asked_for("12345")
    messages.append(ToolAnswered(request.id, request.name, FOUND))
    assert await respond(messages) == ("Order 12345 is out for delivery. It arrives today.", [])


async def test_nothing_is_said_while_the_tool_runs() -> None:
    messages, _ = await asked_for("12345")
    assert await respond(messages) == ("", [])


async def test_several_answers_are_told_in_order_and_each_once() -> None:
    first, one = await asked_for("12345")
    second: list[Message] = [CallerSaid("where is order 54321")]
    _, (two,) = await respond([*first, *second])
    messages: list[Message] = [
        *first,
        *second,
        AgentSaid("Let me look up order 54321.", tool_requests=(two,)),
        ToolAnswered(one.id, one.name, FOUND),
        ToolAnswered(two.id, two.name, json.dumps({"status": "is lost", "arrival": "Sorry."})),
        ToolAnswered(one.id, one.name, FOUND),
    ]
    told = "Order 12345 is out for delivery. It arrives today. Order 54321 is lost. Sorry."
    assert await respond(messages) == (told, [])
    assert await respond([*messages, AgentSaid(told, told)]) == ("", [])
    again = [*messages, AgentSaid(told, told), ToolAnswered(two.id, two.name, FOUND)]
    assert await respond(again) == ("", [])


async def test_an_answer_and_a_new_question_are_both_served() -> None:
    messages, request = await asked_for("12345")
    messages += [ToolAnswered(request.id, request.name, FOUND), CallerSaid("thank you")]
    text, _ = await respond(messages)
    assert text == f"Order 12345 is out for delivery. It arrives today. {reply_of('thanks')}"


async def test_a_failed_tool_has_words_of_its_own() -> None:
    messages, request = await asked_for("12345")
    failed = ToolAnswered(request.id, request.name, "timed out", failed=True)
    tool = DEMO_ASSISTANT.tool("check_order_status")
    assert tool is not None
    assert (await respond([*messages, failed]))[0] == tool.failed


@pytest.mark.parametrize(
    "text", ['{"status": "is lost"}', '{"status": null, "arrival": null}', "[]", "null", "{", "[" * 99_999]
)
async def test_an_answer_without_the_expected_fields_counts_as_failed(text: str) -> None:
    messages, request = await asked_for("12345")
    reply, _ = await respond([*messages, ToolAnswered(request.id, request.name, text)])
    assert reply.startswith("Sorry, I cannot reach")


async def test_a_plain_sentence_is_an_answer_too() -> None:
    _, (request,) = await respond([CallerSaid("a table for 4 at 7 pm")], TABLE_AGENT)
    said = AgentSaid("", tool_requests=(request,))
    for answer in ("Your table is booked.", '"Your table is booked."', '{"result": "Your table is booked."}'):
        messages: list[Message] = [
            CallerSaid("a table for 4 at 7 pm"),
            said,
            ToolAnswered(request.id, "book", answer),
        ]
        assert (await respond(messages, TABLE_AGENT))[0] == "Your table is booked."


async def test_a_tool_that_is_no_longer_known_is_told_if_it_speaks() -> None:
    assert (await respond([ToolAnswered("x", "gone", "It rains.")]))[0] == "It rains."
    assert (await respond([ToolAnswered("x", "gone", '{"rain": true}')]))[0] == ""
    assert (await respond([ToolAnswered("x", "gone", "no", failed=True)]))[0] == DEMO_ASSISTANT.apology


async def test_what_is_already_being_looked_up_is_not_asked_for_again() -> None:
    messages, request = await asked_for("12345")
    messages.append(CallerSaid("where is order 1 2 3 4 5"))
    assert await respond(messages) == ("One moment, I am still looking.", [])
    messages.append(ToolAnswered(request.id, request.name, FOUND))
    text, requests = await respond(messages)
    assert requests == []
    assert "Order 12345 is out for delivery" in text


async def test_another_order_is_looked_up_beside_a_running_one() -> None:
    messages, _ = await asked_for("12345")
    _, requests = await respond([*messages, CallerSaid("and where is order 54321")])
    assert [json.loads(request.arguments) for request in requests] == [{"order_number": "54321"}]


async def test_an_answered_request_may_be_made_again() -> None:
    messages, request = await asked_for("12345")
    messages += [ToolAnswered(request.id, request.name, FOUND), AgentSaid("Order 12345 is out for delivery.")]
    _, (again,) = await respond([*messages, CallerSaid("where is order 12345")])
    assert again.id != request.id
    assert again.arguments == request.arguments


async def test_a_request_that_left_no_reply_in_the_history_is_not_repeated() -> None:
    question = CallerSaid("where is order 12345")
    _, (request,) = await respond([question])
    pending = ToolAnswered(request.id, request.name, "still running", pending=True)
    assert await respond([question, pending]) == ("", [])


async def test_the_same_conversation_gives_the_same_request() -> None:
    messages: list[Message] = [CallerSaid("where is order 12345")]
    other = IntentsAgent(DEMO_ASSISTANT)
    assert await respond(messages) == await respond(messages, other)
    _, (request,) = await respond(messages)
    _, (later,) = await respond([CallerSaid("hello"), AgentSaid("Hello."), *messages])
    assert request.id != later.id


# -------------------------------------------------------------------- properties

TEXTS = st.one_of(
    st.text(max_size=40),
    st.sampled_from(
        ["where is my order", "12345", "goodbye", "repeat that", ASK, FOUND, "yes", "{", "{{from}}"]
    ),
)
REQUESTS = st.builds(
    ToolRequest, st.sampled_from("ab"), st.sampled_from(["check_order_status", "end_call", "gone"]), TEXTS
)
MESSAGES = st.one_of(
    st.builds(Instructions, TEXTS),
    st.builds(CallerSaid, TEXTS),
    st.builds(AgentSaid, TEXTS, TEXTS, st.booleans(), st.lists(REQUESTS, max_size=2).map(tuple)),
    st.builds(
        ToolAnswered,
        st.sampled_from("ab"),
        st.sampled_from(["check_order_status", "gone"]),
        TEXTS,
        st.booleans(),
        st.booleans(),
    ),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(MESSAGES, max_size=8))
async def test_no_conversation_makes_it_fail_or_change_its_mind(messages: list[Message]) -> None:
    once = await respond(messages)
    assert await respond(messages) == once
    for request in once[1]:
        assert isinstance(json.loads(request.arguments), dict)


@given(st.lists(st.sampled_from(["a", "bc,", " ", "  ", "d.", "\n", "ef"]), max_size=20))
async def test_the_pieces_of_any_text_are_that_text(parts: list[str]) -> None:
    text = "".join(parts)
    intent = DEMO_ASSISTANT.model.intents[1].model_copy(update={"reply": text})
    model = DEMO_ASSISTANT.model.model_copy(update={"intents": (intent,)})
    agent = IntentsAgent(DEMO_ASSISTANT.model_copy(update={"model": model}))
    assert (await respond([CallerSaid(intent.say[0])], agent))[0] == text


async def test_a_turn_costs_little_even_late_in_a_call() -> None:
    messages: list[Message] = []
    for _ in range(200):
        messages += [CallerSaid("where is my order"), AgentSaid(ASK, ASK)]
    messages.append(CallerSaid("12345"))
    began = time.perf_counter()
    for _ in range(20):
        await respond(messages)
    assert (time.perf_counter() - began) / 20 < 0.5  # some 2 ms; the limit only catches blow-ups
