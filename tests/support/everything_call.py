"""One scripted conversation in which everything happens once, for tests that end it at any moment."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

from call_laws import WatchedRig
from call_rig import assistant_from

from offhook.config.assistant import Assistant
from offhook.pipeline.messages import (
    AgentSaid,
    CallerSaid,
    ModelDelta,
    ModelRequest,
    TextDelta,
    ToolAnswered,
    ToolRequest,
)

SCRIPT_S = 13.5


async def slow(**arguments: Any) -> dict[str, str]:
    """A tool that takes 1.5 s."""
    await asyncio.sleep(1.5)
    return {"arrives": "Tuesday"}


async def quick(**arguments: Any) -> dict[str, str]:
    """A tool that answers in the same loop pass or the next."""
    return {"arrives": "Monday"}


def tool(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "callable": f"{__name__}:{name}", **more}


def assistant(**fields: Any) -> Assistant:
    return assistant_from(
        first_message="word1 word2 word3, word4 word5 word6.",
        goodbye="word191 word192 word193.",
        apology="word181 word182.",
        tools=[
            tool("slow", filler="word171 word172.", filler_after_ms=700),
            tool("quick"),
            {"name": "end_call", "kind": "end_call"},
        ],
        **fields,
    )


def words(first: int, count: int) -> str:
    return " ".join(f"word{number}" for number in range(first, first + count)) + "."


def model(request: ModelRequest) -> Sequence[ModelDelta | float]:
    """A model with every habit: tools in the middle of its text, several at once, long and short replies."""
    last = request.messages[-1]
    number = sum(isinstance(message, AgentSaid) for message in request.messages)
    if isinstance(last, ToolAnswered):
        return [TextDelta(words(100 + number, 4))]
    assert isinstance(last, CallerSaid)
    if "order" in last.text:
        return [
            TextDelta(f"{words(10, 5)} "),
            ToolRequest(f"a{number}", "slow", "{}"),
            ToolRequest(f"b{number}", "quick", "{}"),
            0.2,
            TextDelta(words(15, 12)),
        ]
    if "bye" in last.text:
        return [ToolRequest(f"e{number}", "end_call", "{}")]
    return [TextDelta(f"{words(40, 8)} "), 0.05, TextDelta(words(48, 30))]


async def conversation(rig: WatchedRig) -> None:
    """Greeting, a tool, a barge-in, noise, a backchannel, keys, a lost recogniser, the goodbye: 13.5 s."""
    await rig.sleep(0.6)
    await rig.caller_says("where is my order please", 1.0)
    await rig.sleep(1.9)
    await rig.caller_says("yeah", 0.3)
    await rig.sleep(0.9)
    await rig.caller_says("no wait tell me the policy", 1.2)
    rig.transcriber.streams[-1].breaks.set()
    await rig.sleep(1.4)
    await rig.caller_says("", 0.2)
    await rig.sleep(1.2)
    rig.call.dtmf("7")
    await rig.sleep(0.1)
    rig.call.dtmf("#")
    await rig.sleep(1.2)
    await rig.caller_says("thank you bye", 0.9)
    await rig.sleep(2.6)
