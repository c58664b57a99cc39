"""Spoken callers against the real recogniser, in whole calls on virtual time.

The embedded voice speaks in pieces with measured pauses between them; voice activity and recogniser are the
real models, run inline, and answer after a modelled time. A call of twenty seconds costs one to three of
work.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from call_rig import FRAME_BYTES, FRAME_S, QUIET, EventList
from fake_engines import InlineWorkers, ScriptedModel, ScriptedVoice, says
from fake_line import FakeControl, FakeLine
from virtual_loop import VirtualLoop

from offhook.codecs import g711
from offhook.config.assistant import Assistant
from offhook.pipeline.call import Call, Engines
from offhook.pipeline.clock import Clock, LoopClock
from offhook.pipeline.line_up import alone
from offhook.pipeline.pacing import PacingWheel
from offhook.pipeline.ports import VoiceWindow
from offhook.pipeline.providers.embedded.hibari_speech import HibariSpeech
from offhook.pipeline.providers.embedded.job_queue import Job
from offhook.pipeline.providers.embedded.jobs import Request
from offhook.pipeline.providers.embedded.silero import WINDOW
from offhook.pipeline.providers.embedded.silero_model import SileroModel
from offhook.pipeline.providers.embedded.silero_model import load as load_silero
from offhook.pipeline.providers.embedded.transcriber import WhisperTranscriber
from offhook.pipeline.providers.embedded.whisper import Whisper
from offhook.pipeline.shared_conversion import Conversions

BYTES_PER_S = 8000
DECODE_S = 0.15
"""What a decode takes on a machine with a core to spare."""
WINDOW_DELAY_S = 0.004
LISTEN_ON_S = 5.0
_BLOCK = 80
_SILENT_BELOW = 100


class InlineModel:
    """A model that answers in this process, `DECODE_S` later on the clock."""

    def __init__(self, model: Whisper, clock: Clock) -> None:
        self._model, self._clock = model, clock
        self.decoded = 0

    def submit(self, request: Request, wanted_s: float, subject: Hashable = None) -> Job:
        now = self._clock.now()
        job = Job(request, now + wanted_s, subject)
        self._clock.call_at(now + DECODE_S, lambda: self._answer(job))
        return job

    def _answer(self, job: Job) -> None:
        if job.ended:
            return
        self.decoded += 1
        for answer in self._model.answer(job.request):
            job.add(answer)
        job.end()


class InlineVoiceActivity:
    """The real network, window by window."""

    def __init__(self, model: SileroModel, clock: Clock) -> None:
        self._model, self._clock = model, clock

    def open(self, on_window: Callable[[VoiceWindow], None]) -> InlineWindows:
        return InlineWindows(self._model, self._clock, on_window)


class InlineWindows:
    def __init__(self, model: SileroModel, clock: Clock, on_window: Callable[[VoiceWindow], None]) -> None:
        self._model, self._clock, self._on_window = model, clock, on_window
        self._row = model.acquire()
        self._waiting = bytearray()
        self._taken = 0
        self._open = True

    def push(self, audio: bytes) -> None:
        self._waiting += audio
        while len(self._waiting) >= WINDOW:
            probabilities, levels = self._model.run([self._row], bytes(self._waiting[:WINDOW]))
            del self._waiting[:WINDOW]
            self._taken += WINDOW
            window = VoiceWindow(self._taken / BYTES_PER_S, probabilities[0], levels[0])
            self._clock.call_at(self._clock.now() + WINDOW_DELAY_S, lambda window=window: self._give(window))  # type: ignore[misc]

    def _give(self, window: VoiceWindow) -> None:
        if self._open:
            self._on_window(window)

    def close(self) -> None:
        if self._open:
            self._open = False
            self._model.release(self._row)


@dataclass(frozen=True)
class HeardTurn:
    """One turn of the caller's as the call understood it."""

    text: str
    reason: str
    ended_s: float
    """When it was judged over, since the call began."""
    waited_s: float
    """How long after the caller's last sound that was."""


@dataclass(frozen=True)
class HeardCaller:
    """What came of a caller's audio."""

    turns: tuple[HeardTurn, ...]
    finals: tuple[str, ...]

    @property
    def digits(self) -> str:
        """All digits that were heard, as the recogniser wrote them."""
        return "".join(sign for turn in self.turns for sign in turn.text if sign.isdigit())


class SpokenCallers:
    """The models, loaded once."""

    def __init__(self) -> None:
        self.voice = HibariSpeech()
        self.whisper = Whisper()
        self.silero = load_silero(WINDOW)

    def say(self, *parts: str | float) -> bytes:
        """Speech with exact silences in it: texts, and seconds between the last sound and the next one."""
        spoken = [self._trimmed(part) if isinstance(part, str) else part for part in parts]
        for one, other in pairwise(parts):
            assert isinstance(one, str) != isinstance(other, str), "texts and pauses take turns"
        return b"".join(
            part if isinstance(part, bytes) else b"\xff" * round(part * BYTES_PER_S) for part in spoken
        )

    def hear(self, audio: bytes, assistant: Assistant, *, answer: str = "All right.") -> HeardCaller:
        """Be a call: the assistant greets, then this audio comes, then silence."""
        with asyncio.Runner(loop_factory=VirtualLoop) as runner:
            return runner.run(self._call(audio, assistant, answer))

    async def _call(self, audio: bytes, assistant: Assistant, answer: str) -> HeardCaller:
        loop = asyncio.get_running_loop()
        clock = LoopClock(loop, loop.time)
        line, log = FakeLine(clock), EventList()
        engines = Engines(
            InlineVoiceActivity(self.silero, clock),
            alone(WhisperTranscriber(InlineModel(self.whisper, clock), clock), clock),
            alone(ScriptedModel(says(answer)), clock),
            alone(ScriptedVoice(), clock),
            InlineWorkers(),
        )
        call = Call(
            assistant=assistant,
            variables={},
            engines=engines,
            line=line,
            control=FakeControl(),
            events=log,
            clock=clock,
            wheel=PacingWheel(clock),
            conversions=Conversions(),
        )
        line.on_mark = call.mark
        running = asyncio.create_task(call.run())
        for frame in _frames(QUIET * round((_spoken_s(assistant.first_message) + 0.5) / FRAME_S), audio):
            call.audio(frame, 0)
            await asyncio.sleep(FRAME_S)
        call.line_closed("test over")
        await running
        return _heard(log)

    def _trimmed(self, text: str) -> bytes:
        mulaw = b"".join(piece.mulaw for piece in self.voice.speak(text))
        pcm = np.abs(g711.decode(mulaw).astype(np.int32))
        loud = np.flatnonzero(pcm > _SILENT_BELOW)
        return mulaw[int(loud[0]) : int(loud[-1]) + _BLOCK]


def _spoken_s(text: str) -> float:
    return 0.3 * len(text.split()) + 0.5 if text else 0.0


def _frames(before: bytes, audio: bytes) -> Sequence[bytes]:
    stream = before + audio + b"\xff" * round(LISTEN_ON_S * BYTES_PER_S)
    return [stream[at : at + FRAME_BYTES] for at in range(0, len(stream), FRAME_BYTES)]


def _heard(log: EventList) -> HeardCaller:
    turns = tuple(
        HeardTurn(
            str(event.data["text"]),
            str(event.data["reason"]),
            event.at_ms / 1000,
            (event.at_ms - event.data["media_ms"]) / 1000,
        )
        for event in log.events
        if event.type == "turn.ended"
    )
    return HeardCaller(turns, tuple(str(data["text"]) for data in log.of("transcript.final")))
