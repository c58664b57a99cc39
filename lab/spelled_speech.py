"""Speech that is exact: each word is 0.3 s of one mu-law code, so whoever gets the bytes knows the words.

It takes the place of a caller, a recogniser and a voice where it matters that not one word is lost or said
twice: the words are in the audio itself, however it was cut, replayed or joined on its way.
"""

from __future__ import annotations

__all__ = [
    "WORDS",
    "LevelVoiceActivity",
    "SpelledVoice",
    "SpellingTranscriber",
    "bare_words",
    "read_words",
    "spell",
]

import asyncio
import math
from collections.abc import AsyncIterator, Callable

import numpy as np

from offhook.codecs import g711
from offhook.codecs.audio_format import MULAW_8K
from offhook.codecs.framing import SAMPLE_RATE_HZ
from offhook.pipeline.ports import (
    SpokenAudio,
    Transcript,
    VoiceActivityStream,
    VoiceWindow,
)
from offhook.pipeline.shared_voice import SharedVoiceStream

from .word_stream import ReadingStream, word_timings

_VOCABULARY = """
anchor basket candle dragon engine forest garden hammer island jacket kettle ladder market needle
orange pencil quarry ribbon saddle tunnel umbrella valley window yellow zebra apple bridge copper
desert feather glacier harbour ivory jungle kernel lantern meadow nutmeg ocean pepper quartz river
silver temple urchin velvet walnut violin almond barrel cactus dolphin ember falcon granite hazel
iris juniper kitten lemon marble nectar olive paddle
"""
WORDS = tuple(_VOCABULARY.split())
"""Words that stand for no number, name no question and are no acknowledgement."""
WORD_S = 0.3
WORD_BYTES = round(WORD_S * SAMPLE_RATE_HZ)
HEARD_BYTES = WORD_BYTES // 2
"""Half a word is enough to know it; less of it is a scrap that was cut."""
LOST_BYTES = 80
"""Of a word that was said whole, so much may have been cut on the way."""
RECOGNISED_BYTES = WORD_BYTES * 9 // 10
"""A recogniser knows a word as it ends."""
_CODES = (*range(32), *range(128, 160))
"""The loud half of mu-law's codes of either sign."""
_CODE_OF = dict(zip(WORDS, _CODES, strict=True))
_WORD_OF = {code: word for word, code in _CODE_OF.items()}
SPEECH_DBFS = -30.0
WINDOW_BYTES = 256


def spell(text: str) -> bytes:
    """The mu-law audio of a text; raises KeyError for a word that is not one of WORDS."""
    return b"".join(bytes([_CODE_OF[word]]) * WORD_BYTES for word in bare_words(text))


def read_words(audio: bytes) -> list[str]:
    """The words in mu-law audio, each as often as it is there; scraps of less than half a word are none."""
    reader = _Reader()
    reader.push(audio)
    return reader.texts


def bare_words(text: str) -> list[str]:
    """The words of a text, without signs and capitals."""
    return [word.strip(".,!?;:").lower() for word in text.split()]


class _Reader:
    """Finds words in a stream of bytes that comes in pieces of any length.

    Silence inside a word, where a line ran dry, does not end it: only another word does. So a word that was
    begun and then said whole is one; one that was said whole twice is two.
    """

    def __init__(self, known_from: int = HEARD_BYTES) -> None:
        self.texts: list[str] = []
        """The words so far."""
        self.position = 0
        self._code = -1
        self._bytes = 0
        """Of the present word."""
        self._known_from = self._wanted = known_from
        self._times = 0
        """So often the present word was said."""

    def push(self, audio: bytes) -> bool:
        """Take bytes; True if another word is known now."""
        known = len(self.texts)
        codes = np.frombuffer(audio, np.uint8)
        edges = np.flatnonzero(np.diff(codes, prepend=codes[:1])) if codes.size else ()
        for start, end in zip((0, *edges), (*edges, codes.size), strict=True):
            if end > start:
                self._run(int(codes[start]), int(end) - int(start))
        self.position += len(audio)
        return len(self.texts) > known

    def _run(self, code: int, length: int) -> None:
        if code not in _WORD_OF:
            return
        if code != self._code:
            self._code, self._bytes, self._wanted, self._times = code, 0, self._known_from, 0
        self._bytes += length
        while self._bytes >= self._wanted:
            self.texts.append(_WORD_OF[code])
            self._times += 1
            self._wanted = (self._times + 1) * WORD_BYTES - LOST_BYTES


class SpellingTranscriber:
    """A recogniser that reads words out of the bytes; implements `Transcriber`."""

    audio_format = MULAW_8K

    def open(
        self, on_transcript: Callable[[Transcript], None], *, connection: int, begins_at_s: float
    ) -> ReadingStream:
        """Start a stream whose first pushed byte lies at `begins_at_s` of the caller's audio."""
        return ReadingStream(_Reader(RECOGNISED_BYTES), on_transcript, connection, begins_at_s)


class SpelledVoice:
    """A voice that spells; implements `Voice`."""

    audio_format = MULAW_8K

    def open(self) -> SharedVoiceStream:
        """Start one call's use of it."""
        return SharedVoiceStream(self.speak)

    async def speak(self, text: str) -> AsyncIterator[SpokenAudio]:
        """Yield word after word, at once; raises KeyError for a word that is not one of WORDS."""
        for timing, word in zip(word_timings(text, WORD_S), text.split(), strict=True):
            yield SpokenAudio(spell(word), (timing,))
            await asyncio.sleep(0)


class LevelVoiceActivity:
    """Calls loud windows speech; implements `VoiceActivity` at next to no cost."""

    def open(self, on_window: Callable[[VoiceWindow], None]) -> VoiceActivityStream:
        """Start a stream; `on_window` is called in the next pass of the loop."""
        return _LevelStream(on_window)


class _LevelStream:
    def __init__(self, on_window: Callable[[VoiceWindow], None]) -> None:
        self._give: Callable[[VoiceWindow], None] | None = on_window
        self._buffer = bytearray()
        self._bytes = 0

    def push(self, audio: bytes) -> None:
        self._buffer += audio
        while len(self._buffer) >= WINDOW_BYTES:
            level = _level_dbfs(bytes(self._buffer[:WINDOW_BYTES]))
            del self._buffer[:WINDOW_BYTES]
            self._bytes += WINDOW_BYTES
            window = VoiceWindow(self._bytes / SAMPLE_RATE_HZ, 0.95 if level > SPEECH_DBFS else 0.02, level)
            asyncio.get_running_loop().call_soon(self._report, window)

    def _report(self, window: VoiceWindow) -> None:
        if self._give is not None:
            self._give(window)

    def close(self) -> None:
        self._give = None


def _level_dbfs(mulaw: bytes) -> float:
    samples = g711.decode(mulaw).astype(np.float64)
    return 20 * math.log10(max(1.0, float(np.sqrt(np.mean(samples * samples)))) / 32768)
