"""The embedded recogniser as the conversation sees it: partials during speech, a final at each pause."""

from __future__ import annotations

__all__ = ["WhisperStream", "WhisperTranscriber"]

import asyncio
import math
from collections.abc import Callable
from dataclasses import dataclass

from offhook.codecs.audio_format import MULAW_8K
from offhook.codecs.framing import SAMPLE_RATE_HZ as _HZ
from offhook.config.errors import ProviderError, WorkerDied

from ...clock import Clock
from ...ports import Transcript
from .job_desk import JobRunner
from .job_queue import BACKGROUND_S, FINAL_S, FIRST_PARTIAL_S, PARTIAL_S, Job
from .jobs import Align, Aligned, Decode, Decoded, HeardWord
from .utterance import DecodePlan, Heard, UtteranceTracker


class WhisperTranscriber:
    """Recognises speech through the recogniser's process."""

    audio_format = MULAW_8K

    def __init__(self, process: JobRunner, clock: Clock) -> None:
        self._process, self._clock = process, clock

    def open(
        self, on_transcript: Callable[[Transcript], None], *, connection: int, begins_at_s: float
    ) -> WhisperStream:
        """Start a stream whose first pushed byte lies at `begins_at_s` of the caller's audio."""
        return WhisperStream(
            self._process, self._clock, on_transcript, connection=connection, begins_at_s=begins_at_s
        )

    async def word_times(self, mulaw: bytes, text: str = "") -> tuple[HeardWord, ...]:
        """Say when each word of a recording of at most 25 s was said; raises ProviderError.

        Without `text` the words are recognised first. Against speech whose word times were known the starts
        were 46 ms off on average.
        """
        answer = await self._process.submit(Align(mulaw, text), BACKGROUND_S).next()
        if not isinstance(answer, Aligned):
            raise ProviderError("whisper", "the recogniser's process gave an answer that is no word times")
        return answer.words


@dataclass(frozen=True, slots=True)
class _Asked:
    """A decode on its way."""

    plan: DecodePlan
    job: Job
    since_s: float
    """When it was wanted; a newer one that took another's place was wanted as long."""


class WhisperStream:
    """One caller's audio on its way to the recogniser; nothing is decoded while nobody speaks."""

    def __init__(
        self,
        process: JobRunner,
        clock: Clock,
        on_transcript: Callable[[Transcript], None],
        *,
        connection: int,
        begins_at_s: float,
    ) -> None:
        self._process, self._clock, self._on_transcript = process, clock, on_transcript
        self._connection, self._begins_at_s = connection, begins_at_s
        self._tracker = UtteranceTracker()
        self._wake = asyncio.Event()
        self._asked: _Asked | None = None
        self._heard_any = -1
        """The utterance of which some words, or that there are none, were reported last."""
        self._sequence = 0

    def push(self, audio: bytes) -> None:
        """Hand over mu-law bytes; never waits. An utterance is at most 20 s, silence is kept for 3 s."""
        self._tracker.push(audio)
        if self._tracker.due:
            self._renew()
            self._wake.set()

    def speech_started(self, media_s: float) -> None:
        """Voice activity says that somebody began to speak at `media_s`."""
        self._tracker.speech_started(self._position(media_s))

    def speech_paused(self, media_s: float) -> None:
        """Voice activity says that speech ended at `media_s`: all of it is decoded at once."""
        self._tracker.speech_paused(self._position(media_s))
        self._renew()
        self._wake.set()

    def end_utterance(self) -> None:
        """The turn is over: what is said from now on is another utterance."""
        self._tracker.end_utterance()
        self._renew()
        self._wake.set()

    async def run(self) -> None:
        """Decode until cancelled; raises ProviderError when the recogniser is lost."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while True:
                if (heard := self._tracker.known()) is not None:
                    self._report(heard)
                elif (plan := self._tracker.plan()) is not None:
                    await self._decode(plan)
                else:
                    break

    async def _decode(self, plan: DecodePlan) -> None:
        """Have a plan decoded, or what takes its place while it waits."""
        asked = self._asked = self._ask(plan, self._clock.now())
        try:
            answer = await asked.job.next()
            while self._asked is not asked:
                asked = self._asked
                answer = await asked.job.next()
        except WorkerDied:
            raise
        except ProviderError:
            if asked.plan.final:
                raise
            return  # the next partial, or the final, has these words too
        finally:
            self._asked = None
            asked.job.cancel()
        if answer is None:
            return
        if not isinstance(answer, Decoded):
            raise ProviderError("whisper", "the recogniser's process gave an answer that is no text")
        confidence = math.exp(min(0.0, answer.mean_log_probability))
        turnaround_s = self._clock.now() - asked.since_s
        if (heard := self._tracker.decoded(asked.plan, answer.text, confidence, turnaround_s)) is not None:
            self._report(heard)

    def _ask(self, plan: DecodePlan, since_s: float) -> _Asked:
        first = plan.utterance != self._heard_any
        wanted_s = FINAL_S if plan.final else FIRST_PARTIAL_S if first else PARTIAL_S
        job = self._process.submit(Decode(plan.audio), wanted_s, (self, plan.utterance))
        return _Asked(plan, job, since_s)

    def _renew(self) -> None:
        """What was asked and is not begun gives way to what is wanted now; more audio keeps the place."""
        asked = self._asked
        if asked is None or asked.job.started or asked.job.ended:
            return
        if self._tracker.final_due:
            if not asked.plan.final:
                asked.job.cancel()
        elif (plan := self._tracker.plan()) is not None:
            self._asked = self._ask(plan, asked.since_s)

    def _report(self, heard: Heard) -> None:
        self._sequence += 1
        self._heard_any = heard.utterance
        self._on_transcript(
            Transcript(
                connection=self._connection,
                utterance=heard.utterance,
                sequence=self._sequence,
                text=heard.text,
                final=heard.final,
                covers_s=self._begins_at_s + heard.end / _HZ,
                confidence=heard.confidence,
            )
        )

    def _position(self, media_s: float) -> int:
        return round((media_s - self._begins_at_s) * _HZ)
