"""`offhook serve --workers 2` as a user starts it, with the demo's own models."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from aiohttp import ClientSession
from bridge_rig import connected, media, start
from supervised import nobody_left, supervised
from websockets.asyncio.client import connect

pytestmark = [pytest.mark.realtime, pytest.mark.timeout(120)]


async def greeted(http: ClientSession, port: int, call_sid: str) -> None:
    """Call by the webhook, and wait for the agent's voice."""
    page = f"http://127.0.0.1:{port}/voice/inbound"
    # Each request on a connection of its own, which the system may give to another worker.
    close = {"Connection": "close"}
    async with http.post(page, data={"CallSid": call_sid}, headers=close) as answer:
        stream = ElementTree.fromstring(await answer.text())[0][0]  # noqa: S314  our own document
    parameters = {item.attrib["name"]: item.attrib["value"] for item in stream}
    async with connect(stream.attrib["url"], compression=None, proxy=None) as socket:
        await socket.send(connected())
        await socket.send(start(call_sid, parameters))
        await socket.send(media(1))
        async with asyncio.timeout(10):
            while json.loads(await socket.recv())["event"] != "media":
                """A mark or a clear before the first sound."""
            one = f"http://127.0.0.1:{port}/v1/calls/{call_sid}"
            async with http.get(one, headers=close) as answer:
                assert (await answer.json())["status"] == "live"


async def test_calls_are_greeted_whichever_worker_gets_what_and_nothing_is_left_behind() -> None:
    offhook = Path(sys.executable).with_name("offhook")
    async with supervised(str(offhook), "serve", "--workers", "2", "--port", "0") as place:
        port = await place.port()
        async with ClientSession() as http:
            for number in range(4):
                await greeted(http, port, f"CA{number}")
        os.kill(place.pids()[0], signal.SIGKILL)
        await place.log("worker.replaced")
        place.process.send_signal(signal.SIGTERM)
        assert await place.ended() == 0
        await nobody_left(place)
        assert list(place.temporary.glob("offhook-*")) == []
