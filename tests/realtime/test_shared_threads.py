"""Threads are shared by all calls: blocking tools must not make the server deaf."""

from __future__ import annotations

import asyncio
import time

import pytest
from bridge_rig import loop_clock
from call_rig import assistant_from

from offhook.bridge.engine_room import EngineRoom
from offhook.bridge.pool_workers import THREADS, PoolWorkers
from offhook.config.vendors import Account
from offhook.pipeline.ports import VoiceWindow

pytestmark = pytest.mark.realtime

TOOL_S = 1.0
WINDOW_WITHIN_S = 0.3
"""A barge-in that is noticed later than this is of no use; the model itself takes a millisecond."""
FRAMES = 60


async def test_voice_activity_hears_while_every_thread_runs_a_blocking_tool() -> None:
    clock = loop_clock()
    assistant = assistant_from(first_message="", goodbye="", apology="", turn_taking={"silence_prompts": []})
    async with PoolWorkers() as workers, PoolWorkers(threads=1) as voice_activity_thread:
        room = EngineRoom(
            clock,
            workers,
            voice_activity_thread,
            account=lambda vendor: Account(),
            served=lambda: [assistant],
        )
        await room.warm(assistant)
        engines = room.engines(assistant)
        arrived: list[float] = []

        def on_window(window: VoiceWindow) -> None:
            arrived.append(clock.now())

        try:
            tools = [
                asyncio.create_task(engines.workers.in_thread(time.sleep, TOOL_S)) for _ in range(THREADS)
            ]
            await asyncio.sleep(0.02)
            stream = engines.voice_activity.open(on_window)
            began = clock.now()
            for number in range(1, FRAMES + 1):
                stream.push(b"\xff" * 160)
                await clock.sleep_until(began + number * 0.02)
            stream.close()
            await asyncio.gather(*tools)
        finally:
            await room.close()
    waits = [later - before for before, later in zip([began, *arrived], arrived, strict=False)]
    assert max(waits) < WINDOW_WITHIN_S, f"no window for {max(waits):.2f} s"
