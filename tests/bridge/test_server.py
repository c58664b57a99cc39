"""The whole bridge on a real port: calls, faults beside calls, leaks, proxies, and shutting down."""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any
from xml.etree import ElementTree

import pytest
import structlog
from aiohttp import ClientSession, web
from bridge_rig import (
    CALL_SID,
    EchoCall,
    EchoFactory,
    connected,
    digit,
    mark,
    media,
    settings,
    start,
    stop,
)
from structlog.testing import capture_logs
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from offhook.bridge import admission, media_socket
from offhook.bridge import server as server_module
from offhook.bridge.server import Server
from offhook.bridge.twilio.signature import signature
from offhook.pipeline.clock import LoopClock

pytestmark = [pytest.mark.realtime, pytest.mark.both_loops]

ALAW = {"encoding": "audio/x-alaw", "sampleRate": 8000, "channels": 1}
FORM = {"CallSid": CALL_SID, "From": "+15550100267", "To": "+15550100999"}


class Bridge:
    """A listening bridge with echo calls."""

    def __init__(self, **fields: Any) -> None:
        self.factory = EchoFactory()
        self.server = Server(settings(**fields), self.factory, LoopClock(asyncio.get_running_loop()))
        self.port = 0

    @property
    def counters(self) -> dict[str, int]:
        return dict(self.server.state.counters)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/media"

    def socket(self, **options: Any) -> connect:
        return connect(self.url, compression=None, proxy=None, **options)

    async def settled(self) -> None:
        """Wait until no call is live."""
        async with asyncio.timeout(5):
            await self.server.state.registry.wait_idle()


@asynccontextmanager
async def bridge(**fields: Any) -> AsyncIterator[Bridge]:
    house = Bridge(**fields)
    house.port = await house.server.start("127.0.0.1", 0)
    try:
        yield house
    finally:
        await house.server.stop()


async def begin(socket: ClientConnection, call_sid: str = CALL_SID, **parameters: str) -> None:
    await socket.send(connected())
    await socket.send(start(call_sid, parameters))


async def echo(socket: ClientConnection, chunk: int, payload: bytes) -> bytes:
    await socket.send(media(chunk, payload))
    async with asyncio.timeout(5):
        answer = json.loads(await socket.recv())
    return base64.b64decode(answer["media"]["payload"])


async def until(condition: Callable[[], bool]) -> None:
    while not condition():  # noqa: ASYNC110  what is waited for belongs to others
        await asyncio.sleep(0.01)


async def close_code(socket: ClientConnection) -> tuple[int, str]:
    async with asyncio.timeout(5):
        with suppress(ConnectionClosed):
            async for _ in socket:
                """Whatever came before."""
    assert socket.close_code is not None
    return socket.close_code, socket.close_reason or ""


# ----------------------------------------------------------------------- calls


async def test_a_call_from_the_webhook_to_what_follows_it() -> None:
    async with bridge() as house, ClientSession() as http:
        page = f"http://127.0.0.1:{house.port}/voice"
        async with http.post(f"{page}/inbound?assistant=demo", data=FORM) as answer:
            twiml = ElementTree.fromstring(await answer.text())  # noqa: S314  our own document
        stream = twiml[0][0]
        parameters = {item.attrib["name"]: item.attrib["value"] for item in stream}
        async with connect(stream.attrib["url"], compression=None, proxy=None) as socket:
            await begin(socket, **parameters)
            for chunk in range(1, 20):
                assert await echo(socket, chunk, bytes([chunk]) * 160) == bytes([chunk]) * 160
            await socket.send(mark("m1"))
            await socket.send(digit("#"))
            assert await close_code(socket) == (1000, "finished")
        assert house.factory.calls[0].marks == ["m1"]
        assert house.factory.asked == [(CALL_SID, "demo", {"from": FORM["From"], "to": FORM["To"]})]
        async with http.post(f"{page}/after", data=FORM) as answer:
            assert "<Dial" in await answer.text()
        async with http.get(f"http://127.0.0.1:{house.port}/v1/calls/{CALL_SID}") as answer:
            assert (await answer.json())["outcome"]["status"] == "transfer"


async def test_a_stream_of_somebody_elses_twiml_needs_no_webhook() -> None:
    async with bridge() as house, house.socket() as socket:
        await begin(socket, assistant="demo", plan="gold")
        assert await echo(socket, 1, b"abc") == b"abc"
        await socket.send(stop())
        await house.settled()
    assert house.factory.asked == [(CALL_SID, "demo", {"plan": "gold"})]


async def test_many_calls_at_once_hear_only_themselves() -> None:
    async with bridge(max_calls=50) as house:

        async def place(number: int) -> None:
            async with house.socket() as socket:
                await begin(socket, f"CA{number}")
                for chunk in range(1, 6):
                    payload = bytes([number, chunk]) * 80
                    assert await echo(socket, chunk, payload) == payload
                await socket.send(stop())

        await asyncio.gather(*(place(number) for number in range(40)))
        await house.settled()
        assert all(call.finished for call in house.factory.calls)


async def test_frames_that_follow_the_request_at_once_are_not_lost() -> None:
    from websockets.frames import Frame, Opcode

    frames = [connected(), start(), media(1, b"early")]
    raw = b"".join(Frame(Opcode.TEXT, text.encode()).serialize(mask=True) for text in frames)
    async with bridge() as house:
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
        writer.write(upgrade_request(house.port) + raw)
        async with asyncio.timeout(5):
            await reader.readuntil(b"\r\n\r\n")
            assert b'"media"' in await reader.readuntil(b"}}")
        writer.close()
        await house.settled()


# ---------------------------------------------------------- faults beside calls


def upgrade_request(port: int, *lines: str) -> bytes:
    head = [
        "GET /media HTTP/1.1",
        f"Host: 127.0.0.1:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        *lines,
    ]
    return "\r\n".join([*head, "", ""]).encode()


@pytest.mark.parametrize(
    ("messages", "closed"),
    [
        ([media(1)], (1002, "media_before_start")),
        ([connected(), '{"event":"start"}'], (1002, "malformed_start")),
        ([connected(), start(mediaFormat=ALAW)], (1003, "unknown_media_format")),
        ([connected(), start("CA2"), *["{"] * 51], (1008, "too_many_malformed")),
        ([connected(), start("CA2"), b"binary"], (1003, "binary_frame")),
        ([connected(), start("CA2"), "x" * 70_000], (1009, None)),
        ([connected(), start("CA2", {"token": "bad"})], (1008, "token_malformed")),
        ([connected(), start("CA2", {"assistant": "nobody"})], (1008, "assistant_refused")),
        ([connected(), start(CALL_SID)], (1008, "duplicate_call")),
    ],
)  # fmt: skip
async def test_a_stream_that_goes_wrong_is_closed_and_counted_and_the_other_goes_on(
    messages: list[str | bytes], closed: tuple[int, str | None]
) -> None:
    async with bridge() as house, house.socket() as healthy:
        await begin(healthy)
        assert await echo(healthy, 1, b"before") == b"before"
        async with house.socket() as socket:
            for message in messages:
                await socket.send(message)
            code, reason = await close_code(socket)
        assert code == closed[0]
        assert closed[1] in (None, reason)
        assert await echo(healthy, 2, b"after") == b"after"
        counted = house.counters
        assert counted.get(reason) or counted.get("oversized_message")


async def test_a_conversation_that_fails_takes_no_other_with_it() -> None:
    def fail(call: EchoCall) -> None:
        call.error_in_run = RuntimeError("broken") if len(house.factory.calls) else None

    async with bridge() as house, house.socket() as healthy:
        house.factory.prepare = fail
        await begin(healthy)
        await echo(healthy, 1, b"x")
        async with house.socket() as socket:
            await begin(socket, "CA2")
            assert await close_code(socket) == (1011, "call_failed")
        assert await echo(healthy, 2, b"y") == b"y"


async def test_a_carrier_that_vanishes_ends_its_call() -> None:
    async with bridge() as house, house.socket() as socket:
        await begin(socket)
        await echo(socket, 1, b"x")
        socket.transport.abort()
        await house.settled()
        assert house.factory.calls[0].reasons == ["connection_lost"]


async def test_compression_is_never_agreed_to() -> None:
    async with bridge() as house, connect(house.url, compression="deflate", proxy=None) as socket:
        assert "Sec-WebSocket-Extensions" not in (socket.response.headers if socket.response else {})
        await begin(socket)
        assert await echo(socket, 1, b"abc") == b"abc"


async def test_a_carrier_that_does_not_read_is_cut_and_holds_no_memory(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(media_socket, "SLOW_READER_S", 1.0)
    async with bridge() as house:
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port, limit=1024)
        writer.write(upgrade_request(house.port))
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        from websockets.frames import Frame, Opcode

        for text in (connected(), start()):
            writer.write(Frame(Opcode.TEXT, text.encode()).serialize(mask=True))
        async with asyncio.timeout(10):
            await until(lambda: bool(house.factory.calls))
            (call,) = house.factory.calls
            while not call.line.congested:
                call.line.send_audio(b"\xff" * 16_000)
                await asyncio.sleep(0)
            await house.settled()
        assert call.reasons == ["slow_reader"]
        assert house.counters["slow_reader"] == 1
        writer.transport.abort()


# -------------------------------------------------------------- HTTP's dark side


async def test_two_hundred_connects_leave_nothing_behind() -> None:
    async with bridge(max_calls=500) as house:
        web_server = house.server._runner.server
        assert web_server is not None

        async def place(number: int) -> None:
            async with house.socket() as socket:
                if number % 4:
                    await begin(socket, f"CA{number}")
                    await echo(socket, 1, b"x")
                if number % 2:
                    socket.transport.abort()

        before = len(asyncio.all_tasks())
        for group in range(10):
            await asyncio.gather(*(place(20 * group + number) for number in range(20)))
        async with asyncio.timeout(10):
            await until(lambda: not web_server.connections and len(asyncio.all_tasks()) <= before)
        assert house.server.state.registry.live() == ()


async def test_what_is_no_upgrade_is_answered_in_plain_words() -> None:
    async with bridge() as house, ClientSession() as http:
        async with http.get(f"http://127.0.0.1:{house.port}/media") as answer:
            assert answer.status == 426
            assert answer.content_type == "text/plain"
        async with http.post(f"http://127.0.0.1:{house.port}/media") as answer:
            assert answer.status == 405
        assert house.counters["bad_upgrade"] == 1


@pytest.mark.parametrize(
    "garbage", [b"\x16\x03\x01\x02\x00\x01\x00", b"NONSENSE\r\n\r\n", b"GET / HTTP/9\r\n\r\n"]
)
async def test_what_is_no_http_gets_no_traceback(garbage: bytes) -> None:
    async with bridge() as house:
        reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
        writer.write(garbage + b"\r\n\r\n")
        async with asyncio.timeout(10):
            answer = await reader.read()
        assert b"Traceback" not in answer
        writer.close()


async def test_a_request_that_never_ends_is_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server_module, "REQUEST_WITHIN_S", 0.3)
    monkeypatch.setattr(admission, "FORM_WITHIN_S", 0.3)
    post = b"POST /voice/inbound HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n"
    form = b"Content-Type: application/x-www-form-urlencoded\r\n\r\nCallSid="
    async with bridge() as house:
        for request, expected in ((b"GET /livez HTTP/1.1\r\nHo", b""), (b"", b""), (post + form, b" 408 ")):
            began = time.monotonic()
            reader, writer = await asyncio.open_connection("127.0.0.1", house.port)
            writer.write(request)
            async with asyncio.timeout(5):
                answer = await reader.readline()
            assert expected in answer
            assert time.monotonic() - began < 4
            writer.close()


async def test_sockets_that_never_start_are_limited() -> None:
    async with bridge(max_calls=1) as house, AsyncExitStack() as stack:
        for _ in range(22):
            await stack.enter_async_context(house.socket())
        with pytest.raises(InvalidStatus) as refused:
            async with house.socket():
                pass
        assert refused.value.response.status_code == 503
        assert house.counters["too_many_sockets"] == 1


async def test_signatures_are_checked_on_the_upgrade() -> None:
    public = "https://bridge.example.com"
    async with bridge(public_url=public, twilio_auth_token="t0ken") as house:
        with pytest.raises(InvalidStatus) as refused:
            async with house.socket():
                pass
        assert refused.value.response.status_code == 403
        signed = signature("wss://bridge.example.com/media", {}, "t0ken")
        async with house.socket(additional_headers={"X-Twilio-Signature": signed}) as socket:
            await begin(socket)
            assert await echo(socket, 1, b"x") == b"x"


async def test_a_page_of_another_site_opens_no_stream() -> None:
    async with bridge() as house:
        with pytest.raises(InvalidStatus) as refused:
            async with house.socket(origin="https://evil.example"):
                pass
        assert refused.value.response.status_code == 403


@asynccontextmanager
async def reverse_proxy(target_port: int) -> AsyncIterator[int]:
    """A reverse proxy on this machine, as small as one gets: it says for whom it asks."""

    async def forward(request: web.Request) -> web.Response:
        headers = {"X-Forwarded-For": request.remote or "", "Host": f"127.0.0.1:{target_port}"}
        for name in ("Content-Type", "Upgrade", "Connection", "Sec-WebSocket-Key", "Sec-WebSocket-Version"):
            if name in request.headers:
                headers[name] = request.headers[name]
        url = f"http://127.0.0.1:{target_port}{request.raw_path}"
        async with (
            ClientSession() as http,
            http.request(request.method, url, headers=headers, data=await request.read()) as answer,
        ):
            return web.Response(status=answer.status, body=await answer.read())

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", forward)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


async def test_what_comes_through_a_proxy_on_this_machine_is_refused() -> None:
    async with bridge() as house, reverse_proxy(house.port) as port, ClientSession() as http:
        for method, path in (("POST", "/voice/inbound"), ("GET", "/v1/calls"), ("GET", "/media")):
            data = FORM if method == "POST" else None
            async with http.request(method, f"http://127.0.0.1:{port}{path}", data=data) as answer:
                assert answer.status == 403
                assert (await answer.text()).startswith("proxied")
        assert house.counters["proxied"] == 3


# ------------------------------------------------------------------ shutting down


async def test_a_server_that_stops_lets_calls_end_and_takes_no_new_ones() -> None:
    house = Bridge()
    house.port = await house.server.start("127.0.0.1", 0)
    async with house.socket() as socket:
        await begin(socket)
        await echo(socket, 1, b"x")
        stopping = asyncio.create_task(house.server.stop(grace_s=20))
        await asyncio.sleep(0.05)
        assert await echo(socket, 2, b"y") == b"y"
        with pytest.raises(InvalidStatus) as refused:
            async with house.socket():
                pass
        assert refused.value.response.status_code == 503
        await socket.send(digit("*"))
        assert await close_code(socket) == (1000, "finished")
        async with asyncio.timeout(10):
            await stopping
    assert house.factory.calls[0].reasons == []


async def test_a_server_that_must_stop_hangs_up() -> None:
    house = Bridge()
    house.port = await house.server.start("127.0.0.1", 0)
    async with house.socket() as socket, house.socket() as unstarted:
        await begin(socket)
        await echo(socket, 1, b"x")
        async with asyncio.timeout(15):
            await house.server.stop()
        assert house.factory.calls[0].reasons == ["shutdown"]
        assert await close_code(unstarted) == (1001, "shut_down")


async def test_a_port_that_is_taken_is_an_error_and_leaves_nothing() -> None:
    async with bridge() as house:
        second = Bridge()
        with pytest.raises(OSError, match="address"):
            await second.server.start("127.0.0.1", house.port)


async def from_webhook(house: Bridge, http: ClientSession) -> dict[str, str]:
    """The stream's parameters that the webhook answers a call with."""
    async with http.post(f"http://127.0.0.1:{house.port}/voice/inbound", data=FORM) as answer:
        twiml = ElementTree.fromstring(await answer.text())  # noqa: S314  our own document
    return {item.attrib["name"]: item.attrib["value"] for item in twiml[0][0]}


async def test_a_server_that_stops_still_says_what_follows_its_last_call() -> None:
    house = Bridge()
    house.port = await house.server.start("127.0.0.1", 0)
    async with ClientSession() as http, house.socket() as socket:
        await begin(socket, **await from_webhook(house, http))
        await echo(socket, 1, b"x")
        stopping = asyncio.create_task(house.server.stop(grace_s=20))
        await socket.send(digit("#"))
        assert await close_code(socket) == (1000, "finished")
        await asyncio.sleep(0.2)
        assert not stopping.done()
        async with http.post(f"http://127.0.0.1:{house.port}/voice/after", data=FORM) as answer:
            assert "<Dial" in await answer.text()
        async with asyncio.timeout(3):
            await stopping


@pytest.mark.parametrize("direct", [True, False], ids=["never answered by our webhook", "already completed"])
async def test_a_server_does_not_wait_for_a_question_that_nobody_will_ask(direct: bool) -> None:
    house = Bridge()
    house.port = await house.server.start("127.0.0.1", 0)
    async with ClientSession() as http, house.socket() as socket:
        await begin(socket, **({} if direct else await from_webhook(house, http)))
        await echo(socket, 1, b"x")
        await socket.send(stop())
        await house.settled()
        if not direct:
            status = {**FORM, "CallStatus": "completed"}
            async with http.post(f"http://127.0.0.1:{house.port}/voice/status", data=status) as answer:
                assert answer.status == 204
        began = time.monotonic()
        await house.server.stop()
        assert time.monotonic() - began < server_module.FOLLOW_UP_S / 2


async def test_a_question_that_does_not_come_holds_the_server_up_only_so_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(server_module, "FOLLOW_UP_S", 0.3)
    house = Bridge()
    house.port = await house.server.start("127.0.0.1", 0)
    async with ClientSession() as http, house.socket() as socket:
        await begin(socket, **await from_webhook(house, http))
        await echo(socket, 1, b"x")
        await socket.send(stop())
        async with asyncio.timeout(5):
            await house.server.stop(grace_s=5)


async def test_stopping_twice_stops_once() -> None:
    house = Bridge()
    await house.server.start("127.0.0.1", 0)
    structlog.reset_defaults()  # a command that was tested before may have silenced what is looked for
    with capture_logs() as logs:
        await house.server.stop()
        await house.server.stop()
    assert [entry["event"] for entry in logs] == ["server.stopped"]


async def test_a_refused_assistant_is_a_warning_that_says_why() -> None:
    async with bridge() as house, house.socket() as socket:
        with capture_logs() as logs:
            await begin(socket, assistant="nobody")
            await close_code(socket)
    (told,) = [entry for entry in logs if entry.get("rule") == "assistant_refused"]
    assert told["log_level"] == "warning"
    assert told["problem"]
