"""What a few words mean for the floor: nothing, an acknowledgement, an order to stop, or content."""

from __future__ import annotations

__all__ = ["Meaning", "PhraseBook", "is_echo", "normalised"]

import enum
import re
from collections.abc import Iterable, Sequence
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Self

from offhook.config.phrases import BACKCHANNELS, IGNORED, STOP_WORDS, phrases_for
from offhook.config.turn_taking import TurnTaking

_SIGNS = re.compile(r"[^\w' ]+")
_SPACES = re.compile(r"\s+")


def normalised(text: str) -> str:
    """Lower case, hyphens and punctuation as spaces: "Uh-huh." -> "uh huh"."""
    return _SPACES.sub(" ", _SIGNS.sub(" ", text.lower().replace("\u2019", "'"))).strip()


class Meaning(enum.Enum):
    """What words over the agent's speech ask for."""

    NOTHING = "nothing"
    BACKCHANNEL = "backchannel"
    STOP = "stop word"
    CONTENT = "content"


class PhraseBook:
    """The backchannels, stop words and hesitations of one assistant; a phrase in several is a stop word."""

    def __init__(
        self, backchannels: Iterable[str], stop_words: Iterable[str], ignored: Iterable[str] = ()
    ) -> None:
        self._backchannels = _longest_first(tuple(backchannels))
        self._ignored = _longest_first(tuple(ignored))
        self._stop = _longest_first(tuple(stop_words))

    @classmethod
    def of(cls, settings: TurnTaking, language: str) -> Self:
        """The lists of an assistant, or the built-in ones of its language."""
        return cls(
            phrases_for(language, settings.backchannels, BACKCHANNELS),
            phrases_for(language, settings.stop_words, STOP_WORDS),
            phrases_for(language, settings.ignored, IGNORED),
        )

    def meaning(self, text: str) -> Meaning:
        """Judge words of the caller's."""
        said = f" {normalised(text)} "
        if any(f" {stop} " in said for stop in self._stop):
            return Meaning.STOP
        without_backchannels = _without(said, self._backchannels)
        if _without(without_backchannels, self._ignored).strip():
            return Meaning.CONTENT
        return Meaning.BACKCHANNEL if without_backchannels != said else Meaning.NOTHING


def is_echo(said: str, playing: str) -> bool:
    """Say whether the words are, in order and but for a third of them, among those that we are playing."""
    words, ours = normalised(said).split(), normalised(playing).split()
    if not words or not ours:
        return False
    alike = SequenceMatcher(None, words, ours, autojunk=False)
    same = sum(block.size for block in alike.get_matching_blocks())
    return same >= 0.65 * len(words)


@lru_cache(maxsize=256)
def _longest_first(phrases: tuple[str, ...]) -> tuple[str, ...]:
    """One list for all calls of an assistant."""
    return tuple(sorted({normalised(phrase) for phrase in phrases} - {""}, key=len, reverse=True))


def _without(said: str, phrases: Sequence[str]) -> str:
    for phrase in phrases:
        # Each phrase may stand several times: "yeah, yeah, okay".
        while f" {phrase} " in said:
            said = said.replace(f" {phrase} ", " ")
    return said
