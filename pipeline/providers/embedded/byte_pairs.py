"""GPT-2's byte pairs: text to token numbers and back, without a tokenizer library."""

from __future__ import annotations

__all__ = ["decode", "encode", "loop_free", "period"]

import re
from collections.abc import Iterable, Mapping
from itertools import pairwise

_PRINTABLE = [*range(33, 127), *range(161, 173), *range(174, 256)]
_OTHERS = [code for code in range(256) if code not in set(_PRINTABLE)]
_CHARACTERS = {code: chr(code) for code in _PRINTABLE} | {
    code: chr(256 + index) for index, code in enumerate(_OTHERS)
}
"""The character that stands for each byte: itself where it prints, else one above 255 (GPT-2, encoder.py)."""
_BYTES = {character: code for code, character in _CHARACTERS.items()}
_PIECES = re.compile(r"'(?:s|t|re|ve|m|ll|d)| ?[^\W\d_]+| ?\d+| ?[^\s\w]+|\s+")
_WORDS_PER_S = 5.0
"""Fast speech; digits are spelt more slowly."""
_ALWAYS_SAYABLE = 2


def decode(tokens: Iterable[str]) -> str:
    """Text of tokens as the vocabulary writes them; special tokens ("<|...|>") are left out."""
    letters = "".join(token for token in tokens if not token.startswith("<|"))
    return bytes(_BYTES[letter] for letter in letters).decode("utf-8", "ignore")


def encode(text: str, vocabulary: Mapping[str, int]) -> list[int]:
    """Token numbers of a text: merges the adjacent pair of the lowest number until none is a token."""
    numbers: list[int] = []
    for piece in _PIECES.findall(text):
        parts = [_CHARACTERS[code] for code in piece.encode()]
        while len(parts) > 1:
            ranks = [vocabulary.get(a + b, len(vocabulary)) for a, b in pairwise(parts)]
            best = min(ranks)
            if best == len(vocabulary):
                break
            at = ranks.index(best)
            parts[at : at + 2] = [parts[at] + parts[at + 1]]
        numbers += [vocabulary[part] for part in parts if part in vocabulary]
    return numbers


def period(text: str) -> int:
    """After how many words a text says itself again to its end; 0 where it does not.

    Two words again are enough ("what is the time what is"), or one of a single word ("8 8").
    """
    keys = _keys(text)
    for length in range(1, max(2, len(keys) - 1)):
        if len(keys) > length and all(keys[i] == keys[i - length] for i in range(length, len(keys))):
            return length
    return 0


def loop_free(text: str, spoken_s: float) -> str:
    """Cut a text that says itself again: Whisper does so in a window shorter than it was trained on.

    One word over and over, or digits that were spelt ("no no no", "1 2 1 2"), may well have been said: they
    are cut only where `spoken_s` seconds of sound are too short for them.
    """
    length = period(text)
    sayable = length == 1 or all(key.isdigit() for key in _keys(text))
    if length and (not sayable or _is_too_much(text, spoken_s)):
        return " ".join(text.split()[:length]).rstrip(",")
    return text


def _is_too_much(text: str, spoken_s: float) -> bool:
    """Nobody says so many words in the time; a number of several figures ("59", "555") takes that of two."""
    keys = _keys(text)
    words = sum(1 + (key.isdigit() and len(key) > 1) for key in keys)
    return len(keys) > _ALWAYS_SAYABLE and words > spoken_s * _WORDS_PER_S


def _keys(text: str) -> list[str]:
    return [re.sub(r"\W", "", word).lower() for word in text.split()]
