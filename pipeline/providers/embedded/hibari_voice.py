"""The embedded voice as the conversation sees it: text in, carrier bytes with exact word times out."""

from __future__ import annotations

__all__ = ["HibariVoice", "VoiceStatistics"]

from collections import OrderedDict
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass

from offhook.codecs.audio_format import MULAW_8K
from offhook.codecs.framing import SAMPLE_RATE_HZ as _LINE_HZ
from offhook.config.errors import ProviderError

from ...ports import SpokenAudio, WordTiming
from .job_queue import Priority
from .jobs import Speak, Spoken
from .model_process import JobRunner

_PIECE_S = 0.5
_KEPT_TEXTS = 64
_KEPT_BYTES = 8 << 20


@dataclass(frozen=True, slots=True)
class VoiceStatistics:
    """How the voice has fared."""

    spoken: int
    from_memory: int
    """Texts that were prepared."""
    estimated_pieces: int
    """Sentences whose word times are in proportion to their letters."""


class HibariVoice:
    """Speaks through the voice's process; texts that were prepared are spoken even while it is down."""

    audio_format = MULAW_8K

    def __init__(self, process: JobRunner) -> None:
        self._process = process
        self._prepared: OrderedDict[str, tuple[SpokenAudio, ...]] = OrderedDict()
        self._prepared_bytes = 0
        self._spoken = self._from_memory = self._estimated = 0

    def statistics(self) -> VoiceStatistics:
        """Count what was spoken so far."""
        return VoiceStatistics(self._spoken, self._from_memory, self._estimated)

    async def speak(self, text: str) -> AsyncGenerator[SpokenAudio, None]:
        """Yield the speech of one clause or more in pieces of at most 0.5 s; raises ProviderError."""
        self._spoken += 1
        if (pieces := self._prepared.get(text)) is not None:
            self._prepared.move_to_end(text)
            self._from_memory += 1
            for piece in pieces:
                yield piece
            return
        async with aclosing(self._synthesise(text, Priority.VOICE)) as made:
            async for piece in made:
                yield piece

    async def prepare(self, text: str) -> None:
        """Keep the speech of a stock phrase, so that it is spoken at once; raises ProviderError.

        At most 64 texts and 8 MB are kept; the ones not used for longest give way.
        """
        if text in self._prepared:
            self._prepared.move_to_end(text)
            return
        pieces = tuple([piece async for piece in self._synthesise(text, Priority.BACKGROUND)])
        if text in self._prepared:
            return
        self._prepared[text] = pieces
        self._prepared_bytes += _size(pieces)
        while len(self._prepared) > _KEPT_TEXTS or self._prepared_bytes > _KEPT_BYTES:
            _, forgotten = self._prepared.popitem(last=False)
            self._prepared_bytes -= _size(forgotten)

    async def _synthesise(self, text: str, priority: Priority) -> AsyncGenerator[SpokenAudio, None]:
        if not text.strip():
            return
        job = self._process.submit(Speak(text), priority)
        before_s = 0.0
        try:
            while (answer := await job.next()) is not None:
                if not isinstance(answer, Spoken):
                    raise ProviderError("hibari", "the voice's process gave an answer that is no speech")
                self._estimated += answer.estimated
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


def _size(pieces: tuple[SpokenAudio, ...]) -> int:
    return sum(len(piece.audio) for piece in pieces)
