"""`/v1/calls/{id}/messages`: texts to a live call, and conversations in writing that become calls."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from bridge_rig import CALL_SID, EchoCall, EchoFactory, connected, loop_clock, settings, start

from offhook.bridge.messages_api import ANSWER_WITHIN_S
from offhook.bridge.server import Server
from offhook.bridge.server_state import STATE, ServerState
from offhook.bridge.text_sessions import IDLE_S, SESSION_LIMIT
from offhook.pipeline.correspondence import WAITING_LIMIT
from offhook.pipeline.messages import AgentSaid, CallerSaid, ModelDelta, ModelRequest, TextDelta

Client = TestClient[Any, Any]


class Bridge:
    """A bridge on a port, and who asks it."""

    def __init__(self, client: Client, server: Server, factory: EchoFactory) -> None:
        self.client, self.server, self.factory = client, server, factory

    @property
    def state(self) -> ServerState:
        return self.server.app[STATE]

    async def post(self, name: str, text: str, path: str = "messages", **fields: Any) -> tuple[int, Any]:
        async with self.client.post(f"/v1/calls/{name}/{path}", json={"text": text, **fields}) as answer:
            said = await answer.text()
            return answer.status, json.loads(said) if said.startswith("{") else said.partition(":")[0]

    async def write(self, name: str, text: str, **fields: Any) -> tuple[int, Any]:
        return await self.post(name, text, answer="text", **fields)

    @asynccontextmanager
    async def call(self, call_sid: str = CALL_SID, **parameters: str) -> AsyncIterator[EchoCall]:
        async with self.client.ws_connect("/media") as socket:
            await socket.send_str(connected())
            await socket.send_str(start(call_sid, parameters))
            while not self.factory.calls:  # noqa: ASYNC110 - time is virtual
                await asyncio.sleep(0.01)
            yield self.factory.calls[-1]
        while self.state.registry.live():  # noqa: ASYNC110 - time is virtual
            await asyncio.sleep(0.01)


@asynccontextmanager
async def bridge(**fields: Any) -> AsyncIterator[Bridge]:
    factory = EchoFactory()
    server = Server(settings(**fields), factory, loop_clock())
    before = asyncio.all_tasks()
    async with TestClient(TestServer(server.app)) as client:
        yield Bridge(client, server, factory)
        await server.stop()
    assert {task for task in asyncio.all_tasks() - before if "text session" in task.get_name()} == set()


@pytest.mark.parametrize(("answer", "told"), [("text", "written"), ("both", "aloud")])
async def test_a_text_to_a_live_call_is_answered_in_the_response(answer: str, told: str) -> None:
    async with bridge() as at, at.call() as call:
        expected = {"id": CALL_SID, "status": "answered", "text": "You wrote: 4711"}
        assert await at.post(CALL_SID, "4711", answer=answer) == (200, expected)
        assert call.told == [(told, "4711")]


async def test_an_answer_that_takes_long_is_pending_and_comes_by_the_events() -> None:
    async with bridge() as at, at.call() as call:
        call.answers_texts = False
        began_s = asyncio.get_running_loop().time()
        assert await at.write(CALL_SID, "4711") == (202, {"id": CALL_SID, "status": "pending"})
        assert asyncio.get_running_loop().time() - began_s == pytest.approx(ANSWER_WITHIN_S, abs=0.5)


async def test_a_text_to_nobody_begins_a_conversation_which_goes_on_under_its_name() -> None:
    async with bridge() as at:
        assert await at.write("chat-1", "Hi") == (
            200,
            {"id": "chat-1", "status": "answered", "text": "1: Hi"},
        )
        assert (await at.write("chat-1", "And?"))[1]["text"] == "2: And?"
        assert (await at.write("chat-2", "Hi"))[1]["text"] == "1: Hi"
        async with at.client.get("/v1/calls/chat-1") as answer:
            record = await answer.json()
        assert (record["status"], record["id"]) == ("text", "chat-1")
        assert [event["type"] for event in record["events"]] == [
            "session.started",
            *["message.received", "message.answered"] * 2,
        ]


async def test_conversations_are_listed_behind_the_calls() -> None:
    async with bridge() as at, at.call():
        await at.write("chat-1", "Hi")
        await at.write("chat-2", "Hi")
        async with at.client.get("/v1/calls") as answer:
            listed = (await answer.json())["calls"]
        assert [call["id"] for call in listed] == [CALL_SID, "chat-2", "chat-1"]
        assert "events" not in listed[1]


async def test_the_events_of_a_conversation_are_streamed_until_its_end() -> None:
    async with bridge() as at:
        await at.write("chat-1", "Hi")
        async with at.client.get("/v1/calls/chat-1/events") as stream:
            async with at.client.delete("/v1/calls/chat-1") as answer:
                assert answer.status == 202
            lines = (await stream.text()).splitlines()
        events = [line.removeprefix("event: ") for line in lines if line.startswith("event: ")]
        assert events == ["session.started", "message.received", "message.answered", "session.ended", "end"]
        assert (await at.write("chat-1", "Hi"))[1]["text"] == "1: Hi"


async def test_a_conversation_is_given_its_assistant_and_variables_when_it_begins() -> None:
    async with bridge() as at:
        await at.write("chat-1", "Hi", assistant="sales", variables={"name": "Ms Lee"})
        assert at.factory.asked == [("chat-1", "sales", {"name": "Ms Lee"})]


@pytest.mark.parametrize("name", [CALL_SID, "chat-1"])
async def test_a_call_goes_on_with_what_was_written_under_its_name_or_its_parameter(name: str) -> None:
    async with bridge() as at:
        await at.write(name, "I am Lee", assistant="sales", variables={"tier": "gold"})
        parameters = {} if name == CALL_SID else {"session": name}
        async with at.call(**parameters) as call:
            assert call.resumes is not None
            assert call.resumes.written
            assert call.resumes.messages == (CallerSaid("I am Lee"), AgentSaid("1: I am Lee", "1: I am Lee"))
            assert call.resumes.variables == {"tier": "gold"}
            assert at.factory.asked[-1] == (CALL_SID, "sales", {})
            # Under either name it is the call now.
            for known_as in {name, CALL_SID}:
                assert (await at.write(known_as, "Still me?"))[1]["text"] == "You wrote: Still me?"
            assert (await at.post(name, "Hello?"))[0] == 202
            assert call.told[-1] == ("text", "Hello?")


async def test_a_call_that_names_a_conversation_that_is_not_there_is_a_new_one() -> None:
    async with bridge() as at, at.call(session="chat-404") as call:
        assert call.resumes is None


async def test_a_conversation_outlives_a_call_that_could_not_be_made() -> None:
    async with bridge() as at:
        await at.write("chat-1", "Hi")
        async with at.client.ws_connect("/media") as socket:
            await socket.send_str(connected())
            await socket.send_str(start(parameters={"session": "chat-1", "assistant": "nobody"}))
            await socket.receive()
        assert (await at.write("chat-1", "Hi again"))[1]["text"] == "2: Hi again"


@pytest.mark.parametrize(
    ("path", "fields"),
    [("messages", {}), ("messages", {"answer": "both"}), ("say", {}), ("recording", {})],
)
async def test_what_needs_a_line_is_refused_to_a_conversation_in_writing(
    path: str, fields: dict[str, str]
) -> None:
    async with bridge() as at:
        await at.write("chat-1", "Hi")
        if path == "recording":
            async with at.client.post("/v1/calls/chat-1/recording", json={"action": "pause"}) as answer:
                assert (answer.status, (await answer.text()).partition(":")[0]) == (409, "no_line")
        else:
            assert await at.post("chat-1", "Hello", path, **fields) == (409, "no_line")


@pytest.mark.parametrize(
    ("name", "fields", "expected"),
    [
        ("chat-1", {"assistant": "nobody"}, (404, "unknown_assistant")),
        ("chat-1", {"assistant": "broken"}, (400, "bad_assistant")),
        ("chat%20one", {}, (404, "not_found")),
        ("c" * 65, {}, (404, "not_found")),
    ],
)
async def test_a_conversation_that_cannot_begin_says_why(
    name: str, fields: dict[str, str], expected: tuple[int, str]
) -> None:
    async with bridge() as at:
        assert await at.write(name, "Hi", **fields) == expected


async def test_a_voice_answer_is_asked_of_no_conversation_that_is_not_there() -> None:
    async with bridge() as at:
        assert await at.post("chat-1", "Hi") == (404, "not_found")
        assert await at.post("chat-1", "Hi", answer="both") == (404, "not_found")


async def test_a_text_to_a_call_that_has_ended_is_refused() -> None:
    async with bridge() as at:
        async with at.call():
            pass
        assert await at.write(CALL_SID, "Hi") == (409, "already_ended")


async def test_there_are_no_more_conversations_than_the_limit_and_idle_ones_make_room() -> None:
    async with bridge() as at:
        await asyncio.gather(*(at.write(f"chat-{number}", "Hi") for number in range(SESSION_LIMIT)))
        assert await at.write("one-more", "Hi") == (503, "no_session")
        await asyncio.sleep(IDLE_S / 2)
        await at.write("chat-7", "Hi again")
        await asyncio.sleep(IDLE_S / 2 + 1)
        assert (await at.write("one-more", "Hi"))[0] == 200
        assert (await at.write("chat-7", "Still there"))[1]["text"] == "3: Still there"
        assert (await at.write("chat-8", "Hi"))[1]["text"] == "1: Hi"


async def test_one_text_too_many_is_told_to_wait() -> None:
    def slow(request: ModelRequest) -> Sequence[ModelDelta | float]:
        return [1.0, TextDelta("Yes.")]

    async with bridge() as at:
        at.factory.thinks = slow
        answers = await asyncio.gather(*(at.write("chat-1", "Hi") for _ in range(WAITING_LIMIT + 1)))
        assert sorted(status for status, _ in answers) == [200] * WAITING_LIMIT + [429]


async def test_a_server_that_shuts_down_begins_no_conversation_and_ends_those_that_go_on() -> None:
    async with bridge() as at:
        await at.write("chat-1", "Hi")
        at.state.draining = True
        assert await at.write("chat-2", "Hi") == (503, "draining")
        assert (await at.write("chat-1", "Hi"))[0] == 200
        await at.server.stop()
        assert at.state.texts.get("chat-1") is None
