"""`/v1/tool-results/`: the address is the permission, and nothing else is taken there."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import ClientSession
from bridge_rig import EchoFactory, loop_clock, settings
from pydantic import SecretStr
from web_rig import RUN

from offhook.bridge.server import Server
from offhook.pipeline.providers.web.late_results import ExpectedResult

PUBLIC = "https://bridge.example.com"


@asynccontextmanager
async def waiting(**fields: Any) -> AsyncIterator[tuple[ExpectedResult, str, ClientSession]]:
    server = Server(settings(**fields), EchoFactory(), loop_clock())
    port = await server.start("127.0.0.1", 0)
    try:
        async with ClientSession() as http:
            with server.state.late_results.expect(RUN) as expected:
                yield expected, f"http://127.0.0.1:{port}", http
    finally:
        await server.stop()


async def post(http: ClientSession, url: str, body: Any, **more: Any) -> tuple[int, str]:
    async with http.post(url, json=body, **more) as answer:
        return answer.status, (await answer.text()).partition(":")[0]


async def test_a_result_is_taken_at_its_address_once() -> None:
    async with waiting() as (expected, page, http):
        assert expected.url.startswith(page)
        waits = asyncio.create_task(expected.within(10))
        assert await post(http, expected.url, {"result": "booked"}) == (204, "")
        outcome = await waits
        assert outcome is not None
        assert outcome.value == "booked"
        assert await post(http, expected.url, {"result": "again"}) == (404, "no_tool_waits")


async def test_it_needs_no_key_where_others_do_and_begins_with_the_public_address() -> None:
    chosen = {"public_url": PUBLIC, "twilio_auth_token": SecretStr("t0")}
    async with waiting(**chosen) as (expected, page, http):
        assert expected.url.startswith(f"{PUBLIC}/v1/tool-results/CA1/")
        here = page + expected.url.removeprefix(PUBLIC)
        assert (await post(http, here, {"result": 1}, headers={"X-Forwarded-For": "198.51.100.7"}))[0] == 204


@pytest.mark.parametrize("place", ["CA1/guess", "CA2/{token}", "CA1/{token}x", "CA1/"])
async def test_a_guess_is_answered_by_nobody(place: str) -> None:
    async with waiting() as (expected, page, http):
        token = expected.url.rpartition("/")[2]
        url = f"{page}/v1/tool-results/{place.format(token=token)}"
        assert (await post(http, url, {"result": 1}))[0] == 404
        assert not expected.given


async def test_what_is_no_result_says_so_and_leaves_the_tool_waiting() -> None:
    async with waiting() as (expected, _, http):
        assert await post(http, expected.url, {"received": True}) == (400, "no_result")
        async with http.post(expected.url, data=json.dumps({"result": 1})) as answer:
            assert answer.status == 415
        async with http.post(expected.url, json={"result": "x" * 70_000}) as answer:
            assert answer.status == 413
        assert not expected.given
        assert (await post(http, expected.url, {"error": "full"}))[0] == 204
