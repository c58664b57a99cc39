"""Emulated vendors with the engines of this machine inside, for as long as they are wanted."""

from __future__ import annotations

__all__ = ["VendorPlan", "run_vendors"]

import asyncio
import os
import secrets
import signal
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass

from offhook.config.assistant import Assistant
from offhook.config.errors import OffhookError
from offhook.config.vendors import KEY_VARIABLES
from offhook.pipeline.clock import LoopClock

from .faults import FaultPlan, PlannedFault
from .inside import embedded_inside
from .latency import Latency, LatencyProfile
from .server import VendorServer
from .sightings import Sightings
from .world import VendorWorld


@dataclass(frozen=True, slots=True)
class VendorPlan:
    """What is emulated, and how."""

    port: int
    """On loopback; 0 lets the system choose."""
    assistant: Assistant
    """Its intents answer in the language model's place."""
    profile: LatencyProfile
    seed: int
    faults: Sequence[PlannedFault]


async def run_vendors(
    plan: VendorPlan, ready: Callable[[VendorServer], None], stopping: Callable[[VendorWorld], None]
) -> None:
    """Emulate until SIGINT or SIGTERM.

    `ready` is told once requests are answered, `stopping` while everything that is open still is. Raises
    OffhookError, also for a port that is taken.
    """
    loop = asyncio.get_running_loop()
    clock = LoopClock(loop)
    faults = FaultPlan()
    for fault in plan.faults:
        faults.plan(fault)
    keys = {vendor: f"emulated-{vendor}-{secrets.token_hex(4)}" for vendor in KEY_VARIABLES}
    async with AsyncExitStack() as stack:
        inside = await stack.enter_async_context(embedded_inside(clock, plan.assistant))
        world = VendorWorld(clock, inside, Latency(plan.profile, plan.seed), Sightings(clock), faults, keys)
        try:
            server = await stack.enter_async_context(VendorServer(world).listening(plan.port))
        except OSError as error:
            reason = os.strerror(error.errno or 0)
            raise OffhookError(f"port {plan.port} cannot be listened on: {reason}; choose another") from None
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop.set)
        ready(server)
        await stop.wait()
        stopping(world)
