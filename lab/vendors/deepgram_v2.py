"""An emulated `/v2/listen`: turns, by the vendor's state machine.

(Deepgram documentation: Flux state machine.) The certainty that a turn is over grows with the silence behind
its words; what the vendor's model hears in a voice is not imitated.
"""

from __future__ import annotations

__all__ = ["V2", "Errors"]

import uuid

from offhook.pipeline.evidence import Activity

from .deepgram_hearing import Hearing
from .deepgram_query import Asked
from .deepgram_wire import Message, Wire
from .world import InsideEngines

UPDATE_EVERY_S = 0.25
END_S_PER_CERTAINTY = 1.0
"""The default threshold, 0.7, is reached after 700 ms of silence."""
EAGER_S_PER_CERTAINTY = 0.6
"""A threshold of 0.5 after 300 ms."""
NOISE_OVER_S = 1.0
"""Sound without words is forgotten after so much silence."""
IDLE_S = 20.0
"""Without audio for so long connections were seen to be closed."""


class _Counter:
    """Numbers the messages of a connection."""

    def __init__(self) -> None:
        self._next = 0

    def next(self) -> int:
        """The next number."""
        self._next += 1
        return self._next - 1


class Errors:
    """Makes the message that says that the vendor gives up."""

    def __init__(self) -> None:
        self.count = _Counter()

    def __call__(self, code: str, description: str) -> Message:
        """Make one; it has the connection's next number."""
        return {"type": "Error", "sequence_id": self.count.next(), "code": code, "description": description}


class V2:
    """What the vendor says on one connection; audio and control messages in, turns to the wire."""

    idle_s = IDLE_S
    controls = frozenset(("ForceEndTurn", "CloseStream"))

    def __init__(self, asked: Asked, engines: InsideEngines, wire: Wire, errors: Errors) -> None:
        self._wire, self._count = wire, errors.count
        self._request_id = str(uuid.uuid4())
        self.hearing = Hearing(
            engines, asked.audio_format, on_activity=self._on_activity, on_words=self._on_words
        )
        self._threshold = asked.number("eot_threshold", 0.7)
        eager = asked.number("eager_eot_threshold", 0)
        self._eager_s = eager * EAGER_S_PER_CERTAINTY if eager else None
        self._timeout_s = asked.number("eot_timeout_ms", 5000) / 1000
        self._turn = 0
        self._began_s = 0.0
        self._open = False
        self._eager = False
        self._force_at_s: float | None = None
        self._said = ""
        self._said_at_s = 0.0

    def greet(self) -> None:
        """Say that the connection is there."""
        self._wire.say(
            {"type": "Connected", "request_id": self._request_id, "sequence_id": self._count.next()}
        )

    def control(self, name: str) -> None:
        """Take a control message."""
        if name == "ForceEndTurn" and self._open:
            self._force_at_s = self.hearing.activity.last_speech_s
            if not self.hearing.is_final_until(self._force_at_s):
                self.hearing.settle()
            self._judge()

    def end(self) -> None:
        """The client sends no more: an open turn is over."""
        if self._open:
            self._end_turn("model")

    def _on_activity(self, before: Activity, now: Activity) -> None:
        del before
        if now.speaking and self._eager:
            self._eager = False
            self._say("TurnResumed")
        self._judge()

    def _on_words(self) -> None:
        text = self.hearing.text
        if text and not self._open:
            self._open = True
            self._say("StartOfTurn")
        elif text != self._said and not self._eager and self._may_update:
            self._say("Update")
        self._judge()

    @property
    def _may_update(self) -> bool:
        return self.hearing.activity.media_s - self._said_at_s >= UPDATE_EVERY_S

    def _judge(self) -> None:
        """See whether the turn is, or may be, over."""
        hearing, silence_s = self.hearing, self.hearing.activity.silence_s
        if not self._open:
            if hearing.begins_s is not None and hearing.is_settled and silence_s >= NOISE_OVER_S:
                hearing.forget()
            return
        if self._force_at_s is not None:
            if hearing.is_final_until(self._force_at_s):
                self._end_turn("manual")
        elif hearing.activity.speaking:
            return
        elif silence_s >= self._timeout_s:
            self._end_turn("timeout")
        elif hearing.is_settled:
            if self._threshold < 1.0 and silence_s >= self._threshold * END_S_PER_CERTAINTY:
                self._end_turn("model")
            elif self._eager_s is not None and not self._eager and silence_s >= self._eager_s:
                self._eager = True
                self._say("EagerEndOfTurn")

    def _end_turn(self, trigger: str) -> None:
        self._say("EndOfTurn", trigger=trigger)
        self._turn += 1
        self._open = self._eager = False
        self._force_at_s = None
        self._said = ""
        self._began_s = self.hearing.activity.media_s
        self.hearing.forget()

    def _say(self, event: str, **more: str) -> None:
        hearing = self.hearing
        self._said, self._said_at_s = hearing.text, hearing.activity.media_s
        certainty = min(0.99, 0.05 if hearing.activity.speaking else hearing.activity.silence_s)
        message: Message = {
            "type": "TurnInfo",
            "request_id": self._request_id,
            "sequence_id": self._count.next(),
            "event": event,
            "turn_index": self._turn,
            "audio_window_start": round(self._began_s, 3),
            "audio_window_end": round(hearing.activity.media_s, 3),
            "transcript": hearing.text,
            "words": [
                {
                    "word": word.text,
                    "confidence": round(word.confidence, 4),
                    "start": round(word.start_s, 3),
                    "end": round(word.end_s, 3),
                }
                for word in hearing.words
            ],
            "end_of_turn_confidence": round(certainty, 4),
            **more,
        }
        self._wire.say(message, "final" if event == "EndOfTurn" else "partial")
