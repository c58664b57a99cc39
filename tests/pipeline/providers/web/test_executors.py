"""An assistant's tools as they are run, against servers on this machine."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json

import pytest
from aiohttp import web
from bridge_rig import loop_clock
from web_rig import RUN, answering, schema

from offhook.config.assistant_loading import parse_assistant
from offhook.config.environment_texts import environment_lookup
from offhook.config.errors import ToolError
from offhook.pipeline.providers.web.executors import web_executors
from offhook.pipeline.providers.web.web_client import WebClient
from offhook.pipeline.tool_run import ToolOutcome

pytestmark = [pytest.mark.realtime, pytest.mark.both_loops]


async def test_both_kinds_ask_their_servers_over_one_client() -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if request.method == "GET":
            return web.json_response({"order": {"status": "out", "id": request.path}})
        if len(server.requests) == 2:
            return web.Response(status=503)
        message = json.loads(await request.read())["message"]
        call = message["toolCallList"][0]
        return web.json_response(
            {
                "results": [{"toolCallId": call["id"], "result": call["arguments"]}],
                "context": {"tier": "gold"},
            }
        )

    client = WebClient()
    async with answering(answer) as server:
        address = f"127.0.0.1:{server.port}"
        look = {
            "name": "look",
            "kind": "http",
            "url": f"http://{address}/orders/{{id}}",
            "headers": {"Authorization": "Bearer ${KEY}"},
            "parameters": schema("id", required=("id",)),
            "result": ["order.status"],
            "allow": [address],
        }
        stray = {**look, "name": "stray", "allow": []}
        post = {"name": "post", "kind": "server"}
        data = {
            "name": "Shop",
            "tools": [look, stray, post, {"name": "bye", "kind": "end_call"}],
            "server": {"url": f"http://{address}/tools", "secret": "whsec_aHVzaA=="},
        }
        assistant = parse_assistant(data, "a", environment_lookup({"KEY": "s3cret"}, None))
        tools = web_executors(assistant, client, loop_clock())
        assert set(tools) == {"look", "stray", "post"}

        assert await tools["look"]({"id": "a b"}, RUN) == {"status": "out"}
        assert server.requests[0].raw_path == "/orders/a%20b"
        assert server.requests[0].headers["Authorization"] == "Bearer s3cret"

        assert await tools["post"]({"id": 1}, RUN) == ToolOutcome({"id": 1}, {"tier": "gold"})
        refused, served = server.requests[1:]
        for name in ("webhook-id", "Idempotency-Key"):
            assert refused.headers[name] == served.headers[name]
        signed = f"{served.headers['webhook-id']}.{served.headers['webhook-timestamp']}.".encode()
        proof = hmac.digest(b"hush", signed + server.bodies[2], hashlib.sha256)
        assert served.headers["webhook-signature"] == f"v1,{base64.b64encode(proof).decode()}"

        with pytest.raises(ToolError, match="may not be asked"):
            await tools["stray"]({"id": "1"}, RUN)
    await client.close()
