"""Engines that cost next to nothing: what remains of a call with them is the bridge's own work."""

from __future__ import annotations

__all__ = ["AnsweringModel", "Answers", "CueTranscriber", "QuietVoiceActivity", "TalkativeModel", "ToneVoice"]

import asyncio
import random
import re
from collections.abc import AsyncIterator, Callable, Sequence

import numpy as np

from offhook.codecs.audio_format import MULAW_8K, AudioFormat, converter
from offhook.codecs.framing import SAMPLE_RATE_HZ as BYTES_PER_S
from offhook.pipeline.messages import ModelDelta, ModelRequest, TextDelta
from offhook.pipeline.ports import (
    SpokenAudio,
    TranscriberStream,
    Transcript,
    VoiceActivityStream,
    VoiceWindow,
)
from offhook.pipeline.shared_voice import SharedVoiceStream

from .word_stream import word_timings

WORD_S = 0.3
"""Each word of the tone takes so long: 200 words a minute."""
PIECE_S = 0.5
"""As much speech as a voice hands over at a time."""
TONE_HZ = 400
TONE_PEAK = 8000
LAST_WORD = "over."
"""Every reply ends with it; it is said in silence, so that the far end knows a reply's end."""
SENTENCE_WORDS = 8
QUIET_DBFS = -55.0


class ToneVoice:
    """Says every word as a tone, and `LAST_WORD` as silence; the audio is there at once."""

    def __init__(self, audio_format: AudioFormat = MULAW_8K) -> None:
        self.audio_format = audio_format
        piece_samples = round(PIECE_S * audio_format.rate_hz)
        phase = 2 * np.pi * TONE_HZ * np.arange(piece_samples) / audio_format.rate_hz
        native = AudioFormat("pcm16", audio_format.rate_hz)
        convert = converter(native, audio_format)
        self._tone = convert.feed((TONE_PEAK * np.sin(phase)).astype("<i2").tobytes())
        self._quiet = convert.feed(bytes(native.bytes_per_sample * round(WORD_S * audio_format.rate_hz)))

    def open(self) -> SharedVoiceStream:
        """Start one call's use of it."""
        return SharedVoiceStream(self.speak)

    async def speak(self, text: str) -> AsyncIterator[SpokenAudio]:
        """Yield the tone in pieces, with the place of each word."""
        words = word_timings(text, WORD_S)
        last = text.endswith(LAST_WORD)
        sounding_s = (len(words) - last) * WORD_S
        begins_s = 0.0
        while begins_s < sounding_s - 1e-9:
            ends_s = min(begins_s + PIECE_S, sounding_s)
            size = round((ends_s - begins_s) * self.audio_format.rate_hz) * self.audio_format.bytes_per_sample
            inside = tuple(word for word in words if begins_s <= word.start_s < ends_s)
            yield SpokenAudio(self._tone[:size], inside)
            begins_s = ends_s
            # A real voice's pieces come one by one from a socket; between them others have their turn.
            await asyncio.sleep(0)
        if last:
            yield SpokenAudio(self._quiet, words[-1:])


class TalkativeModel:
    """Answers anything at once, word by word, with 40 to 80 words."""

    def __init__(self, seed: int = 1) -> None:
        self._random = random.Random(seed)

    async def respond(self, request: ModelRequest) -> AsyncIterator[ModelDelta]:
        """Yield the words; what was asked does not matter."""
        del request
        count = self._random.randint(40, 80)
        for number in range(1, count):
            stop = "." if number % SENTENCE_WORDS == 0 else ""
            word = "Word" if number % SENTENCE_WORDS == 1 else "word"
            yield TextDelta(f"{word}{stop} ")
            await asyncio.sleep(0)
        yield TextDelta(LAST_WORD)


Answers = Sequence[str] | Callable[[ModelRequest], str | Sequence[ModelDelta]]
"""The answer to each request in order, the last one again and again; or what makes them."""


class AnsweringModel:
    """Answers as it is told to, word by word; implements `LanguageModel`."""

    def __init__(self, answers: Answers) -> None:
        """Take the answers; a sequence holds at least one."""
        self._answers = answers
        self._asked = 0

    async def respond(self, request: ModelRequest) -> AsyncIterator[ModelDelta]:
        """Yield the next answer."""
        for delta in self._answer(request):
            yield delta
            await asyncio.sleep(0)

    def _answer(self, request: ModelRequest) -> Sequence[ModelDelta]:
        if callable(self._answers):
            answer = self._answers(request)
        else:
            answer = self._answers[min(self._asked, len(self._answers) - 1)]
            self._asked += 1
        if isinstance(answer, str):
            return [TextDelta(word) for word in re.findall(r"\S+\s*", answer)]
        return answer


class CueTranscriber:
    """Understands `words` in every stretch of speech that voice activity finds, or nothing at all."""

    def __init__(self, audio_format: AudioFormat = MULAW_8K, words: str = "") -> None:
        self.audio_format = audio_format
        self._words = words

    def open(
        self, on_transcript: Callable[[Transcript], None], *, connection: int, begins_at_s: float
    ) -> TranscriberStream:
        """Start a stream."""
        return _CueStream(self._words, self.audio_format, on_transcript, connection, begins_at_s)


class _CueStream:
    def __init__(
        self,
        words: str,
        audio_format: AudioFormat,
        on_transcript: Callable[[Transcript], None],
        connection: int,
        begins_at_s: float,
    ) -> None:
        self._words = words
        self._bytes_per_s = audio_format.bytes_per_s
        self._on_transcript = on_transcript
        self._connection = connection
        self._begins_at_s = begins_at_s
        self._bytes = 0
        self._utterance = self._sequence = 0

    def push(self, audio: bytes) -> None:
        self._bytes += len(audio)

    def speech_started(self, media_s: float) -> None:
        del media_s
        self._understand(final=False)

    def speech_paused(self, media_s: float) -> None:
        del media_s
        self._understand(final=True)

    def end_utterance(self) -> None:
        self._utterance += 1

    async def run(self) -> None:
        await asyncio.Event().wait()

    def _understand(self, *, final: bool) -> None:
        covers_s = self._begins_at_s + self._bytes / self._bytes_per_s
        self._sequence += 1
        transcript = Transcript(
            self._connection, self._utterance, self._sequence, self._words, final, covers_s
        )
        # A real recogniser's answer never comes within the call that asked for it.
        asyncio.get_running_loop().call_soon(self._on_transcript, transcript)


class QuietVoiceActivity:
    """Hears nobody, ever, and says so once a second: what a call costs without a model that listens."""

    def open(self, on_window: Callable[[VoiceWindow], None]) -> VoiceActivityStream:
        """Start a stream."""
        return _QuietStream(on_window)


class _QuietStream:
    def __init__(self, on_window: Callable[[VoiceWindow], None]) -> None:
        self._on_window = on_window
        self._bytes = 0
        self._next = BYTES_PER_S

    def push(self, audio: bytes) -> None:
        self._bytes += len(audio)
        if self._bytes >= self._next:
            self._next = self._bytes + BYTES_PER_S
            window = VoiceWindow(self._bytes / BYTES_PER_S, probability=0.0, level_dbfs=QUIET_DBFS)
            # A model's answer never comes within the call that asked for it.
            asyncio.get_running_loop().call_soon(self._on_window, window)

    def close(self) -> None:
        """Nothing was opened."""
