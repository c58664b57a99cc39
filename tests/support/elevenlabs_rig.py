"""ElevenLabs as the emulator plays it, or as a test scripts it, and our voice connected to it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from typing import Any, cast

from bridge_rig import loop_clock
from fake_engines import ScriptedModel, ScriptedTranscriber, ScriptedVoice, ScriptedVoiceActivity, says
from pydantic import SecretStr
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve

from offhook.config.errors import ProviderError
from offhook.config.speech import VoiceChoice
from offhook.config.vendors import Account
from offhook.lab.vendors.faults import FaultKind, PlannedFault
from offhook.lab.vendors.latency import PROFILES, Latency, LatencyProfile
from offhook.lab.vendors.server import VendorServer
from offhook.lab.vendors.sightings import Sightings
from offhook.lab.vendors.world import InsideEngines, VendorWorld
from offhook.pipeline.ports import SpokenAudio, Voice, VoiceStream
from offhook.pipeline.providers.elevenlabs import ElevenLabsVoice

KEY = "xi-very-secret-0123456789"
VOICE_ID = "voice0123"
LONG = " ".join(f"word{number}" for number in range(1, 101)) + "."


def now() -> float:
    """Seconds on the loop's clock."""
    return asyncio.get_running_loop().time()


def voice_at(base_url: str, key: str = KEY, language: str = "en", **choice: Any) -> ElevenLabsVoice:
    """Our voice, which reaches the vendor at this address."""
    chosen = VoiceChoice(**{"provider": "elevenlabs", "name": VOICE_ID, **choice})
    return ElevenLabsVoice(chosen, language, Account(SecretStr(key), base_url), loop_clock())


@asynccontextmanager
async def running(voice: ElevenLabsVoice) -> AsyncIterator[VoiceStream]:
    """One call's use of a voice; nothing of it is left afterwards."""
    stream = voice.open()
    task = asyncio.create_task(stream.run())
    try:
        await asyncio.sleep(0.01)
        yield stream
    finally:
        task.cancel()
        async with asyncio.timeout(2):
            await asyncio.gather(task, return_exceptions=True)


@dataclass
class VendorRig:
    """The emulator, and what it saw."""

    world: VendorWorld
    base_url: str

    def seen(self, what: str) -> list[dict[str, Any]]:
        return [dict(item.data) for item in self.world.sightings.of("elevenlabs", what)]

    def plan(self, at: str, kind: FaultKind, **more: Any) -> None:
        self.world.faults.plan(PlannedFault("elevenlabs", at, kind, **more))

    @asynccontextmanager
    async def stream(self, **choice: Any) -> AsyncIterator[VoiceStream]:
        async with running(voice_at(self.base_url, **choice)) as stream:
            yield stream

    @asynccontextmanager
    async def raw(self, query: str = "", key: str = KEY) -> AsyncIterator[RawSocket]:
        """A socket as a client of another make would use it."""
        base = self.base_url.replace("http", "ws")
        query = query or "model_id=eleven_flash_v2_5&output_format=ulaw_8000&sync_alignment=true"
        url = f"{base}/v1/text-to-speech/{VOICE_ID}/multi-stream-input?{query}"
        async with connect(url, additional_headers={"xi-api-key": key}, proxy=None) as socket:
            yield RawSocket(socket)


@dataclass
class RawSocket:
    socket: ClientConnection

    async def send(self, **fields: Any) -> None:
        await self.socket.send(json.dumps(fields))

    async def receive(self) -> dict[str, Any]:
        async with asyncio.timeout(600):
            return cast(dict[str, Any], json.loads(await self.socket.recv()))

    async def until_final(self, context_id: str) -> list[dict[str, Any]]:
        """All messages of a context up to `isFinal`; those of others are dropped."""
        mine: list[dict[str, Any]] = []
        while not (mine and mine[-1].get("isFinal")):
            message = await self.receive()
            if message.get("contextId") == context_id:
                mine.append(message)
        return mine


@asynccontextmanager
async def emulated(
    profile: str | LatencyProfile = "instant", voice: Voice | None = None
) -> AsyncIterator[VendorRig]:
    """An emulated vendor; at the end no connection and no task is left, on either side."""
    before = asyncio.all_tasks()
    clock = loop_clock()
    engines = InsideEngines(
        ScriptedVoiceActivity(clock),
        ScriptedTranscriber(clock),
        ScriptedModel(says("Yes.")),
        voice or ScriptedVoice(first_audio_s=0.0),
    )
    chosen = PROFILES[profile] if isinstance(profile, str) else profile
    world = VendorWorld(clock, engines, Latency(chosen), Sightings(clock), keys={"elevenlabs": KEY})
    server = VendorServer(world)
    port = await server.start()
    try:
        yield VendorRig(world, f"http://127.0.0.1:{port}")
    finally:
        await server.stop()
    await asyncio.sleep(0.01)
    assert +world.sightings.open == {}, world.sightings.open
    assert asyncio.all_tasks() <= before


Script = Callable[[ServerConnection], Awaitable[None]]


@asynccontextmanager
async def scripted(script: Script) -> AsyncIterator[str]:
    """A vendor whose every socket runs this script; yields its address."""
    async with serve(script, "127.0.0.1", 0, close_timeout=0.5) as server:
        port = next(iter(server.sockets)).getsockname()[1]
        yield f"http://127.0.0.1:{port}"


async def spoken(stream: VoiceStream, text: str, reply: int = 1) -> list[SpokenAudio]:
    """All pieces of a clause."""
    return [piece async for piece in stream.speak(text, reply=reply)]


async def begin_and_leave(stream: VoiceStream, text: str, reply: int, pieces: int = 1) -> int:
    """Take so many pieces of a clause, then cut in; returns the bytes that came."""
    taken = 0
    async with aclosing(cast(Any, stream.speak(text, reply=reply))) as speech:
        while pieces > 0:
            taken += len((await anext(speech)).audio)
            pieces -= 1
    return taken


async def made_by(voice: Voice, text: str) -> bytes:
    """What an engine makes of a text."""
    return b"".join([piece.audio async for piece in voice.speak(text)])


def audio_of(pieces: list[SpokenAudio]) -> bytes:
    return b"".join(piece.audio for piece in pieces)


def words_of(text: str, pieces: list[SpokenAudio]) -> list[str]:
    return [text[word.start_char : word.end_char] for piece in pieces for word in piece.words]


async def spoken_until_it_fails(
    stream: VoiceStream, text: str
) -> tuple[list[SpokenAudio], float, ProviderError]:
    """What came of a clause, when the last of it came, and why no more did."""
    pieces, last_at = [], now()
    try:
        async for piece in stream.speak(text, reply=1):
            pieces.append(piece)
            last_at = now()
    except ProviderError as error:
        return pieces, last_at, error
    raise AssertionError("the clause was spoken to its end")
