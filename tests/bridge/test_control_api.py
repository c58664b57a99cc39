"""The control interface: what goes on, and hanging up."""

from __future__ import annotations

import asyncio
import json
from typing import Any, cast

import pytest
from aiohttp import ClientResponse
from aiohttp.test_utils import TestClient, TestServer
from bridge_rig import CALL_SID, EchoFactory, loop_clock, settings

from offhook.bridge.call_log import LISTENER_LIMIT
from offhook.bridge.control_api import KEEP_ALIVE_S
from offhook.bridge.live_call import LiveCall
from offhook.bridge.registry import CallEntry
from offhook.bridge.server import create_app
from offhook.bridge.server_state import STATE, ServerState
from offhook.bridge.trust import control_key
from offhook.pipeline.ports import CallEvent

Client = TestClient[Any, Any]


def application(**fields: Any) -> tuple[Client, ServerState]:
    app = create_app(settings(**fields), EchoFactory(), loop_clock(), wall_time=lambda: 1.75e9)
    return TestClient(TestServer(app)), app[STATE]


def live_call(state: ServerState, asked: list[str] | None = None) -> CallEntry:
    hang_up = (asked if asked is not None else []).append
    return state.registry.admit(
        CALL_SID, assistant="demo", may_replace=False, hang_up=hang_up, cut=lambda reason: None
    )


async def get(client: Client, path: str) -> tuple[int, Any]:
    async with client.get(path) as answer:
        text = await answer.text()
        return answer.status, json.loads(text) if answer.content_type == "application/json" else text


async def test_calls_are_listed_live_ones_first() -> None:
    client, state = application()
    async with client:
        assert await get(client, "/v1/calls") == (200, {"calls": []})
        state.registry.finish(
            state.registry.admit(
                "CA0", assistant=None, may_replace=False, hang_up=lambda reason: None, cut=lambda reason: None
            )
        )
        live_call(state)
        _, listed = await get(client, "/v1/calls")
        assert [(call["id"], call["status"]) for call in listed["calls"]] == [
            (CALL_SID, "live"),
            ("CA0", "ended"),
        ]


async def test_one_call_is_shown_with_its_events() -> None:
    client, state = application()
    async with client:
        entry = live_call(state)
        entry.log.emit(CallEvent("transcript.final", 1200, {"text": "hé", "odd": {1, 2}.__class__}))
        status, record = await get(client, f"/v1/calls/{CALL_SID}")
        assert (status, record["assistant"], record["started_at"]) == (200, "demo", 1.75e9)
        assert record["events"][0]["data"]["text"] == "hé"


@pytest.mark.parametrize("path", ["/v1/calls/CA404", "/v1/calls/CA404/events", "/v1/calls/%2e%2e"])
async def test_an_unknown_call_is_not_found(path: str) -> None:
    client, _ = application()
    async with client:
        status, text = await get(client, path)
        assert (status, text.partition(":")[0]) == (404, "not_found")


async def test_a_call_can_be_hung_up_while_it_is_live() -> None:
    client, state = application()
    async with client:
        asked: list[str] = []
        entry = live_call(state, asked)
        async with client.delete(f"/v1/calls/{CALL_SID}") as answer:
            assert (answer.status, await answer.json()) == (202, {"id": CALL_SID, "status": "ending"})
        assert asked == ["api"]
        state.registry.finish(entry)
        async with client.delete(f"/v1/calls/{CALL_SID}") as answer:
            assert answer.status == 409
        async with client.delete("/v1/calls/CA404") as answer:
            assert answer.status == 404


async def read_event(answer: ClientResponse) -> str:
    return (await answer.content.readuntil(b"\n\n")).decode()


async def test_events_are_streamed_from_the_first_to_the_last() -> None:
    client, state = application()
    async with client:
        entry = live_call(state)
        entry.log.emit(CallEvent("call.started", 0))
        async with client.get(f"/v1/calls/{CALL_SID}/events") as answer:
            assert answer.content_type == "text/event-stream"
            assert await read_event(answer) == (
                'id: 1\nevent: call.started\ndata: {"type":"call.started","at_ms":0,"data":{}}\n\n'
            )
            entry.log.emit(CallEvent("transcript.final", 900, {"text": "two\nlines"}))
            assert r"two\nlines" in await read_event(answer)
            state.registry.finish(entry)
            assert await read_event(answer) == "event: end\ndata: {}\n\n"
            assert await answer.content.read() == b""


async def test_a_quiet_stream_of_events_is_kept_alive() -> None:
    client, state = application()
    async with client:
        entry = live_call(state)
        async with client.get(f"/v1/calls/{CALL_SID}/events", timeout=None) as answer:
            began = asyncio.get_running_loop().time()
            assert await read_event(answer) == ": still here\n\n"
            assert asyncio.get_running_loop().time() - began == pytest.approx(KEEP_ALIVE_S, abs=0.1)
            entry.log.emit(CallEvent("late", 1))
            assert "event: late" in await read_event(answer)


async def test_listeners_are_limited_and_forgotten_when_they_leave() -> None:
    client, state = application()
    async with client:
        entry = live_call(state)
        answers = [await client.get(f"/v1/calls/{CALL_SID}/events") for _ in range(LISTENER_LIMIT)]
        assert (await get(client, f"/v1/calls/{CALL_SID}/events"))[0] == 429
        for answer in answers:
            answer.close()
        entry.log.emit(CallEvent("x", 1))
        await asyncio.sleep(0.1)
        entry.log.emit(CallEvent("x", 2))
        await asyncio.sleep(0.1)
        assert not entry.log._subscriptions


@pytest.mark.parametrize(
    "headers",
    [{"X-Forwarded-For": "203.0.113.9"}, {"Host": "bridge.example.com"}, {"Origin": "https://evil.example"}],
)
async def test_control_is_for_this_machine_alone(headers: dict[str, str]) -> None:
    client, state = application()
    async with client:
        live_call(state)
        for method, path in (("GET", ""), ("GET", f"/{CALL_SID}"), ("DELETE", f"/{CALL_SID}")):
            async with client.request(method, f"/v1/calls{path}", headers=headers) as answer:
                assert answer.status == 403


async def test_control_behind_a_public_address_takes_the_key() -> None:
    client, _ = application(public_url="https://bridge.example.com", twilio_auth_token="t0ken")
    async with client:
        assert (await get(client, "/v1/calls"))[0] == 403
        key = {"Authorization": f"Bearer {control_key('t0ken')}"}
        async with client.get("/v1/calls", headers=key) as answer:
            assert answer.status == 200


# ----------------------------------------------------------------------- orders


class Told:
    """A conversation that remembers its orders."""

    def __init__(self) -> None:
        self.orders: list[tuple[str, ...]] = []

    def say(self, text: str) -> None:
        self.orders.append(("say", text))

    def take_text(self, text: str) -> None:
        self.orders.append(("text", text))

    def transfer(self, number: str, *, last_words: str = "") -> None:
        self.orders.append(("transfer", number, last_words))


def told_call(state: ServerState) -> Told:
    told = Told()
    live_call(state).tell = lambda order: order(cast(LiveCall, told))
    return told


@pytest.mark.parametrize(
    ("path", "body", "order"),
    [
        ("messages", {"text": "order 4711"}, ("text", "order 4711")),
        ("say", {"text": "One moment."}, ("say", "One moment.")),
        ("transfer", {"number": "+14155550101"}, ("transfer", "+14155550101", "")),
        ("transfer", {"number": "+14155550101", "say": "Bye."}, ("transfer", "+14155550101", "Bye.")),
    ],
)
async def test_a_live_call_takes_orders(path: str, body: dict[str, str], order: tuple[str, ...]) -> None:
    client, state = application()
    async with client:
        told = told_call(state)
        async with client.post(f"/v1/calls/{CALL_SID}/{path}", json=body) as answer:
            assert (answer.status, await answer.json()) == (202, {"id": CALL_SID, "status": "accepted"})
        assert told.orders == [order]


@pytest.mark.parametrize(
    ("path", "body", "place"),
    [
        ("messages", b"{", "truncated"),
        ("messages", b'{"text": ""}', "$.text"),
        ("messages", b'{"text": "x", "answer": "post"}', "$.answer"),
        ("messages", b'{"text": "x", "answer": "text", "variables": {"a": 1}}', "$.variables"),
        ("say", b'{"text": 1}', "$.text"),
        ("say", b"[]", "Expected `object`"),
        ("transfer", b'{"number": "0800 reverse"}', "$.number"),
        ("transfer", b'{"number": "+14155550101\\n"}', "$.number"),
        ("messages", b'{"text": "' + b"x" * 2_001 + b'"}', "$.text"),
    ],
)
async def test_an_order_that_is_wrong_is_told_its_place_and_reaches_no_call(
    path: str, body: bytes, place: str
) -> None:
    client, state = application()
    async with client:
        told = told_call(state)
        headers = {"Content-Type": "application/json"}
        async with client.post(f"/v1/calls/{CALL_SID}/{path}", data=body, headers=headers) as answer:
            text = await answer.text()
            assert (answer.status, text.partition(":")[0]) == (400, "bad_order")
            assert place in text
        assert told.orders == []


async def test_an_order_that_a_web_form_could_send_is_refused() -> None:
    client, state = application()
    async with client:
        told = told_call(state)
        async with client.post(f"/v1/calls/{CALL_SID}/say", data=b'{"text": "x"}') as answer:
            assert answer.status == 415
        assert told.orders == []


async def test_an_order_to_a_call_that_is_over_or_was_never_there_is_refused() -> None:
    client, state = application()
    async with client:
        state.registry.finish(live_call(state))
        for call_sid, status in ((CALL_SID, 409), ("CA404", 404)):
            async with client.post(f"/v1/calls/{call_sid}/say", json={"text": "x"}) as answer:
                assert answer.status == status


@pytest.mark.parametrize("path", ["messages", "say", "transfer"])
async def test_nobody_without_the_control_key_orders_anything(path: str) -> None:
    client, state = application(twilio_auth_token="t0", public_url="https://bridge.example.com")
    async with client:
        told = told_call(state)
        body = {"text": "x"} if path != "transfer" else {"number": "+14155550101"}
        for headers in ({}, {"Authorization": "Bearer wrong"}):
            async with client.post(f"/v1/calls/{CALL_SID}/{path}", json=body, headers=headers) as answer:
                assert answer.status == 403
        assert told.orders == []
