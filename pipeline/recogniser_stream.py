"""One stream of one recogniser within a call: its audio format, its task, and why it ended."""

from __future__ import annotations

__all__ = ["RecogniserStream"]

import asyncio
from collections.abc import Callable

from offhook.codecs.audio_format import MULAW_8K, AudioFormat, converter
from offhook.config.errors import ProviderError

from .evidence import Activity
from .line_up import Candidate
from .ports import Transcriber, Transcript
from .provider_trouble import as_provider_error
from .replay import Missed
from .shared_conversion import Conversions


class RecogniserStream:
    """Takes the caller's carrier bytes and passes them on in the recogniser's format."""

    def __init__(
        self,
        candidate: Candidate[Transcriber],
        on_transcript: Callable[[Transcript], None],
        *,
        number: int,
        missed: Missed,
        activity: Activity,
        conversions: Conversions,
    ) -> None:
        engine = candidate.engine
        self.candidate, self.number = candidate, number
        self.missed_until_s = activity.last_speech_s
        """Once it has answered for the audio up to here it has caught up."""
        self.stayed_up = False
        """It has been open for a while."""
        self.task: asyncio.Task[None] | None = None
        self._work: asyncio.Task[None] | None = None
        self._failure: Exception | None = None
        """Of its own code, on taking audio."""
        self._stream = engine.open(on_transcript, connection=number, begins_at_s=missed.begins_at_s)
        shared = conversions.to(engine.audio_format)
        self._converted = None if shared is None else shared.open(self._stream.push, self._on_failure)
        self.push: Callable[[bytes], None] = self._way_in(engine.audio_format)
        """Takes carrier bytes (mu-law, 8 kHz); those of a recogniser that wants them go there directly."""
        if missed.speech_from_s is not None:
            self._stream.speech_started(missed.speech_from_s)
        if missed.audio:
            self.push(missed.audio)
        if missed.speech_from_s is not None and not activity.speaking:
            self._settle()
            self._stream.speech_paused(activity.last_speech_s)

    def sound(self, before: Activity, after: Activity) -> None:
        """Pass on where voice activity says that speech began or ended."""
        if after.speaking and not before.speaking:
            self._settle()
            self._stream.speech_started(after.onset_s)
        elif before.speaking and not after.speaking:
            self._settle()
            self._stream.speech_paused(after.last_speech_s)

    def end_utterance(self) -> None:
        """What is said from now on is another utterance."""
        self._settle()
        self._stream.end_utterance()

    async def run(self) -> ProviderError:
        """Do the work until it is cancelled or lost; returns why it was lost."""
        # In a task of its own: a task group that fails inside it leaves the mark of a cancellation on its
        # task (Python 3.11 and 3.12), which must not pass for the end of the call.
        self._work = work = asyncio.create_task(self._stream.run(), name=f"recogniser-work-{self.number}")
        try:
            await asyncio.wait([work])
        finally:
            self._let_go()
            if not work.done():
                work.cancel()
                await asyncio.wait([work])
                if not work.cancelled():
                    work.exception()  # seen: else asyncio reports it
        if self._failure is not None:
            return as_provider_error("transcriber", self._failure)
        if work.cancelled():
            return ProviderError("transcriber", "its work was cancelled")
        error = work.exception()
        if error is None:
            return ProviderError("transcriber", "the recogniser stopped by itself")
        return as_provider_error("transcriber", error)

    def close(self) -> None:
        """End its task, if it has one."""
        self._let_go()
        if self.task is not None:
            self.task.cancel()

    def _way_in(self, wanted: AudioFormat) -> Callable[[bytes], None]:
        if wanted == MULAW_8K:
            return self._stream.push
        if self._converted is not None:
            return self._converted.push
        convert = converter(MULAW_8K, wanted)
        return lambda audio: self._stream.push(convert.feed(audio))

    def _settle(self) -> None:
        """What was pushed is there before what is said about it."""
        if self._converted is not None:
            self._converted.settle()

    def _let_go(self) -> None:
        if self._converted is not None:
            self._converted.close()

    def _on_failure(self, error: Exception) -> None:
        """Its own code failed on taking audio: this stream is lost, another one may hear the audio again."""
        self._failure = error
        if self._work is not None:
            self._work.cancel()
