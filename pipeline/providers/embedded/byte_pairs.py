"""GPT-2's byte pairs: text to token numbers and back, without a tokenizer library."""

from __future__ import annotations

__all__ = ["decode", "encode", "loop_free"]

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


def loop_free(text: str) -> str:
    """Cut a text that says itself again: Whisper does so in a window shorter than it was trained on."""
    words = text.split()
    keys = [re.sub(r"\W", "", word).lower() for word in words]
    for period in range(2, len(words) - 1):
        again = all(keys[i] == keys[i - period] for i in range(period, len(words)))
        if again and not all(key.isdigit() for key in keys):  # "1 2 1 2" is a number that was spelt
            return " ".join(words[:period])
    return text
