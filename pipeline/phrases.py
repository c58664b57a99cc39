"""What a few words mean for the floor: nothing, an acknowledgement, an order to stop, or content."""

from __future__ import annotations

__all__ = ["Meaning", "PhraseBook", "normalised"]

import enum
import re
from collections.abc import Iterable

_SIGNS = re.compile(r"[^\w' ]+")
_SPACES = re.compile(r"\s+")


def normalised(text: str) -> str:
    """Lower case, hyphens and punctuation as spaces: "Uh-huh." -> "uh huh"."""
    return _SPACES.sub(" ", _SIGNS.sub(" ", text.lower())).strip()


class Meaning(enum.Enum):
    """What words over the agent's speech ask for."""

    NOTHING = "nothing"
    BACKCHANNEL = "backchannel"
    STOP = "stop word"
    CONTENT = "content"


class PhraseBook:
    """The backchannels and stop words of one assistant."""

    def __init__(self, backchannels: Iterable[str], stop_words: Iterable[str]) -> None:
        self._backchannels = sorted(
            {normalised(phrase) for phrase in backchannels} - {""}, key=len, reverse=True
        )
        self._stop = [f" {normalised(phrase)} " for phrase in stop_words if normalised(phrase)]

    def meaning(self, text: str) -> Meaning:
        """Judge words that were said over the agent."""
        rest = f" {normalised(text)} "
        if not rest.strip():
            return Meaning.NOTHING
        if any(stop in rest for stop in self._stop):
            return Meaning.STOP
        for phrase in self._backchannels:
            # Each phrase may stand several times: "yeah, yeah, okay".
            while f" {phrase} " in rest:
                rest = rest.replace(f" {phrase} ", " ")
                rest = f" {rest.strip()} " if rest.strip() else " "
        return Meaning.CONTENT if rest.strip() else Meaning.BACKCHANNEL
