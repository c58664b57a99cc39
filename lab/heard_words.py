"""How many words of a reply were audibly said before it was cut off, judged from the recording alone.

Theory. A recogniser puts the recording into words with times; they are matched to the front of the
reply's text by edit distance. That tells well where in the text the speech is, and badly where it
ends: a recogniser completes a word that was cut, or leaves it out. So the end is found by time: the
reply is spoken in full once more (the rendition), and the recording's last audible sound is a point of
it. How far the recording runs behind the rendition is told by the first sound of both, which is exact
to a few milliseconds; where a pause or a gap came between, the last matched words tell otherwise, and
they are believed. A word counts when more than half of it lies before that point. Nothing of the
bridge's own account is read.
"""

from __future__ import annotations

__all__ = ["HeardWords", "Rendition", "WordSpan", "count_heard_words", "heard_words", "render"]

import difflib
import re
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from offhook.codecs import g711
from offhook.codecs.framing import FRAME_BYTES
from offhook.codecs.framing import SAMPLE_RATE_HZ as BYTES_PER_S
from offhook.pipeline.ports import Voice, WordTiming
from offhook.pipeline.providers.embedded.jobs import HeardWord
from offhook.pipeline.segmenter import clauses_of

from .agent_words import BYTES_PER_MS, Listener, pieces_of_speech
from .hearing import Sound, SoundDetector

_AUDIBLE_DBFS = -55.0
"""The end of a soft consonant counts; what is between words of a voice is digital silence."""
_ANCHORS = 10
"""Matched words that place the end; further back, pauses may be longer or shorter than in the rendition."""
_APART_S = 1.0
_FASTER = 1.3
"""A recording may be so much faster or slower than the rendition."""
_BLOCK = 40
"""Samples of 5 ms, by which the first and the last sound are found."""
_AGREE_WITHIN_S = 0.15
"""The recogniser's word times are right to about so much."""
_SHORTEST_WORD_S = 0.03
_EDGE_MS = 100


@dataclass(frozen=True, slots=True)
class WordSpan:
    """When one word sounds, in seconds since the rendition began."""

    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Rendition:
    """A reply as it sounds when nobody cuts in."""

    text: str
    words: tuple[WordSpan, ...]
    """One for each word, as white space divides the text."""
    first_sound_s: float = 0.0
    """Where it becomes audible."""


@dataclass(frozen=True, slots=True)
class HeardWords:
    """The front of a reply that was heard."""

    count: int
    """Words, as white space divides the text."""
    text: str


async def render(voice: Voice, text: str) -> Rendition:
    """Speak a reply in full, clause by clause, with a voice that speaks mu-law.

    Raises ProviderError, and ValueError for a voice without word times.
    """
    timings: list[WordTiming] = []
    audio = bytearray()
    first_char, begin_s = 0, 0.0
    for clause in clauses_of(text):
        first_char = text.index(clause, first_char)
        length_s = 0.0
        async for piece in voice.speak(clause):
            timings += [_moved(word, first_char, begin_s) for word in piece.words]
            length_s += len(piece.audio) / BYTES_PER_S
            audio += piece.audio
        first_char, begin_s = first_char + len(clause), begin_s + length_s
    spans: list[WordSpan] = []
    for word in re.finditer(r"\S+", text):
        inside = [t for t in timings if t.start_char < word.end() and t.end_char > word.start()]
        if inside:
            spans.append(WordSpan(inside[0].start_s, inside[-1].end_s))
        elif spans:  # a dash, or something else that is not said
            spans.append(WordSpan(spans[-1].end_s, spans[-1].end_s))
        else:
            raise ValueError("the voice gives no word times")
    first_sound_s, _ = _audible(bytes(audio))
    return Rendition(text, tuple(spans), first_sound_s)


async def heard_words(listener: Listener, mulaw: bytes, rendition: Rendition) -> HeardWords:
    """Find the front of the reply that is audible in the agent's channel `mulaw` (this reply and no other).

    Raises ProviderError when the recogniser fails.
    """
    sounds = _sounds(mulaw)
    if not sounds:
        return HeardWords(0, "")
    whole = Sound(sounds[0].start_ms, sounds[-1].end_ms)
    words: list[HeardWord] = []
    for piece in pieces_of_speech(mulaw, [whole]):
        begin_ms = max(0, piece.start_ms - _EDGE_MS)
        audio = mulaw[begin_ms * BYTES_PER_MS : piece.end_ms * BYTES_PER_MS]
        words += [_later(word, begin_ms / 1000) for word in await listener.word_times(audio)]
    begin_s, end_s = _audible(mulaw)
    return count_heard_words(rendition, words, end_s, begin_s=begin_s)


def count_heard_words(
    rendition: Rendition, words: Sequence[HeardWord], end_s: float, *, begin_s: float | None = None
) -> HeardWords:
    """The same from recognised words and the edges of the recording's sound (s of the recording)."""
    spoken = rendition.text.split()
    # Words without length are the recogniser's own continuation of a sentence it likes.
    words = [word for word in words if word.end_s - word.start_s > _SHORTEST_WORD_S and _plain(word.text)]
    pairs = match([_plain(word.text) for word in words], [_plain(word) for word in spoken])
    if not pairs:
        return HeardWords(0, "")
    reached_s = _reached(
        end_s, [(words[i].start_s, rendition.words[j].start_s) for i, j in pairs[-_ANCHORS:]]
    )
    if begin_s is not None:
        by_first_sound_s = rendition.first_sound_s + end_s - begin_s
        if abs(by_first_sound_s - reached_s) <= _AGREE_WITHIN_S:
            reached_s = by_first_sound_s
    count = sum((word.start_s + word.end_s) / 2 < reached_s for word in rendition.words)
    return HeardWords(count, " ".join(spoken[:count]))


def _reached(end_s: float, anchors: Sequence[tuple[float, float]]) -> float:
    """The point of the rendition at which the recording ends: a line through the anchors (Theil-Sen)."""
    slopes = [
        (there - earlier_there) / (here - earlier_here)
        for index, (here, there) in enumerate(anchors)
        for earlier_here, earlier_there in anchors[:index]
        if here - earlier_here >= _APART_S
    ]
    slope = min(max(statistics.median(slopes), 1 / _FASTER), _FASTER) if slopes else 1.0
    return statistics.median(there + (end_s - here) * slope for here, there in anchors)


def match(heard: Sequence[str], spoken: Sequence[str]) -> list[tuple[int, int]]:
    """Pair heard words with the words of the text's front that they most likely are (least edit cost)."""
    costs = [[float(j) for j in range(len(spoken) + 1)]]
    for i, word in enumerate(heard, 1):
        row = [float(i)]
        for j, candidate in enumerate(spoken, 1):
            replaced = costs[i - 1][j - 1] + _difference(word, candidate)
            row.append(min(replaced, costs[i - 1][j] + 1, row[j - 1] + 1))
        costs.append(row)
    i, j = len(heard), min(range(len(spoken) + 1), key=costs[-1].__getitem__)
    pairs = []
    while i and j:
        if costs[i][j] == costs[i - 1][j - 1] + _difference(heard[i - 1], spoken[j - 1]):
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif costs[i][j] == costs[i - 1][j] + 1:
            i -= 1
        else:
            j -= 1
    return pairs[::-1]


def _difference(heard: str, spoken: str) -> float:
    """0 for the same word, up to 1.5 for one that is nothing like it."""
    if heard == spoken:
        return 0.0
    return 1.5 * (1 - difflib.SequenceMatcher(None, heard, spoken).ratio())


def _moved(word: WordTiming, by_chars: int, by_s: float) -> WordTiming:
    return WordTiming(
        word.start_char + by_chars, word.end_char + by_chars, word.start_s + by_s, word.end_s + by_s
    )


def _plain(word: str) -> str:
    return re.sub(r"[\W_]", "", word.lower())


def _later(word: HeardWord, by_s: float) -> HeardWord:
    return HeardWord(word.text, word.start_s + by_s, word.end_s + by_s, word.probability)


def _sounds(mulaw: bytes) -> tuple[Sound, ...]:
    detector = SoundDetector(_AUDIBLE_DBFS)
    for offset in range(0, len(mulaw), FRAME_BYTES):
        detector.feed(mulaw[offset : offset + FRAME_BYTES].ljust(FRAME_BYTES, b"\xff"))
    return detector.sounds


def _audible(mulaw: bytes) -> tuple[float, float]:
    """Where the first sound begins and the last one ends, in seconds, to 5 ms; (0, 0) in silence."""
    samples = g711.decode_float(mulaw[: len(mulaw) // _BLOCK * _BLOCK]).reshape(-1, _BLOCK)
    loud = np.flatnonzero(np.square(samples).mean(axis=1) > 10 ** (_AUDIBLE_DBFS / 10))
    if not len(loud):
        return 0.0, 0.0
    return float(loud[0]) * _BLOCK / BYTES_PER_S, float(loud[-1] + 1) * _BLOCK / BYTES_PER_S
