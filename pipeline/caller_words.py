"""What the caller has said so far in this turn: utterances in order, newest text of each."""

from __future__ import annotations

__all__ = ["CallerWords"]

from dataclasses import dataclass
from itertools import takewhile

from .phrases import normalised
from .ports import Transcript, TurnHint

GUESS_BELOW = 0.37
"""Mean log-probability -1: a short utterance below it was no words (see the recogniser)."""
SHORT_S = 0.8
COVERED_WITHIN_S = 0.1
"""A final whose audio ends this much before the last speech still holds the last word."""

LISTENED_WITHIN_S = 0.05
"""Words that may still change are taken for all that was said only if hardly any speech came behind them."""


@dataclass(slots=True)
class _Utterance:
    sequence: int
    text: str
    stable: str
    """The words that two results in a row agree on, or all of a final."""
    final: bool
    covers_s: float
    confidence: float
    kept: _Utterance | None = None
    """Its last final, where more was said since: what remains of it if the recogniser is lost."""


class CallerWords:
    """Collects transcripts into the text of one turn.

    A provider's results carry (connection, utterance, sequence); what is older than what is known,
    or belongs to an utterance that was closed, is dropped and counted.
    """

    def __init__(self) -> None:
        self._utterances: dict[tuple[int, int], _Utterance] = {}
        self._closed: tuple[int, int] = (-1, -1)
        self._before = ""
        self.dropped = 0
        self.hint = TurnHint.NONE
        """What the recogniser thought of the turn with its newest words."""

    def take(self, transcript: Transcript) -> bool:
        """Take a result; False if it is out of date."""
        key = (transcript.connection, transcript.utterance)
        known = self._utterances.get(key)
        if key <= self._closed or (known is not None and transcript.sequence <= known.sequence):
            self.dropped += 1
            return False
        self._forget_lost_connections(transcript)
        self.hint = transcript.turn
        text = transcript.text.strip()
        stable = text if transcript.final else _agreed(known.text, text) if known else ""
        self._utterances[key] = _Utterance(
            transcript.sequence,
            text,
            stable,
            transcript.final,
            transcript.covers_s,
            transcript.confidence,
            kept=None if transcript.final or known is None else known if known.final else known.kept,
        )
        return True

    @property
    def before(self) -> str:
        """The text of a turn that was taken up again."""
        return self._before

    @property
    def text(self) -> str:
        """All words of the turn so far."""
        return self._joined([utterance.text for utterance in self._utterances.values()])

    @property
    def fresh_text(self) -> str:
        """The words since the last reset, without those of a turn that was taken up again."""
        return " ".join(utterance.text for utterance in self._utterances.values() if utterance.text)

    @property
    def stable_text(self) -> str:
        """The words since the last reset that are not going to change."""
        return " ".join(utterance.stable for utterance in self._utterances.values() if utterance.stable)

    @property
    def confidence(self) -> float:
        """That of the least certain utterance with words; 1 without any."""
        return min((item.confidence for item in self._utterances.values() if item.text), default=1.0)

    @property
    def listened_until_s(self) -> float:
        """The recogniser has listened up to here and said what it heard, if only that it heard nothing."""
        return max((item.covers_s for item in self._utterances.values()), default=0.0)

    def is_a_guess(self, speech_s: float) -> bool:
        """The words of so short a stretch of speech are more likely none."""
        return self.confidence < GUESS_BELOW and speech_s < SHORT_S

    def final_until(self, media_s: float) -> bool:
        """All words up to this point of the caller's audio are final."""
        newest = list(self._utterances.values())[-1:]
        return any(item.final and item.covers_s >= media_s - COVERED_WITHIN_S for item in newest)

    def listened_to(self, media_s: float) -> bool:
        """The newest words are made of all speech up to this point of the caller's audio, final or not."""
        newest = list(self._utterances.values())[-1:]
        return any(item.covers_s >= media_s - LISTENED_WITHIN_S for item in newest)

    def reset(self, before: str = "") -> None:
        """Start a new turn; `before` is the text of a turn that is taken up again."""
        if self._utterances:
            self._closed = max(self._utterances)
        self._utterances.clear()
        self._before = before
        self.hint = TurnHint.NONE

    def take_up(self, before: str) -> None:
        """The words so far go on from an earlier turn's text."""
        self._before = before

    def _forget_lost_connections(self, newest: Transcript) -> None:
        """A recogniser that was opened again hears anew whatever had no final.

        What the lost one had understood stands until the new one has words, or has listened as far.
        """
        for key, item in list(self._utterances.items()):
            if key[0] >= newest.connection or item.final:
                continue
            if not newest.text.strip() and newest.covers_s < item.covers_s - COVERED_WITHIN_S:
                continue
            if item.kept is not None:
                self._utterances[key] = item.kept
            else:
                del self._utterances[key]

    def _joined(self, texts: list[str]) -> str:
        return " ".join(text for text in (self._before, *texts) if text)


def _agreed(before: str, now: str) -> str:
    """The leading words of `now` that `before` had as well."""
    pairs = zip(before.split(), now.split(), strict=False)
    agreed = takewhile(lambda pair: normalised(pair[0]) == normalised(pair[1]), pairs)
    return " ".join(word for _, word in agreed)
