"""How Python functions are called as tools."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from call_rig import assistant_from
from fake_engines import InlineWorkers

from offhook.config.tool import Tool
from offhook.pipeline.clock import LoopClock
from offhook.pipeline.executors import executors_for
from offhook.pipeline.phone_keys import PhoneKeys
from offhook.pipeline.tool_run import ToolRun

RUN = ToolRun("key-1", "CA1", {"from": "+15550100"})


def plain(number: int) -> int:
    return number + 1


def keyed(number: int, *, idempotency_key: str) -> str:
    return f"{number} {idempotency_key}"


async def with_call(call: ToolRun, number: int) -> str:
    return f"{number} {call.call_id} {call.variables['from']}"


def takes_all(**arguments: Any) -> Mapping[str, Any]:
    return arguments


@pytest.mark.parametrize(
    ("function", "given"),
    [("plain", 8), ("keyed", "7 key-1"), ("with_call", "7 CA1 +15550100"), ("takes_all", {"number": 7})],
)
async def test_a_function_is_given_what_it_has_parameters_for(function: str, given: object) -> None:
    tool = Tool(name="t", callable=f"{__name__}:{function}")
    keys = PhoneKeys(LoopClock(asyncio.get_running_loop()), lambda evidence: None)
    ((_, execute),) = executors_for([tool], InlineWorkers(), {}, keys).values()
    assert await execute({"number": 7}, RUN) == given


async def test_ending_the_call_is_no_work_for_an_executor() -> None:
    keys = PhoneKeys(LoopClock(asyncio.get_running_loop()), lambda evidence: None)
    assistant = assistant_from(
        tools=[{"name": "bye", "kind": "end_call"}, {"name": "k", "kind": "send_dtmf"}]
    )
    assert set(executors_for(assistant.tools, InlineWorkers(), {}, keys)) == {"k"}
