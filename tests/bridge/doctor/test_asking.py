"""Questions to servers on loopback: every trouble is an answer in its time, and no answer quotes a secret."""

from __future__ import annotations

import asyncio
import socket

import pytest
from aiohttp import web
from tls_rig import showing, trusting
from web_rig import answering

from offhook.bridge.doctor.asking import ASK_WITHIN_S, Answer, Asking, NoAnswer, SocketTold

SECRET = {"Authorization": "Token s3cret"}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


async def test_an_answer_is_told_whatever_its_status() -> None:
    async def refuse(request: web.Request) -> web.Response:
        return web.Response(status=403, text="no")

    async with answering(refuse) as server, Asking() as asking:
        told = await asking.ask("GET", f"http://127.0.0.1:{server.port}/livez?a=%2F")
    assert isinstance(told, Answer)
    assert (told.status, told.body) == (403, b"no")
    assert server.requests[0].raw_path == "/livez?a=%2F"


async def test_redirects_are_not_followed() -> None:
    async def elsewhere(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": "/other"})

    async with answering(elsewhere) as server, Asking() as asking:
        told = await asking.ask("GET", f"http://127.0.0.1:{server.port}/")
    assert isinstance(told, Answer)
    assert (told.status, len(server.requests)) == (302, 1)


async def test_silence_ends_in_its_time() -> None:
    async def stall(request: web.Request) -> web.Response:
        await asyncio.sleep(60)
        return web.Response()

    loop = asyncio.get_running_loop()
    async with answering(stall) as server, Asking() as asking:
        began = loop.time()
        assert await asking.ask("GET", f"http://127.0.0.1:{server.port}/") == NoAnswer(
            "did not answer within 5 s"
        )
        assert loop.time() - began == pytest.approx(ASK_WITHIN_S, abs=0.1)


async def test_a_closed_port_a_broken_connection_and_an_unknown_name_are_told_apart() -> None:
    async def hang_up(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.close()
        return web.Response()

    async with answering(hang_up) as server, Asking() as asking:
        refused = await asking.ask("GET", f"http://127.0.0.1:{free_port()}/", headers=SECRET)
        broken = await asking.ask("GET", f"http://127.0.0.1:{server.port}/", headers=SECRET)
        unknown = await asking.ask("GET", "http://nowhere.invalid/", headers=SECRET)
        nonsense = await asking.ask("GET", "http://[broken/", headers=SECRET)
    assert refused == NoAnswer("is not listening: the connection was refused")
    assert broken == NoAnswer("broke the connection off")
    assert unknown == NoAnswer("has a name that cannot be resolved")
    assert isinstance(nonsense, NoAnswer)


async def test_a_certificate_that_nobody_trusts_is_told() -> None:
    runner = web.AppRunner(web.Application(), access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "localhost", 0, ssl_context=showing("localhost")).start()
    url = f"https://localhost:{runner.addresses[0][1]}/"
    try:
        async with Asking(certificates=trusting()) as asking:
            assert await asking.ask("GET", url) == NoAnswer("has no certificate that is valid")
        async with Asking(certificates=trusting("localhost")) as asking:
            told = await asking.ask("GET", url)
            assert isinstance(told, Answer)
            assert told.status == 404
    finally:
        await runner.cleanup()


async def test_what_a_socket_says_is_read_until_it_closes() -> None:
    async def serve(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        assert (await ws.receive_str()) == "goodbye"
        await ws.send_str("one")
        await ws.close(code=1008)
        return ws

    async with answering(serve) as server, Asking() as asking:
        url = f"ws://127.0.0.1:{server.port}/"
        told = await asking.open_socket(url, headers={}, goodbye="goodbye")
    assert told == SocketTold(("one",), 1008)


async def test_a_socket_that_stays_open_is_left_after_its_time() -> None:
    async def serve(request: web.Request) -> web.WebSocketResponse:
        ws = web.WebSocketResponse()
        await ws.prepare(request)
        await asyncio.sleep(60)
        return ws

    async with answering(serve) as server, Asking() as asking:
        url = f"ws://127.0.0.1:{server.port}/"
        began = asyncio.get_running_loop().time()
        told = await asking.open_socket(url, headers={}, goodbye="goodbye")
        assert asyncio.get_running_loop().time() - began <= ASK_WITHIN_S
    assert told == SocketTold((), None)


async def test_a_handshake_that_is_refused_is_an_answer() -> None:
    async def refuse(request: web.Request) -> web.Response:
        return web.Response(status=401)

    async with answering(refuse) as server, Asking() as asking:
        url = f"ws://127.0.0.1:{server.port}/"
        assert await asking.open_socket(url, headers=SECRET, goodbye="") == Answer(401)
        closed = await asking.open_socket(f"ws://127.0.0.1:{free_port()}/", headers=SECRET, goodbye="")
    assert isinstance(closed, NoAnswer)


async def test_dates_of_others_are_kept_and_ours_are_not() -> None:
    async def dated(request: web.Request) -> web.Response:
        return web.Response(headers={"Date": "Thu, 01 Jan 2026 00:00:00 GMT"})

    new_year = 1_767_225_600.0
    async with answering(dated) as server, Asking(wall_time=lambda: new_year + 100) as asking:
        url = f"http://127.0.0.1:{server.port}/"
        await asking.ask("GET", url, ours=True)
        assert asking.dates == []
        await asking.ask("GET", url)
        await asking.open_socket(url.replace("http", "ws"), headers={}, goodbye="")
    assert [seen.ahead_s for seen in asking.dates] == [99.5, 99.5]


async def test_a_date_that_cannot_be_read_is_none() -> None:
    async def undated(request: web.Request) -> web.Response:
        return web.Response(headers={"Date": "yesterday"})

    async with answering(undated) as server, Asking() as asking:
        await asking.ask("GET", f"http://127.0.0.1:{server.port}/")
    assert asking.dates == []
