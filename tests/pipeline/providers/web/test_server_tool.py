"""Tools that the operator's server carries out: what is posted, which answers count, who is asked again."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import hashlib
import hmac
import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from web_rig import RUN, Scripted

from offhook.config.errors import ToolError, ToolUnreachable
from offhook.config.server import Server
from offhook.config.tool import Tool
from offhook.pipeline.clock import LoopClock
from offhook.pipeline.providers.web.server_messages import read_answer
from offhook.pipeline.providers.web.server_tool import ServerTool
from offhook.pipeline.providers.web.web_client import WebAnswer
from offhook.pipeline.tool_run import ToolOutcome

NOW = 1_700_000_000.4
DONE = WebAnswer(200, b'{"result": "done"}')
BUSY = WebAnswer(503, b"")


def server_tool(client: Scripted, *, signed: bool = True, deadline_s: float = 5.0) -> ServerTool:
    loop = asyncio.get_running_loop()
    return ServerTool(
        Tool(name="order_status", kind="server", deadline_s=deadline_s),
        Server.model_validate({"url": "https://crm.example.com/tools", "secret": "hush" if signed else None}),
        assistant="Shop",
        exchange=client,
        clock=LoopClock(loop, loop.time),
        wall_time=lambda: NOW + loop.time(),
        jitter=lambda: 1.0,
    )


async def test_one_signed_message_is_posted() -> None:
    client = Scripted(DONE)
    outcome = await server_tool(client)({"id": "7"}, RUN)
    assert outcome == ToolOutcome("done")
    (request,) = client.requests
    assert (request.method, request.url, client.named) == ("POST", "https://crm.example.com/tools", [True])
    message = json.loads(request.body or b"")["message"]
    call = {"name": "order_status", "arguments": {"id": "7"}}
    assert message == {
        "type": "tool-calls",
        "timestamp": 1_700_000_000_400,
        "idempotencyKey": RUN.key,
        "call": {
            "id": "CA1",
            "type": "inboundPhoneCall",
            "customer": {"number": "+15550100"},
            "phoneNumber": {"number": "+15550199"},
        },
        "assistant": {"name": "Shop"},
        "variables": dict(RUN.variables),
        "toolCallList": [{"id": RUN.key, "type": "function", **call, "function": call}],
    }
    headers = request.headers
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + (request.body or b"")
    expected = base64.b64encode(hmac.digest(b"hush", signed, hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"
    assert headers["webhook-timestamp"] == "1700000000"
    assert (headers["x-vapi-secret"], headers["Idempotency-Key"]) == ("hush", RUN.key)
    assert "hush" not in repr(request)


async def test_without_a_secret_nothing_is_signed() -> None:
    client = Scripted(DONE)
    await server_tool(client, signed=False)({}, RUN)
    assert set(client.requests[0].headers) == {"Content-Type", "Idempotency-Key"}


@pytest.mark.parametrize(
    "busy",
    [
        BUSY,
        WebAnswer(429, b'{"result": "not yet"}'),
        WebAnswer(200, b""),
        WebAnswer(202, b'{"status": "queued"}'),
        WebAnswer(200, b"<html>"),
        WebAnswer(200, b'{"results": []}'),
        WebAnswer(200, b'{"results": [{"toolCallId": "another", "result": "x"}]}'),
        ToolUnreachable("the server cannot be reached"),
    ],
)
async def test_a_busy_server_is_asked_again_as_the_same_execution(busy: WebAnswer | ToolError) -> None:
    client = Scripted(busy, busy, DONE)
    loop = asyncio.get_running_loop()
    began = loop.time()
    assert await server_tool(client)({}, RUN) == ToolOutcome("done")
    assert loop.time() - began == pytest.approx(0.2 + 0.4)
    first, *others = client.requests
    for other in others:
        assert other.body == first.body
        for name in ("webhook-id", "Idempotency-Key"):
            assert other.headers[name] == first.headers[name]


async def test_a_server_that_stays_busy_fails_before_the_deadline_and_says_so() -> None:
    client = Scripted(BUSY)
    loop = asyncio.get_running_loop()
    began = loop.time()
    with pytest.raises(ToolError, match="busy"):
        await server_tool(client)({}, RUN)
    assert 4.5 < loop.time() - began < 5.0
    assert 5 <= len(client.requests) <= 9


async def test_a_server_that_asks_to_be_left_alone_is() -> None:
    loop = asyncio.get_running_loop()
    client = Scripted(WebAnswer(429, b"", retry_after_s=3.0), DONE)
    began = loop.time()
    await server_tool(client)({}, RUN)
    assert loop.time() - began == pytest.approx(3.0)
    with pytest.raises(ToolError, match="busy"):
        await server_tool(Scripted(WebAnswer(503, b"", retry_after_s=30.0)))({}, RUN)
    assert loop.time() - began == pytest.approx(3.0), "nobody waits for what comes too late"


@pytest.mark.parametrize("status", [302, 400, 401, 404, 500, 502])
async def test_any_other_status_fails_at_once(status: int) -> None:
    client = Scripted(WebAnswer(status, b'{"error": "detail"}'))
    with pytest.raises(ToolError, match=str(status)):
        await server_tool(client)({}, RUN)
    assert len(client.requests) == 1


async def test_an_answer_that_was_lost_is_not_asked_for_again() -> None:
    client = Scripted(ToolError("the server broke the connection off"))
    with pytest.raises(ToolError, match="broke"):
        await server_tool(client)({}, RUN)
    assert len(client.requests) == 1


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        ({"result": "x"}, ToolOutcome("x")),
        ({"result": None}, ToolOutcome(None)),
        ({"result": {"a": [1]}}, ToolOutcome({"a": [1]})),
        ({"results": [{"toolCallId": "k", "result": "x"}]}, ToolOutcome("x")),
        ({"results": [{"result": "x"}]}, ToolOutcome("x")),
        ({"results": [{"toolCallId": "z", "result": 1}, {"toolCallId": "k", "result": 2}]}, ToolOutcome(2)),
        (
            {"result": 1, "context": {"tier": "gold", "visits": 3, "no name": "x", "list": [1]}},
            ToolOutcome(1, {"tier": "gold", "visits": "3"}),
        ),
        ({"results": [{"toolCallId": "k", "result": 1}], "context": {"a": "b"}}, ToolOutcome(1, {"a": "b"})),
        ({"result": 1, "error": None}, ToolOutcome(1)),
        ({"result": 1, "fallback": "Say this."}, ToolOutcome(1, fallback="Say this.")),
        ({"results": "x"}, None),
        ({"results": [{"toolCallId": "z", "result": 1}]}, None),
        ({"message": "ok"}, None),
        ([], None),
        ("x", None),
    ],
)
def test_every_form_of_answer_is_read(answer: Any, outcome: ToolOutcome | None) -> None:
    assert read_answer(json.dumps(answer).encode(), "k") == outcome


@pytest.mark.parametrize(
    ("answer", "reason", "fallback"),
    [
        ({"error": "closed", "fallback": "We are closed."}, "closed", "We are closed."),
        ({"results": [{"toolCallId": "k", "error": "gone"}]}, "gone", ""),
        ({"results": [{"toolCallId": "k", "error": "gone"}], "fallback": "Sorry."}, "gone", "Sorry."),
        ({"error": {"code": 7}}, '{"code": 7}', ""),
    ],
)
def test_an_error_of_the_servers_is_the_tools_failure(answer: Any, reason: str, fallback: str) -> None:
    with pytest.raises(ToolError) as failed:
        read_answer(json.dumps(answer).encode(), "k")
    assert (failed.value.reason, failed.value.fallback) == (reason, fallback)


@given(
    st.binary()
    | st.recursive(
        st.none() | st.integers() | st.text(),
        lambda x: (
            st.lists(x)
            | st.dictionaries(
                st.sampled_from(["results", "result", "error", "context", "fallback", "toolCallId"]), x
            )
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_no_answer_breaks_the_reader(body: bytes) -> None:
    with contextlib.suppress(ToolError):
        outcome = read_answer(body, "k")
        assert outcome is None or isinstance(outcome, ToolOutcome)
