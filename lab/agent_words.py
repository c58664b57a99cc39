"""What the agent was heard to say, recognised from the caller's side of the line alone."""

from __future__ import annotations

__all__ = ["HeardSpeech", "Listener", "listening", "pieces_of_speech"]

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import numpy as np

from offhook.codecs import g711
from offhook.config.errors import ProviderError
from offhook.pipeline.clock import Clock
from offhook.pipeline.providers.embedded.job_desk import JobRunner
from offhook.pipeline.providers.embedded.job_queue import BACKGROUND_S
from offhook.pipeline.providers.embedded.jobs import Align, Aligned, Decode, Decoded, HeardWord
from offhook.pipeline.providers.embedded.model_process import ModelProcess

from .hearing import FRAME_MS, Sound

BYTES_PER_MS = 8
_LONGEST_MS = 14_000
"""The recogniser hears at most 25 s at once, and is best well below."""
_EDGE_MS = 100


@dataclass(frozen=True, slots=True)
class HeardSpeech:
    """A stretch of the agent's speech in words."""

    start_ms: int
    """Caller media time."""
    end_ms: int
    text: str


class Listener:
    """Puts recorded mu-law into words."""

    def __init__(self, process: JobRunner) -> None:
        self._process = process

    async def transcribe(self, mulaw: bytes) -> str:
        """The words of up to 25 s of audio. Raises ProviderError."""
        answer = await self._process.submit(Decode(mulaw), BACKGROUND_S).next()
        if not isinstance(answer, Decoded):
            raise ProviderError("whisper", "the recogniser gave an answer that is no transcript")
        return answer.text

    async def word_times(self, mulaw: bytes, text: str = "") -> tuple[HeardWord, ...]:
        """When each word of up to 25 s of audio was said; recognises the words if `text` is empty."""
        answer = await self._process.submit(Align(mulaw, text), BACKGROUND_S).next()
        if not isinstance(answer, Aligned):
            raise ProviderError("whisper", "the recogniser gave an answer that has no word times")
        return answer.words

    async def hear(self, mulaw: bytes, sounds: Sequence[Sound]) -> tuple[HeardSpeech, ...]:
        """Put each stretch of a whole call's channel into words; stretches without words are left out."""
        heard = []
        for piece in pieces_of_speech(mulaw, sounds):
            start, end = max(0, piece.start_ms - _EDGE_MS), piece.end_ms + _EDGE_MS
            text = await self.transcribe(mulaw[start * BYTES_PER_MS : end * BYTES_PER_MS])
            if text:
                heard.append(HeardSpeech(piece.start_ms, piece.end_ms, text))
        return tuple(heard)


@asynccontextmanager
async def listening(clock: Clock) -> AsyncIterator[Listener]:
    """A recogniser in a process of its own, warm and ready. Raises ProviderError."""
    process = ModelProcess("whisper", {}, clock=clock)
    try:
        await process.start()
        yield Listener(process)
    finally:
        await process.close()


def pieces_of_speech(mulaw: bytes, sounds: Sequence[Sound]) -> list[Sound]:
    """Cut stretches that are too long for the recogniser at their quietest places."""
    pieces: list[Sound] = []
    for sound in sounds:
        start_ms = sound.start_ms
        while sound.end_ms - start_ms > _LONGEST_MS:
            cut_ms = _quietest(mulaw, start_ms + _LONGEST_MS // 2, start_ms + _LONGEST_MS)
            pieces.append(Sound(start_ms, cut_ms))
            start_ms = cut_ms
        pieces.append(Sound(start_ms, sound.end_ms))
    return pieces


def _quietest(mulaw: bytes, start_ms: int, end_ms: int) -> int:
    """The middle of the quietest 100 ms."""
    frames = (end_ms - start_ms) // FRAME_MS
    pcm = g711.decode(mulaw[start_ms * BYTES_PER_MS : end_ms * BYTES_PER_MS]).astype(np.float64)
    energy = (pcm[: frames * FRAME_MS * BYTES_PER_MS].reshape(frames, -1) ** 2).sum(axis=1)
    smoothed = np.convolve(energy, np.ones(5), mode="valid")
    return start_ms + (int(smoothed.argmin()) + 2) * FRAME_MS + FRAME_MS // 2
