"""The embedded recogniser's stream: partials, finals, and a recogniser that is slow or lost."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from offhook.config.errors import ProviderError, ProviderTimeout, WorkerDied
from offhook.pipeline.clock import LoopClock
from offhook.pipeline.ports import Transcript
from offhook.pipeline.providers.embedded.job_queue import Job, JobQueue, Priority
from offhook.pipeline.providers.embedded.jobs import Decode, Decoded, Request
from offhook.pipeline.providers.embedded.transcriber import WhisperStream, WhisperTranscriber

SPEECH = bytes([0x20, 0xA0]) * 80
QUIET = bytes([0xFF]) * 160


@dataclass
class SlowRecogniser:
    """Answers one job at a time after `decode_s`; hears one word in each half second."""

    decode_s: float = 0.13
    fails: Callable[[Job], ProviderError | None] = lambda job: None
    decoded: list[tuple[Priority, int]] = field(default_factory=list)
    _queue: JobQueue = field(default_factory=lambda: JobQueue(64))
    _busy: bool = False

    def submit(self, request: Request, priority: Priority) -> Job:
        def forget(cancelled: Job) -> None:
            self._queue.remove(cancelled)

        job = Job(request, priority, forget)
        self._queue.add(job)
        self._next()
        return job

    def occupy(self, seconds: float) -> None:
        """Another call's job takes the recogniser's time."""
        self._busy = True
        asyncio.get_running_loop().call_later(seconds, self._free)

    def _free(self) -> None:
        self._busy = False
        self._next()

    def _next(self) -> None:
        if self._busy or (job := self._queue.take()) is None:
            return
        self._busy = job.started = True
        asyncio.get_running_loop().call_later(self.decode_s, self._answer, job)

    def _answer(self, job: Job) -> None:
        assert isinstance(job.request, Decode)
        self.decoded.append((job.priority, len(job.request.mulaw)))
        if (error := self.fails(job)) is not None:
            job.end(error)
        else:
            words = job.request.mulaw.count(SPEECH) // 25
            job.add(Decoded(" ".join(f"word{n}" for n in range(words)), -0.1, 0.01))
            job.end()
        self._free()


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
    loop = asyncio.get_running_loop()
    clock = LoopClock(loop, loop.time)
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


async def test_partials_grow_while_the_caller_speaks_and_the_final_is_ready_before_the_endpoint() -> None:
    recogniser = SlowRecogniser()
    async with call(recogniser) as caller:
        await caller.frames(1.0, QUIET)
        await caller.speaks(3.0)
        last_sound = asyncio.get_running_loop().time()
        await caller.pauses(0.5)
    assert caller.texts(final=False)[:4] == ["", "word0", "word0 word1", "word0 word1"]
    assert caller.texts(final=True) == ["word0 word1 word2 word3 word4 word5"]
    ready, final = caller.got[-1]
    assert final.final
    assert ready - last_sound < 0.48
    assert final.covers_s == pytest.approx(4.2)
    assert final.confidence == pytest.approx(math.exp(-0.1))
    assert [transcript.sequence for _, transcript in caller.got] == list(range(1, len(caller.got) + 1))
    assert {transcript.connection for _, transcript in caller.got} == {3}


async def test_silence_costs_nothing() -> None:
    recogniser = SlowRecogniser()
    async with call(recogniser) as caller:
        await caller.frames(60.0, QUIET)
    assert recogniser.decoded == []


async def test_a_partial_that_was_not_begun_gives_way_to_the_final() -> None:
    recogniser = SlowRecogniser()
    async with call(recogniser) as caller:
        await caller.speaks(0.3)
        recogniser.occupy(0.5)
        await caller.frames(0.2, SPEECH)
        await caller.pauses(0.7)
    assert [priority for priority, _ in recogniser.decoded] == [Priority.FINAL]
    assert caller.texts(final=True) == ["word0"]


async def test_a_busy_recogniser_gets_fewer_partials() -> None:
    quick, busy = SlowRecogniser(0.1), SlowRecogniser(0.6)
    counts = []
    for recogniser in (quick, busy):
        async with call(recogniser) as caller:
            await caller.speaks(8.0)
            await caller.pauses(1.5)
        counts.append(len(caller.texts(final=False)))
        assert len(caller.texts(final=True)) == 1
    assert counts[0] > 15
    assert counts[1] <= 9


async def test_what_is_said_after_the_turn_is_another_utterance() -> None:
    async with call(SlowRecogniser()) as caller:
        await caller.speaks(1.0)
        await caller.pauses(0.5)
        caller.stream.end_utterance()
        await caller.speaks(0.5)
        await caller.pauses(0.5)
    finals = [(t.utterance, t.text) for _, t in caller.got if t.final]
    assert finals == [(0, "word0 word1"), (1, "word0")]


async def test_times_count_from_where_the_stream_begins() -> None:
    async with call(SlowRecogniser(), begins_at_s=100.0) as caller:
        await caller.speaks(1.0)
        await caller.pauses(0.5)
    assert caller.got[-1][1].covers_s == pytest.approx(101.2)


async def test_a_failed_partial_costs_nothing_but_itself() -> None:
    def overrun(job: Job) -> ProviderError | None:
        return ProviderTimeout("whisper", "queue") if job.priority is Priority.PARTIAL else None

    async with call(SlowRecogniser(fails=overrun)) as caller:
        await caller.speaks(1.0)
        await caller.pauses(0.5)
    assert caller.texts(final=False) == []
    assert caller.texts(final=True) == ["word0 word1"]


@pytest.mark.parametrize("priority", [Priority.PARTIAL, Priority.FINAL])
async def test_a_lost_recogniser_ends_the_stream(priority: Priority) -> None:
    def lost(job: Job) -> ProviderError | None:
        return WorkerDied("whisper", "gone") if job.priority is priority else None

    loop = asyncio.get_running_loop()
    stream = WhisperTranscriber(SlowRecogniser(fails=lost), LoopClock(loop, loop.time)).open(
        lambda transcript: None, connection=0, begins_at_s=0.0
    )
    caller = Caller(stream, [])
    task = asyncio.create_task(stream.run())
    await caller.speaks(1.0)
    await caller.pauses(0.5)
    with pytest.raises(WorkerDied):
        await task
