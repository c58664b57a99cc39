"""The embedded voice as the conversation sees it: text in, carrier bytes with exact word times out."""

from __future__ import annotations

__all__ = ["HibariStream", "HibariVoice"]

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing

from offhook.codecs.audio_format import MULAW_8K
from offhook.codecs.framing import SAMPLE_RATE_HZ as _LINE_HZ
from offhook.config.errors import ProviderError

from ...clock import Clock
from ...ports import SpokenAudio, WordTiming
from .job_desk import JobRunner
from .job_queue import BACKGROUND_S, FIRST_SPEECH_S
from .jobs import Speak, Spoken

_PIECE_S = 0.5


class HibariVoice:
    """Speaks through the voice's process."""

    audio_format = MULAW_8K

    def __init__(self, process: JobRunner, clock: Clock, speed: float = 1.0) -> None:
        """`speed` is 0.5 to 2, 1 being the voice's own pace."""
        self._process, self._clock, self._speed = process, clock, speed
        self.estimated_pieces = 0
        """Sentences whose word times are in proportion to their letters."""

    def open(self) -> HibariStream:
        """Start one call's use of it; its clauses go before phrases that belong to no call."""
        return HibariStream(self, self._clock)

    def speak(self, text: str) -> AsyncGenerator[SpokenAudio, None]:
        """Yield the speech of a phrase in pieces of at most 0.5 s; raises ProviderError."""
        return self.synthesise(text, BACKGROUND_S)

    async def synthesise(self, text: str, wanted_s: float) -> AsyncGenerator[SpokenAudio, None]:
        """As `speak`, for whoever needs the first piece in `wanted_s`."""
        if not text.strip():
            return
        job = self._process.submit(Speak(text, self._speed), wanted_s)
        before_s = 0.0
        try:
            while (answer := await job.next()) is not None:
                if not isinstance(answer, Spoken):
                    raise ProviderError("hibari", "the voice's process gave an answer that is no speech")
                self.estimated_pieces += answer.estimated
                for piece in _pieces(answer, before_s):
                    yield piece
                before_s += len(answer.mulaw) / _LINE_HZ
        finally:
            job.cancel()


class HibariStream:
    """One call's use of the voice.

    A reply's first clause is needed at once, each later one when the speech before it has been played.
    """

    def __init__(self, voice: HibariVoice, clock: Clock) -> None:
        self._voice, self._clock = voice, clock
        self._reply = -1
        self._played_at = 0.0
        """When the reply's speech so far will have been played, if it is played as it is made."""

    async def speak(self, text: str, *, reply: int) -> AsyncGenerator[SpokenAudio, None]:
        """Yield the speech of one clause or more in pieces of at most 0.5 s; raises ProviderError."""
        now = self._clock.now()
        if reply != self._reply:
            self._reply, self._played_at = reply, now
        wanted_s = min(BACKGROUND_S, max(FIRST_SPEECH_S, self._played_at - now))
        async with aclosing(self._voice.synthesise(text, wanted_s)) as pieces:
            async for piece in pieces:
                self._played_at = max(self._played_at, self._clock.now()) + len(piece.audio) / _LINE_HZ
                yield piece

    def reply_over(self, reply: int) -> None:
        """Nothing is kept for a reply."""

    async def run(self) -> None:
        """There is nothing to be kept up."""
        await asyncio.Event().wait()


def _pieces(spoken: Spoken, before_s: float) -> list[SpokenAudio]:
    """Cut to pieces of 0.5 s, each with the words that begin in it; times count from the first piece."""
    step = int(_PIECE_S * _LINE_HZ)
    starts = range(0, len(spoken.mulaw), step)
    words: list[list[WordTiming]] = [[] for _ in starts]
    for word in spoken.words if words else ():
        at = min(len(words) - 1, int(word.start_s / _PIECE_S))
        words[at].append(
            WordTiming(word.start_char, word.end_char, before_s + word.start_s, before_s + word.end_s)
        )
    return [
        SpokenAudio(spoken.mulaw[start : start + step], tuple(mine))
        for start, mine in zip(starts, words, strict=True)
    ]
