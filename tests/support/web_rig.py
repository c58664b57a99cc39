"""Servers on this machine that tools ask, and the parts that tests of such tools share."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

from offhook.config.errors import ToolError
from offhook.pipeline.providers.web.web_client import WebAnswer, WebRequest
from offhook.pipeline.tool_run import ToolRun

RUN = ToolRun("key-1", "CA1", {"from": "+15550100", "to": "+15550199"})

Answering = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass
class Asked:
    """A server that is up, and what it was asked."""

    port: int
    requests: list[web.Request] = field(default_factory=list)
    bodies: list[bytes] = field(default_factory=list)


@asynccontextmanager
async def answering(answer: Answering, host: str = "127.0.0.1") -> AsyncIterator[Asked]:
    """Run a server whose every path is answered so."""
    asked = Asked(0)

    async def take(request: web.Request) -> web.StreamResponse:
        asked.requests.append(request)
        asked.bodies.append(await request.read())
        return await answer(request)

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", take)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, host, 0)
    await site.start()
    asked.port = int(runner.addresses[0][1])
    try:
        yield asked
    finally:
        await runner.cleanup()


class Scripted:
    """Stands in for the client: gives answers, or raises them, in order, the last one again and again."""

    def __init__(self, *answers: WebAnswer | ToolError) -> None:
        self.answers = list(answers)
        self.requests: list[WebRequest] = []
        self.named: list[bool] = []

    async def __call__(self, request: WebRequest, *, named: bool = False) -> WebAnswer:
        """Answer."""
        self.requests.append(request)
        self.named.append(named)
        answer = self.answers[min(len(self.requests), len(self.answers)) - 1]
        if isinstance(answer, ToolError):
            raise answer
        return answer


def schema(*names: str, required: tuple[str, ...] = ()) -> dict[str, Any]:
    """A schema whose properties take anything."""
    return {"type": "object", "properties": {name: {} for name in names}, "required": list(required)}
