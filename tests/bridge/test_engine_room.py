"""The engines of one process: what a call gets of them, and what is left when they are closed."""

from __future__ import annotations

import pytest
from bridge_rig import loop_clock
from call_rig import assistant_from
from web_rig import RUN

from offhook.bridge.engine_room import EngineRoom
from offhook.bridge.pool_workers import PoolWorkers
from offhook.config.errors import ToolError

pytestmark = pytest.mark.realtime


async def test_a_call_gets_what_carries_out_its_tools_until_the_room_is_closed() -> None:
    assistant = assistant_from(
        goodbye="",
        apology="",
        turn_taking={"silence_prompts": []},
        tools=[
            {"name": "look", "kind": "http", "url": "https://api.example.com/orders"},
            {
                "name": "post",
                "kind": "server",
                "server": {"url": "https://crm.example.com"},
                "deadline_s": 0.1,
            },
        ],
    )
    async with PoolWorkers() as workers, PoolWorkers(threads=1) as voice_activity_thread:
        room = EngineRoom(loop_clock(), workers, voice_activity_thread)
        await room.warm(assistant)
        tools = room.engines(assistant).web_tools
        await room.close()
    assert set(tools) == {"look", "post"}
    for tool in tools.values():
        with pytest.raises(ToolError, match="shutting down"):
            await tool({}, RUN)
