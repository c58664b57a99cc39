"""A recogniser that is told beforehand what is said, and when: it needs no speech, and is never wrong."""

from __future__ import annotations

__all__ = ["TimedTranscriber", "Utterance"]

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from offhook.codecs.audio_format import MULAW_8K
from offhook.codecs.framing import SAMPLE_RATE_HZ
from offhook.pipeline.ports import Transcript

from .word_stream import ReadingStream


@dataclass(frozen=True, slots=True)
class Utterance:
    """What is said, and when, in seconds of the audio; its words share the time evenly."""

    begins_s: float
    ends_s: float
    text: str

    def words_until(self, media_s: float) -> list[str]:
        """The words whose audio has passed by then."""
        words = self.text.split()
        each_s = (self.ends_s - self.begins_s) / max(1, len(words))
        return [word for number, word in enumerate(words, 1) if self.begins_s + number * each_s <= media_s]


class TimedTranscriber:
    """Hears each word once its audio has passed, whatever the audio holds; implements `Transcriber`.

    Every stream begins with the first utterance: one that is opened in the middle of the caller's audio hears
    what lies behind `begins_at_s`.
    """

    audio_format = MULAW_8K

    def __init__(self, said: Sequence[Utterance]) -> None:
        """`said` is in order, and may grow."""
        self._said = said

    def open(
        self, on_transcript: Callable[[Transcript], None], *, connection: int, begins_at_s: float
    ) -> ReadingStream:
        """Start a stream whose first pushed byte lies at `begins_at_s` of the caller's audio."""
        reader = _Listener(self._said, begins_at_s)
        return ReadingStream(reader, on_transcript, connection, begins_at_s)


class _Listener:
    def __init__(self, said: Sequence[Utterance], begins_at_s: float) -> None:
        self._said, self._begins_at_s = said, begins_at_s
        self._missed = len(self._words_until(begins_at_s))
        self.position = 0
        self.texts: list[str] = []

    def push(self, audio: bytes) -> bool:
        self.position += len(audio)
        known = len(self.texts)
        until_s = self._begins_at_s + self.position / SAMPLE_RATE_HZ
        self.texts = self._words_until(until_s)[self._missed :]
        return len(self.texts) > known

    def _words_until(self, media_s: float) -> list[str]:
        return [word for said in self._said for word in said.words_until(media_s + 1e-9)]
