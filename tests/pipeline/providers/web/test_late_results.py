"""Results that a tool's server gives later, at the address that it was told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
from web_rig import RUN, Scripted

from offhook.config.errors import ToolError
from offhook.config.server import Server
from offhook.config.tool import Tool
from offhook.pipeline.clock import LoopClock
from offhook.pipeline.providers.web.late_results import LateResults
from offhook.pipeline.providers.web.server_tool import ServerTool
from offhook.pipeline.providers.web.web_client import WebAnswer, WebRequest
from offhook.pipeline.tool_run import ToolOutcome

TAKEN_ON = WebAnswer(202, b"")
DONE = b'{"result": "booked", "context": {"table": "7"}}'
ORIGIN = "https://bridge.example.com"


def late_tool(
    client: Callable[..., Any], late: LateResults, *, deadline_s: float = 20.0, posts: str = "tool-calls"
) -> ServerTool:
    loop = asyncio.get_running_loop()
    return ServerTool(
        Tool.model_validate({"name": "book", "kind": "server", "deadline_s": deadline_s, "posts": posts}),
        Server.model_validate({"url": "https://crm.example.com/tools"}),
        assistant="Shop",
        exchange=client,
        clock=LoopClock(loop, loop.time),
        late=late,
        wall_time=lambda: 1.7e9,
        jitter=lambda: 1.0,
    )


def at(origin: str = ORIGIN) -> LateResults:
    late = LateResults()
    late.origin = origin
    return late


async def told_url(client: Scripted) -> str:
    while not client.requests:  # noqa: ASYNC110 - time is virtual
        await asyncio.sleep(0.01)
    message = json.loads(client.requests[0].body or b"")["message"]
    return str(message.get("resultUrl", ""))


def post(late: LateResults, url: str, body: bytes = DONE) -> bool:
    call_id, token = url.split("/")[-2:]
    expected = late.find(call_id, token)
    return expected is not None and expected.take(body)


@pytest.mark.parametrize("posts", ["tool-calls", "function-call"])
async def test_a_server_that_takes_a_call_on_gives_its_result_later(posts: str) -> None:
    late, client = at(), Scripted(TAKEN_ON)
    running = asyncio.create_task(late_tool(client, late, posts=posts)({}, RUN))
    url = await told_url(client)
    assert url.startswith(f"{ORIGIN}/v1/tool-results/CA1/")
    await asyncio.sleep(12)
    assert not running.done()
    assert post(late, url)
    assert await running == ToolOutcome("booked", {"table": "7"})
    assert len(client.requests) == 1
    assert not post(late, url), "an address is good for one result"


async def test_each_execution_has_an_address_of_its_own() -> None:
    late, one, other = at(), Scripted(TAKEN_ON), Scripted(TAKEN_ON)
    running = [asyncio.create_task(late_tool(client, late)({}, RUN)) for client in (one, other)]
    first, second = await told_url(one), await told_url(other)
    assert first != second
    assert post(late, second, b'{"result": 2}')
    assert post(late, first, b'{"result": 1}')
    assert [outcome.value for outcome in await asyncio.gather(*running)] == [1, 2]


async def test_a_failure_that_is_told_later_is_a_failure_with_its_own_words() -> None:
    late, client = at(), Scripted(TAKEN_ON)
    running = asyncio.create_task(late_tool(client, late)({}, RUN))
    assert post(late, await told_url(client), b'{"error": "full", "fallback": "We are full tonight."}')
    with pytest.raises(ToolError, match="full") as failed:
        await running
    assert failed.value.fallback == "We are full tonight."


@pytest.mark.parametrize("body", [b"", b"{}", b'{"received": true}', b'{"results": []}', b"\xff"])
async def test_what_holds_no_result_is_not_taken_and_waited_on(body: bytes) -> None:
    late, client = at(), Scripted(TAKEN_ON)
    running = asyncio.create_task(late_tool(client, late)({}, RUN))
    url = await told_url(client)
    assert not post(late, url, body)
    assert post(late, url)
    assert (await running).value == "booked"


async def test_a_result_that_does_not_come_ends_with_the_deadline_and_its_address() -> None:
    late, client = at(), Scripted(TAKEN_ON)
    running = asyncio.create_task(late_tool(client, late, deadline_s=4)({}, RUN))
    url = await told_url(client)
    began_s = asyncio.get_running_loop().time()
    with pytest.raises(ToolError, match="took it on and gave no result within 4 s"):
        await running
    assert asyncio.get_running_loop().time() - began_s < 4
    assert not post(late, url)


async def test_a_busy_server_that_gives_its_result_meanwhile_is_not_asked_again() -> None:
    late, client = at(), Scripted(WebAnswer(429, b"", retry_after_s=3.0))
    running = asyncio.create_task(late_tool(client, late)({}, RUN))
    assert post(late, await told_url(client))
    assert (await running).value == "booked"
    assert len(client.requests) == 1


async def test_a_result_counts_though_the_answer_to_the_request_was_lost() -> None:
    late = at()

    async def breaks(request: WebRequest, *, named: bool = False) -> WebAnswer:
        url = json.loads(request.body or b"")["message"]["resultUrl"]
        assert post(late, url)
        raise ToolError("the server broke the connection off")

    assert (await late_tool(breaks, late)({}, RUN)).value == "booked"


async def test_without_an_address_nothing_is_told_and_202_without_a_result_is_asked_again() -> None:
    client = Scripted(TAKEN_ON, WebAnswer(200, DONE))
    outcome = await late_tool(client, LateResults())({}, RUN)
    assert outcome.value == "booked"
    assert await told_url(client) == ""
    assert len(client.requests) == 2


async def test_an_address_is_known_to_every_process_that_has_the_key_and_to_no_other() -> None:
    late, sibling, stranger = at(), at(), at()
    sibling.key = late.key
    with late.expect(RUN) as expected:
        token = expected.url.rpartition("/")[2]
    assert sibling.is_ours("CA1", token)
    assert sibling.find("CA1", token) is None
    for call_id, guess in (("CA2", token), ("CA1", token[:-1]), ("CA1", "é"), ("CA1", ""), ("CA1", "AAAA")):
        assert not sibling.is_ours(call_id, guess)
    assert not stranger.is_ours("CA1", token)


async def test_a_name_of_a_call_is_quoted_in_the_address() -> None:
    with at().expect(RUN.__class__("k", "a/b?c", {})) as expected:
        assert "/a%2Fb%3Fc/" in expected.url
