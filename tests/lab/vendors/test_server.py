"""The emulated vendors on their port: how they are found, who is connected, how a connection is cut."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import ClientConnectionError, ClientSession, WSMsgType
from vendor_rig import emulated

from offhook.config.settings import load_settings
from offhook.lab.vendors.connections import reset
from offhook.lab.vendors.server import VendorServer
from offhook.lab.vendors.summary import summary_lines

CHAT = {"model": "gpt-test", "messages": [{"role": "user", "content": "anchor"}]}
KEYS = {
    "deepgram": {"Authorization": "Token emulated-deepgram"},
    "openai": {"Authorization": "Bearer emulated-openai"},
    "elevenlabs": {"xi-api-key": "emulated-elevenlabs"},
}
LISTEN = "/v1/listen?model=nova-3&encoding=mulaw&sample_rate=8000"


@asynccontextmanager
async def listening() -> AsyncIterator[tuple[VendorServer, ClientSession]]:
    async with emulated().listening() as vendors, ClientSession(vendors.base_url) as client:
        yield vendors, client


async def ask_openai(client: ClientSession) -> int:
    async with client.post("/v1/chat/completions", json=CHAT, headers=KEYS["openai"]) as response:
        await response.read()
        return response.status


async def test_the_environment_is_what_settings_are_made_of() -> None:
    async with listening() as (vendors, _):
        settings = load_settings(vendors.environment(), env_file=None)
        for vendor in ("deepgram", "openai", "elevenlabs"):
            assert settings.account(vendor) == vendors.account(vendor)
        assert settings.openai_base_url == f"http://127.0.0.1:{vendors.port}/v1"
        assert settings.deepgram_base_url == settings.elevenlabs_base_url == vendors.base_url


async def test_a_vendor_without_a_key_is_still_found() -> None:
    vendors = emulated()
    vendors.world.keys = {}
    assert set(vendors.environment()) == {"DEEPGRAM_BASE_URL", "OPENAI_BASE_URL", "ELEVENLABS_BASE_URL"}


async def test_a_port_that_is_taken_is_an_os_error_and_leaves_nothing() -> None:
    before = asyncio.all_tasks()
    with (
        socket.create_server(("127.0.0.1", 0)) as taken,
        pytest.raises(OSError, match="address already in use"),
    ):
        await emulated().start(taken.getsockname()[1])
    assert asyncio.all_tasks() == before


async def test_connections_are_known_by_the_vendor_they_are_for() -> None:
    async with listening() as (vendors, client):
        live = vendors.world.connections.live
        async with client.ws_connect(LISTEN, headers=KEYS["deepgram"]):
            assert await ask_openai(client) == 200
            assert await ask_openai(client) == 200
            assert [len(live(vendor)) for vendor in ("deepgram", "openai", "elevenlabs")] == [1, 1, 0]
            async with client.get("/lab/open") as response:
                assert response.status == 200
        await asyncio.sleep(0.5)
        assert [len(live(vendor)) for vendor in ("deepgram", "openai")] == [0, 1]
        assert dict(vendors.world.connections.made) == {"deepgram": 1, "openai": 1}
        assert dict(vendors.world.connections.requests) == {"deepgram": 1, "openai": 2}


async def test_a_drop_resets_a_vendors_sockets_and_no_others() -> None:
    async with listening() as (vendors, client):
        socket_ = await client.ws_connect(LISTEN, headers=KEYS["deepgram"])
        assert await ask_openai(client) == 200
        assert vendors.world.connections.drop("deepgram") == 1
        async with asyncio.timeout(1):
            message = await socket_.receive()
        assert message.type in (WSMsgType.CLOSED, WSMsgType.ERROR)
        assert socket_.close_code == 1006
        assert len(vendors.world.connections.live("openai")) == 1
        assert vendors.world.connections.drop("deepgram") == 0
        await asyncio.sleep(0.1)
        assert vendors.world.sightings.open["deepgram connection"] == 0


async def test_a_request_that_is_being_answered_is_dropped_and_cancelled() -> None:
    server = emulated(profile="tutorial")
    async with server.listening() as vendors, ClientSession(vendors.base_url) as client:
        asked = asyncio.create_task(
            client.post("/v1/chat/completions", json=CHAT | {"stream": True}, headers=KEYS["openai"])
        )
        await asyncio.sleep(0.1)
        assert vendors.world.connections.drop("openai") == 1
        with pytest.raises(ClientConnectionError):
            await asked
        await asyncio.sleep(0.01)
        assert vendors.world.sightings.counts["openai", "cancelled"] == 1
        assert await ask_openai(client) == 200


async def test_a_cut_connection_reads_as_a_reset() -> None:
    ended: asyncio.Future[BaseException | None] = asyncio.get_running_loop().create_future()

    class Client(asyncio.Protocol):
        def connection_lost(self, exc: Exception | None) -> None:
            ended.set_result(exc)

    accepted: asyncio.Future[asyncio.Transport] = asyncio.get_running_loop().create_future()

    class Server(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            assert isinstance(transport, asyncio.Transport)
            accepted.set_result(transport)

    loop = asyncio.get_running_loop()
    server = await loop.create_server(Server, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    await loop.create_connection(Client, "127.0.0.1", port)
    transport = await accepted
    reset(transport)
    reset(transport)
    assert isinstance(await ended, ConnectionResetError)
    server.close()
    await server.wait_closed()


async def test_the_summary_tells_what_each_vendor_saw() -> None:
    async with listening() as (vendors, client):
        assert await ask_openai(client) == 200
        async with client.get(LISTEN, headers={"Authorization": "Token wrong"}) as response:
            assert response.status == 401
        async with client.ws_connect(LISTEN, headers=KEYS["deepgram"]):
            lines = summary_lines(vendors.world)
    assert [line.split("  ")[0] for line in lines] == ["vendor", "deepgram", "openai", "elevenlabs"]
    cells = [[cell for cell in line.split("  ") if cell] for line in lines]
    assert [cell.strip() for cell in cells[0]] == [
        *("vendor", "connections", "requests", "cancelled", "refused", "most open", "left open")
    ]
    assert [cell.strip() for cell in cells[1]][2:] == ["2", "0", "1", "1 connection", "1 connection"]
    assert [cell.strip() for cell in cells[2]] == ["openai", "1", "1", "0", "0", "1 request", "0"]
    assert [cell.strip() for cell in cells[3]] == ["elevenlabs", "0", "0", "0", "0", "0", "0"]
