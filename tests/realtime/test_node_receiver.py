"""A server in JavaScript that checks our signature as hosted platforms' tutorials do, and answers tools."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from fake_engines import InlineWorkers
from hosted_tutorial import TUTORIAL

from offhook.bridge.call_log import CallLog
from offhook.bridge.events_out.telling import telling
from offhook.config.assistant import Assistant
from offhook.config.assistant_loading import parse_assistant
from offhook.config.errors import ToolError
from offhook.config.server import Server
from offhook.config.settings import Settings
from offhook.config.tool import Tool
from offhook.pipeline.clock import LoopClock
from offhook.pipeline.ports import CallEvent
from offhook.pipeline.providers.web.server_tool import ServerTool
from offhook.pipeline.providers.web.web_client import WebClient
from offhook.pipeline.tool_run import ToolOutcome, ToolRun

pytestmark = pytest.mark.realtime

SECRET = "a-shared-secret"
SERVER = """
const crypto = require("crypto"), http = require("http");
const busy = {now: false};
const server = http.createServer((request, response) => {
  const pieces = [];
  request.on("data", piece => pieces.push(piece)).on("end", async () => {
    const body = JSON.parse(Buffer.concat(pieces));
    const expected = crypto.createHmac("sha256", process.argv[2]).update(JSON.stringify(body)).digest("hex");
    const verified = request.headers["x-vapi-signature"] === expected;
    const answer = (status, value) => {
      response.writeHead(status, {"Content-Type": "application/json"});
      response.end(JSON.stringify(value));
    };
    if (!verified) return answer(401, {error: "invalid signature"});
    const {message} = body;
    console.log(JSON.stringify([message.type, message.call.id]));
    if (message.type === "function-call") {
      const {name, parameters} = message.functionCall;
      return answer(200, {result: `${name} of ${parameters.orderId} is on its way`});
    }
    if (message.type !== "tool-calls") return answer(200, {received: true});
    if (busy.now) return answer(429, {received: true});
    busy.now = true;
    await new Promise(done => setTimeout(done, 400));
    busy.now = false;
    const {arguments: given} = message.toolCallList[0];
    if (given.fail) return answer(200, {error: "out of stock", fallback: "That one is sold out."});
    answer(200, {result: `${given.name} costs ${given.price}`});
  });
});
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
"""


@pytest.fixture
async def node(tmp_path: Path) -> AsyncIterator[tuple[str, asyncio.StreamReader]]:
    """The server's address, and what it says of each message whose signature it found right."""
    path = shutil.which("node")
    if path is None:
        pytest.skip("node is not installed")
    script = tmp_path / "server.js"
    script.write_text(SERVER)
    process = await asyncio.create_subprocess_exec(path, script, SECRET, stdout=asyncio.subprocess.PIPE)
    assert process.stdout is not None
    port = int(await asyncio.wait_for(process.stdout.readline(), 10))
    yield f"http://127.0.0.1:{port}/webhook", process.stdout
    process.kill()
    await process.wait()


async def said(output: asyncio.StreamReader, count: int) -> list[Any]:
    return [json.loads(await asyncio.wait_for(output.readline(), 10)) for _ in range(count)]


async def test_every_message_of_a_call_passes_its_check(node: tuple[str, asyncio.StreamReader]) -> None:
    url, output = node
    assistant = Assistant.model_validate({"name": "Shöp", "server": {"url": url, "secret": SECRET}})
    log = CallLog()
    clock = LoopClock(asyncio.get_running_loop())
    async with telling(Settings(), clock, InlineWorkers(), Counter()) as announce:
        announce(assistant, "CA1", {"from": "+14155550101"}, log)
        log.emit(CallEvent("call.started", 0, {}))
        text = "“Größe” \u2028 10/2 </script> \x7f"
        log.emit(CallEvent("transcript.final", 12, {"text": text, "utterance": 1}))
        log.emit(CallEvent("call.ended", 1230, {"reason": "done", "transfer_to": ""}))
    assert await said(output, 4) == [
        [kind, "CA1"] for kind in ("status-update", "transcript", "status-update", "end-of-call-report")
    ]


def server_tool(client: WebClient, url: str, tool: Tool) -> ServerTool:
    return ServerTool(
        tool,
        Server.model_validate({"url": url, "secret": SECRET}),
        assistant="Shop",
        exchange=client.exchange,
        clock=LoopClock(asyncio.get_running_loop()),
    )


async def test_a_function_of_a_tutorials_assistant_is_answered(
    node: tuple[str, asyncio.StreamReader],
) -> None:
    url, output = node
    (function,) = parse_assistant(TUTORIAL, "a.json").tools
    client = WebClient()
    try:
        outcome = await server_tool(client, url, function)({"orderId": "4711"}, ToolRun("k", "CA1", {}))
    finally:
        await client.close()
    assert outcome == ToolOutcome("checkOrder of 4711 is on its way")
    assert await said(output, 1) == [["function-call", "CA1"]]


async def test_its_tools_answer_though_it_does_one_thing_at_a_time(
    node: tuple[str, asyncio.StreamReader],
) -> None:
    url, _ = node
    client = WebClient()
    tool = server_tool(client, url, Tool(name="price", kind="server"))
    try:
        runs = [tool({"name": str(p), "price": p}, ToolRun(f"k{p}", "CA1", {})) for p in (1.0, 1e-7)]
        assert await asyncio.gather(*runs) == [
            ToolOutcome("1.0 costs 1"),
            ToolOutcome("1e-07 costs 1e-7"),
        ]
        third = await tool({"name": "x", "price": 1e21}, ToolRun("k3", "CA1", {}))
        assert third == ToolOutcome("x costs 1e+21")
        with pytest.raises(ToolError, match="out of stock") as failed:
            await tool({"fail": True}, ToolRun("k4", "CA1", {}))
        assert failed.value.fallback == "That one is sold out."
    finally:
        await client.close()
