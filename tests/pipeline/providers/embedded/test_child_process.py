"""A child process that has ended: what is written to it is lost, and nobody is hurt."""

from __future__ import annotations

import asyncio
import sys

import pytest

from offhook.pipeline.providers.embedded.child_process import ChildProcess
from offhook.pipeline.providers.embedded.jobs import Order, Speak

pytestmark = [pytest.mark.realtime, pytest.mark.both_loops]


def order() -> Order:
    return Order(1, Speak("hello"))


async def test_an_order_to_a_child_that_has_ended_is_lost_and_its_end_is_told() -> None:
    child = await ChildProcess.start("dead", (sys.executable, "-c", ""))
    try:
        async with asyncio.timeout(10):
            with pytest.raises(EOFError):
                await child.receive()
            for _ in range(100):
                child.send(order())
                await asyncio.sleep(0.005)
    finally:
        await child.stop()
    child.send(order())
