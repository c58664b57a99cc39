"""An emulated `/v1/listen`: interim and final results of one segment after the other."""

from __future__ import annotations

__all__ = ["V1", "error"]

import uuid

from offhook.pipeline.evidence import Activity

from .deepgram_hearing import WINDOW_S, Hearing
from .deepgram_query import Asked
from .deepgram_wire import Message, Wire
from .world import InsideEngines

DEFAULT_ENDPOINTING_MS = 10.0
IDLE_S = 10.0
"""Without audio or KeepAlive for so long the vendor closes with NET-0001."""


class V1:
    """What the vendor says on one connection; audio and control messages in, results to the wire."""

    idle_s = IDLE_S
    controls = frozenset(("KeepAlive", "Finalize", "CloseStream"))

    def __init__(self, asked: Asked, engines: InsideEngines, wire: Wire) -> None:
        self._asked, self._wire = asked, wire
        self._request_id = str(uuid.uuid4())
        self.hearing = Hearing(
            engines, asked.audio_format, on_activity=self._on_activity, on_words=self._on_words
        )
        endpointing = asked.text("endpointing", str(DEFAULT_ENDPOINTING_MS))
        self._endpointing_s = None if endpointing == "false" else float(endpointing) / 1000
        self._utterance_end_s = asked.number("utterance_end_ms", 0) / 1000
        self._segment_s = 0.0
        """Where the segment began that has no final yet."""
        self._final_wanted_s: float | None = None
        """The words up to here are to be made final, as soon as they are known."""
        self._finalize_s: float | None = None
        """The client asked for final words when so much audio had come."""
        self._asked_to_finalize = False
        self._utterance_ends_s: float | None = None
        self._last_word_end_s = 0.0

    def greet(self) -> None:
        """The vendor says nothing before there is audio."""

    def control(self, name: str) -> None:
        """Take a control message."""
        if name == "Finalize":
            self._finalize_s = self.hearing.received_s - WINDOW_S
            self._finalize(self.hearing.activity)

    def end(self) -> None:
        """The client sends no more: what is known is final, and the last message follows."""
        if self.hearing.words:
            self._send_final()
        self._wire.say(
            {
                "type": "Metadata",
                "transaction_key": "deprecated",
                "request_id": self._request_id,
                "sha256": "0" * 64,
                "created": "2026-01-01T00:00:00.000Z",
                "duration": round(self.hearing.activity.media_s, 3),
                "channels": 1,
            }
        )

    def _finalize(self, now: Activity) -> None:
        """Do what the client asked for, once voice activity has looked at the audio that came before."""
        if self._finalize_s is None or now.media_s < self._finalize_s:
            return
        self._finalize_s = None
        self._asked_to_finalize = True
        self._final_wanted_s = now.last_speech_s
        if not self.hearing.is_final_until(now.last_speech_s):
            self.hearing.settle()
        self._finalise_if_known()

    def _on_activity(self, before: Activity, now: Activity) -> None:
        if now.speaking:
            if not before.speaking and self._asked.text("vad_events") == "true":
                self._wire.say(
                    {"type": "SpeechStarted", "channel": [0], "timestamp": round(now.onset_s, 2)}, "partial"
                )
            if not self._asked_to_finalize:
                self._final_wanted_s = None
            self._utterance_ends_s = None
        elif self.hearing.begins_s is not None and self._is_endpoint(now):
            self._final_wanted_s = now.last_speech_s
            self._finalise_if_known()
        self._finalize(now)
        if self._utterance_ends_s is not None and now.media_s >= self._utterance_ends_s:
            self._utterance_ends_s = None
            last_word_end = round(self._last_word_end_s, 2)
            self._wire.say(
                {"type": "UtteranceEnd", "channel": [0, 1], "last_word_end": last_word_end}, "final"
            )

    def _is_endpoint(self, activity: Activity) -> bool:
        return self._endpointing_s is not None and activity.silence_s >= self._endpointing_s

    def _on_words(self) -> None:
        if not self._finalise_if_known() and self._asked.text("interim_results") == "true":
            self._wire.say(self._results(self.hearing.covers_s, final=False), "partial")

    def _finalise_if_known(self) -> bool:
        wanted_s = self._final_wanted_s
        if wanted_s is None or not self.hearing.is_final_until(wanted_s):
            return False
        self._send_final()
        return True

    def _send_final(self) -> None:
        hearing = self.hearing
        covers_s = hearing.covers_s if hearing.activity.speaking else hearing.activity.media_s
        self._wire.say(self._results(covers_s, final=True), "final")
        if hearing.words:
            self._last_word_end_s = hearing.words[-1].end_s
            if self._utterance_end_s:
                self._utterance_ends_s = self._last_word_end_s + self._utterance_end_s
        self._segment_s = max(self._segment_s, covers_s)
        self._final_wanted_s, self._asked_to_finalize = None, False
        hearing.forget()

    def _results(self, covers_s: float, *, final: bool) -> Message:
        words = self.hearing.words
        confidence = words[0].confidence if words else 0.0
        ended = self._is_endpoint(self.hearing.activity)
        return {
            "type": "Results",
            "channel_index": [0, 1],
            "duration": round(max(0.0, covers_s - self._segment_s), 3),
            "start": round(self._segment_s, 3),
            "is_final": final,
            "speech_final": final and ended,
            "from_finalize": final and self._asked_to_finalize,
            "channel": {
                "alternatives": [
                    {
                        "transcript": self.hearing.text,
                        "confidence": round(confidence, 4),
                        "words": [
                            {
                                "word": word.text.lower().strip(".,?!"),
                                "start": round(word.start_s, 3),
                                "end": round(word.end_s, 3),
                                "confidence": round(word.confidence, 4),
                                "punctuated_word": word.text,
                            }
                            for word in words
                        ],
                    }
                ]
            },
            "metadata": {
                "request_id": self._request_id,
                "model_info": {"name": self._asked.text("model"), "version": "emulated", "arch": "emulated"},
                "model_uuid": str(uuid.UUID(int=0)),
            },
        }


def error(code: str, description: str) -> Message:
    """Make the message that says that the vendor gives up."""
    return {"type": "Error", "variant": code, "description": description}
