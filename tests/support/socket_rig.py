"""Real sockets, scripted engines: a server whose calls cost next to nothing, and callers who hang up."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import structlog
from bridge_rig import loop_clock, settings

from offhook.bridge.call_factory import ConversationFactory
from offhook.bridge.pool_workers import PoolWorkers
from offhook.bridge.recording.recorder import Recorder
from offhook.bridge.server import Server
from offhook.config.assistant import Assistant
from offhook.lab.caller import ScriptedCaller
from offhook.lab.carrier import SimulatedCarrier
from offhook.lab.phone import Phone, PhoneMoment
from offhook.lab.script import Say, Script, Step
from offhook.lab.scripted_engines import CueTranscriber, ToneVoice
from offhook.pipeline.call import Engines
from offhook.pipeline.clock import Clock
from offhook.pipeline.line_up import alone
from offhook.pipeline.ports import LanguageModel, VoiceWindow

SOUND = b"\x20" * 160
"""20 ms of a caller who speaks."""
_SILENCE_CODES = b"\x7e\x7f\xfe\xff"
_WINDOW_BYTES = 256


class PlainVoiceActivity:
    """Hears speech wherever the line is not idle; one answer a window, in the next loop pass."""

    def __init__(self) -> None:
        self.open_streams = 0

    def open(self, on_window: Callable[[VoiceWindow], None]) -> PlainWindows:
        self.open_streams += 1
        return PlainWindows(self, on_window)


class PlainWindows:
    def __init__(self, owner: PlainVoiceActivity, on_window: Callable[[VoiceWindow], None]) -> None:
        self._owner, self._on_window = owner, on_window
        self._waiting = bytearray()
        self._bytes = 0
        self._open = True

    def push(self, audio: bytes) -> None:
        self._waiting += audio
        while len(self._waiting) >= _WINDOW_BYTES:
            window = bytes(self._waiting[:_WINDOW_BYTES])
            del self._waiting[:_WINDOW_BYTES]
            self._bytes += _WINDOW_BYTES
            idle = len(window.translate(None, _SILENCE_CODES)) < _WINDOW_BYTES // 2
            said = VoiceWindow(self._bytes / 8000, 0.02 if idle else 0.95, -70.0 if idle else -20.0)
            asyncio.get_running_loop().call_soon(self._give, said)

    def _give(self, window: VoiceWindow) -> None:
        if self._open:
            self._on_window(window)

    def close(self) -> None:
        if self._open:
            self._open = False
            self._owner.open_streams -= 1


@dataclass
class ScriptedServer:
    """A server on loopback and the parts of it that a test looks into."""

    server: Server
    url: str
    clock: Clock
    voice_activity: PlainVoiceActivity
    factory: ConversationFactory

    def live_parts(self) -> dict[str, int]:
        """What belongs to calls and must be gone when they are."""
        wheel = self.factory._wheel
        return {
            "live calls": len(self.server.state.registry.live()),
            "voice-activity streams": self.voice_activity.open_streams,
            "wheel members": wheel._members,
            "wheel timers": int(wheel._timer is not None),
        }

    def phone(
        self,
        *steps: Step,
        parameters: dict[str, str] | None = None,
        on_moment: Callable[[PhoneMoment], None] = lambda _: None,
    ) -> tuple[Phone, str]:
        """A caller with a call of its own; each `Say` is 20 frames of sound. Gives its CallSid too."""
        generator = random.Random()
        call_sid = f"CA{generator.getrandbits(128):032x}"
        carrier = SimulatedCarrier(
            account_sid="AC" + "0" * 32,
            call_sid=call_sid,
            stream_sid=f"MZ{generator.getrandbits(128):032x}",
            parameters=parameters or {},
            generator=generator,
        )
        says = {index: SOUND * 20 for index, step in enumerate(steps) if isinstance(step, Say)}
        caller = ScriptedCaller(Script(steps), says)
        return Phone(self.clock, carrier, caller, max_s=20.0, on_moment=on_moment), call_sid


@asynccontextmanager
async def scripted_server(
    assistant: Assistant, model: LanguageModel, recorder: Recorder | None = None
) -> AsyncIterator[ScriptedServer]:
    """Serve on a port of the system's choice, with the loop's own clock."""
    clock = loop_clock()
    voice_activity = PlainVoiceActivity()
    async with PoolWorkers() as workers:
        engines = Engines(
            voice_activity,
            alone(CueTranscriber(words="where is my order please"), clock),
            alone(model, clock),
            alone(ToneVoice(), clock),
            workers,
        )
        factory = ConversationFactory(
            clock=clock,
            assistants=lambda _: assistant,
            engines=lambda _: engines,
            is_ready=lambda: True,
            recorder=recorder,
        )
        server = Server(settings(max_calls=100), factory, clock)
        server.state.recorder = recorder
        port = await server.start("127.0.0.1", 0)
        try:
            yield ScriptedServer(server, f"ws://127.0.0.1:{port}/media", clock, voice_activity, factory)
        finally:
            await server.stop()


# ------------------------------------------------------------ what is left


def open_files() -> dict[int, str]:
    """This process's file descriptors and what each is."""
    found = {}
    for entry in Path("/proc/self/fd").iterdir():
        try:
            found[int(entry.name)] = str(entry.readlink())
        except FileNotFoundError:  # the handle of this very listing
            continue
    return found


def sockets() -> set[str]:
    """The sockets that this process holds."""
    return {name for name in open_files().values() if name.startswith("socket:")}


def timers() -> list[str]:
    """Timers of the running loop that would still run; uvloop does not tell, so it counts as none."""
    loop: Any = asyncio.get_running_loop()
    return [repr(handle) for handle in getattr(loop, "_scheduled", ()) if not handle.cancelled()]


def tasks() -> set[str]:
    """Every task but the one that asks, by name and place."""
    return {repr(task) for task in asyncio.all_tasks() if task is not asyncio.current_task()}


@contextmanager
def silent_logs() -> Iterator[None]:
    """Keep the test's own memory out of the measurement: nobody collects log lines."""
    before = structlog.get_config()
    structlog.configure(processors=[_drop])
    try:
        yield
    finally:
        structlog.configure(**before)


def _drop(logger: Any, name: str, event: Any) -> Any:
    raise structlog.DropEvent
