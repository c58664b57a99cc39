"""Deepgram's `/v1/listen`: segments of text that become final one after the other; no I/O.

A segment's results are interim until one is final, and the next segment begins where it ended. `Finalize`
makes the vendor end a segment at once (Deepgram documentation: Finalize).
"""

from __future__ import annotations

__all__ = ["Nova"]

from collections.abc import Mapping
from typing import Any

from offhook.config.speech import TranscriberChoice

from ..ports import Transcript
from .deepgram_audio import CallerAudio
from .deepgram_dialect import EARLY_S, MOST_BYTES, Control, SaidBefore, confidence_of, vendor_error

DEFAULT_MODEL = "nova-3"
ENDPOINTING_MS = 300
KEEP_ALIVE_S = 4.0
"""The vendor closes after 10 s without audio or KeepAlive (Deepgram documentation: Audio Keep Alive)."""
TAKES_KEYTERMS = "nova-3"
"""Older models know `keywords` (Deepgram documentation: Keyterm Prompting)."""


class Nova:
    """One connection's audio, and the words that come back."""

    version = "v1"

    def __init__(
        self, choice: TranscriberChoice, language: str, *, connection: int, begins_at_s: float, now: float
    ) -> None:
        self.query: Mapping[str, Any] = _query(choice, language)
        self.audio = CallerAudio(begins_at_s)
        self._connection = connection
        self._sent_at = now
        self._finalize_at_s: float | None = None
        self._before = SaidBefore()
        self._utterance = 0
        self._sequence = 0
        self._has_words = False

    # ------------------------------------------------------------------ out

    def push(self, audio: bytes, now: float) -> bool:
        """Take the caller's next bytes; they are to be sent at once."""
        del now
        self.audio.push(audio)
        return True

    def speech_paused(self, media_s: float) -> None:
        """Ask for the final words as soon as the audio up to there was sent."""
        self._finalize_at_s = media_s

    def end_utterance(self) -> None:
        """What was said up to now is not to be reported again."""
        self._before.end(self.audio.pushed_s)
        self._utterance += 1
        self._has_words = False

    def next(self, now: float) -> bytes | Control | None:
        """Say what is to be sent now."""
        if self._finalize_at_s is not None and self.audio.taken_s >= self._finalize_at_s - EARLY_S:
            self._finalize_at_s = None
            return Control.FINALIZE
        if self.audio.waiting:
            self._sent_at = now
            return self.audio.take(MOST_BYTES)
        if now >= self.next_deadline() - EARLY_S:
            self._sent_at = now
            return Control.KEEP_ALIVE
        return None

    def next_deadline(self) -> float:
        """Say when the vendor must be told that the line is alive."""
        return self._sent_at + KEEP_ALIVE_S

    # ------------------------------------------------------------------- in

    def read(self, message: Any) -> Transcript | None:
        """Say what a message means; raises ProviderError for the vendor's error message."""
        match message.type:
            case "Results":
                return self._results(message)
            case "Error":
                raise vendor_error(message.variant)
        return None

    def _results(self, message: Any) -> Transcript | None:
        best = message.channel.alternatives[0]
        final = message.is_final is True
        covers_s = self.audio.media_s(float(message.start) + float(message.duration))
        words = [word for word in best.words if not self._is_over(word)]
        text = str(best.transcript).strip()
        if len(words) < len(best.words):
            text = " ".join(str(word.punctuated_word or word.word) for word in words)
        confidence = confidence_of(words)
        until_s = self.audio.media_s(float(words[-1].end)) if words else 0.0
        if not text and not final and not self._has_words:
            return None
        if words:
            self._before.tell(until_s)
        self._has_words = bool(text)
        utterance = self._utterance
        if final:
            self._utterance += 1
            self._has_words = False
        self._sequence += 1
        return Transcript(self._connection, utterance, self._sequence, text, final, covers_s, confidence)

    def _is_over(self, word: Any) -> bool:
        start_s, end_s = self.audio.media_s(float(word.start)), self.audio.media_s(float(word.end))
        return self._before.holds(start_s, end_s)


def _query(choice: TranscriberChoice, language: str) -> dict[str, Any]:
    model = choice.model or DEFAULT_MODEL
    query: dict[str, Any] = {
        "model": model,
        "language": language,
        "encoding": "mulaw",
        "sample_rate": 8000,
        "channels": 1,
        "interim_results": True,
        "smart_format": choice.smart_format,
        "endpointing": ENDPOINTING_MS,
    }
    if choice.keyterms:
        query["keyterm" if model.startswith(TAKES_KEYTERMS) else "keywords"] = list(choice.keyterms)
    return query
