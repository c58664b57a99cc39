"""Text as hibari's network reads it: phoneme numbers, each with the word of the text it belongs to."""

from __future__ import annotations

__all__ = ["Phrase", "TextReader"]

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import hibari.tts
from hibari.g2p import G2P
from hibari.g2p.normalize import normalize

from .spelt import spelt
from .word_spans import Span, matched, words

_LONGEST = 400
"""Phonemes that the network reads at once."""
_CLAUSE_ENDS = frozenset(",;:—")
_SILENT = frozenset(' ;:,.!?—…"()“”')
_PAD = 0


@dataclass(frozen=True, slots=True)
class Phrase:
    """What the network reads at once."""

    ids: tuple[int, ...]
    """Phoneme numbers with a pad at each end."""
    owners: tuple[int, ...]
    """For each number the index in `spans` of the word whose sound it is, or -1: pad, space, punctuation."""
    spans: tuple[Span, ...]
    """The words of the text that this phrase speaks."""
    mapped: bool
    """The owners are known."""


class TextReader:
    """Reads English text: sentences, normalisation, phonemes."""

    def __init__(self, *, british: bool = False) -> None:
        """Load the word lists."""
        self._g2p = G2P(british=british)
        assets = Path(hibari.tts.ASSETS)
        self._vocabulary: dict[str, int] = json.loads((assets / "vocab.json").read_text(encoding="utf-8"))

    def phrases(self, text: str) -> Iterator[Phrase]:
        """Yield what to read at once: sentences, or clauses of a very long one."""
        cursor = 0
        for sentence in hibari.tts.Hibari.split_sentences(text):
            begin = max(cursor, text.find(sentence, cursor))
            cursor = begin + len(sentence)
            spans = [(begin + start, begin + end) for start, end in words(sentence)]
            letters, owners, mapped = self._read(sentence, [text[start:end] for start, end in spans])
            first = 0
            for start, end in _pieces(letters):
                last = len(spans) - 1 if end == len(letters) else owners[end - 1]
                first = min(first, last)
                known = list(zip(letters[start:end], owners[start:end], strict=True))
                if phrase := self._phrase(known, first, tuple(spans[first : last + 1]), mapped=mapped):
                    yield phrase
                    first = last + 1

    def _read(self, sentence: str, written: list[str]) -> tuple[str, list[int], bool]:
        """Phoneme letters, the written word of each, and whether these could be told."""
        normal = normalize(spelt(sentence))
        tokens = self._g2p.phonemize_tokens(self._g2p.tokenize(normal))
        letters: list[str] = []
        spoken_word: list[int] = []
        index = 0
        for token in tokens:
            text = token.phonemes or ""
            letters += text
            spoken_word += [index] * len(text)
            if token.whitespace:
                letters.append(" ")
                spoken_word.append(index)
                index += 1
        spoken = normal.split()
        mapped = bool(written) and index == len(spoken) - 1
        if mapped:
            belongs = matched(written, spoken)
            return "".join(letters), [belongs[word] for word in spoken_word], True
        share = len(written) / max(1, len(letters))
        return "".join(letters), [int(number * share) for number in range(len(letters))], False

    def _phrase(
        self, letters: list[tuple[str, int]], first: int, spans: tuple[Span, ...], *, mapped: bool
    ) -> Phrase | None:
        """What to read for letters with their owners; `first` is the owner that is first in `spans`."""
        known = [(letter, max(0, owner - first)) for letter, owner in letters if letter in self._vocabulary]
        while known and known[0][0] == " ":
            known.pop(0)
        while known and known[-1][0] == " ":
            known.pop()
        if not known:
            return None
        return Phrase(
            ids=(_PAD, *(self._vocabulary[letter] for letter, _ in known), _PAD),
            owners=(-1, *(-1 if letter in _SILENT else owner for letter, owner in known), -1),
            spans=spans,
            mapped=mapped,
        )


def _pieces(letters: str) -> list[tuple[int, int]]:
    """Ranges of at most 400 letters, cut behind clause ends where there are any, else at a space."""
    pieces: list[tuple[int, int]] = []
    start = 0
    while len(letters) - start > _LONGEST:
        window = letters[start : start + _LONGEST]
        clause = max((i + 1 for i, letter in enumerate(window) if letter in _CLAUSE_ENDS), default=0)
        end = start + (clause or window.rfind(" ") + 1 or _LONGEST)
        pieces.append((start, end))
        start = end
    pieces.append((start, len(letters)))
    return pieces
