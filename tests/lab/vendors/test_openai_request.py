"""A conversation that went through the protocol is the same to the engine behind it."""

from __future__ import annotations

import asyncio
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from offhook.config.assistant_loading import load_assistant
from offhook.config.assistants import DEMO
from offhook.lab.vendors.openai_request import model_request
from offhook.pipeline.history import History
from offhook.pipeline.messages import (
    AgentSaid,
    CallerSaid,
    Message,
    ModelRequest,
    TextDelta,
    ToolAnswered,
    ToolRequest,
)
from offhook.pipeline.providers.embedded.agent import IntentsAgent
from offhook.pipeline.providers.openai_chat import chat_messages

AGENT = IntentsAgent(load_assistant(DEMO))
FOUND = json.dumps({"status": "is out for delivery", "arrival": "It arrives today."})
PENDING = '{"status": "pending"}'
CALLER = (
    *("where is my order", "it is 12345", "where is order 12345", "where is order 54321"),
    *("what are your opening hours", "what is your return policy", "gibberish flux", "goodbye"),
)


def answer(request: ModelRequest) -> tuple[str, list[ToolRequest]]:
    async def collect() -> list[Any]:
        return [delta async for delta in AGENT.respond(request)]

    deltas = asyncio.run(collect())
    text = "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))
    return text, [delta for delta in deltas if isinstance(delta, ToolRequest)]


def through_the_protocol(messages: tuple[Message, ...]) -> ModelRequest:
    return model_request({"messages": chat_messages(messages)})


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(CALLER), st.integers(0, 3), st.booleans()), max_size=8))
def test_an_engine_answers_through_the_protocol_as_it_does_beside_it(
    turns: list[tuple[str, int, bool]],
) -> None:
    history = History("Be brief.")
    history.settle((), AgentSaid("Hello, this is Parcel Post.", "Hello, this is Parcel Post."))
    running: list[tuple[int, ToolRequest]] = []
    for turn, (line, takes, words_first) in enumerate(turns):
        due = [ToolAnswered(it.id, it.name, FOUND) for ready, it in running if ready <= turn]
        running = [(ready, it) for ready, it in running if ready > turn]
        said: list[Message] = [CallerSaid(line)]
        prelude = [*said, *due] if words_first else [*due, *said]
        messages = history.messages(prelude)
        text, requests = answer(ModelRequest(messages))
        text_, requests_ = answer(through_the_protocol(messages))
        assert text_ == text
        assert [(it.name, it.arguments) for it in requests_] == [(it.name, it.arguments) for it in requests]
        answers = []
        for request in requests:
            answers.append(ToolAnswered(request.id, request.name, PENDING if takes else FOUND, takes > 0))
            running += [(turn + takes, request)] if takes else []
        history.settle(prelude, AgentSaid(text, text, tool_requests=tuple(requests)), answers)


def test_an_answer_that_came_later_is_the_answer_of_the_first_request() -> None:
    look = ToolRequest("call-1", "look", '{"what": "order"}')
    messages: tuple[Message, ...] = (
        CallerSaid("where is it"),
        AgentSaid("One moment.", "One moment.", tool_requests=(look,)),
        ToolAnswered("call-1", "look", PENDING, pending=True),
        CallerSaid("well?"),
        ToolAnswered("call-1", "look", FOUND),
    )
    assert through_the_protocol(messages).messages == messages


def test_two_requests_that_are_alike_keep_their_answers() -> None:
    looks = tuple(ToolRequest(f"call-{number}", "look", "{}") for number in range(2))
    messages: tuple[Message, ...] = (
        CallerSaid("look twice"),
        AgentSaid("", tool_requests=looks),
        *(ToolAnswered(look.id, "look", PENDING, pending=True) for look in looks),
        *(ToolAnswered(look.id, "look", FOUND) for look in looks),
    )
    read = through_the_protocol(messages).messages
    told = [it.request_id for it in read if isinstance(it, ToolAnswered) and not it.pending]
    assert sorted(told) == ["call-0", "call-1"]
