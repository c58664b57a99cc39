"""Deepgram's `/v2/listen`: a model that says itself when a turn begins, may be over, goes on, and is over.

(Deepgram documentation: Flux state machine.) StartOfTurn, then Updates, then EndOfTurn; in between, where a
turn may be over, EagerEndOfTurn, and TurnResumed if it was not. The words are final with EndOfTurn. No I/O.
"""

from __future__ import annotations

__all__ = ["Flux"]

from collections.abc import Mapping
from typing import Any

from offhook.config.speech import TranscriberChoice

from ..ports import Transcript, TurnHint
from .deepgram_audio import CallerAudio
from .deepgram_dialect import EARLY_S, MOST_BYTES, Control, SaidBefore, confidence_of, vendor_error

CHUNK_BYTES = 640
"""80 ms, which the vendor advises (Deepgram documentation: Flux quickstart)."""
CHUNK_S = 0.08
IDLE_S = 1.0
"""There is no KeepAlive: after so long without audio the vendor is sent a chunk of silence."""
HINTS: Mapping[str, TurnHint] = {
    "StartOfTurn": TurnHint.STARTED,
    "Update": TurnHint.NONE,
    "EagerEndOfTurn": TurnHint.EAGER,
    "TurnResumed": TurnHint.RESUMED,
    "EndOfTurn": TurnHint.ENDED,
}
MULTILINGUAL = "flux-general-multi"


class Flux:
    """One connection's audio, and the turns that come back."""

    version = "v2"

    def __init__(
        self, choice: TranscriberChoice, language: str, *, connection: int, begins_at_s: float, now: float
    ) -> None:
        self.query: Mapping[str, Any] = _query(choice, language)
        self.audio = CallerAudio(begins_at_s)
        self._connection = connection
        self._sent_at = now
        self._waiting_since: float | None = None
        self._force_end = False
        self._before = SaidBefore()
        self._turn = -1
        self._turn_open = False
        self._words_seen = 0
        self._words_over = 0
        self._utterance = 0
        self._sequence = 0
        self._has_words = False

    # ------------------------------------------------------------------ out

    def push(self, audio: bytes, now: float) -> bool:
        """Take the caller's next bytes; they are sent by chunks."""
        began = self._waiting_since is None
        if began:
            self._waiting_since = now
        self.audio.push(audio)
        return began or self.audio.waiting >= CHUNK_BYTES

    def speech_paused(self, media_s: float) -> None:
        """The model finds out by itself."""

    def end_utterance(self) -> None:
        """What was said up to now is not to be reported again; a turn that is open is ended."""
        self._before.end(self.audio.pushed_s)
        self._words_over = self._words_seen
        self._force_end = self._turn_open
        self._utterance += 1
        self._has_words = False

    def next(self, now: float) -> bytes | Control | None:
        """Say what is to be sent now."""
        if self.audio.waiting >= CHUNK_BYTES:
            return self._chunks(self.audio.waiting // CHUNK_BYTES * CHUNK_BYTES, now)
        if self.audio.waiting and (self._force_end or now >= self._flush_at() - EARLY_S):
            return self._chunks(self.audio.waiting, now)
        if self._force_end:
            self._force_end = False
            return Control.FORCE_END_TURN if self._turn_open else None
        if not self.audio.waiting and now >= self._sent_at + IDLE_S - EARLY_S:
            self._sent_at = now
            return self.audio.silence(CHUNK_BYTES)
        return None

    def next_deadline(self) -> float:
        """Say when audio has waited long enough, or none came for too long."""
        return self._sent_at + IDLE_S if self._waiting_since is None else self._flush_at()

    def _flush_at(self) -> float:
        return (self._waiting_since or 0.0) + CHUNK_S

    def _chunks(self, count: int, now: float) -> bytes:
        self._sent_at = now
        audio = self.audio.take(min(count, MOST_BYTES))
        self._waiting_since = now if self.audio.waiting else None
        return audio

    # ------------------------------------------------------------------- in

    def read(self, message: Any) -> Transcript | None:
        """Say what a message means; raises ProviderError for the vendor's error message."""
        match message.type:
            case "TurnInfo":
                hint = HINTS.get(message.event)
                return None if hint is None else self._turn_info(message, hint)
            case "Error":
                raise vendor_error(message.code)
        return None

    def _turn_info(self, message: Any, hint: TurnHint) -> Transcript | None:
        turn, count = int(message.turn_index), len(message.words)
        words_over = self._words_over if turn == self._turn else 0
        words = [
            word for index, word in enumerate(message.words) if not self._is_over(word, index < words_over)
        ]
        text = str(message.transcript).strip()
        if len(words) < count:
            text = " ".join(str(word.word) for word in words)
        covers_s = self.audio.media_s(float(message.audio_window_end))
        confidence = confidence_of(words)
        until_s = self._end_s(words[-1]) if words else None
        self._enter(turn, words_over, count, hint)
        if count and not words:
            hint = TurnHint.NONE  # it is about what was dealt with
        final = message.event == "EndOfTurn"
        if not text and not final and not self._has_words and hint is TurnHint.NONE:
            return None
        if until_s is not None:
            self._before.tell(until_s)
        utterance = self._utterance
        self._has_words = bool(text) and not final
        self._utterance += final
        self._sequence += 1
        return Transcript(
            self._connection, utterance, self._sequence, text, final, covers_s, confidence, hint
        )

    def _enter(self, turn: int, words_over: int, count: int, hint: TurnHint) -> None:
        """Note where the vendor is; a turn that never had its end is over with the next one's beginning."""
        if turn != self._turn and self._has_words:
            self._utterance += 1
            self._has_words = False
        self._turn, self._words_over, self._words_seen = turn, words_over, count
        self._turn_open = count > 0 and hint is not TurnHint.ENDED

    def _is_over(self, word: Any, counted: bool) -> bool:
        if word.start is None or word.end is None:
            return counted
        start_s, end_s = self.audio.media_s(float(word.start)), self.audio.media_s(float(word.end))
        return self._before.holds(start_s, end_s)

    def _end_s(self, word: Any) -> float | None:
        return None if word.end is None else self.audio.media_s(float(word.end))


def _query(choice: TranscriberChoice, language: str) -> dict[str, Any]:
    query: dict[str, Any] = {"model": choice.model, "encoding": "mulaw", "sample_rate": 8000}
    asked = {
        "eot_threshold": choice.eot_threshold,
        "eager_eot_threshold": choice.eager_eot_threshold,
        "eot_timeout_ms": choice.eot_timeout_ms,
        "keyterm": list(choice.keyterms) or None,
        "language_hint": language.split("-")[0] if choice.model.startswith(MULTILINGUAL) else None,
    }
    return query | {name: value for name, value in asked.items() if value is not None}
