"""The whole server of a hosted platform's tutorial, in Node with Express, in a spoken call on offhook."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from hosted_tutorial import TUTORIAL
from spoken_vendors import spoken_vendors

from offhook.bridge.app import serve_in_process
from offhook.config.settings import load_settings
from offhook.lab.call_result import CallPlan
from offhook.lab.place_call import place_call
from offhook.lab.script_file import parse_script
from offhook.lab.vendors.server import VendorServer
from offhook.pipeline.clock import LoopClock

pytestmark = [pytest.mark.realtime, pytest.mark.timeout(180)]

FOLDER = Path(__file__).parent / "tutorial_server"
SECRET = "a-shared-secret"
FUNCTION = {
    "name": "check_order_status",
    "description": "Tells the status of an order.",
    "parameters": {
        "type": "object",
        "properties": {"order_number": {"type": "string", "pattern": "^[0-9]{5}$"}},
        "required": ["order_number"],
    },
}
SCRIPT = {
    "max_s": 60,
    "steps": [
        {"wait_for": "greeting_end"},
        {"say": "What is the status of order 12345?"},
        {"expect": {"agent_says": "/arrives|delivery/", "within_ms": 12_000}},
        {"wait_for": {"agent_silent_s": 2.5, "within_s": 20}},
        {"hang_up": "stop"},
    ],
}


def without_express() -> str:
    """Why the server cannot run here; empty: it can."""
    node = shutil.which("node")
    if node is None:
        return "node is not installed"
    asked = subprocess.run(
        [node, "-e", "require('express')"], cwd=FOLDER, capture_output=True, check=False, timeout=30
    )
    return f"express is not installed: npm install --prefix {FOLDER}" if asked.returncode else ""


class Tutorial:
    """The server as a process of its own, and what it says."""

    def __init__(self, process: asyncio.subprocess.Process, port: int) -> None:
        self.process = process
        self.page = f"http://127.0.0.1:{port}"
        self.said: list[dict[str, Any]] = []

    async def until(self, what: str) -> dict[str, Any]:
        """Read what it says up to this; returns it."""
        assert self.process.stdout is not None
        async with asyncio.timeout(15):
            while not self.said or self.said[-1]["what"] != what:
                self.said.append(json.loads(await self.process.stdout.readline()))
        return self.said[-1]


@asynccontextmanager
async def tutorial(environment: dict[str, str]) -> AsyncIterator[Tutorial]:
    process = await asyncio.create_subprocess_exec(
        *("node", str(FOLDER / "server.js")),
        env={**os.environ, **environment},
        stdout=asyncio.subprocess.PIPE,
        limit=4_000_000,
    )
    assert process.stdout is not None
    try:
        yield Tutorial(process, int(await asyncio.wait_for(process.stdout.readline(), 15)))
    finally:
        process.kill()
        await process.wait()


@pytest_asyncio.fixture
async def vendors() -> AsyncIterator[VendorServer]:
    async with spoken_vendors() as server:
        yield server


def assistant_json(page: str) -> str:
    """The tutorial's assistant, its webhooks pointed at the tutorial's server."""
    model = {**TUTORIAL["model"], "functions": [FUNCTION]}
    return json.dumps({**TUTORIAL, "model": model, "serverUrl": f"{page}/webhook", "serverUrlSecret": SECRET})


@pytest.mark.skipif(bool(without_express()), reason=without_express())
async def test_both_halves_work_in_a_spoken_call_with_only_hosts_and_keys_changed(
    vendors: VendorServer, tmp_path: Path
) -> None:
    settings = load_settings(vendors.environment(), env_file=None)
    async with serve_in_process(settings) as bridge:
        page = f"http://{bridge.host}:{bridge.port}"
        # The server must know its own address to put it into the assistant: it listens on one that is free.
        async with tutorial(
            {"PLATFORM": page, "STREAMS": page.replace("http", "ws"), "SECRET": SECRET}
        ) as probe:
            address = probe.page
        environment = {
            "PLATFORM": page,
            "STREAMS": page.replace("http", "ws"),
            "API_KEY": "a-key",
            "SECRET": SECRET,
            "ASSISTANT": assistant_json(address),
            "PORT": address.rpartition(":")[2],
        }
        async with tutorial(environment) as server:
            script = parse_script(SCRIPT, source="script", folder=tmp_path)
            call = await place_call(
                CallPlan(script, webhook=f"{server.page}/incoming"), LoopClock(asyncio.get_running_loop())
            )
            over = await server.until("over")
        assert [verdict for verdict in call.expectations if not verdict.met] == []
        assert call.failures == ()
        kinds = [said["what"] for said in server.said]
        assert kinds[0] == "incoming"
        assert "forged" not in kinds
        assert {"speech-update", "transcript", "function-call", "end-of-call-report"} <= set(kinds)
        assert {said["call"] for said in server.said} == {call.call_sid}
        asked = [said["busy"] for said in server.said if said["what"] == "function-call"]
        assert asked[-1] is False, "answered when it was free; every time before it was busy"
        assert any("12345" in line or "order" in line.lower() for line in over["transcript"])
        (tool,) = over["report"]["tools"]
        assert (tool["name"], tool["ok"]) == ("check_order_status", True)
        assert over["report"]["latency"]["fromLastSound"]["turns"] == 1
