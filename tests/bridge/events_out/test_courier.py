"""Posting to receivers that are well, slow, down, hostile, and back again."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from fake_engines import InlineWorkers

from offhook.bridge.events_out.call_story import CallStory
from offhook.bridge.events_out.courier import Courier, Receiver
from offhook.bridge.events_out.dead_letters import DeadLetter, DeadLetters, read_dead_letters
from offhook.bridge.events_out.messages import CallFacts, Number
from offhook.bridge.events_out.replay import replay
from offhook.config.server import Server
from offhook.pipeline.clock import LoopClock
from offhook.pipeline.ports import CallEvent
from offhook.pipeline.providers.web.web_client import WebClient

Answer = Callable[[web.Request], Awaitable[web.StreamResponse]]
SECRET = "hush"
TURNS = 5


@dataclass
class House:
    """A courier, and the receiver that it posts to."""

    courier: Courier
    url: str
    file: Path
    answer: Answer
    bodies: list[dict[str, Any]] = field(default_factory=list)
    """What was taken, in order."""
    headers: list[dict[str, str]] = field(default_factory=list)
    asked: int = 0

    def call(self, call_sid: str = "CA1") -> Callable[[CallEvent], None]:
        """A call that is told of."""
        facts = CallFacts(call_sid, "Shop", Number("+14155550101"), Number(""))
        receiver = Receiver(Server.model_validate({"url": self.url, "secret": SECRET}), call_sid)
        return self.courier.follow(receiver, CallStory(facts, 0))

    def taken(self, call_sid: str = "CA1") -> list[int]:
        """The times of the messages that were taken of a call."""
        return [body["timestamp"] for body in self.bodies if body["call"]["id"] == call_sid]

    def dead(self) -> list[DeadLetter]:
        """The messages in the file."""
        broken: list[int] = []
        letters = list(read_dead_letters(self.file, broken.append)) if self.file.exists() else []
        assert not broken
        return letters


@asynccontextmanager
async def house(tmp_path: Path) -> AsyncIterator[House]:
    async def receive(request: web.Request) -> web.StreamResponse:
        built.asked += 1
        body = await request.json()
        response = await built.answer(request)
        if response.status == 200:
            built.bodies.append(body["message"])
            built.headers.append(dict(request.headers))
        return response

    app = web.Application()
    app.router.add_post("/", receive)
    loop = asyncio.get_running_loop()
    client = WebClient()
    async with TestServer(app) as server:
        file = tmp_path / "kept" / "webhooks.jsonl"
        courier = Courier(
            clock=LoopClock(loop, loop.time),
            exchange=client.exchange,
            dead_letters=DeadLetters(file, InlineWorkers()),
            wall_time=lambda: 1_700_000_000 + loop.time(),
            jitter=lambda: 1.0,
        )
        built = House(courier, str(server.make_url("/")), file, well)
        try:
            yield built
        finally:
            await courier.close()
            await client.close()
            assert [
                task for task in asyncio.all_tasks() if task.get_name() in ("webhooks", "dead letters")
            ] == []


async def well(_: web.Request) -> web.StreamResponse:
    return web.json_response({"received": True})


def talk(observe: Callable[[CallEvent], None], first: int = 0) -> list[int]:
    """A short call's events; returns the times of the messages that they give."""
    observe(CallEvent("call.started", first, {}))
    for turn in range(1, TURNS + 1):
        observe(CallEvent("transcript.final", first + turn, {"text": "yes", "utterance": turn}))
    end = first + TURNS + 1
    observe(CallEvent("call.ended", end, {"reason": "done", "transfer_to": ""}))
    return [*range(first, end), end, end]


async def test_everything_is_posted_in_order_and_the_task_ends_with_the_call(tmp_path: Path) -> None:
    async with house(tmp_path) as built:
        expected = talk(built.call())
        await asyncio.sleep(1)
        assert built.taken() == expected
        assert not [task for task in asyncio.all_tasks() if task.get_name() == "webhooks"]


async def test_a_post_is_signed_over_the_bytes_that_were_sent(tmp_path: Path) -> None:
    raw: list[bytes] = []

    async def keep(request: web.Request) -> web.StreamResponse:
        raw.append(await request.read())
        return await well(request)

    async with house(tmp_path) as built:
        built.answer = keep
        talk(built.call())
        await asyncio.sleep(1)
        sent, headers = raw[0], built.headers[0]
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + sent
        digest = hmac.digest(SECRET.encode(), signed, hashlib.sha256)
        assert headers["webhook-signature"] == "v1," + base64.b64encode(digest).decode()
        assert headers["x-vapi-secret"] == SECRET
        assert headers["x-vapi-signature"] == hmac.new(SECRET.encode(), sent, hashlib.sha256).hexdigest()
        assert json.dumps(json.loads(sent), separators=(",", ":"), ensure_ascii=False).encode() == sent


@pytest.mark.parametrize("status", [429, 500, 503, 408])
async def test_after_a_receiver_that_was_away_returns_nothing_is_missing(tmp_path: Path, status: int) -> None:
    async def away(_: web.Request) -> web.StreamResponse:
        return web.Response(status=status)

    async with house(tmp_path) as built:
        built.answer = away
        expected = talk(built.call())
        await asyncio.sleep(60)
        assert built.taken() == []
        built.answer = well
        await asyncio.sleep(60)
        assert built.taken() == expected
        assert built.dead() == []


async def test_each_attempt_has_the_same_id_and_a_fresh_time(tmp_path: Path) -> None:
    seen: list[tuple[str, str]] = []

    async def note(request: web.Request) -> web.StreamResponse:
        seen.append((request.headers["webhook-id"], request.headers["webhook-timestamp"]))
        return web.Response(status=500 if len(seen) < 3 else 200)

    async with house(tmp_path) as built:
        built.answer = note
        built.call()(CallEvent("call.started", 0, {}))
        await asyncio.sleep(10)
        assert len({name for name, _ in seen}) == 1
        assert len({when for _, when in seen}) > 1


async def test_a_slow_receiver_holds_up_its_own_call_alone_and_no_event_waits(tmp_path: Path) -> None:
    async def slow(request: web.Request) -> web.StreamResponse:
        if "CA1" in await request.text():
            await asyncio.sleep(3600)
        return await well(request)

    async with house(tmp_path) as built:
        built.answer = slow
        loop = asyncio.get_running_loop()
        before = loop.time()
        talk(built.call("CA1"))
        expected = talk(built.call("CA2"))
        assert loop.time() == before
        await asyncio.sleep(1)
        assert built.taken("CA2") == expected
        assert built.asked == 1 + len(expected)


async def test_what_a_receiver_refuses_for_good_is_kept_and_the_rest_is_delivered(tmp_path: Path) -> None:
    async def picky(request: web.Request) -> web.StreamResponse:
        partial = (await request.json())["message"]["type"] == "transcript"
        return web.Response(status=422) if partial else await well(request)

    async with house(tmp_path) as built:
        built.answer = picky
        talk(built.call())
        await asyncio.sleep(1)
        assert len(built.taken()) == 3
        assert [(item.why, item.call_sid) for item in built.dead()] == [("status 422", "CA1")] * TURNS


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x" * 65_536)


async def elsewhere(_: web.Request) -> web.StreamResponse:
    return web.Response(status=302, headers={"Location": "http://169.254.169.254/latest/meta-data"})


async def reset(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


@pytest.mark.parametrize("hostile", [endless, elsewhere, reset])
async def test_a_hostile_receiver_gets_nothing_but_its_own_messages(tmp_path: Path, hostile: Answer) -> None:
    async with house(tmp_path) as built:
        built.answer = hostile
        talk(built.call("CA1"))
        await asyncio.sleep(5)
        built.answer = well
        expected = talk(built.call("CA2"))
        await asyncio.sleep(5)
        assert built.taken("CA2") == expected


async def test_a_server_that_is_stopped_keeps_what_it_could_not_post(tmp_path: Path) -> None:
    async def away(_: web.Request) -> web.StreamResponse:
        return web.Response(status=503)

    async with house(tmp_path) as built:
        built.answer = away
        expected = talk(built.call())
        await asyncio.sleep(1)
        await built.courier.close()
        kept = built.dead()
        assert [item.body["message"]["timestamp"] for item in kept] == expected
        assert built.file.stat().st_mode & 0o777 == 0o600
        assert SECRET not in built.file.read_text()


async def test_without_a_folder_what_is_lost_is_counted() -> None:
    letters = DeadLetters(None, InlineWorkers())
    letters.bury("CA1", "http://x", "msg_1", "down", {})
    await letters.close()
    assert letters.lost == 1


async def test_what_was_kept_is_posted_again_in_order_and_the_file_is_gone(tmp_path: Path) -> None:
    async def away(_: web.Request) -> web.StreamResponse:
        return web.Response(status=503)

    async with house(tmp_path) as built:
        built.answer = away
        expected = talk(built.call("CA1"))
        other = talk(built.call("CA2"))
        await asyncio.sleep(1)
        await built.courier.close()
        server = Server.model_validate({"url": built.url, "secret": SECRET})
        client = WebClient()
        try:
            still = await replay(built.file, {server.url: server}, client.exchange)
            assert (still.delivered, len(still.kept)) == (0, 2)
            unknown = await replay(built.file, {}, client.exchange)
            assert "neither WEBHOOK_URL" in unknown.kept[0]
            built.answer = well
            done = await replay(built.file, {server.url: server}, client.exchange)
        finally:
            await client.close()
        assert (done.delivered, done.kept) == (len(expected) + len(other), [])
        assert built.taken("CA1") == expected
        assert built.taken("CA2") == other
        assert not built.file.exists()
