"""One connection of an emulated Deepgram, outwards: messages in order, after their latency, with faults."""

from __future__ import annotations

__all__ = ["Message", "Wire"]

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from aiohttp import web

from .connections import reset
from .faults import FaultKind, PlannedFault
from .mishaps import befall_socket
from .world import VendorWorld

VENDOR = "deepgram"
FINISH_WITHIN_S = 3.0
MOST_WAITING = 1000
"""A client that reads so little is dropped."""

Message = dict[str, Any]


class Wire:
    """Sends the vendor's messages; none overtakes another."""

    def __init__(
        self,
        world: VendorWorld,
        request: web.Request,
        socket: web.WebSocketResponse,
        error: Callable[[str, str], Message],
    ) -> None:
        self._world, self._request, self._socket, self._error = world, request, socket, error
        self._waiting: asyncio.Queue[tuple[float, str, Message]] = asyncio.Queue(MOST_WAITING)
        self._last_at = 0.0
        self._mute = False

    def say(self, message: Message, step: str = "") -> None:
        """Send a message; `step` names its latency, which is also the moment at which a fault may happen."""
        delay_s = self._world.latency.draw_s(step) if step else 0.0
        self._last_at = max(self._last_at, self._world.clock.now() + delay_s)
        try:
            self._waiting.put_nowait((self._last_at, step, message))
        except asyncio.QueueFull:
            self._mute = True
            if self._request.transport is not None:
                reset(self._request.transport)

    async def run(self) -> None:
        """Send until cancelled, or until the client is gone."""
        with suppress(ConnectionError):
            while True:
                at, moment, message = await self._waiting.get()
                await self._world.clock.sleep_until(at)
                if moment:
                    await self.meet(moment)
                if not self._mute:
                    await self._socket.send_json(message)
                self._waiting.task_done()

    async def meet(self, moment: str) -> None:
        """Let happen what was planned for this moment."""
        fault = self._world.faults.take(VENDOR, moment)
        if fault is not None:
            await self.befall(fault)

    async def befall(self, fault: PlannedFault) -> None:
        """Let a fault happen."""
        self._mute |= await befall_socket(
            fault, self._request, self._socket, self._world.clock, self._say_fault
        )

    async def fail(self, code: str, description: str, close_code: int = 1011) -> None:
        """Send the vendor's error message at once, and close."""
        self._mute = True
        with suppress(ConnectionError):
            await self._socket.send_json(self._error(code, description))
            await self._socket.close(code=close_code)

    async def finish(self) -> None:
        """Send what waits, and close as agreed."""
        with suppress(TimeoutError):
            async with asyncio.timeout(FINISH_WITHIN_S):
                await self._waiting.join()
        await self._socket.close(code=1000)

    async def _say_fault(self, kind: FaultKind) -> None:
        await self._socket.send_json(self._error("INTERNAL_SERVER_ERROR", f"planned: {kind.value}"))
