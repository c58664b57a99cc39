"""Engines that do nothing but see to it that every call's own audio arrives: the media path alone is left."""

from __future__ import annotations

__all__ = [
    "CLAUSE_BLOCKS",
    "SENTENCES",
    "WORD_BLOCKS",
    "CheckingTranscriber",
    "OwnVoice",
    "SteadyModel",
    "reply_text",
]

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

from offhook.codecs.audio_format import PCM_16K, PCM_24K
from offhook.pipeline.messages import ModelDelta, ModelRequest, TextDelta
from offhook.pipeline.ports import SpokenAudio, TranscriberStream, Transcript
from offhook.pipeline.shared_voice import SharedVoiceStream

from ..scripted_engines import LAST_WORD, SENTENCE_WORDS, WORD_S
from ..word_stream import word_timings
from .own_sound import Inside, SoundCheck, Walk

CHECK_EVERY = 50
"""Frames of a caller's, of which one is looked at."""
SENTENCES = 8
WORD_BLOCKS = round(WORD_S * 50)
CLAUSE_BLOCKS = SENTENCE_WORDS * WORD_BLOCKS
PIECE_BLOCKS = 12
"""A voice hands over so many blocks at a time: 240 ms."""
_PCM = Inside.of(PCM_16K)


def reply_text() -> str:
    """What the agent says every time: sentences of equal length."""
    sentence = " ".join(("Word", *["word"] * (SENTENCE_WORDS - 1)))
    return f"{sentence}. " * (SENTENCES - 1) + sentence.removesuffix("word") + LAST_WORD


class SteadyModel:
    """Answers anything at once with the same text."""

    async def respond(self, request: ModelRequest) -> AsyncIterator[ModelDelta]:
        """Yield it in one piece."""
        del request
        yield TextDelta(reply_text())


class CheckingTranscriber:
    """Understands nothing; takes 16 kHz PCM and looks at a part of it whether it is the call's own."""

    audio_format = PCM_16K

    def __init__(self, call: int, blocks: Sequence[bytes], check: SoundCheck) -> None:
        self._walk, self._blocks, self._check = Walk.of(call), blocks, check

    def open(
        self, on_transcript: Callable[[Transcript], None], *, connection: int, begins_at_s: float
    ) -> TranscriberStream:
        """Start a stream."""
        del on_transcript, connection
        return _CheckingStream(self._walk, self._blocks, self._check, round(begins_at_s * 50))


class _CheckingStream:
    def __init__(self, walk: Walk, blocks: Sequence[bytes], check: SoundCheck, first_block: int) -> None:
        self._walk, self._blocks, self._check = walk, blocks, check
        self._bytes = first_block * _PCM.block
        self._check_from = self._bytes

    def push(self, audio: bytes) -> None:
        at = self._bytes
        self._bytes = at + len(audio)
        if self._bytes > self._check_from:
            self._look(at, audio)

    def _look(self, at: int, audio: bytes) -> None:
        number = _PCM.number(at, len(audio))
        if number is None:
            return
        begin = number * _PCM.block - at
        expected = self._blocks[self._walk.block(number)]
        self._check.wrong += not self._check.pcm(
            bytes(audio[begin + _PCM.begin : begin + _PCM.block]), expected
        )
        self._check_from = (number + CHECK_EVERY) * _PCM.block

    def speech_started(self, media_s: float) -> None:
        del media_s

    def speech_paused(self, media_s: float) -> None:
        del media_s

    def end_utterance(self) -> None:
        """There are none."""

    async def run(self) -> None:
        await asyncio.Event().wait()


class OwnVoice:
    """Says every sentence of `reply_text` as blocks of the call's own, and `LAST_WORD` as silence."""

    audio_format = PCM_24K

    def __init__(self, call: int, blocks: Sequence[bytes]) -> None:
        self._walk, self._blocks = Walk.of(call), blocks
        self._quiet = bytes(WORD_BLOCKS * len(blocks[0]))
        self._clauses = 0

    def open(self) -> SharedVoiceStream:
        """Start the call's use of it."""
        return SharedVoiceStream(self.speak)

    async def speak(self, text: str) -> AsyncIterator[SpokenAudio]:
        """Yield the blocks, some at a time, with the place of each word."""
        words = word_timings(text, WORD_S)
        last = text.endswith(LAST_WORD)
        first = self._clauses * CLAUSE_BLOCKS
        self._clauses += 1
        sounding = (len(words) - last) * WORD_BLOCKS
        for begin in range(0, sounding, PIECE_BLOCKS):
            end = min(begin + PIECE_BLOCKS, sounding)
            piece = b"".join(self._blocks[self._walk.block(first + number)] for number in range(begin, end))
            yield SpokenAudio(piece, tuple(it for it in words if begin <= it.start_s * 50 + 0.5 < end))
            await asyncio.sleep(0)
        if last:
            yield SpokenAudio(self._quiet, words[-1:])
