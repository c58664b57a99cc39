"""An emulated Deepgram with scripted ears, and a caller who speaks into the product's recogniser."""

from __future__ import annotations

import asyncio
import warnings
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from fake_engines import (
    QUIET,
    SOUND,
    ScriptedModel,
    ScriptedTranscriber,
    ScriptedVoice,
    ScriptedVoiceActivity,
    says,
)
from fake_engines import Utterance as Said
from pydantic import SecretStr

from offhook.config.errors import ProviderError
from offhook.config.speech import TranscriberChoice
from offhook.config.vendors import Account
from offhook.lab.vendors.faults import FaultKind, PlannedFault
from offhook.lab.vendors.latency import Latency, LatencyProfile
from offhook.lab.vendors.server import VendorServer
from offhook.lab.vendors.sightings import Sightings
from offhook.lab.vendors.world import InsideEngines, VendorWorld
from offhook.pipeline.clock import LoopClock
from offhook.pipeline.ports import Transcript
from offhook.pipeline.providers.deepgram import DeepgramStream, DeepgramTranscriber

KEY = "dg-key-7f3a"
FRAME_S = 0.02
FRAME_BYTES = 160

__all__ = ["KEY", "Caller", "Rig", "Said", "parsed_v1", "parsed_v2", "strictly", "vendor"]


def parsed_v1(message: dict[str, Any]) -> Any:
    """Parse a message of `/v1/listen` as the SDK does."""
    return _parsed("v1", "V1SocketClientResponse", message)


def parsed_v2(message: dict[str, Any]) -> Any:
    """Parse a message of `/v2/listen` as the SDK does."""
    return _parsed("v2", "V2SocketClientResponse", message)


def _parsed(version: str, name: str, message: dict[str, Any]) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from deepgram.core.unchecked_base_model import construct_type
        from deepgram.listen.v1 import socket_client as v1
        from deepgram.listen.v2 import socket_client as v2

        return construct_type(type_=getattr({"v1": v1, "v2": v2}[version], name), object_=message)


def strictly(version: str, message: dict[str, Any]) -> Any:
    """Parse a message with the SDK's model of its type, which must take it as it is."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        from deepgram.listen.v1 import types as v1
        from deepgram.listen.v2 import types as v2

        names = {"Error": "ListenV2FatalError"} if version == "v2" else {}
        module: Any = {"v1": v1, "v2": v2}[version]
        name = names.get(message["type"], f"Listen{version.upper()}{message['type']}")
        return getattr(module, name).model_validate(message, strict=True)


@dataclass
class Caller:
    """One stream of the product's, and what it reports."""

    stream: DeepgramStream
    said: list[Said]
    media_s: float
    heard: list[Transcript] = field(default_factory=list)
    task: asyncio.Task[None] | None = None

    async def speak(self, seconds: float, *, pauses: bool = False) -> None:
        """Let so many seconds of the caller's audio arrive, as they pass; `pauses`: they are pointed out."""
        loop = asyncio.get_running_loop()
        begun, frames = loop.time(), round(seconds / FRAME_S)
        for index in range(frames):
            ends = [said.ends_s for said in self.said]
            self.stream.push(self.frame())
            self.media_s += FRAME_S
            if pauses and any(abs(end + 0.2 - self.media_s) < FRAME_S / 2 for end in ends):
                self.stream.speech_paused(self.media_s - 0.2)
            await asyncio.sleep(max(0.0, begun + (index + 1) * FRAME_S - loop.time()))

    def frame(self) -> bytes:
        speaks = any(said.begins_s <= self.media_s + 1e-6 < said.ends_s for said in self.said)
        return bytes([SOUND if speaks else QUIET]) * FRAME_BYTES

    @property
    def text(self) -> str:
        """The final words so far."""
        return " ".join(item.text for item in self.heard if item.final and item.text)

    async def stop(self) -> None:
        """Hang up."""
        if self.task is not None:
            self.task.cancel()
            with suppress(asyncio.CancelledError, ProviderError):
                await self.task

    async def failure(self, within_s: float = 10.0) -> ProviderError:
        """Wait for the stream to fail."""
        assert self.task is not None
        async with asyncio.timeout(within_s):
            try:
                await self.task
            except ProviderError as error:
                return error
        raise AssertionError("the stream did not fail")


@dataclass
class Rig:
    """The vendor, and how to reach it."""

    world: VendorWorld
    server: VendorServer
    inside: ScriptedTranscriber
    clock: LoopClock
    transcribers: list[DeepgramTranscriber] = field(default_factory=list)
    callers: list[Caller] = field(default_factory=list)

    async def transcriber(
        self, *, key: str | None = KEY, language: str = "en", base_url: str = "", **choice: Any
    ) -> DeepgramTranscriber:
        account = Account(
            None if key is None else SecretStr(key), base_url or f"http://127.0.0.1:{self.server.port}"
        )
        made = DeepgramTranscriber(
            TranscriberChoice(provider="deepgram", **choice), language, account, self.clock
        )
        await made.start()
        self.transcribers.append(made)
        return made

    async def caller(self, *, begins_at_s: float = 0.0, connection: int = 0, **choice: Any) -> Caller:
        """Start listening to the scripted caller."""
        transcriber = await self.transcriber(**choice)
        heard: list[Transcript] = []
        stream = transcriber.open(heard.append, connection=connection, begins_at_s=begins_at_s)
        caller = Caller(stream, self.inside.said, begins_at_s, heard)
        caller.task = asyncio.create_task(stream.run())
        self.callers.append(caller)
        return caller

    def plan(self, at: str, kind: FaultKind, **more: Any) -> None:
        """Let something go wrong."""
        self.world.faults.plan(PlannedFault("deepgram", at, kind, **more))

    def seen(self, what: str) -> list[Any]:
        """What the vendor saw of one kind, its data."""
        return [sighting.data for sighting in self.world.sightings.of("deepgram", what)]


@asynccontextmanager
async def vendor(said: Iterable[Said] = (), **latency: Any) -> AsyncIterator[Rig]:
    """Run an emulated Deepgram whose caller says this; nothing may be left of it afterwards."""
    loop = asyncio.get_running_loop()
    clock = LoopClock(loop, loop.time)
    inside = ScriptedTranscriber(clock, list(said))
    engines = InsideEngines(ScriptedVoiceActivity(clock), inside, ScriptedModel(says("")), ScriptedVoice())
    world = VendorWorld(
        clock, engines, Latency(LatencyProfile(**latency)), Sightings(clock), keys={"deepgram": KEY}
    )
    server = VendorServer(world)
    await server.start()
    rig = Rig(world, server, inside, clock)
    try:
        yield rig
        for caller in rig.callers:
            await caller.stop()
        await asyncio.sleep(2.0)
        assert world.sightings.open["deepgram connection"] == 0
    finally:
        for caller in rig.callers:
            await caller.stop()
        await server.stop()
    left = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    assert not left, left
