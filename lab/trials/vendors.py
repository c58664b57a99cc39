"""Emulated vendors for one trial, which read and write spelled speech."""

from __future__ import annotations

__all__ = ["TrialVendors", "trial_vendors"]

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from pydantic import SecretStr

from offhook.config.vendors import KEY_VARIABLES, Account
from offhook.pipeline.clock import Clock
from offhook.pipeline.ports import LanguageModel

from ..vendors.inside import spelled_inside
from ..vendors.latency import PROFILES, Latency
from ..vendors.server import VendorServer
from ..vendors.sightings import Sightings
from ..vendors.world import VendorWorld
from .conversation import EchoingModel


@dataclass(frozen=True, slots=True)
class TrialVendors:
    """Vendors that listen on a port of this machine."""

    world: VendorWorld
    base_url: str

    def account(self, vendor: str) -> Account:
        """How a vendor is reached here."""
        path = "/v1" if vendor == "openai" else ""
        return Account(SecretStr(self.world.keys[vendor]), self.base_url + path)


@asynccontextmanager
async def trial_vendors(
    clock: Clock, *, profile: str = "instant", model: LanguageModel | None = None, seed: int = 1
) -> AsyncIterator[TrialVendors]:
    """Start them; every connection is closed with the context."""
    inside = spelled_inside(model or EchoingModel())
    keys = {vendor: secrets.token_hex(8) for vendor in KEY_VARIABLES}
    world = VendorWorld(clock, inside, Latency(PROFILES[profile], seed), Sightings(clock), keys=keys)
    server = VendorServer(world)
    port = await server.start()
    try:
        yield TrialVendors(world, f"http://127.0.0.1:{port}")
    finally:
        await server.stop()
