"""An emulated Deepgram: `/v1/listen` and `/v2/listen`."""

from __future__ import annotations

__all__ = ["routes"]

import asyncio
import json
import uuid
from collections.abc import Awaitable, Callable
from functools import partial

from aiohttp import WSMsgType, web

from offhook.config.errors import ProviderError

from .deepgram_query import Asked, asked
from .deepgram_v1 import V1
from .deepgram_v1 import error as v1_error
from .deepgram_v2 import V2, Errors
from .deepgram_wire import VENDOR, Wire
from .faults import FaultKind, PlannedFault
from .mishaps import befall_request
from .world import VendorWorld

CLOSE_WITHIN_S = 1.0
REFUSALS = {
    400: ("INVALID_QUERY_PARAMETER", "Invalid query parameter."),
    401: ("INVALID_AUTH", "Invalid credentials."),
    429: ("TOO_MANY_REQUESTS", "Too many requests. Please try again later."),
    500: ("INTERNAL_SERVER_ERROR", "The server had an error."),
}


def routes(world: VendorWorld) -> list[web.RouteDef]:
    """What the vendor answers to."""
    return [
        web.get("/v1/listen", partial(_listen, world, "v1")),
        web.get("/v2/listen", partial(_listen, world, "v2")),
    ]


def _refusal(status: int, message: str = "") -> web.Response:
    code, usual = REFUSALS[status]
    body = {"err_code": code, "err_msg": message or usual, "request_id": str(uuid.uuid4())}
    return web.json_response(body, status=status)


async def _listen(world: VendorWorld, version: str, request: web.Request) -> web.StreamResponse:
    fault = world.faults.take(VENDOR, "connect")
    if fault is not None:
        answer = await befall_request(fault, request, world.clock, _refusal)
        if answer is not None:
            world.sightings.note(VENDOR, "refused", status=answer.status, why=f"planned: {fault.kind.value}")
            return answer
    if request.headers.get("Authorization") != f"Token {world.keys.get(VENDOR)}":
        world.sightings.note(VENDOR, "refused", status=401, why="key")
        return _refusal(401)
    wishes = asked(request.query, version)
    if wishes.wrong:
        world.sightings.note(VENDOR, "refused", status=400, why=wishes.wrong)
        return _refusal(400, wishes.wrong)
    await world.clock.sleep_until(world.clock.now() + world.latency.draw_s("connect"))
    socket = web.WebSocketResponse(compress=False, timeout=CLOSE_WITHIN_S)
    await socket.prepare(request)
    connection = _Connection(world, request, socket, version, wishes)
    await connection.serve(fault)
    return socket


class _Connection:
    """One client that is connected."""

    def __init__(
        self,
        world: VendorWorld,
        request: web.Request,
        socket: web.WebSocketResponse,
        version: str,
        wishes: Asked,
    ) -> None:
        self._world, self._socket = world, socket
        errors = Errors()
        self._wire = Wire(world, request, socket, v1_error if version == "v1" else errors)
        self._vendor: V1 | V2 = (
            V1(wishes, world.engines, self._wire)
            if version == "v1"
            else V2(wishes, world.engines, self._wire, errors)
        )
        self._audio_bytes = self._audio_messages = 0
        self._alive_until = 0.0
        world.sightings.note(VENDOR, "connected", version=version, query=dict(wishes.values))

    async def serve(self, fault: PlannedFault | None) -> None:
        """Hear and answer until the client is gone; `fault` happened when it connected."""
        self._world.sightings.opened("deepgram connection")
        try:
            async with asyncio.TaskGroup() as tasks:
                helpers = [tasks.create_task(self._hear()), tasks.create_task(self._wire.run())]
                if fault is not None and fault.kind in (FaultKind.CLOSE, FaultKind.MALFORMED):
                    await self._wire.befall(fault)
                self._vendor.greet()
                await self._receive()
                for helper in helpers:
                    helper.cancel()
        finally:
            self._vendor.hearing.close()
            self._world.sightings.opened("deepgram connection", -1)
            self._world.sightings.note(
                VENDOR,
                "closed",
                code=self._socket.close_code,
                audio_bytes=self._audio_bytes,
                audio_messages=self._audio_messages,
            )

    async def _hear(self) -> None:
        try:
            await self._vendor.hearing.run()
        except ProviderError:
            await self._wire.fail("INTERNAL_SERVER_ERROR", "The recogniser inside is lost.")

    async def _receive(self) -> None:
        take: dict[WSMsgType, Callable[..., Awaitable[None]]] = {
            WSMsgType.BINARY: self._take_audio,
            WSMsgType.TEXT: self._take_control,
        }
        self._keep_alive()
        while True:
            try:
                async with asyncio.timeout(self._alive_until - self._world.clock.now()):
                    message = await self._socket.receive()
            except TimeoutError:
                await self._socket.close(code=1011, message=b"NET-0001")
                return
            if message.type not in take:
                return
            await take[message.type](message.data)

    def _keep_alive(self) -> None:
        """Pings of the WebSocket do not count, nor do other messages."""
        self._alive_until = self._world.clock.now() + self._vendor.idle_s

    async def _take_audio(self, audio: bytes) -> None:
        self._keep_alive()
        self._audio_bytes += len(audio)
        self._audio_messages += 1
        await self._wire.meet("audio")
        self._vendor.hearing.push(audio)

    async def _take_control(self, text: str) -> None:
        try:
            name = json.loads(text)["type"]
        except (ValueError, KeyError, TypeError):
            name = None
        if name not in self._vendor.controls:
            await self._wire.fail("UNPARSABLE_CLIENT_MESSAGE", "The message is not known.", 1008)
            return
        self._world.sightings.note(VENDOR, str(name).lower())
        self._vendor.control(name)
        if name == "KeepAlive":
            self._keep_alive()
        elif name == "CloseStream":
            self._vendor.end()
            await self._wire.finish()
