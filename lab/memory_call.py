"""A call without a socket: a conversation of ours, and a caller and a carrier in memory.

The carrier plays what it gets in real time, frame by frame, and echoes marks as they are played; the caller
says what it is told to, on an exact grid of frames. Both are kept to the byte.
"""

from __future__ import annotations

__all__ = ["MemoryCall", "MemoryLine"]

import asyncio
from collections.abc import Mapping
from typing import Any

from offhook.codecs.framing import FRAME_BYTES, FRAME_S
from offhook.codecs.g711 import SILENCE
from offhook.config.assistant import Assistant
from offhook.pipeline.call import Call, Engines
from offhook.pipeline.clock import Clock
from offhook.pipeline.pacing import PacingWheel
from offhook.pipeline.ports import CallEvent
from offhook.pipeline.shared_conversion import Conversions

from .playout_buffer import PlayoutBuffer

QUIET = bytes([SILENCE]) * FRAME_BYTES
ENDED_WITHIN_S = 5.0


class MemoryLine:
    """The carrier's side; implements `Line`. What it does to audio is in `heard`, 20 ms at a time."""

    congested = False

    def __init__(self) -> None:
        self.buffer = PlayoutBuffer()
        self.heard = bytearray()
        """What the caller heard: mu-law, from the first frame of the call on."""
        self.clears = 0
        self.closed = False
        self.echoes: list[str] = []
        """Marks to be given back with the next frame."""

    def send_audio(self, audio: bytes) -> None:
        """Queue it behind what waits."""
        self.buffer.add_audio(audio)

    def send_mark(self, name: str) -> None:
        """Echo it when what was sent before it has been played."""
        self.echoes += self.buffer.add_mark(name)

    def send_clear(self) -> None:
        """Empty the queue."""
        self.clears += 1
        self.echoes += self.buffer.clear()

    def close(self) -> None:
        """The bridge ends the stream."""
        self.closed = True

    def frame(self) -> list[str]:
        """Play 20 ms; returns the marks that are due."""
        audio, marks = self.buffer.play_frame()
        self.heard += audio.ljust(FRAME_BYTES, QUIET[:1])
        due, self.echoes = [*self.echoes, *marks], []
        return due


class MemoryCall:
    """One call; enter it to begin, leave it to hang up."""

    def __init__(
        self,
        assistant: Assistant,
        engines: Engines,
        clock: Clock,
        wheel: PacingWheel,
        *,
        variables: Mapping[str, str] | None = None,
        call_id: str = "",
    ) -> None:
        self._clock = clock
        self.line = MemoryLine()
        self.events: list[CallEvent] = []
        self.outcome: Mapping[str, Any] | None = None
        """What became of the call; None while it goes on."""
        self.frames = 0
        """Of 20 ms, since the call began."""
        self.last_said_frame = 0
        """In which the caller said something last."""
        self._waiting = bytearray()
        """What the caller is about to say."""
        self._call = Call(
            assistant=assistant,
            variables=variables or {},
            engines=engines,
            line=self.line,
            control=self,
            events=self,
            clock=clock,
            wheel=wheel,
            conversions=Conversions(),
            call_id=call_id,
        )
        self._tasks: list[asyncio.Task[None]] = []

    def say(self, audio: bytes) -> None:
        """Let the caller say this from the next frame on, behind what is being said."""
        self._waiting += audio

    @property
    def speaks(self) -> bool:
        """The caller has not finished."""
        return bool(self._waiting)

    def of_type(self, *types: str) -> list[CallEvent]:
        """The call's events of these types, in order."""
        return [event for event in self.events if event.type in types]

    def emit(self, event: CallEvent) -> None:
        """Keep an event; implements `EventSink`."""
        self.events.append(event)

    async def end(self, outcome: Mapping[str, Any]) -> None:
        """Keep the outcome; implements `CallControl`."""
        self.outcome = outcome

    async def __aenter__(self) -> MemoryCall:
        self._tasks = [
            asyncio.create_task(self._call.run(), name="call"),
            asyncio.create_task(self._run_frames(), name="frames"),
        ]
        return self

    async def __aexit__(self, *_: object) -> None:
        call, frames = self._tasks
        self._call.line_closed("hung up")
        frames.cancel()
        await asyncio.gather(frames, return_exceptions=True)
        async with asyncio.timeout(ENDED_WITHIN_S):
            await call

    async def _run_frames(self) -> None:
        """One frame each way every 20 ms; a late one is made up for, as a carrier does."""
        began = self._clock.now()
        while True:
            said = bytes(self._waiting[:FRAME_BYTES]).ljust(FRAME_BYTES, QUIET[:1])
            if self._waiting:
                self.last_said_frame = self.frames
            del self._waiting[:FRAME_BYTES]
            for mark in self.line.frame():
                self._call.mark(mark)
            self._call.audio(said, round(self.frames * FRAME_S * 1000))
            self.frames += 1
            await self._clock.sleep_until(began + self.frames * FRAME_S)
