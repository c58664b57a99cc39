"""Who is told of which call."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from bridge_rig import loop_clock, settings
from fake_engines import InlineWorkers
from structlog.testing import capture_logs

from offhook.bridge.call_log import CallLog
from offhook.bridge.events_out.telling import telling
from offhook.config.assistant import Assistant
from offhook.pipeline.ports import CallEvent
from offhook.pipeline.providers.web.address_guard import REFUSED

Taken = list[tuple[str, dict[str, Any]]]


@asynccontextmanager
async def receivers() -> AsyncIterator[tuple[str, Taken]]:
    """Two receivers at one address, `/all` and `/own`, and what they took."""
    taken: Taken = []

    async def take(request: web.Request) -> web.Response:
        taken.append((request.path, (await request.json())["message"]))
        return web.Response()

    app = web.Application()
    app.router.add_post("/{which}", take)
    async with TestServer(app) as server:
        yield str(server.make_url("")).rstrip("/"), taken


async def told(assistant: Assistant, **fields: Any) -> CallLog:
    log = CallLog()
    async with telling(
        settings(**fields), loop_clock(), InlineWorkers(), Counter(), wall_time=lambda: 1.75e9
    ) as announce:
        announce(assistant, "CA1", {"from": "+14155550101", "to": "+14155550102"}, log)
        log.emit(CallEvent("call.started", 40, {"assistant": assistant.name}))
        await asyncio.sleep(1)
    return log


async def test_a_call_is_told_to_the_server_that_the_settings_name() -> None:
    async with receivers() as (url, taken):
        await told(Assistant(name="Shop"), webhook_url=f"{url}/all", webhook_secret="hush")
        ((path, message),) = taken
        assert path == "/all"
        assert message["timestamp"] == 1_750_000_000_040
        assert message["call"]["customer"] == {"number": "+14155550101"}


async def test_an_assistants_own_server_is_told_in_its_place() -> None:
    async with receivers() as (url, taken):
        assistant = Assistant.model_validate({"name": "Shop", "server": {"url": f"{url}/own"}})
        await told(assistant, webhook_url=f"{url}/all")
        assert [path for path, _ in taken] == ["/own"]


async def test_without_a_server_nothing_is_told_and_nothing_waits() -> None:
    log = await told(Assistant(name="Shop"))
    assert [event.type for event in log.events] == ["call.started"]
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "webhooks"]


@pytest.mark.parametrize("address", ["http://169.254.169.254/latest", "http://[fd00:ec2::254]/latest"])
async def test_a_metadata_service_is_told_nothing(address: str) -> None:
    assistant = Assistant.model_validate({"name": "Shop", "server": {"url": address}})
    with capture_logs() as logs:
        await told(assistant)
    why = {line["why"] for line in logs if line["event"] == "webhook.not-delivered"}
    assert why == {REFUSED}
