"""An emulated OpenAI: `POST /v1/chat/completions` and `GET /v1/models`.

What is wrong with a request is refused as the vendor refuses it. A model whose name begins with "ollama/",
"vllm/" or "llamacpp/" is answered in that server's way. Source: OpenAI API reference, "Chat Completions".
"""

from __future__ import annotations

__all__ = ["routes"]

import asyncio
import json
import math
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import aclosing
from typing import Any, cast

from aiohttp import web

from offhook.pipeline.messages import ModelDelta, TextDelta, ToolRequest

from .connections import reset
from .faults import FaultKind, PlannedFault
from .openai_request import model_request
from .openai_rules import wrong_with
from .world import VendorWorld

VENDOR = "openai"
ARGUMENT_LETTERS = 8
"""A tool's arguments come in pieces of so many."""
SERVERS = ("ollama", "vllm", "llamacpp")


def routes(world: VendorWorld) -> list[web.RouteDef]:
    """What the vendor answers to."""
    chat = _Chat(world)
    return [web.post("/v1/chat/completions", chat.complete), web.get("/v1/models", chat.models)]


class _Chat:
    def __init__(self, world: VendorWorld) -> None:
        self._world = world
        self._answers = 0

    async def models(self, request: web.Request) -> web.Response:
        if (refusal := self._unauthorised(request)) is not None:
            return refusal
        self._world.sightings.note(VENDOR, "models", connection=_connection(request))
        return web.json_response({"object": "list", "data": []})

    async def complete(self, request: web.Request) -> web.StreamResponse:
        sightings = self._world.sightings
        if (refusal := self._unauthorised(request)) is not None:
            return refusal
        body = await _body(request)
        if (wrong := wrong_with(body)) is not None:
            sightings.note(VENDOR, "refused", param=wrong[0], why=wrong[1])
            return _error(400, wrong[1], "invalid_request_error", wrong[0] or None)
        self._answers += 1
        noted = {name: value for name, value in body.items() if name not in ("messages", "tools")}
        sightings.note(
            VENDOR,
            "request",
            number=self._answers,
            connection=_connection(request),
            roles=[message["role"] for message in body["messages"]],
            tools=[tool["function"]["name"] for tool in body.get("tools") or ()],
            **noted,
        )
        answer = _Answer(self._world, request, body, self._answers)
        sightings.opened("openai request")
        try:
            response = await answer.give()
        except (asyncio.CancelledError, ConnectionError):
            sightings.note(VENDOR, "cancelled", number=answer.number)
            raise
        finally:
            sightings.opened("openai request", -1)
        if answer.whole:
            sightings.note(VENDOR, "finished", number=answer.number)
        return response

    def _unauthorised(self, request: web.Request) -> web.Response | None:
        expected = self._world.keys.get(VENDOR)
        if expected is not None and request.headers.get("Authorization") != f"Bearer {expected}":
            self._world.sightings.note(VENDOR, "refused", why="key")
            return _wrong_key()
        return None


class _Answer:
    """One answer on its way."""

    def __init__(
        self, world: VendorWorld, request: web.Request, body: Mapping[str, Any], number: int
    ) -> None:
        self._world, self._request, self._body = world, request, body
        self.number = number
        self.whole = False
        """It was given to its end."""
        prefix = str(body["model"]).partition("/")[0]
        self._server = prefix if prefix in SERVERS else ""
        self._calls = 0
        self._first = True
        self._response = web.StreamResponse(
            headers={"Content-Type": "text/event-stream", "Cache-Control": "no-cache"}
        )

    async def give(self) -> web.StreamResponse:
        """Stream it, or send it whole."""
        fault = self._world.faults.take(VENDOR, "request")
        if fault is not None and (refusal := await _befall_request(fault, self._request)) is not None:
            return refusal
        engine = self._world.engines.model
        answer = cast("AsyncGenerator[ModelDelta, None]", engine.respond(model_request(self._body)))
        async with aclosing(answer) as deltas:
            await _sleep(self._world.latency.draw_s("first_token"))
            if not self._body.get("stream"):
                response = web.json_response(await self._whole(deltas))
                self.whole = True
                return response
            return await self._stream(deltas)

    async def _stream(self, deltas: AsyncIterator[Any]) -> web.StreamResponse:
        fault = self._world.faults.take(VENDOR, "first_token")
        if fault is not None and fault.kind in (FaultKind.BUSY, FaultKind.ERROR, FaultKind.REFUSE):
            return await _befall_request(fault, self._request) or self._response
        await self._response.prepare(self._request)
        if fault is not None and await self._befall(fault):
            return self._response
        asked = False
        if self._server == "llamacpp":
            await self._write({**self._head(), "choices": None})
        await self._send({"role": "assistant", "content": ""})
        async for delta in deltas:
            moment = "tool" if isinstance(delta, ToolRequest) else "text"
            if not self._first:
                await _sleep(self._world.latency.draw_s("token"))
            self._first = False
            if (fault := self._world.faults.take(VENDOR, moment)) is not None and await self._befall(fault):
                return self._response
            if isinstance(delta, TextDelta):
                await self._send({"content": delta.text})
            elif isinstance(delta, ToolRequest):
                asked = True
                await self._send_tool(delta)
        await self._send({}, finish_reason="tool_calls" if asked else "stop")
        if (self._body.get("stream_options") or {}).get("include_usage"):
            await self._write({**self._head(), "choices": [], "usage": USAGE})
        await self._response.write(b"data: [DONE]\n\n")
        await self._response.write_eof()
        self.whole = True
        return self._response

    async def _send_tool(self, asked: ToolRequest) -> None:
        index, self._calls = self._calls, self._calls + 1
        if self._server == "ollama":  # the call at once, without its number
            await self._send({"tool_calls": [_tool_call(asked.id, asked.name, asked.arguments)]})
            return
        await self._send({"tool_calls": [{"index": index, **_tool_call(asked.id, asked.name, "")}]})
        for at in range(0, len(asked.arguments), ARGUMENT_LETTERS):
            piece = {"arguments": asked.arguments[at : at + ARGUMENT_LETTERS]}
            await self._send({"tool_calls": [{"index": index, "function": piece}]})

    async def _whole(self, deltas: AsyncIterator[Any]) -> dict[str, Any]:
        said = [delta async for delta in deltas]
        text = "".join(delta.text for delta in said if isinstance(delta, TextDelta))
        calls = [_tool_call(it.id, it.name, it.arguments) for it in said if isinstance(it, ToolRequest)]
        message: dict[str, Any] = {"role": "assistant", "content": text or None, "refusal": None}
        if calls:
            message["tool_calls"] = calls
        choice = {
            "index": 0,
            "message": message,
            "finish_reason": "tool_calls" if calls else "stop",
            "logprobs": None,
        }
        return {**self._head("chat.completion"), "choices": [choice], "usage": USAGE}

    async def _befall(self, fault: PlannedFault) -> bool:
        """Let a fault happen to an open stream; True if it is over with it."""
        match fault.kind:
            case FaultKind.DROP:
                _abort(self._request)
            case FaultKind.CLOSE:
                await self._response.write_eof()
            case FaultKind.STALL:
                await asyncio.Event().wait()
            case FaultKind.MALFORMED:
                await self._response.write(b"data: {no json\n\n")
                return False
            case FaultKind.SLOW:
                await asyncio.sleep(fault.wait_ms / 1000)
                return False
            case _:
                error = {"message": "The server had an error", "type": "server_error", "code": None}
                await self._write({"error": error})
                await self._response.write_eof()
        return True

    async def _send(self, delta: dict[str, Any], finish_reason: str | None = None) -> None:
        if self._server == "llamacpp" and delta.get("content"):
            await self._write(self._chunk({"reasoning_content": "hm"}, None))
        await self._write(self._chunk(delta, finish_reason))

    def _chunk(self, delta: dict[str, Any], finish_reason: str | None) -> dict[str, Any]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        if self._server == "vllm":
            choice["stop_reason"] = None
        return {**self._head(), "choices": [choice]}

    def _head(self, kind: str = "chat.completion.chunk") -> dict[str, Any]:
        return {
            "id": f"chatcmpl-{self.number}",
            "object": kind,
            "created": 1_700_000_000,
            "model": self._body["model"],
        }

    async def _write(self, message: dict[str, Any]) -> None:
        await self._response.write(f"data: {json.dumps(message)}\n\n".encode())


USAGE = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
"""The shape of it; nobody is billed here."""


async def _sleep(seconds: float) -> None:
    if seconds > 0:
        await asyncio.sleep(seconds)


async def _body(request: web.Request) -> Any:
    """Read what was posted; None for what is no JSON."""
    try:
        return await request.json()
    except ValueError:
        return None


def _connection(request: web.Request) -> Any:
    return request.transport.get_extra_info("peername") if request.transport else None


async def _befall_request(fault: PlannedFault, request: web.Request) -> web.Response | None:
    """Let a fault happen to a request that was not answered yet; None if it goes on."""
    retry: dict[str, str] = {}
    if fault.retry_after_s is not None:
        retry = {
            "retry-after": str(math.ceil(fault.retry_after_s)),
            "retry-after-ms": str(round(fault.retry_after_s * 1000)),
        }
    match fault.kind:
        case FaultKind.BUSY:
            return _error(429, "Rate limit reached", "requests", None, retry, code="rate_limit_exceeded")
        case FaultKind.REFUSE:
            return _wrong_key()
        case FaultKind.ERROR:
            return _error(500, "The server had an error", "server_error", None, retry)
        case FaultKind.DROP | FaultKind.CLOSE:
            _abort(request)
        case FaultKind.MALFORMED:
            return web.Response(text="<html>")
        case FaultKind.SLOW:
            await asyncio.sleep(fault.wait_ms / 1000)
            return None
        case FaultKind.STALL:
            await asyncio.Event().wait()
    return web.Response(status=503)


def _abort(request: web.Request) -> None:
    if request.transport is not None:
        reset(request.transport)


def _wrong_key() -> web.Response:
    text = "Incorrect API key provided."
    return _error(401, text, "invalid_request_error", None, code="invalid_api_key")


def _error(
    status: int,
    message: str,
    kind: str,
    param: str | None,
    headers: Mapping[str, str] | None = None,
    *,
    code: str | None = None,
) -> web.Response:
    error = {"message": message, "type": kind, "param": param, "code": code}
    return web.json_response({"error": error}, status=status, headers=headers)


def _tool_call(request_id: str, name: str, arguments: str) -> dict[str, Any]:
    return {"id": request_id, "type": "function", "function": {"name": name, "arguments": arguments}}
