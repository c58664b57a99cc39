"""One clause on its way from the vendor: its audio, and the times of its words from those of its characters.

The vendor's alignment gives the characters of the text with times relative to the chunk of audio they came
with (ElevenLabs documentation: stream-input, Alignment). Characters are told apart by counting those that are
no space, for the vendor adds and drops spaces. No I/O.
"""

from __future__ import annotations

__all__ = ["BYTES_PER_S", "Clause", "SpokenCharacters", "WordClock"]

import re
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from offhook.codecs.audio_format import MULAW_8K
from offhook.config.errors import ProviderError

from ..ports import SpokenAudio, WordTiming

BYTES_PER_S = MULAW_8K.bytes_per_s
PIECE_BYTES = BYTES_PER_S // 2
"""Longer audio is handed on in pieces of so much."""
ROUNDING_S = 0.05
"""The vendor's times may end so far behind its audio."""
_WORD = re.compile(r"\S+")


@dataclass(frozen=True, slots=True)
class SpokenCharacters:
    """When the characters of a chunk of audio are spoken, in seconds from the chunk's first byte."""

    characters: Sequence[str]
    starts_s: Sequence[float]
    ends_s: Sequence[float]


class WordClock:
    """Finds the times of a text's words from those of its characters, however these are portioned."""

    def __init__(self, text: str) -> None:
        self._words = deque((word.start(), word.end()) for word in _WORD.finditer(text))
        self._spoken = 0
        """Characters of the present word that have a time."""
        self._word_start_s = self._until_s = 0.0

    @property
    def complete(self) -> bool:
        """Every character has a time."""
        return not self._words

    @property
    def until_s(self) -> float:
        """Where the last character that is known ends."""
        return self._until_s

    def add(self, spoken: SpokenCharacters, before_s: float) -> tuple[WordTiming, ...]:
        """Take the characters of a chunk that begins at `before_s`; returns the words that are now known."""
        known: list[WordTiming] = []
        for sign, start_s, end_s in zip(spoken.characters, spoken.starts_s, spoken.ends_s, strict=False):
            for _ in filter(lambda letter: not letter.isspace(), sign):
                if not self._words:
                    return tuple(known)
                # Times never go back, whatever the vendor says: the heard point is searched by them.
                begins_s = max(self._until_s, before_s + start_s)
                self._until_s = max(begins_s, before_s + end_s)
                self._word_start_s = self._word_start_s if self._spoken else begins_s
                self._spoken += 1
                start, end = self._words[0]
                if self._spoken == end - start:
                    known.append(WordTiming(start, end, self._word_start_s, self._until_s))
                    self._words.popleft()
                    self._spoken = 0
        return tuple(known)


class Clause:
    """A clause that is being spoken; `changed` is called when there is news of it."""

    def __init__(self, text: str, reply: int, changed: Callable[[], None]) -> None:
        self.text, self.reply = text, reply
        self._changed = changed
        self._words = WordClock(text)
        self._pieces: deque[SpokenAudio] = deque()
        self.received_bytes = 0
        self.waiting_bytes = 0
        """Received, and not yet taken."""
        self.over = False
        """No more audio of it comes."""
        self.error: ProviderError | None = None
        """Why it broke off; what was received before is still good."""

    @property
    def aligned(self) -> bool:
        """Some of its characters have a time."""
        return self._words.until_s > 0

    @property
    def complete(self) -> bool:
        """The audio of its last character is there."""
        return self._words.complete and self.received_bytes / BYTES_PER_S >= self._words.until_s - ROUNDING_S

    def add(self, audio: bytes, spoken: SpokenCharacters | None) -> None:
        """Take a chunk of its audio."""
        before_s = self.received_bytes / BYTES_PER_S
        words = self._words.add(spoken, before_s) if spoken is not None else ()
        self._pieces.extend(cut_to_pieces(audio, words, before_s))
        self.received_bytes += len(audio)
        self.waiting_bytes += len(audio)
        self._changed()

    def take(self) -> SpokenAudio | None:
        """Take the next piece, if there is one."""
        if not self._pieces:
            return None
        piece = self._pieces.popleft()
        self.waiting_bytes -= len(piece.audio)
        return piece

    def finish(self, error: ProviderError | None = None) -> None:
        """Nothing more comes, for it is complete or because of `error`."""
        self.over, self.error = True, error
        self._changed()


def cut_to_pieces(audio: bytes, words: Sequence[WordTiming], before_s: float) -> list[SpokenAudio]:
    """Cut audio that begins at `before_s` to pieces, each word with the one it begins in.

    Words that began before this audio come with its first piece.
    """
    starts = range(0, max(1, len(audio)), PIECE_BYTES)
    placed: list[list[WordTiming]] = [[] for _ in starts]
    for word in words:
        at = int((word.start_s - before_s) * BYTES_PER_S) // PIECE_BYTES
        placed[min(len(placed) - 1, max(0, at))].append(word)
    return [
        SpokenAudio(audio[start : start + PIECE_BYTES], tuple(mine))
        for start, mine in zip(starts, placed, strict=True)
    ]
