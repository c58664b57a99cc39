"""Real worker processes behind one port: they die, are replaced, drain, and leave nothing behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from aiohttp import ClientError, ClientSession, ClientTimeout
from bridge_rig import connected, media, start
from supervised import House, nobody_left, supervised
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

pytestmark = [pytest.mark.realtime, pytest.mark.timeout(60)]

PROGRAM = Path(__file__).parents[2] / "support" / "echo_workers.py"


@asynccontextmanager
async def house(workers: int = 2, port: int = 0, *arguments: str, ready: bool = True) -> AsyncIterator[House]:
    command = (sys.executable, str(PROGRAM), str(workers), str(port), *arguments)
    async with supervised(*command, ready=ready) as place:
        yield place


async def call(port: int, call_sid: str) -> ClientConnection:
    socket = await connect(f"ws://127.0.0.1:{port}/media", compression=None, proxy=None)
    await socket.send(connected())
    await socket.send(start(call_sid))
    await echo(socket)
    return socket


async def echo(socket: ClientConnection) -> None:
    await socket.send(media(int(time.monotonic() * 1000), b"hello"))
    async with asyncio.timeout(5):
        await socket.recv()


async def spread_calls(port: int, count: int = 4) -> list[ClientConnection]:
    return [await call(port, f"CA{number}") for number in range(count)]


async def answers(socket: ClientConnection) -> bool:
    try:
        await echo(socket)
    except ConnectionClosed:
        return False
    return True


async def test_a_killed_worker_takes_only_its_own_calls_and_is_replaced() -> None:
    async with house() as place:
        port = await place.port()
        sockets = await spread_calls(port)
        os.kill(place.pids()[0], signal.SIGKILL)
        died = await place.log("worker.died")
        assert (died["how"], died["again_in_s"]) == ("SIGKILL", 0.5)
        alive = [await answers(socket) for socket in sockets]
        await place.log("worker.replaced")
        assert len(place.pids()) == 2
        async with ClientSession() as http, http.get(f"http://127.0.0.1:{port}/v1/calls") as answer:
            listed = (await answer.json())["calls"]
        assert sorted(one["id"] for one in listed) == [
            f"CA{number}" for number, lives in enumerate(alive) if lives
        ]
        # Those that were lost count no more: as many new ones are taken.
        for number, lives in enumerate(alive):
            if not lives:
                sockets.append(await call(port, f"CA{number}"))
        for socket in sockets:
            await socket.close()


async def everybody_takes_calls(port: int, count: int = 24) -> bool:
    """Nobody who asks hears an apology, or nothing."""
    form = {"CallSid": "CA999", "From": "+15550100", "To": "+15550199"}

    async def asks() -> bool:
        with suppress(ClientError, TimeoutError):
            page = f"http://127.0.0.1:{port}/voice/inbound"
            async with ClientSession(timeout=ClientTimeout(3)) as http, http.post(page, data=form) as answer:
                return "<Connect" in await answer.text()
        return False

    return all(await asyncio.gather(*(asks() for _ in range(count))))


async def test_a_worker_that_is_told_alone_to_stop_leaves_the_port_and_its_calls_go_on() -> None:
    async with house() as place:
        port = await place.port()
        sockets = await spread_calls(port, 3)
        before = set(place.pids())
        os.kill(min(before), signal.SIGTERM)
        await place.log("worker.leaving")
        await place.log("worker.replaced")
        assert all([await answers(socket) for socket in sockets]), "also those of the one that leaves"
        assert await everybody_takes_calls(port)
        for socket in sockets:
            await socket.close()
        async with asyncio.timeout(20):
            while min(before) in place.pids():  # noqa: ASYNC110  a process of others
                await asyncio.sleep(0.05)
        assert not [line for line in place.lines if line["event"] == "worker.died"]


async def test_a_worker_that_hangs_is_noticed_and_replaced() -> None:
    async with house() as place:
        port = await place.port()
        os.kill(min(place.pids()), signal.SIGSTOP)
        hung = await place.log("worker.hangs")
        assert hung["for_s"] == 10
        assert (await place.log("worker.died"))["how"] == "SIGKILL"
        await place.log("worker.replaced")
        assert await everybody_takes_calls(port)


async def test_all_end_in_time_though_one_is_leaving() -> None:
    async with house() as place:
        sockets = await spread_calls(await place.port(), 4)
        os.kill(min(place.pids()), signal.SIGTERM)
        await place.log("worker.replaced")
        place.process.send_signal(signal.SIGTERM)
        await asyncio.sleep(0.5)
        place.process.send_signal(signal.SIGTERM)
        assert await place.ended() == 0
        await nobody_left(place)
        for socket in sockets:
            await socket.close()


async def test_a_drain_lets_live_calls_end_and_leaves_no_process_and_no_file() -> None:
    async with house() as place:
        sockets = await spread_calls(await place.port(), 3)
        place.process.send_signal(signal.SIGTERM)
        await place.log("server.draining", 2)
        await asyncio.sleep(0.3)
        assert all([await answers(socket) for socket in sockets])
        assert place.process.returncode is None
        for socket in sockets:
            await socket.close()
        assert await place.ended() == 0
        await nobody_left(place)
        assert list(place.temporary.iterdir()) == []
        assert place.other == []
        assert not [line for line in place.lines if line["event"] in ("worker.died", "worker.killed")]


async def test_a_second_signal_ends_live_calls_at_once() -> None:
    async with house() as place:
        (socket,) = await spread_calls(await place.port(), 1)
        # A terminal's Ctrl-C goes to the workers too, and is no second signal.
        os.killpg(place.process.pid, signal.SIGINT)
        await place.log("server.draining", 2)
        await asyncio.sleep(0.3)
        assert await answers(socket)
        place.process.send_signal(signal.SIGTERM)
        assert await place.ended() == 0
        with pytest.raises(ConnectionClosed):
            await socket.recv()


async def test_workers_whose_supervisor_is_gone_drain_and_tidy_up() -> None:
    async with house() as place:
        sockets = await spread_calls(await place.port(), 2)
        place.process.send_signal(signal.SIGKILL)
        await place.log("worker.orphaned", 2)
        assert all([await answers(socket) for socket in sockets])
        for socket in sockets:
            await socket.close()
        await nobody_left(place)
        assert list(place.temporary.iterdir()) == []


@pytest.mark.parametrize(
    ("fault", "said"), [("refused", "a.yaml: name: is not set.\n"), ("crash", "died while it started.\n")]
)
async def test_a_worker_that_cannot_start_is_told_of_once_and_ends_all(fault: str, said: str) -> None:
    async with house(3, 0, fault, ready=False) as place:
        assert await place.ended() != 0
        assert sum(line.endswith(said) for line in place.other) == 1
        await nobody_left(place)
        assert list(place.temporary.iterdir()) == []


async def test_a_folder_too_long_for_sockets_is_named_and_nothing_is_started(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    long = tmp_path / ("x" * 120)
    long.mkdir()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(PROGRAM), "2", "0"),
        stderr=asyncio.subprocess.PIPE,
        env=os.environ | {"TMPDIR": str(long)},
    )
    _, said = await process.communicate()
    assert process.returncode != 0
    assert b"too long for the sockets of workers" in said
    assert list(long.iterdir()) == []


async def test_a_port_that_is_taken_is_refused_also_if_other_workers_have_it() -> None:
    async with house() as place, house(2, await place.port(), ready=False) as second:
        assert await second.ended() != 0
        assert "cannot be listened on: Address already in use." in "".join(second.other)


async def test_connections_are_spread_over_the_workers() -> None:
    async with house(2) as place, ClientSession() as http:
        port = await place.port()
        for number in range(40):
            form = {"CallSid": f"CA{number}"}
            page = f"http://127.0.0.1:{port}/voice/inbound"
            async with http.post(page, data=form, headers={"Connection": "close"}) as answer:
                assert answer.status == 200
        await place.log("webhook.inbound", 40)
        assert {line["worker"] for line in place.lines if line["event"] == "webhook.inbound"} == {0, 1}
