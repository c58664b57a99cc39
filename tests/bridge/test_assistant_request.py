"""A server that is asked which assistant is to take a call."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from xml.etree import ElementTree

import pytest
from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from bridge_rig import CALL_SID, EchoFactory, loop_clock, settings
from pydantic import SecretStr

from offhook.bridge.assistant_request import assistant_requests
from offhook.bridge.posted_assistants import PostedAssistants
from offhook.bridge.server import create_app
from offhook.bridge.server_state import STATE, ServerState
from offhook.config.assistant import Assistant

FORM = {"CallSid": CALL_SID, "From": "+15550100267", "To": "+15550100999", "CallStatus": "ringing"}
SECRET = "hush"
Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]


def says(value: Any) -> Answer:
    async def answer(_: web.Request) -> web.StreamResponse:
        return web.json_response(value)

    return answer


@asynccontextmanager
async def asking(
    answer: Answer, *, starting_s: float = 0.0, **fields: Any
) -> AsyncIterator[tuple[Any, ServerState, list[Any]]]:
    """A bridge that asks, and whose engines take so long to start; what is posted to the receiver."""
    asked: list[Any] = []

    async def receive(request: web.Request) -> web.StreamResponse:
        body = await request.read()
        signed = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()
        assert request.headers["x-vapi-signature"] == signed
        asked.append(json.loads(body)["message"])
        return await answer(request)

    async def warm(_: Assistant) -> None:
        await asyncio.sleep(starting_s)

    app = web.Application()
    app.router.add_post("/", receive)
    async with TestServer(app) as receiver:
        url = str(receiver.make_url("/"))
        chosen = settings(webhook_url=url, webhook_secret=SecretStr(SECRET), ask_for_assistant=True, **fields)
        posted = PostedAssistants(loop_clock(), warm)
        bridge = create_app(chosen, EchoFactory(), loop_clock(), posted=posted)
        async with assistant_requests(chosen) as requests, TestClient(TestServer(bridge)) as client:
            bridge[STATE].assistant_requests = requests
            yield client, bridge[STATE], asked


async def told(client: Any, **query: str) -> ElementTree.Element:
    async with client.post("/voice/inbound", params=query, data=FORM) as answer:
        assert answer.status == 200
        return ElementTree.fromstring(await answer.text())  # noqa: S314  our own document


async def chosen(client: Any, **query: str) -> str | None:
    stream = (await told(client, **query))[0][0]
    return {item.attrib["name"]: item.attrib["value"] for item in stream}.get("assistant")


async def test_it_names_one_of_ours_and_is_told_of_the_call() -> None:
    async with asking(says({"assistantId": "sales"})) as (client, _, asked):
        assert await chosen(client) == "sales"
        (message,) = asked
        assert message["type"] == "assistant-request"
        assert message["call"]["id"] == CALL_SID
        assert message["call"]["customer"] == {"number": FORM["From"]}


async def test_it_writes_one_itself_which_answers_this_call() -> None:
    written = {"name": "Night", "firstMessage": "We are closed."}
    async with asking(says({"assistant": written})) as (client, state, _):
        name = await chosen(client)
        kept = state.posted.find(name)
        assert kept is not None
        assert kept.first_message == "We are closed."


async def test_one_whose_engines_are_slow_is_connected_before_the_carrier_gives_up() -> None:
    async def late(_: web.Request) -> web.StreamResponse:
        await asyncio.sleep(4)
        return web.json_response({"assistant": {"name": "Night"}})

    async with asking(late, starting_s=60) as (client, state, _):
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert state.posted.find(await chosen(client)) is not None
        assert loop.time() - began == pytest.approx(12, abs=0.5)


async def test_what_it_says_instead_is_spoken_and_the_call_is_over() -> None:
    async with asking(says({"error": "We are closed on Sundays."})) as (client, _, _):
        document = await told(client)
        assert [(verb.tag, verb.text) for verb in document] == [
            ("Say", "We are closed on Sundays."),
            ("Hangup", None),
        ]


async def test_words_that_xml_cannot_hold_are_spoken_without_them() -> None:
    async with asking(says({"error": "Closed\x07on \ud800Sundays.\uffff"})) as (client, _, _):
        assert (await told(client))[0].text == "Closed on  Sundays. "


async def refusing(_: web.Request) -> web.StreamResponse:
    return web.Response(status=500)


async def babbling(_: web.Request) -> web.StreamResponse:
    return web.Response(body=b"{")


async def burrowing(_: web.Request) -> web.StreamResponse:
    return web.Response(text=f'{{"assistant": {{"a": {"[" * 900}{"]" * 900}}}}}')


async def silent(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(60)
    return web.Response()


CODE = {"assistant": {"name": "x", "tools": [{"name": "y", "Callable": "os:system"}]}}


@pytest.mark.parametrize(
    "answer",
    [
        refusing,
        babbling,
        silent,
        burrowing,
        says([]),
        says({"assistantId": "../etc"}),
        says({"assistant": {}}),
        says(CODE),
    ],
)
async def test_whatever_else_it_does_the_usual_assistant_answers_in_time(answer: Answer) -> None:
    async with asking(answer) as (client, state, _):
        loop = asyncio.get_running_loop()
        began = loop.time()
        assert await chosen(client) is None
        assert loop.time() - began < 6
        assert state.counters["assistant_not_chosen"] == 1


async def test_an_answer_without_a_choice_means_the_usual_one() -> None:
    async with asking(says({})) as (client, state, _):
        assert await chosen(client) is None
        assert state.counters["assistant_not_chosen"] == 0


async def test_it_is_not_asked_about_a_call_that_has_an_assistant_or_is_turned_away() -> None:
    numbers = {"+15550100999": "sales"}
    async with asking(says({"assistantId": "x"}), assistant_numbers=numbers) as (client, _, asked):
        assert await chosen(client) == "sales"
        assert await chosen(client, assistant="support") == "support"
        assert asked == []
    async with asking(says({"assistantId": "x"}), blocked_callers=(FORM["From"],)) as (client, _, asked):
        assert [verb.tag for verb in await told(client)] == ["Reject"]
        assert asked == []
