"""A process with emulated vendors that cost as little as can be."""

from __future__ import annotations

__all__ = ["VendorsReady", "emulate_vendors"]

import asyncio
import os
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection

from offhook.config.vendors import KEY_VARIABLES
from offhook.pipeline.clock import LoopClock

from ..scripted_engines import CueTranscriber, TalkativeModel, ToneVoice
from ..spelled_speech import LevelVoiceActivity
from ..vendors.latency import PROFILES, Latency
from ..vendors.server import VendorServer
from ..vendors.sightings import Sightings
from ..vendors.world import InsideEngines, VendorWorld
from .plan import INTERRUPTION, BenchPlan

KEY = "bench"


@dataclass(frozen=True, slots=True)
class VendorsReady:
    """They listen."""

    port: int


def emulate_vendors(plan: BenchPlan, orders: Connection) -> None:
    """The process: ready, then it ends on any word."""
    if plan.cores is not None:
        os.sched_setaffinity(0, {plan.cores.load})
    with suppress(EOFError, KeyboardInterrupt):
        asyncio.run(_emulate(orders))


async def _emulate(orders: Connection) -> None:
    clock = LoopClock(asyncio.get_running_loop())
    inside = InsideEngines(
        LevelVoiceActivity(), CueTranscriber(words=INTERRUPTION), TalkativeModel(), ToneVoice()
    )
    keys = dict.fromkeys(KEY_VARIABLES, KEY)
    world = VendorWorld(clock, inside, Latency(PROFILES["instant"]), Sightings(clock), keys=keys)
    server = VendorServer(world)
    orders.send(VendorsReady(await server.start()))
    await asyncio.to_thread(orders.recv)
    await server.stop()
