"""An ear on virtual time, with a line-up of scripted recognisers and a caller who speaks on cue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from fake_engines import ScriptedStream, ScriptedTranscriber, ScriptedVoiceActivity, Utterance

from offhook.config.turn_taking import TurnTaking
from offhook.pipeline.breaker import CircuitBreaker
from offhook.pipeline.caller_words import CallerWords
from offhook.pipeline.clock import LoopClock
from offhook.pipeline.ear import Ear
from offhook.pipeline.echo import ExpectedEcho
from offhook.pipeline.evidence import Evidence, Fault, Hearing, Over, Words
from offhook.pipeline.line_up import Candidate, LineUp
from offhook.pipeline.ports import Transcriber
from offhook.pipeline.shared_conversion import Conversions

FRAME_S = 0.02
GAP_S = 0.16
"""Between words, once a second: sound without gaps is the line's own."""
QUIET, SOUND = b"\xff" * 160, b"\x20" * 160


class EarRig:
    """What a test holds of an ear that listens."""

    def __init__(self, recognisers: int = 1) -> None:
        loop = asyncio.get_running_loop()
        self.clock = LoopClock(loop, loop.time)
        self.said: list[Utterance] = []
        self.engines = [ScriptedTranscriber(self.clock, self.said) for _ in range(recognisers)]
        self.candidates: LineUp[Transcriber] = tuple(
            Candidate(f"recogniser-{index}", engine, CircuitBreaker(self.clock))
            for index, engine in enumerate(self.engines)
        )
        self.evidence: list[tuple[float, Evidence]] = []
        self.notes: list[tuple[float, str, dict[str, Any]]] = []
        self.words = CallerWords()
        self.texts: list[str] = []
        """The text of the turn after each result."""
        self.ear = Ear(
            voice_activity=ScriptedVoiceActivity(self.clock),
            transcribers=self.candidates,
            note=self._note,
            settings=TurnTaking(),
            clock=self.clock,
            feed=self._feed,
            echo=ExpectedEcho(),
            over=lambda: Over(""),
            conversions=Conversions(),
        )
        self._loud_from_s = self._loud_s = 0.0

    def _note(self, kind: str, **data: Any) -> None:
        self.notes.append((self.clock.now(), kind, data))

    def _feed(self, evidence: Evidence) -> None:
        self.evidence.append((self.clock.now(), evidence))
        if isinstance(evidence, Words) and self.words.take(evidence.transcript):
            self.texts.append(self.words.text)

    # ------------------------------------------------------------ the caller

    async def pump(self) -> None:
        """Send one frame every 20 ms, for ever."""
        began_at = self.clock.now()
        number = 0
        while True:
            into_s = self.ear.media_s + FRAME_S / 2 - self._loud_from_s
            loud = 0 <= into_s < self._loud_s and into_s % 1.0 < 1.0 - GAP_S
            self.ear.push(SOUND if loud else QUIET)
            number += 1
            await self.clock.sleep_until(began_at + number * FRAME_S)

    async def says(self, text: str, seconds: float) -> None:
        """Speak for so long; an empty text is noise."""
        begins_s = self.ear.media_s
        if text:
            self.said.append(Utterance(begins_s, begins_s + seconds, text))
        self._loud_from_s, self._loud_s = begins_s, seconds
        await asyncio.sleep(seconds)

    def lose(self, times: int = 1, index: int = 0) -> None:
        """The present stream of a recogniser breaks, and so do the next ones."""
        self.engines[index].fails = times - 1
        self.streams(index)[-1].breaks.set()

    def lose_after(self, seconds: float, times: int = 1) -> None:
        """The same in so many seconds."""
        asyncio.get_running_loop().call_later(seconds, self.lose, times)

    # -------------------------------------------------------- what came of it

    def streams(self, index: int = 0) -> list[ScriptedStream]:
        """All streams of one recogniser."""
        return self.engines[index].streams

    def hearing(self) -> list[bool]:
        return [evidence.whole for _, evidence in self.evidence if isinstance(evidence, Hearing)]

    def hearing_times(self, whole: bool) -> list[float]:
        return [at for at, it in self.evidence if isinstance(it, Hearing) and it.whole is whole]

    def faults(self) -> list[Fault]:
        return [evidence for _, evidence in self.evidence if isinstance(evidence, Fault)]

    def noted(self, kind: str) -> list[dict[str, Any]]:
        return [data for _, name, data in self.notes if name == kind]

    def note_times(self, kind: str) -> list[float]:
        return [at for at, name, _ in self.notes if name == kind]


@asynccontextmanager
async def listening(recognisers: int = 1) -> AsyncIterator[EarRig]:
    """An ear that listens until the block ends; whatever it left behind fails the test."""
    rig = EarRig(recognisers)
    before = asyncio.all_tasks()
    running = asyncio.create_task(rig.ear.run())
    pump = asyncio.create_task(rig.pump())
    await asyncio.sleep(0.001)  # it listens
    try:
        yield rig
    finally:
        rig.ear.close()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert asyncio.all_tasks() - before == {pump}, "the ear left tasks behind"
        pump.cancel()
        await asyncio.gather(pump, return_exceptions=True)
        open_streams = [stream for engine in rig.engines for stream in engine.streams if not stream.over]
        assert open_streams == [], "the ear left streams open"
