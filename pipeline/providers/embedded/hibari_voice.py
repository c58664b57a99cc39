"""The embedded voice as the conversation sees it: text in, carrier bytes with exact word times out."""

from __future__ import annotations

__all__ = ["HibariVoice"]

from collections.abc import AsyncGenerator
from functools import partial

from offhook.codecs.audio_format import MULAW_8K
from offhook.codecs.framing import SAMPLE_RATE_HZ as _LINE_HZ
from offhook.config.errors import ProviderError

from ...ports import SpokenAudio, WordTiming
from ...shared_voice import SharedVoiceStream
from .job_queue import Priority
from .jobs import Speak, Spoken
from .model_process import JobRunner

_PIECE_S = 0.5


class HibariVoice:
    """Speaks through the voice's process."""

    audio_format = MULAW_8K

    def __init__(self, process: JobRunner) -> None:
        self._process = process
        self.estimated_pieces = 0
        """Sentences whose word times are in proportion to their letters."""

    def open(self) -> SharedVoiceStream:
        """Start one call's use of it; its clauses go before phrases that belong to no call."""
        return SharedVoiceStream(partial(self._synthesise, priority=Priority.VOICE))

    def speak(self, text: str) -> AsyncGenerator[SpokenAudio, None]:
        """Yield the speech of a phrase in pieces of at most 0.5 s; raises ProviderError."""
        return self._synthesise(text, Priority.BACKGROUND)

    async def _synthesise(self, text: str, priority: Priority) -> AsyncGenerator[SpokenAudio, None]:
        if not text.strip():
            return
        job = self._process.submit(Speak(text), priority)
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
