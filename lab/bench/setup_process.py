"""A process that begins and ends further calls, as many a second as it is told, webhook first."""

from __future__ import annotations

__all__ = ["SETUP_CALLS_FROM", "SetupFigures", "SetupsFinished", "place_setups"]

import asyncio
import os
import re
import time
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from .caller_sound import noise_frames
from .carrier_frames import split_frames
from .far_end import FRAME_NS, CallerSound, FarEnd
from .histogram import DelayHistogram
from .load_figures import LoadFigures
from .load_sockets import upgrade_request
from .plan import BenchPlan, Window

SETUP_CALLS_FROM = 1_000_000
"""The numbers of these calls begin here; nobody measures their audio."""
HOLD_S = 2.0
"""A call is held so long behind its agent's first sound."""
CALL_WITHIN_S = 10.0
READ_BYTES = 16_384
_TOKEN = re.compile(rb'name="token" value="([^"]+)"')


@dataclass(slots=True)
class SetupFigures:
    """What became of the further calls."""

    begun: int = 0
    refused: int = 0
    """The webhook answered with no stream, or the stream was not taken, or nobody spoke in time."""
    webhook: DelayHistogram = field(default_factory=DelayHistogram)
    """From the connection to the whole answer."""
    greeting: DelayHistogram = field(default_factory=DelayHistogram)
    """From the connection of the webhook to the greeting's first audio."""


@dataclass(frozen=True, slots=True)
class SetupsFinished:
    """All of them are over."""

    figures: SetupFigures


def place_setups(plan: BenchPlan, port: int, orders: Connection) -> None:
    """The process: a Window from `orders`, then the figures; ends on any further word."""
    if plan.cores is not None:
        os.sched_setaffinity(0, {plan.cores.load})
    with suppress(EOFError, KeyboardInterrupt):
        window = orders.recv()
        if isinstance(window, Window):
            orders.send(SetupsFinished(asyncio.run(_Setups(plan, port).run(window))))
            orders.recv()


class _Setups:
    def __init__(self, plan: BenchPlan, port: int) -> None:
        self._plan, self._port = plan, port
        self._sound = CallerSound(noise_frames(50), [])
        self.figures = SetupFigures()

    async def run(self, window: Window) -> SetupFigures:
        """Begin a call at every moment of the grid that leaves it time to end within the window."""
        every_ns = round(1e9 / self._plan.setups_per_s)
        last_ns = window.end_ns - round(HOLD_S * 1e9)
        async with asyncio.TaskGroup() as group:
            for at_ns in range(window.begin_ns, max(last_ns, window.begin_ns + 1), every_ns):
                await asyncio.sleep(max(0, at_ns - time.monotonic_ns()) / 1e9)
                number = SETUP_CALLS_FROM + self.figures.begun
                self.figures.begun += 1
                group.create_task(self._place(number), name=f"setup-{number}")
        return self.figures

    async def _place(self, number: int) -> None:
        try:
            async with asyncio.timeout(CALL_WITHIN_S):
                began_ns = time.monotonic_ns()
                token = await self._ask_webhook(number, began_ns)
                await self._hold(number, token, began_ns)
        except (OSError, TimeoutError, asyncio.IncompleteReadError, LookupError):
            self.figures.refused += 1

    async def _ask_webhook(self, number: int, began_ns: int) -> str:
        """The stream's token. Raises LookupError when the answer has none."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            form = f"CallSid=CA{number:032x}&AccountSid=AC{0:032x}&From=%2B15550100&To=%2B15550101".encode()
            writer.write(
                b"POST /voice/inbound HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nConnection: close\r\n"
                b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%b"
                % (self._port, len(form), form)
            )
            answer = await reader.read()
        finally:
            writer.close()
        self.figures.webhook.add(time.monotonic_ns() - began_ns)
        token = _TOKEN.search(answer)
        if token is None:
            raise LookupError("no stream")
        return token[1].decode()

    async def _hold(self, number: int, token: str, began_ns: int) -> None:
        far_end = FarEnd(number, self._sound, LoadFigures(), parameters={"token": token})
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        speaking: asyncio.Task[None] | None = None
        try:
            writer.write(upgrade_request(self._port))
            header = await reader.readuntil(b"\r\n\r\n")
            if not header.startswith(b"HTTP/1.1 101 "):
                raise LookupError("no upgrade")
            writer.write(far_end.opening())
            speaking = asyncio.create_task(_speak(far_end, writer))
            await self._listen(far_end, reader, writer, began_ns)
        finally:
            if speaking is not None:
                speaking.cancel()
            writer.close()

    async def _listen(
        self, far_end: FarEnd, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, began_ns: int
    ) -> None:
        rest, until_ns = b"", None
        while until_ns is None or time.monotonic_ns() < until_ns:
            data = await reader.read(READ_BYTES)
            if not data:
                raise LookupError("the stream was closed")
            frames, rest = split_frames(rest + data)
            now_ns = time.monotonic_ns()
            for opcode, payload in frames:
                if answer := far_end.received(opcode, payload, now_ns):
                    writer.write(answer)
            if far_end.heard and until_ns is None:
                self.figures.greeting.add(now_ns - began_ns)
                until_ns = now_ns + round(HOLD_S * 1e9)


async def _speak(far_end: FarEnd, writer: asyncio.StreamWriter) -> None:
    """A frame every 20 ms, until cancelled."""
    at_ns = time.monotonic_ns()
    while True:
        writer.write(far_end.tick(time.monotonic_ns()))
        at_ns += FRAME_NS
        await asyncio.sleep(max(0, at_ns - time.monotonic_ns()) / 1e9)
