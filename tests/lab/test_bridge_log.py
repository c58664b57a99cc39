"""Reading the bridge's log over HTTP, live and afterwards."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import aiohttp
import pytest
from aiohttp import web

from offhook.bridge.trust import control_key
from offhook.lab.bridge_log import BridgeEvent, BridgeLog, control_url

pytestmark = pytest.mark.realtime

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
STARTED = {"type": "call.started", "at_ms": 0, "data": {}}
ENDED = {"type": "call.ended", "at_ms": 900, "data": {"reason": "done"}}


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("http://127.0.0.1:8080/voice/inbound?assistant=a", "http://127.0.0.1:8080/v1/calls"),
        ("ws://127.0.0.1:8080/media", "http://127.0.0.1:8080/v1/calls"),
        ("wss://bridge.example/media", "https://bridge.example/v1/calls"),
    ],
)
def test_the_control_api_lies_beside_webhook_and_stream(address: str, url: str) -> None:
    assert control_url(address) == url


@pytest.mark.parametrize("fields", [None, [], {}, {"type": 1, "at_ms": 0}, {"type": "a", "at_ms": "0"}])
def test_what_is_no_event_is_passed_over(fields: object) -> None:
    assert BridgeEvent.read(fields) is None


@asynccontextmanager
async def api(record: Handler, events: Handler, auth_token: str | None = None) -> AsyncIterator[BridgeLog]:
    app = web.Application()
    app.router.add_get("/v1/calls/CA1", record)
    app.router.add_get("/v1/calls/CA1/events", events)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with aiohttp.ClientSession() as session:
            url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1/calls"
            yield BridgeLog(session, url, "CA1", auth_token)
    finally:
        await runner.cleanup()


async def nothing(_: web.Request) -> web.StreamResponse:
    return web.Response(status=404)


async def test_the_record_is_read_once_the_call_has_ended() -> None:
    events: list[dict[str, object]] = [STARTED]

    async def record(_: web.Request) -> web.StreamResponse:
        answer = web.json_response({"events": [*events, "junk"]})
        events.append(ENDED)
        return answer

    async with api(record, nothing) as log:
        assert [event.type for event in await log.read()] == ["call.started", "call.ended"]


async def test_live_events_come_as_they_happen_after_the_bridge_knows_the_call() -> None:
    asked = 0

    async def events(request: web.Request) -> web.StreamResponse:
        nonlocal asked
        asked += 1
        if asked == 1:
            return web.Response(status=404)
        stream = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await stream.prepare(request)
        for event in (STARTED, ENDED):
            await stream.write(b": a comment\nid: 1\nevent: x\ndata: " + json.dumps(event).encode() + b"\n\n")
        await stream.write(b"event: end\ndata: {}\n\n")
        return stream

    seen: list[BridgeEvent] = []
    async with api(nothing, events) as log, asyncio.timeout(5):
        await log.watch(seen.append)
    assert [event.type for event in seen] == ["call.started", "call.ended"]
    assert seen[1].data == {"reason": "done"}


@pytest.mark.parametrize("status", [403, 500, 200])
async def test_a_bridge_without_such_a_log_gives_none(status: int) -> None:
    async def other(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status, text="hello")

    async with api(other, other) as log, asyncio.timeout(5):
        await log.watch(lambda _: pytest.fail("no event was expected"))
        assert await log.read() == ()


async def test_whoever_holds_the_auth_token_shows_the_control_key() -> None:
    shown: list[str | None] = []

    async def other(request: web.Request) -> web.StreamResponse:
        shown.append(request.headers.get("Authorization"))
        return web.Response(status=403)

    for token in ("secret", None):
        async with api(other, other, token) as log:
            await log.watch(lambda _: pytest.fail("no event was expected"))
            await log.read()
    assert shown == [f"Bearer {control_key('secret')}"] * 2 + [None] * 2


async def test_a_bridge_that_is_gone_gives_none() -> None:
    async with aiohttp.ClientSession() as session, asyncio.timeout(5):
        log = BridgeLog(session, "http://127.0.0.1:1/v1/calls", "CA1")
        await log.watch(lambda _: pytest.fail("no event was expected"))
        assert await log.read() == ()


async def test_a_stream_of_junk_ends_the_watch() -> None:
    async def events(_: web.Request) -> web.StreamResponse:
        return web.Response(text="data: {not json\n\n", content_type="text/event-stream")

    async with api(nothing, events) as log, asyncio.timeout(5):
        await log.watch(lambda _: pytest.fail("no event was expected"))


async def test_the_control_key_is_shown_to_no_other_machine() -> None:
    async with aiohttp.ClientSession() as session:
        log = BridgeLog(session, "http://bridge.example.com/v1/calls", "CA1", "secret")
        assert log._headers == {}
