"""The HTTP client of the tools on real sockets: addresses, sizes, redirects, cookies, and an end."""

from __future__ import annotations

import asyncio
import gzip
import socket
import traceback
from typing import Any

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from web_rig import Answering, answering

from offhook.config.errors import ToolError, ToolUnreachable
from offhook.pipeline.providers.web import web_client
from offhook.pipeline.providers.web.address_guard import REFUSED
from offhook.pipeline.providers.web.web_client import WebClient, WebRequest

pytestmark = [pytest.mark.realtime, pytest.mark.both_loops]


class Rebinding(AbstractResolver):
    """Leads a name to one address after the other."""

    def __init__(self, *addresses: str) -> None:
        self._addresses = list(addresses)

    async def resolve(self, host: str, port: int = 0, family: Any = socket.AF_INET) -> list[ResolveResult]:
        address = self._addresses.pop(0)
        return [
            ResolveResult(hostname=host, host=address, port=port, family=socket.AF_INET, proto=6, flags=0)
        ]

    async def close(self) -> None:
        """Nothing to close."""


async def hello(_: web.Request) -> web.StreamResponse:
    return web.json_response({"hello": "there"})


@pytest.fixture
async def client() -> Any:
    made = WebClient()
    yield made
    await made.close()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "2130706433", "0x7f.1", "[::ffff:127.0.0.1]"])
async def test_this_machine_is_not_asked_unless_it_was_named(client: WebClient, host: str) -> None:
    async with answering(hello) as server:
        request = WebRequest("GET", f"http://{host}:{server.port}/x?a=%2F")
        with pytest.raises(ToolUnreachable, match=f"{REFUSED}|not valid"):
            await client.exchange(request)
        assert server.requests == []
        if not host.startswith(("[", "2", "0")):
            answer = await client.exchange(request, named=True)
            assert (answer.status, answer.body, answer.ok) == (200, b'{"hello": "there"}', True)
            assert server.requests[0].raw_path == "/x?a=%2F"


async def test_a_connection_that_one_tool_was_allowed_serves_no_other(client: WebClient) -> None:
    async with answering(hello) as server:
        request = WebRequest("GET", f"http://127.0.0.1:{server.port}/")
        await client.exchange(request, named=True)
        with pytest.raises(ToolUnreachable):
            await client.exchange(request)
        await client.exchange(request, named=True)
        first, second = server.requests
        assert first.transport is second.transport, "connections are kept"


async def test_the_address_that_was_checked_is_the_one_that_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_client, "KEPT_S", 0.001)
    monkeypatch.setattr(web_client, "RESOLVED_FOR_S", 0)
    rebinding = Rebinding("127.0.0.1", "127.0.0.2")
    client = WebClient(resolver=rebinding, public=lambda address: "" if address == "127.0.0.1" else "private")

    async def closing(_: web.Request) -> web.StreamResponse:
        response = web.Response()
        response.force_close()
        return response

    async with answering(closing, "0.0.0.0") as server:
        request = WebRequest("GET", f"http://rebound.example:{server.port}/")
        assert (await client.exchange(request)).ok
        with pytest.raises(ToolUnreachable, match=REFUSED):
            await client.exchange(request)
        assert len(server.requests) == 1
    await client.close()


async def test_metadata_services_are_never_asked(client: WebClient) -> None:
    for named in (False, True):
        with pytest.raises(ToolUnreachable, match=REFUSED):
            await client.exchange(WebRequest("GET", "http://169.254.169.254/latest"), named=named)


async def test_a_redirect_is_an_answer_like_any_other(client: WebClient) -> None:
    async def redirect(_: web.Request) -> web.StreamResponse:
        raise web.HTTPFound("/elsewhere")

    async with answering(redirect) as server:
        answer = await client.exchange(WebRequest("GET", f"http://127.0.0.1:{server.port}/"), named=True)
        assert (answer.status, len(server.requests)) == (302, 1)


async def test_no_cookie_goes_from_one_call_to_the_next(client: WebClient) -> None:
    async def cookie(_: web.Request) -> web.StreamResponse:
        response = web.Response(headers={"Retry-After": "3"})
        response.set_cookie("session", "1")
        return response

    async with answering(cookie) as server:
        request = WebRequest("POST", f"http://127.0.0.1:{server.port}/", {"A": "b"}, b"{}")
        assert (await client.exchange(request, named=True)).retry_after_s == 3.0
        await client.exchange(request, named=True)
        assert "Cookie" not in server.requests[1].headers
        assert server.bodies == [b"{}", b"{}"]
        assert server.requests[0].headers["Accept-Encoding"] == "identity"


async def endless(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    while True:
        await response.write(b"x" * 65_536)


async def packed(_: web.Request) -> web.StreamResponse:
    body = gzip.compress(b"x" * 10_000_000)
    return web.Response(body=body, headers={"Content-Encoding": "gzip"})


async def cut_off(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "100"})
    await response.prepare(request)
    await response.write(b"x")
    assert request.transport is not None
    request.transport.close()
    return response


async def silent(_: web.Request) -> web.StreamResponse:
    await asyncio.sleep(3600)
    return web.Response()


@pytest.mark.parametrize(
    ("answer", "says"),
    [(endless, "larger than"), (packed, "compressed"), (cut_off, "broke"), (silent, "within 0.3 s")],
)
async def test_an_answer_that_is_none_fails_within_its_bounds(
    client: WebClient, answer: Answering, says: str
) -> None:
    async with answering(answer) as server:
        request = WebRequest(
            "GET", f"http://127.0.0.1:{server.port}/", {"Authorization": "hush"}, within_s=0.3
        )
        with pytest.raises(ToolError, match=says) as failed:
            await client.exchange(request, named=True)
    assert not isinstance(failed.value, ToolUnreachable)
    assert "hush" not in "".join(traceback.format_exception(failed.value))


@pytest.mark.parametrize("host", ["127.0.0.1", "no-such-host.invalid", "x" * 70])
async def test_nobody_there_is_told_apart_from_a_lost_answer(client: WebClient, host: str) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(ToolError) as failed:
        await client.exchange(WebRequest("GET", f"http://{host}:{port}/"), named=True)
    assert isinstance(failed.value, ToolUnreachable) or len(host) > 63


async def test_a_cancelled_request_leaves_nothing_behind(client: WebClient) -> None:
    arrived = asyncio.Event()

    async def wait(request: web.Request) -> web.StreamResponse:
        arrived.set()
        return await silent(request)

    async with answering(wait) as server:
        request = WebRequest("GET", f"http://127.0.0.1:{server.port}/", within_s=60)
        task = asyncio.create_task(client.exchange(request, named=True))
        await arrived.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_a_closed_client_asks_nobody() -> None:
    client = WebClient()
    await client.close()
    with pytest.raises(ToolUnreachable):
        await client.exchange(WebRequest("GET", "http://127.0.0.1/"))
