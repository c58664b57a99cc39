"""Recognisers that take their time, at the real desk: what a loaded machine does to a caller."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Hashable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from offhook.config.errors import ProviderError
from offhook.pipeline.clock import Clock, LoopClock
from offhook.pipeline.ports import Transcript
from offhook.pipeline.providers.embedded.job_desk import JobDesk
from offhook.pipeline.providers.embedded.job_queue import FINAL_S, Job
from offhook.pipeline.providers.embedded.jobs import Decode, Decoded, Request
from offhook.pipeline.providers.embedded.transcriber import WhisperStream, WhisperTranscriber

SPEECH = bytes([0x20, 0xA0]) * 80
QUIET = bytes([0xFF]) * 160
WORD_FRAMES = 25


@dataclass(frozen=True)
class Decoding:
    """One job that was run."""

    wanted_s: float
    waited_s: float
    audio: bytes

    @property
    def final(self) -> bool:
        return self.wanted_s == FINAL_S


@dataclass
class SlowRecogniser:
    """Processes that answer a job each after `decode_s`, and hear one word in each half second."""

    decode_s: float = 0.13
    processes: int = 1
    fails: Callable[[Decoding], ProviderError | None] = lambda decoding: None
    words: Callable[[bytes], str] = lambda audio: " ".join(
        f"word{n}" for n in range(audio.count(SPEECH) // WORD_FRAMES)
    )
    decoded: list[Decoding] = field(default_factory=list)
    takes_jobs: bool = True

    def __post_init__(self) -> None:
        loop = asyncio.get_running_loop()
        self.clock: Clock = LoopClock(loop, loop.time)
        self.desk = JobDesk("whisper", self.clock)
        self.desk.join(self)
        self._busy = 0
        self._submitted: dict[Job, tuple[float, float]] = {}

    def submit(self, request: Request, wanted_s: float, subject: Hashable = None) -> Job:
        now = asyncio.get_running_loop().time()
        job = self.desk.submit(request, wanted_s, subject)
        self._submitted[job] = (wanted_s, now)
        return job

    def occupy(self, seconds: float) -> None:
        """Another call's job takes a process's time."""
        self._busy += 1
        asyncio.get_running_loop().call_later(seconds, self._free)

    def take_next(self) -> None:
        while self._busy < self.processes and (job := self.desk.take()) is not None:
            self._busy += 1
            asyncio.get_running_loop().call_later(self.decode_s, self._answer, job)

    def _free(self) -> None:
        self._busy -= 1
        self.take_next()

    def _answer(self, job: Job) -> None:
        assert isinstance(job.request, Decode)
        wanted_s, since = self._submitted.pop(job)
        waited_s = asyncio.get_running_loop().time() - since - self.decode_s
        decoding = Decoding(wanted_s, waited_s, job.request.mulaw)
        self.decoded.append(decoding)
        if (error := self.fails(decoding)) is not None:
            job.end(error)
        else:
            job.add(Decoded(self.words(job.request.mulaw), -0.1, 0.01))
            job.end()
        self._busy -= 1
        self.desk.done(job)


@dataclass
class Caller:
    """Speaks in real time into one stream."""

    stream: WhisperStream
    got: list[tuple[float, Transcript]]
    media_s: float = 0.0

    async def frames(self, seconds: float, frame: bytes) -> None:
        for _ in range(round(seconds * 50)):
            await asyncio.sleep(0.02)
            self.media_s += 0.02
            self.stream.push(frame)

    async def speaks(self, seconds: float) -> None:
        onset = self.media_s
        await self.frames(0.06, SPEECH)
        self.stream.speech_started(onset)
        await self.frames(seconds - 0.06, SPEECH)

    async def pauses(self, seconds: float) -> None:
        ended = self.media_s
        await self.frames(0.2, QUIET)
        self.stream.speech_paused(ended)
        await self.frames(seconds - 0.2, QUIET)

    def texts(self, *, final: bool) -> list[str]:
        return [transcript.text for _, transcript in self.got if transcript.final is final]


@asynccontextmanager
async def call(recogniser: SlowRecogniser, begins_at_s: float = 0.0) -> AsyncIterator[Caller]:
    """A caller, and the stream that hears them."""
    clock = recogniser.clock
    got: list[tuple[float, Transcript]] = []
    stream = WhisperTranscriber(recogniser, clock).open(
        lambda transcript: got.append((clock.now(), transcript)), connection=3, begins_at_s=begins_at_s
    )
    task = asyncio.create_task(stream.run())
    try:
        yield Caller(stream, got, begins_at_s)
    finally:
        task.cancel()
        await asyncio.wait([task])
