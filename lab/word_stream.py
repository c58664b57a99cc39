"""Words at known places of a stream of audio, as a recogniser reports them and a voice times them."""

from __future__ import annotations

__all__ = ["ReadingStream", "WordReader", "word_timings"]

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from offhook.codecs.framing import SAMPLE_RATE_HZ
from offhook.pipeline.ports import Transcript, WordTiming


class WordReader(Protocol):
    """What knows the words of a stream of mu-law."""

    @property
    def texts(self) -> Sequence[str]:
        """The words so far."""

    @property
    def position(self) -> int:
        """Bytes so far."""

    def push(self, audio: bytes) -> bool:
        """Take bytes; True if another word is known now."""


class ReadingStream:
    """Reports words as they come, and as final when speech pauses; a `TranscriberStream`."""

    def __init__(
        self,
        reader: WordReader,
        on_transcript: Callable[[Transcript], None],
        connection: int,
        begins_at_s: float,
    ) -> None:
        self._reader = reader
        self._give, self._connection, self._begins_at_s = on_transcript, connection, begins_at_s
        self._told = 0
        """Words of utterances that are over."""
        self._utterance = self._sequence = 0

    def push(self, audio: bytes) -> None:
        """Read the bytes."""
        if self._reader.push(audio):
            self._report(final=False)

    def speech_started(self, media_s: float) -> None:
        """The bytes say so themselves."""

    def speech_paused(self, media_s: float) -> None:
        """The words so far are final."""
        del media_s
        self._report(final=True)

    def end_utterance(self) -> None:
        """What is said from now on is another utterance."""
        self._told = len(self._reader.texts)
        self._utterance += 1

    async def run(self) -> None:
        """Nothing is done but by what is pushed."""
        await asyncio.Event().wait()

    def _report(self, *, final: bool) -> None:
        self._sequence += 1
        text = " ".join(self._reader.texts[self._told :])
        covers_s = self._begins_at_s + self._reader.position / SAMPLE_RATE_HZ
        transcript = Transcript(self._connection, self._utterance, self._sequence, text, final, covers_s)
        # A real recogniser's answer never comes within the call that asked for it.
        asyncio.get_running_loop().call_soon(self._give, transcript)


def word_timings(text: str, word_s: float) -> tuple[WordTiming, ...]:
    """Where the words of a text lie if each takes `word_s` seconds, with no pause between them."""
    timings = []
    end = 0
    for number, word in enumerate(text.split()):
        start = text.index(word, end)
        end = start + len(word)
        timings.append(WordTiming(start, end, number * word_s, (number + 1) * word_s))
    return tuple(timings)
