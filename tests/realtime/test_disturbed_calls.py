"""A spoken call on a server of its own, while others do their worst: not one frame of it comes late."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from supervised import House, supervised

from offhook.lab.call_result import CallPlan, CallResult, LiveLine
from offhook.lab.place_call import place_call
from offhook.lab.script import HangUp, Say, Script, Silence, WaitFor
from offhook.pipeline.clock import LoopClock

pytestmark = [pytest.mark.realtime, pytest.mark.timeout(180)]

OFFHOOK = str(Path(sys.executable).with_name("offhook"))
FRAME_MS = 20
UPGRADES = 1_000
FLOOD = """
import asyncio, sys

HEAD = "GET {path} HTTP/1.1\\r\\nHost: 127.0.0.1:{port}\\r\\n{more}\\r\\n"
GOOD = (
    "Connection: Upgrade\\r\\nUpgrade: websocket\\r\\nSec-WebSocket-Version: 13\\r\\n"
    "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\\r\\n"
)
BAD = [
    ("/media", GOOD.replace("Version: 13", "Version: 8")),
    ("/media", "Connection: Upgrade\\r\\nUpgrade: websocket\\r\\n"),
    ("/media", GOOD + "Origin: https://evil.example.com\\r\\n"),
    ("/media", GOOD + "X-Forwarded-For: 203.0.113.9\\r\\n"),
    ("/ws/no-such-assistant", GOOD),
    ("/media", "Upgrade: \\x00\\r\\n"),
]

async def one(number, port, room):
    async with room:
        path, more = BAD[number % len(BAD)]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(HEAD.format(path=path, port=port, more=more).encode())
        answer = await asyncio.wait_for(reader.readline(), 20)
        writer.close()
        return answer.split(b" ")[1].decode() if b" " in answer else "closed"

async def main(port, count):
    room = asyncio.Semaphore(50)
    answers = await asyncio.gather(*(one(number, port, room) for number in range(count)))
    print(*sorted(set(answers)), len(answers))

asyncio.run(main(int(sys.argv[1]), int(sys.argv[2])))
"""


@asynccontextmanager
async def serving() -> AsyncIterator[tuple[House, int]]:
    async with supervised(OFFHOOK, "serve", "--port", "0", ready=False) as house:
        yield house, int((await house.log("server.ready"))["port"])


async def long_answer(port: int, meanwhile: Callable[[], Awaitable[None]]) -> CallResult:
    """Ask for what takes half a minute to read, and let something happen once the reading has begun."""
    loop = asyncio.get_running_loop()
    asked, happening = asyncio.Event(), list[asyncio.Task[None]]()

    def watch(line: LiveLine) -> None:
        if line.who == "caller":
            asked.set()
        if line.who == "agent" and asked.is_set() and not happening:
            happening.append(loop.create_task(_run(meanwhile)))

    steps = (WaitFor("greeting_end"), Say("What is your shipping policy?"), Silence(11.0), HangUp())
    plan = CallPlan(
        Script(steps, max_s=60), webhook=f"http://127.0.0.1:{port}/voice/inbound", recognise=False
    )
    call = await place_call(plan, LoopClock(loop), watch=watch)
    assert happening, "the answer was never heard"
    await happening[0]
    return call


async def _run(meanwhile: Callable[[], Awaitable[None]]) -> None:
    await meanwhile()


def late_frames(call: CallResult) -> list[int]:
    """The gaps in the agent's speech that are longer than a frame, in milliseconds."""
    return [gap.length_ms for gap in call.underruns if gap.length_ms > FRAME_MS]


async def test_a_thousand_bad_upgrades_do_not_make_one_frame_late() -> None:
    async with serving() as (house, port):
        answers: list[str] = []

        async def flood() -> None:
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-c", FLOOD, str(port), str(UPGRADES)), stdout=asyncio.subprocess.PIPE
            )
            answers.extend((await process.communicate())[0].decode().split())

        call = await long_answer(port, flood)
        assert answers[-1] == str(UPGRADES)
        assert "101" not in answers
        assert call.counts.agent_frames > 300
        assert late_frames(call) == []
        assert not [line for line in house.lines if line["event"] == "loop.stalled"]


async def failing(_: web.Request) -> web.StreamResponse:
    return web.Response(status=500, body=b"x" * 100_000)


async def resetting(request: web.Request) -> web.StreamResponse:
    assert request.transport is not None
    request.transport.abort()
    return web.Response()


async def dribbling(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(status=503)
    await response.prepare(request)
    for _ in range(200):
        await response.write(b"x" * 65_536)
        await asyncio.sleep(0.05)
    return response


async def silent(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(3)
    return web.Response(status=504)


@asynccontextmanager
async def receiver(
    manners: Sequence[Callable[[web.Request], Awaitable[web.StreamResponse]]],
) -> AsyncIterator[tuple[str, list[Any], asyncio.Event]]:
    """A receiver that answers as badly as it can until it is told to be well."""
    taken: list[Any] = []
    well = asyncio.Event()
    asked = 0

    async def receive(request: web.Request) -> web.StreamResponse:
        nonlocal asked
        body = await request.read()
        if well.is_set():
            taken.append(json.loads(body)["message"])
            return web.Response()
        asked += 1
        return await manners[asked % len(manners)](request)

    app = web.Application(client_max_size=10_000_000)
    app.router.add_post("/events", receive)
    async with TestServer(app) as server:
        yield str(server.make_url("/events")), taken, well


async def test_a_receiver_that_is_slow_down_or_hostile_makes_no_frame_late_and_is_told_all_in_order(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with receiver((failing, resetting, dribbling, silent)) as (url, taken, well):
        monkeypatch.setenv("WEBHOOK_URL", url)
        monkeypatch.setenv("OFFHOOK_DATA_FOLDER", str(tmp_path))
        async with serving() as (house, port):

            async def nothing_more() -> None: ...

            call = await long_answer(port, nothing_more)
            assert call.counts.agent_frames > 300
            assert late_frames(call) == []
            assert taken == []
            assert [line for line in house.lines if line["event"] == "webhook.not-delivered"]
            well.set()
            async with asyncio.timeout(45):
                while not taken or taken[-1]["type"] != "end-of-call-report":  # noqa: ASYNC110  of another process
                    await asyncio.sleep(0.1)
        times = [message["timestamp"] for message in taken]
        assert times == sorted(times)
        kinds = [message["type"] for message in taken]
        assert kinds[0] == "status-update"
        assert {"transcript", "speech-update", "conversation-update"} < set(kinds)
        told = next(m for m in taken if m["type"] == "transcript" and m["transcriptType"] == "final")
        assert "shipping" in told["transcript"].lower()
