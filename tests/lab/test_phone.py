"""The simulated caller's socket, against a real WebSocket server on loopback."""

from __future__ import annotations

import asyncio
import base64
import random
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from websockets.utils import accept_key

from offhook.config.errors import ProtocolError
from offhook.lab.caller import ScriptedCaller
from offhook.lab.carrier import SimulatedCarrier
from offhook.lab.phone import Phone, PhoneMoment, StreamEnd
from offhook.lab.script import HangUp, HangUpKind, Press, Say, Script, Silence, Step
from offhook.lab.twilio.signature import sign
from offhook.pipeline.clock import LoopClock

from .scripted_bridge import LOUD, Bridge, Seen, scripted_bridge

pytestmark = pytest.mark.realtime


def make_phone(*steps: Step, max_s: float = 10.0, **options: Any) -> Phone:
    carrier = SimulatedCarrier(
        account_sid="AC1",
        call_sid="CA1",
        stream_sid="MZ1",
        parameters={"token": "t"},
        generator=random.Random(1),
    )
    says = {index: LOUD * 10 for index, step in enumerate(steps) if isinstance(step, Say)}
    caller = ScriptedCaller(Script(steps), says)
    clock = LoopClock(asyncio.get_running_loop())
    return Phone(clock, carrier, caller, max_s=max_s, **options)


async def call(url: str, *steps: Step, **options: Any) -> StreamEnd:
    return await make_phone(*steps, **options).stream(url)


async def ended(streams: list[Seen]) -> Seen:
    async with asyncio.timeout(5):
        await streams[0].over.wait()
    return streams[0]


async def test_the_upgrade_looks_like_twilios() -> None:
    async with scripted_bridge() as (url, streams):
        await call(url, HangUp(), auth_token="12345")
        headers = {name.lower(): value for name, value in (await ended(streams)).headers.items()}
    assert headers["user-agent"] == "Twilio.TmeWs/1.0"
    assert headers["x-twilio-signature"] == sign(url, {}, "12345")
    assert not {"origin", "sec-websocket-extensions", "sec-websocket-protocol"} & headers.keys()


async def test_what_is_said_and_pressed_arrives_in_order_at_telephone_pace() -> None:
    async with scripted_bridge() as (url, streams):
        began = asyncio.get_running_loop().time()
        await call(url, Say("hello"), Press("7"), Silence(0.2), HangUp())
        took_s = asyncio.get_running_loop().time() - began
        seen = await ended(streams)
    assert [message["event"] for message in seen.messages[:2]] == ["connected", "start"]
    media = seen.events("media")
    assert base64.b64decode(media[0]["media"]["payload"]) == LOUD
    assert base64.b64decode(media[10]["media"]["payload"]) != LOUD
    assert [message["dtmf"]["digit"] for message in seen.events("dtmf")] == ["7"]
    numbers = [int(message["sequenceNumber"]) for message in seen.messages[1:]]
    assert numbers == list(range(1, len(numbers) + 1))
    assert took_s >= (len(media) - 1) * 0.02


async def test_audio_is_heard_in_real_time_and_its_mark_comes_back() -> None:
    async def greet(bridge: Bridge, message: dict[str, Any]) -> None:
        if message["event"] == "start":
            await bridge.audio(10)
            await bridge.mark("greeting")
        elif message["event"] == "mark":
            await bridge.connection.close(1000)

    moments: list[PhoneMoment] = []
    async with scripted_bridge(greet) as (url, streams):
        end = await call(url, HangUp(HangUpKind.NONE), on_moment=moments.append)
        seen = await ended(streams)
    assert (end.by, end.close_code) == ("bridge", 1000)
    assert seen.events("mark")[0]["mark"]["name"] == "greeting"
    assert [moment.heard for moment in moments].count(LOUD) == 10


async def test_an_ordinary_hang_up_sends_stop_and_closes() -> None:
    async with scripted_bridge() as (url, streams):
        end = await call(url, HangUp(HangUpKind.STOP))
        seen = await ended(streams)
    assert (end.by, end.reason) == ("caller", "stop")
    assert seen.messages[-1]["event"] == "stop"
    assert seen.close_code == 1000


async def test_a_close_without_stop() -> None:
    async with scripted_bridge() as (url, streams):
        await call(url, Silence(0.1), HangUp(HangUpKind.CLOSE))
        seen = await ended(streams)
    assert not seen.events("stop")
    assert seen.close_code == 1000


@asynccontextmanager
async def raw_bridge() -> AsyncIterator[tuple[str, asyncio.Future[BaseException | None]]]:
    """A server that accepts the upgrade by hand and tells what its socket's reads end with."""
    outcome: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        key = next(
            line[19:] for line in request.split("\r\n") if line.lower().startswith("sec-websocket-key")
        )
        writer.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept_key(key.strip()).encode() + b"\r\n\r\n"
        )
        error: BaseException | None = None
        try:
            while await reader.read(4096):
                pass
        except ConnectionError as broken:
            error = broken
        outcome.set_result(error)
        writer.close()

    server = await asyncio.start_server(handle, "127.0.0.1", 0)
    async with server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/media", outcome


async def test_an_abort_resets_the_connection() -> None:
    async with raw_bridge() as (url, outcome):
        end = await call(url, Silence(0.1), HangUp(HangUpKind.ABORT))
        async with asyncio.timeout(5):
            assert isinstance(await outcome, ConnectionResetError)
    assert (end.by, end.reason) == ("caller", "abort")


async def test_a_half_close_ends_one_direction_without_a_close_frame() -> None:
    async with scripted_bridge() as (url, streams):
        await call(url, Silence(0.1), HangUp(HangUpKind.HALF_CLOSE))
        seen = await ended(streams)
    assert not seen.clean
    assert not seen.events("stop")


async def test_a_vanished_caller_leaves_the_socket_open_until_released() -> None:
    async with scripted_bridge() as (url, streams):
        phone = make_phone(Silence(0.1), HangUp(HangUpKind.VANISH))
        end = await phone.stream(url)
        seen = streams[0]
        await asyncio.sleep(0.2)  # what was still on its way arrives
        before = len(seen.messages)
        await asyncio.sleep(0.3)
        assert (end.by, end.reason) == ("caller", "vanish")
        assert len(seen.messages) == before
        assert not seen.over.is_set()
        await phone.release()
        assert not (await ended(streams)).clean


async def test_a_bridge_that_fails_makes_a_lost_stream() -> None:
    async def fail(bridge: Bridge, message: dict[str, Any]) -> None:
        await bridge.connection.close(1011, "worker died")

    async with scripted_bridge(fail) as (url, _):
        end = await call(url, HangUp(HangUpKind.NONE))
    assert (end.by, end.close_code, end.reason) == ("lost", 1011, "worker died")


async def test_a_connection_that_breaks_makes_a_lost_stream() -> None:
    async def drop(bridge: Bridge, message: dict[str, Any]) -> None:
        bridge.connection.transport.abort()

    async with scripted_bridge(drop) as (url, _):
        end = await call(url, HangUp(HangUpKind.NONE))
    assert (end.by, end.close_code) == ("lost", None)


async def test_a_call_has_a_longest_time() -> None:
    async with scripted_bridge() as (url, streams):
        end = await call(url, HangUp(HangUpKind.NONE), max_s=0.2)
        seen = await ended(streams)
    assert end.by == "limit"
    assert seen.messages[-1]["event"] == "stop"


async def test_frames_missed_in_a_stall_are_sent_afterwards() -> None:
    async with scripted_bridge() as (url, streams):

        def stall(moment: PhoneMoment) -> None:
            if moment.at_ms == 100:
                time.sleep(0.2)

        phone = make_phone(Silence(0.5), HangUp(), on_moment=stall)
        await phone.stream(url)
        seen = await ended(streams)
    assert len(seen.events("media")) == 25
    assert phone.late_periods > 0


async def test_a_refused_connection_has_twilios_number() -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(ProtocolError, match="31902"):
            await call(f"ws://127.0.0.1:{port}/media", HangUp())


async def test_a_bridge_that_does_not_upgrade_has_twilios_number() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(refuse, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        with pytest.raises(ProtocolError, match=r"31920.*403"):
            await call(f"ws://127.0.0.1:{port}/media", HangUp())
