"""Emulated vendors for one trial, which read and write spelled speech."""

from __future__ import annotations

__all__ = ["trial_vendors"]

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from offhook.config.vendors import KEY_VARIABLES
from offhook.pipeline.clock import Clock
from offhook.pipeline.ports import LanguageModel

from ..vendors.inside import spelled_inside
from ..vendors.latency import PROFILES, Latency
from ..vendors.server import VendorServer
from ..vendors.sightings import Sightings
from ..vendors.world import VendorWorld
from .conversation import EchoingModel


@asynccontextmanager
async def trial_vendors(
    clock: Clock, *, profile: str = "instant", model: LanguageModel | None = None, seed: int = 1
) -> AsyncIterator[VendorServer]:
    """Start them; every connection is closed with the context."""
    inside = spelled_inside(model or EchoingModel())
    keys = {vendor: secrets.token_hex(8) for vendor in KEY_VARIABLES}
    world = VendorWorld(clock, inside, Latency(PROFILES[profile], seed), Sightings(clock), keys=keys)
    async with VendorServer(world).listening() as server:
        yield server
