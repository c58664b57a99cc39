"""Which of several sets of example sentences a sentence is most like.

Sentences become vectors of words, of neighbouring pairs of words, and of the words' 4-letter pieces, which
forgive what recognisers misspell. Terms weigh the more, the fewer of the sets hold them (tf-idf; Salton and
Buckley, "Term-weighting approaches in automatic text retrieval", 1988); vectors are compared by cosine.
"""

from __future__ import annotations

__all__ = ["Likeness"]

import math
import re
from collections.abc import Sequence
from itertools import pairwise

import numpy as np

from ...spoken_numbers import digit_readings

_LONGEST_TEXT = 1000
_PIECE_LETTERS = 4

# Found on 60 sentences that are neither examples nor in the tests.
_FUNCTION_WORD_SHARE = 0.3
_UNKNOWN_WORD_SHARE = 1.2
"""Weight of a word of content that no example holds, as a share of the rarest term's."""
_NEIGHBOURS = 3
_NEIGHBOURS_SHARE = 0.3
"""How much the mean of a set's nearest examples counts beside the nearest one."""

_FUNCTION_WORDS = frozenset((
    "a", "actually", "ah", "alright", "also", "am", "an", "and", "are", "at", "be", "been", "but", "by",
    "can", "could", "did", "do", "does", "dont", "for", "from", "great", "guys", "had", "has", "have", "he",
    "her", "here", "hey", "his", "how", "i", "id", "if", "im", "in", "is", "it", "its", "ive", "just",
    "may", "me", "might", "my", "not", "now", "of", "oh", "ok", "okay", "on", "or", "our", "please",
    "really", "right", "s", "she", "should", "so", "sorry", "that", "thats", "the", "their", "then",
    "there", "these", "they", "this", "those", "to", "uh", "um", "was", "we", "well", "were", "what",
    "whats", "when", "where", "wheres", "which", "who", "will", "with", "would", "yeah", "yes", "you",
    "your", "youre",
))  # fmt: skip
"""English words that hold a sentence together or open it, and say little of what it is about."""

_Vector = np.ndarray[tuple[int], np.dtype[np.float64]]


class Likeness:
    """Sets of example sentences, known by their place in the sequence."""

    def __init__(self, sets: Sequence[Sequence[str]]) -> None:
        """Learn the examples."""
        holders: dict[str, set[int]] = {}
        for index, sentences in enumerate(sets):
            for sentence in sentences:
                for term in _terms(sentence):
                    holders.setdefault(term, set()).add(index)
        self._weights = {
            term: (index, _share(term) * (math.log((1 + len(sets)) / len(holders[term])) + 0.1))
            for index, term in enumerate(sorted(holders))
        }
        self._unknown = _UNKNOWN_WORD_SHARE * max(
            (weight for _, weight in self._weights.values()), default=1.0
        )
        self._sets = [np.array([self._vector(sentence) for sentence in sentences]) for sentences in sets]

    def nearest(self, sentence: str) -> tuple[int | None, float]:
        """Give the set that is most like the sentence, None for none at all, and how like it is, 0 to 1."""
        vector = self._vector(sentence)
        best, highest = None, 0.0
        for index, examples in enumerate(self._sets):
            scores = np.sort(examples @ vector)[-_NEIGHBOURS:]
            score = float((1 - _NEIGHBOURS_SHARE) * scores[-1] + _NEIGHBOURS_SHARE * scores.mean())
            if score > highest:
                best, highest = index, score
        return best, highest

    def _vector(self, sentence: str) -> _Vector:
        """Make a vector of length 1, or shorter by the words of content that no example holds."""
        vector = np.zeros(len(self._weights))
        unknown = 0
        for term in _terms(sentence):
            index, weight = self._weights.get(term, (-1, 0.0))
            if index >= 0:
                vector[index] += weight
            elif term.isalnum() and term not in _FUNCTION_WORDS:
                unknown += 1
        length = math.sqrt(float(vector @ vector) + unknown * self._unknown**2)
        return vector / length if length else vector


def _share(term: str) -> float:
    return _FUNCTION_WORD_SHARE if term in _FUNCTION_WORDS else 1.0


def _terms(sentence: str) -> list[str]:
    """Split into words, "pairs of words" and "#pieces" of words of content; all long numbers are one word."""
    plain = digit_readings(sentence[:_LONGEST_TEXT])[0].lower()
    words = re.findall(r"[^\W\d_]+|\d+", re.sub(r"['’]", "", plain))
    words = ["0000" if word.isdigit() and len(word) > 2 else word for word in words]
    terms = [*words, *(f"{first} {second}" for first, second in pairwise(("^", *words, "$")))]
    for word in words:
        if word not in _FUNCTION_WORDS and not word.isdigit():
            bordered = f"<{word}>"
            last = max(1, len(bordered) - _PIECE_LETTERS + 1)
            terms += [f"#{bordered[start : start + _PIECE_LETTERS]}" for start in range(last)]
    return terms
