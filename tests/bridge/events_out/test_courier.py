"""Posting to receivers that are well, slow, down, hostile, and back again."""

from __future__ import annotations

import asyncio
import base64
import errno
import hashlib
import hmac
import json
import os
from collections import Counter
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
from offhook.bridge.events_out.dead_letter_file import DeadLetter, append_lines, read_letter
from offhook.bridge.events_out.dead_letters import DeadLetters
from offhook.bridge.events_out.messages import CallFacts, Number, StatusUpdate
from offhook.bridge.events_out.outbox import Letter
from offhook.bridge.events_out.replay import replay
from offhook.config.server import Server
from offhook.pipeline.clock import LoopClock
from offhook.pipeline.ports import CallEvent
from offhook.pipeline.providers.web.web_client import WebAnswer, WebClient, WebRequest

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
    counters: Counter[str] = field(default_factory=Counter)

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
        lines = self.file.read_bytes().splitlines() if self.file.exists() else []
        letters = [read_letter(line) for line in lines]
        assert None not in letters
        return [letter for letter in letters if letter is not None]


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
        counters: Counter[str] = Counter()
        courier = Courier(
            clock=LoopClock(loop, loop.time),
            workers=InlineWorkers(),
            exchange=client.exchange,
            dead_letters=DeadLetters(file, InlineWorkers(), counters),
            counters=counters,
            wall_time=lambda: 1_700_000_000 + loop.time(),
            jitter=lambda: 1.0,
        )
        built = House(courier, str(server.make_url("/")), file, well, counters=counters)
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
    counters: Counter[str] = Counter()
    letters = DeadLetters(None, InlineWorkers(), counters)
    told = StatusUpdate(timestamp=1, call=CallFacts("CA1", "", Number(""), Number("")), status="ended")
    letters.bury("CA1", "http://x", "down", [Letter(told)])
    await letters.close()
    assert counters["lost"] == 1


async def packed(_: web.Request) -> web.StreamResponse:
    return web.Response(body=b"x" * 400_000, headers={"Content-Encoding": "gzip"})


async def endless_success(request: web.Request) -> web.StreamResponse:
    if "CA1" in await request.text():
        return await endless(request)
    return await well(request)


@pytest.mark.parametrize("answer", [packed, endless_success])
async def test_a_success_is_one_whatever_else_the_answer_holds(tmp_path: Path, answer: Answer) -> None:
    async with house(tmp_path) as built:
        built.answer = answer
        expected = talk(built.call())
        await asyncio.sleep(5)
        assert built.counters == {"delivered": len(expected), "dropped": 0, "dead": 0}
        assert built.asked == len(expected)


async def test_half_a_surrogate_in_a_tools_arguments_costs_no_message(tmp_path: Path) -> None:
    async def away(_: web.Request) -> web.StreamResponse:
        return web.Response(status=503)

    def lookup(observe: Callable[[CallEvent], None]) -> None:
        asked = {"id": "1", "name": "find", "arguments": {"q": "half \ud83d", "r": "\ud83d\ude00"}}
        observe(CallEvent("function-call", 1, asked))
        observe(CallEvent("call.ended", 2, {"reason": "done", "transfer_to": ""}))

    async with house(tmp_path) as built:
        lookup(built.call("CA1"))
        await asyncio.sleep(1)
        arguments = built.bodies[-1]["tools"][0]["arguments"]
        assert arguments == {"q": "half \ud83d", "r": "\U0001f600"}
        built.answer = away
        lookup(built.call("CA2"))
        talk(built.call("CA3"))
        await asyncio.sleep(1)
        await built.courier.close()
        assert built.dead()[1].body["message"]["tools"][0]["arguments"] == arguments
        assert len(built.dead()) == 2 + TURNS + 3
        assert built.counters["lost"] == 0


async def test_a_fault_of_the_bridge_at_one_message_is_tried_again_and_then_kept(tmp_path: Path) -> None:
    async with house(tmp_path) as built:
        exchange, built.courier._exchange = built.courier._exchange, broken
        expected = talk(built.call())
        await asyncio.sleep(1)
        built.courier._exchange = exchange
        await asyncio.sleep(5)
        assert built.taken() == expected


async def broken(request: WebRequest, *, named: bool = False) -> WebAnswer:
    raise RuntimeError("not foreseen")


async def test_a_stop_keeps_more_messages_than_are_written_at_once(tmp_path: Path) -> None:
    async def away(_: web.Request) -> web.StreamResponse:
        return web.Response(status=503)

    async with house(tmp_path) as built:
        built.answer = away
        calls, messages = 30, 900
        for number in range(calls):
            observe = built.call(f"CA{number}")
            for at_ms in range(messages):
                observe(CallEvent("call.started", at_ms, {}))
        await built.courier.close()
        kept = built.dead()
        assert (len(kept), built.counters["lost"]) == (calls * messages, 0)
        of_one = [letter.body["message"]["timestamp"] for letter in kept if letter.call_sid == "CA7"]
        assert of_one == list(range(messages))


async def test_when_all_receivers_hold_too_much_the_one_that_is_down_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def half_away(request: web.Request) -> web.StreamResponse:
        down = "CA1" in await request.text()
        return web.Response(status=503) if down else await well(request)

    monkeypatch.setattr("offhook.bridge.events_out.outbox.HELD_LIMIT", 20)
    async with house(tmp_path) as built:
        built.answer = half_away
        healthy = built.call("CA2")
        healthy(CallEvent("call.started", 0, {}))
        failing = built.call("CA1")
        for at_ms in range(21):
            failing(CallEvent("call.started", at_ms, {}))
        await asyncio.sleep(1)
        assert [letter.call_sid for letter in built.dead()] == ["CA1"] * 21
        healthy(CallEvent("call.ended", 9, {"reason": "done", "transfer_to": ""}))
        await asyncio.sleep(1)
        assert built.taken("CA2") == [0, 9, 9]


async def test_replay_keeps_what_is_written_meanwhile_and_lines_that_it_cannot_read(tmp_path: Path) -> None:
    async def away(_: web.Request) -> web.StreamResponse:
        return web.Response(status=503)

    async with house(tmp_path) as built:
        built.answer = away
        talk(built.call("CA1"))
        await built.courier.close()
        append_lines(built.file, b"half a li\n")
        late = b'{"call_sid":"CA9","url":"http://x","id":"m","why":"late","body":{}}\n'

        async def well_and_writing(request: web.Request) -> web.StreamResponse:
            if not built.bodies:
                append_lines(built.file, late)
            return await well(request)

        built.answer = well_and_writing
        server = Server.model_validate({"url": built.url, "secret": SECRET})
        client = WebClient()
        try:
            result = await replay(built.file, {server.url: server}, client.exchange)
        finally:
            await client.close()
        assert (result.delivered, len(result.broken_lines)) == (TURNS + 3, 1)
        assert built.file.read_bytes() == b"half a li\n" + late


async def test_a_message_that_is_refused_for_good_holds_up_no_other_of_its_call_in_a_replay(
    tmp_path: Path,
) -> None:
    async def picky(request: web.Request) -> web.StreamResponse:
        words = (await request.json())["message"]["type"] == "transcript"
        return web.Response(status=422) if words else await well(request)

    async with house(tmp_path) as built:
        built.answer = picky
        talk(built.call())
        await asyncio.sleep(1)
        observe = built.call()
        built.answer = reset
        talk(observe, 100)
        await built.courier.close()
        built.answer = picky
        server = Server.model_validate({"url": built.url, "secret": SECRET})
        client = WebClient()
        try:
            result = await replay(built.file, {server.url: server}, client.exchange)
        finally:
            await client.close()
        assert (result.delivered, len(result.kept)) == (3, 2 * TURNS)
        assert len(built.dead()) == 2 * TURNS


def test_a_disk_that_takes_half_a_line_is_left_with_whole_ones(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "letters.jsonl"
    append_lines(file, b"first\n")
    write = os.write

    def short(descriptor: int, content: bytes) -> int:
        if len(content) < 3:
            raise OSError(errno.ENOSPC, "full")
        return write(descriptor, content[:3])

    monkeypatch.setattr(os, "write", short)
    append_lines(file, b"second line\n" * 3)
    with pytest.raises(OSError, match="full"):
        append_lines(file, b"third\n--")
    assert file.read_bytes() == b"first\n" + b"second line\n" * 3


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
