"""Emulated vendors behind whose protocols words are really spoken and recognised."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from offhook.config.assistant_loading import load_assistant
from offhook.config.assistants import DEMO
from offhook.lab.vendors.inside import embedded_inside
from offhook.lab.vendors.latency import PROFILES, Latency
from offhook.lab.vendors.server import VendorServer
from offhook.lab.vendors.sightings import Sightings
from offhook.lab.vendors.world import VendorWorld
from offhook.pipeline.clock import LoopClock


@asynccontextmanager
async def spoken_vendors() -> AsyncIterator[VendorServer]:
    """Serve all three on a port of the system's choice, without delays of their own."""
    clock = LoopClock(asyncio.get_running_loop())
    keys = {vendor: f"emulated-{vendor}" for vendor in ("deepgram", "openai", "elevenlabs")}
    async with embedded_inside(clock, load_assistant(DEMO)) as inside:
        world = VendorWorld(clock, inside, Latency(PROFILES["instant"]), Sightings(clock), keys=keys)
        async with VendorServer(world).listening(0) as server:
            yield server
