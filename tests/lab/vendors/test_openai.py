"""The emulated OpenAI speaks as the vendor's own SDK expects, and refuses what the vendor refuses."""

from __future__ import annotations

import json
from typing import Any

import aiohttp
import pytest
from fake_engines import ScriptedModel
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from vendor_clients import vendors

from offhook.lab.vendors.faults import FaultKind, PlannedFault
from offhook.lab.vendors.server import VendorServer
from offhook.pipeline.messages import ModelDelta, TextDelta, ToolRequest

SAID: list[ModelDelta] = [TextDelta("Hello there. "), ToolRequest("call-1", "look", '{"what": "order"}')]
HELLO = {"model": "gpt-test", "messages": [{"role": "user", "content": "hello"}]}


CALL = {"id": "call-1", "type": "function", "function": {"name": "look", "arguments": "{}"}}
LOOK = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}


def asking(*calls: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": None, "tool_calls": list(calls)}


async def post(
    emulated: VendorServer, body: Any, key: str | None = None, data: bytes | None = None
) -> tuple[int, str]:
    account = emulated.account("openai")
    assert account.key is not None
    headers = {"Authorization": f"Bearer {key or account.key.get_secret_value()}"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"{account.base_url}/chat/completions",
            data=json.dumps(body).encode() if data is None else data,
            headers=headers | {"Content-Type": "application/json"},
        ) as response,
    ):
        return response.status, await response.text()


async def test_its_chunks_are_the_sdks_chunks() -> None:
    body = HELLO | {"stream": True, "stream_options": {"include_usage": True}}
    async with vendors(ScriptedModel(lambda _: SAID)) as emulated:
        status, text = await post(emulated, body)
    lines = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    assert (status, lines[-1]) == (200, "[DONE]")
    chunks = [ChatCompletionChunk.model_validate_json(line, strict=True) for line in lines[:-1]]
    assert all(chunk.object == "chat.completion.chunk" and not chunk.model_extra for chunk in chunks)
    assert chunks[-1].usage is not None
    assert chunks[-1].choices == []
    assert [chunk.choices[0].finish_reason for chunk in chunks[:-1]][-1] == "tool_calls"


async def test_an_answer_at_once_is_the_sdks_answer() -> None:
    async with vendors(ScriptedModel(lambda _: SAID)) as emulated:
        status, text = await post(emulated, HELLO)
    answer = ChatCompletion.model_validate_json(text, strict=True)
    assert status == 200
    assert answer.choices[0].message.content == "Hello there. "
    assert answer.choices[0].message.tool_calls is not None


async def test_a_wrong_key_is_refused() -> None:
    async with vendors() as emulated:
        status, text = await post(emulated, HELLO, key="another")
        assert status == 401
        assert json.loads(text)["error"]["type"] == "invalid_request_error"
        assert emulated.world.sightings.of("openai", "refused")


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"model": ""}, "model"),
        ({"messages": []}, "messages"),
        ({"unheard_of": 1}, "unheard_of"),
        ({"tools": []}, "tools"),
        ({"model": "gpt-5", "max_tokens": 5}, "max_tokens"),
        ({"max_tokens": 5, "max_completion_tokens": 5}, "max_tokens"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages.[0].role"),
        ({"messages": [{"role": "user", "content": None}]}, "messages.[0].content"),
        ({"messages": [{"role": "tool", "tool_call_id": "x", "content": "y"}]}, "messages.[0]"),
        ({"messages": [asking(CALL), {"role": "user", "content": "x"}]}, "messages.[1]"),
        ({"messages": [asking(CALL)]}, "messages"),
        ({"messages": [asking(CALL | {"id": "x" * 41})]}, "messages.[0].tool_calls[0].id"),
        ({"messages": [asking(CALL | {"id": None})]}, "messages.[0].tool_calls[0].id"),
        ({"messages": [asking({"id": "call-1"})]}, "messages.[0].tool_calls[0].function"),
        ({"messages": [asking(CALL, CALL)]}, "messages.[0].tool_calls"),
        ({"messages": ["hello"]}, "messages.[0].role"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools[0].function.name"),
        ({"stream_options": {"include_usage": True}}, "stream_options"),
        ({"model": "gpt-5.6-luna", "tools": [LOOK]}, "reasoning_effort"),
        ({"model": "gpt-5.4-mini", "tools": [LOOK], "reasoning_effort": "low"}, "reasoning_effort"),
    ],
)
async def test_what_the_vendor_refuses_is_refused(change: dict[str, Any], param: str) -> None:
    async with vendors() as emulated:
        status, text = await post(emulated, HELLO | change)
    assert (status, json.loads(text)["error"]["param"]) == (400, param)


async def test_what_is_no_json_is_refused() -> None:
    async with vendors() as emulated:
        status, text = await post(emulated, None, data=b"{no json")
    assert (status, json.loads(text)["error"]["type"]) == (400, "invalid_request_error")


async def test_tools_that_are_null_are_none() -> None:
    async with vendors() as emulated:
        assert (await post(emulated, HELLO | {"tools": None}))[0] == 200


async def test_an_answer_that_broke_off_is_not_finished() -> None:
    async with vendors() as emulated:
        emulated.world.faults.plan(PlannedFault("openai", "text", FaultKind.CLOSE))
        _, text = await post(emulated, HELLO | {"stream": True})
        assert "[DONE]" not in text
        await post(emulated, HELLO | {"stream": True})
        assert [seen.data["number"] for seen in emulated.world.sightings.of("openai", "finished")] == [2]
