"""Every example of a vendor's mix holds a spoken call: the vendors' clients, real sockets, emulated vendors.

Behind the emulated protocols are the engines that come with offhook, so the words are really spoken and
recognised.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from spoken_vendors import spoken_vendors

from offhook.bridge.app import serve_in_process
from offhook.config.assistant_loading import load_assistant
from offhook.config.settings import load_settings
from offhook.lab.call_result import CallPlan
from offhook.lab.place_call import place_call
from offhook.lab.script_file import parse_script
from offhook.lab.vendors.server import VendorServer
from offhook.pipeline.clock import LoopClock

pytestmark = [pytest.mark.realtime, pytest.mark.timeout(120)]

EXAMPLES = sorted((Path(__file__).parents[2] / "config" / "examples").glob("*.yaml"))
OLLAMA = "http://127.0.0.1:11434/v1"
SCRIPT = {
    "max_s": 60,
    "steps": [
        {"wait_for": "greeting_end"},
        {"say": "What is the status of order 12345?"},
        {"expect": {"agent_says": "/arrives|order/", "within_ms": 12_000}},
        {"expect": {"tool_called": {"name": "check_order_status", "arguments": {"order_number": "12345"}}}},
        {"wait_for": {"agent_silent_s": 2.5, "within_s": 20}},
        {"say": "That's all, thank you. Goodbye."},
        {"hang_up": "none"},
        {"expect": {"ended_by": "agent"}},
    ],
}


@pytest_asyncio.fixture
async def vendors() -> AsyncIterator[VendorServer]:
    async with spoken_vendors() as server:
        yield server


def pointed_here(example: Path, folder: Path, model_url: str) -> Path:
    """The example, its own server of a language model replaced by the emulated one."""
    here = folder / example.name
    here.write_text(example.read_text().replace(OLLAMA, model_url))
    return here


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
async def test_an_example_holds_a_spoken_call(example: Path, vendors: VendorServer, tmp_path: Path) -> None:
    environment = vendors.environment()
    assistant = pointed_here(example, tmp_path, environment["OPENAI_BASE_URL"])
    if example.stem == "local-llm":  # a server of one's own wants no key
        vendors.world.keys = {vendor: key for vendor, key in vendors.world.keys.items() if vendor != "openai"}
    serving = load_settings(environment, env_file=None)
    async with serve_in_process(serving, assistant) as server:
        plan = CallPlan(
            parse_script(SCRIPT, source="script", folder=tmp_path), url=server.media_url, recognise=False
        )
        call = await place_call(plan, LoopClock(asyncio.get_running_loop()))
        assert [verdict for verdict in call.expectations if not verdict.met] == []
        assert call.failures == ()
        assert [event for event in call.events if event["type"] == "provider.failed"] == []
    chosen = load_assistant(assistant)
    used = {chosen.transcriber.provider, chosen.model.provider, chosen.voice.provider} - {"embedded"}
    seen = {vendor for vendor in used if vendors.world.sightings.of(vendor)}
    assert seen == used
    await asyncio.sleep(0.5)
    assert not +vendors.world.sightings.open
