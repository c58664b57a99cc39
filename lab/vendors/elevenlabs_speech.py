"""Speech as ElevenLabs sends it: chunks of audio, each with the times of the characters spoken in it."""

from __future__ import annotations

__all__ = ["SpeechChunk", "chunks_of"]

from collections import deque
from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing
from dataclasses import dataclass
from typing import cast

from offhook.codecs.audio_format import MULAW_8K, converter
from offhook.pipeline.ports import SpokenAudio, Voice, WordTiming

CHUNK_S = 0.25
CHUNK_BYTES = int(CHUNK_S * MULAW_8K.bytes_per_s)


@dataclass(frozen=True, slots=True)
class TimedCharacter:
    """A character of the text and when it is spoken, in seconds from the text's first sample."""

    character: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class SpeechChunk:
    """Mu-law at 8 kHz, and what is spoken in it; times count from the chunk's first sample."""

    audio: bytes
    characters: tuple[TimedCharacter, ...]

    @property
    def lasts_s(self) -> float:
        """How long it is."""
        return len(self.audio) / MULAW_8K.bytes_per_s


async def chunks_of(text: str, voice: Voice) -> AsyncGenerator[SpeechChunk, None]:
    """Speak a text. Raises ProviderError if the voice does."""
    convert = converter(voice.audio_format, MULAW_8K)
    chunker = Chunker(text)
    spoken = cast("AsyncGenerator[SpokenAudio, None]", voice.speak(text))
    async with aclosing(spoken) as pieces:
        async for piece in pieces:
            for chunk in chunker.feed(convert.feed(piece.audio), piece.words):
                yield chunk
    for chunk in chunker.finish(convert.flush()):
        yield chunk


class Chunker:
    """Cuts a voice's audio to chunks; no I/O.

    The characters of a word share its time. A chunk is held back until another one with a letter in it
    follows, so that the silence behind the last word is part of the last word's chunk.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._audio = bytearray()
        self._sent_s = 0.0
        self._timed: deque[TimedCharacter] = deque()
        """Not sent yet."""
        self._until_char = 0
        self._until_s = 0.0
        """So much of the text has times."""
        self._letters_left = sum(not sign.isspace() for sign in text)

    def feed(self, audio: bytes, words: Iterable[WordTiming]) -> list[SpeechChunk]:
        """Take a piece of the voice's; returns what is ready."""
        self._audio += audio
        for word in words:
            self._time(word.start_char, word.start_s)
            self._time(word.end_char, word.end_s)
        ready = []
        while len(self._audio) > CHUNK_BYTES and self._more_letters_after(self._sent_s + CHUNK_S):
            ready.append(self._cut(CHUNK_BYTES))
        return ready

    def finish(self, audio: bytes) -> list[SpeechChunk]:
        """The voice is done; returns the rest."""
        ready = self.feed(audio, ())
        self._time(len(self._text), self._sent_s + len(self._audio) / MULAW_8K.bytes_per_s)
        return [*ready, self._cut(len(self._audio))] if self._audio else ready

    def _time(self, until_char: int, until_s: float) -> None:
        """Share the time up to here among the characters up to here."""
        signs = self._text[self._until_char : until_char]
        until_s = max(self._until_s, until_s)
        step_s = (until_s - self._until_s) / max(1, len(signs))
        for place, sign in enumerate(signs):
            begins_s = self._until_s + place * step_s
            self._timed.append(TimedCharacter(sign, begins_s, begins_s + step_s))
        self._until_char, self._until_s = max(self._until_char, until_char), until_s

    def _more_letters_after(self, when_s: float) -> bool:
        before = sum(not each.character.isspace() for each in self._timed if each.start_s < when_s)
        return before < self._letters_left

    def _cut(self, size: int) -> SpeechChunk:
        audio = bytes(self._audio[:size])
        del self._audio[:size]
        begins_s = self._sent_s
        self._sent_s += len(audio) / MULAW_8K.bytes_per_s
        mine: list[TimedCharacter] = []
        while self._timed and (self._timed[0].start_s < self._sent_s or not self._audio):
            timed = self._timed.popleft()
            self._letters_left -= not timed.character.isspace()
            start_s = max(0.0, timed.start_s - begins_s)
            mine.append(TimedCharacter(timed.character, start_s, max(start_s, timed.end_s - begins_s)))
        return SpeechChunk(audio, tuple(mine))
