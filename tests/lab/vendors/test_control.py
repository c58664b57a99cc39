"""Running emulators are told over HTTP what is to go wrong, and tell what they saw."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from aiohttp import ClientSession
from vendor_rig import emulated

from offhook.lab.vendors.faults import FaultKind, PlannedFault
from offhook.lab.vendors.server import VendorServer

FAULT = {"vendor": "openai", "at": "request", "kind": "busy", "times": 2, "retry_after_s": 0.5}


@dataclass
class Controlled:
    vendors: VendorServer
    client: ClientSession

    async def ask(self, method: str, path: str, status: int = 200, **request: Any) -> Any:
        async with self.client.request(method, path, **request) as response:
            told = await response.json()
            assert response.status == status, told
            return told


@asynccontextmanager
async def controlled() -> AsyncIterator[Controlled]:
    async with emulated().listening() as vendors, ClientSession(vendors.base_url) as client:
        yield Controlled(vendors, client)


async def test_a_fault_is_planned_happens_and_is_told() -> None:
    async with controlled() as lab:
        whole = await lab.ask("POST", "/lab/faults", status=201, json=FAULT)
        assert whole == FAULT | {"after": 0, "wait_ms": 0.0}
        headers = {"Authorization": "Bearer emulated-openai"}
        body = {"model": "m", "messages": [{"role": "user", "content": "anchor"}]}
        async with lab.client.post("/v1/chat/completions", json=body, headers=headers) as response:
            assert (response.status, response.headers["retry-after-ms"]) == (429, "500")
        assert await lab.ask("GET", "/lab/faults") == {"planned": [whole], "happened": [whole]}
        assert await lab.ask("DELETE", "/lab/faults") == {"cleared": 1}
        assert (await lab.ask("GET", "/lab/faults"))["planned"] == []


async def test_json_needs_no_content_type() -> None:
    async with controlled() as lab:
        body = '{"vendor": "deepgram", "at": "audio", "kind": "drop"}'
        await lab.ask("POST", "/lab/faults", status=201, data=body)
        assert lab.vendors.world.faults.planned == (PlannedFault("deepgram", "audio", FaultKind.DROP),)


@pytest.mark.parametrize(
    ("method", "path", "body", "said"),
    [
        ("POST", "/lab/faults", "no json", "the body is no JSON"),
        ("POST", "/lab/faults", "[]", "a fault is a JSON object of"),
        ("POST", "/lab/faults", '{"vendor": "x", "at": "y", "kind": "z"}', "`x` is no vendor; there are"),
        ("POST", "/lab/drop", "", "`vendor` is one of deepgram, openai, elevenlabs, not ``"),
        ("POST", "/lab/drop?vendor=x", "", "not `x`"),
        ("GET", "/lab/sightings?vendor=x", "", "not `x`"),
        ("GET", "/lab/sightings?newest=-1", "", "`newest` is a whole number, not `-1`"),
        ("GET", "/lab/sightings?newest=%C2%B2", "", "`newest` is a whole number"),
    ],
)
async def test_what_cannot_be_done_is_told(method: str, path: str, body: str, said: str) -> None:
    async with controlled() as lab:
        told = await lab.ask(method, path, status=400, data=body or None)
        assert said in told["error"]
        assert lab.vendors.world.faults.planned == ()


async def test_sightings_are_told_by_vendor_and_kind_the_newest_last() -> None:
    async with controlled() as lab:
        sightings = lab.vendors.world.sightings
        for number in range(5):
            sightings.note("openai", "request", number=number, odd=object, pair=(1, 2))
        sightings.note("deepgram", "connected")
        told = await lab.ask("GET", "/lab/sightings?vendor=openai&what=request&newest=2")
        assert told["count"] == 5
        assert [item["data"]["number"] for item in told["sightings"]] == [3, 4]
        assert (await lab.ask("GET", "/lab/sightings?newest=0"))["sightings"] == []
        everything = (await lab.ask("GET", "/lab/sightings"))["sightings"]
        assert [item["vendor"] for item in everything] == ["openai"] * 5 + ["deepgram"]
        assert set(everything[-1]) == {"at_s", "vendor", "what", "data"}


async def test_an_answer_is_bounded() -> None:
    async with controlled() as lab:
        for number in range(1500):
            lab.vendors.world.sightings.note("openai", "request", number=number)
        told = await lab.ask("GET", "/lab/sightings")
        assert (told["count"], len(told["sightings"])) == (1500, 1000)
        assert told["sightings"][-1]["data"]["number"] == 1499


async def test_what_is_open_is_told_and_dropped() -> None:
    async with controlled() as lab:
        path = "/v1/listen?model=nova-3&encoding=mulaw&sample_rate=8000"
        headers = {"Authorization": "Token emulated-deepgram"}
        socket = await lab.client.ws_connect(path, headers=headers)
        told = await lab.ask("GET", "/lab/open")
        assert told["connections"] == {"deepgram": 1, "openai": 0, "elevenlabs": 0}
        assert told["open"] == told["most_open"] == {"deepgram connection": 1}
        assert await lab.ask("POST", "/lab/drop?vendor=deepgram") == {"dropped": 1}
        await socket.receive(timeout=1)
        assert socket.close_code == 1006
        told = await lab.ask("GET", "/lab/open")
        assert told["connections"]["deepgram"] == told["open"]["deepgram connection"] == 0
