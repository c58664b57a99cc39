"""A call's event log as it happens: what was heard, decided, said and done, and when.

The journal only watches. Words of the caller and the agent go to the call's own event sink and
nowhere else; logs never see them.
"""

from __future__ import annotations

__all__ = ["CallJournal"]

from dataclasses import asdict, dataclass
from typing import Any

from .clock import Clock
from .evidence import Activity, CallerTurn, Decided, Evidence, News, Origin, StateChanged, Words
from .playout import Heard
from .ports import CallEvent, EventSink
from .timeline import Timeline

STAGE_EVENTS = {
    "first_token": "model.first-token",
    "first_clause": "reply.first-clause",
    "first_audio": "voice.first-audio",
    "first_frame": "playout.first-frame",
    "first_mark": "playout.first-mark",
}


@dataclass(slots=True)
class SpeculationFigures:
    """What speculation brought and cost in one call."""

    used: int = 0
    dropped: int = 0
    dropped_ms: int = 0
    """Time for which replies were made that nobody heard."""
    dropped_tokens: int = 0

    def add(self, spent_ms: int, tokens: int, *, used: bool) -> None:
        """Count one reply that was prepared."""
        if used:
            self.used += 1
        else:
            self.dropped += 1
            self.dropped_ms += spent_ms
            self.dropped_tokens += tokens


class CallJournal:
    """Writes one call's events, each with its millisecond since the stream began."""

    def __init__(self, sink: EventSink, clock: Clock) -> None:
        self._sink = sink
        self._clock = clock
        self._began = clock.now()
        self._activity: Activity | None = None
        self._media_s = 0.0
        self._heard_at: dict[str, float] = {}
        """Stages of the turn that is being listened to."""
        self._timelines: dict[int, Timeline] = {}
        """By reply; a reply that no turn asked for has none."""
        self._reached: set[tuple[int, str]] = set()
        self._prepared_at = 0.0
        self.speculation = SpeculationFigures()
        self._settled = 0
        """Replies up to this one are over; what their tasks still do is no event."""

    def note(self, kind: str, **data: Any) -> None:
        """Write one event."""
        self._sink.emit(CallEvent(kind, round(self._now() * 1000), data))

    def start(self, assistant: str) -> None:
        """The stream is open."""
        self._began = self._clock.now()
        self.note("call.started", assistant=assistant)

    def end(self, reason: str, figures: dict[str, Any]) -> None:
        """The call is over."""
        self.note("call.ended", reason=reason, **figures, speculation=asdict(self.speculation))

    def observe(self, evidence: Evidence, media_s: float) -> None:
        """Look at evidence on its way to turn-taking."""
        self._media_s = media_s
        if isinstance(evidence, Activity):
            self._observe_activity(evidence)
        elif isinstance(evidence, Words) and evidence.transcript.text:
            transcript = evidence.transcript
            stage = "final" if transcript.final else "partial"
            if stage == "final" or stage not in self._heard_at:
                self._heard_at[stage] = self._now()
            self.note(f"transcript.{stage}", text=transcript.text, utterance=transcript.utterance)

    def _observe_activity(self, activity: Activity) -> None:
        before, self._activity = self._activity, activity
        spoke = before is not None and before.speaking
        if activity.speaking and not spoke:
            self._heard_at.setdefault("onset", self._at_media(activity.onset_s))
            self.note("speech-update", role="caller", status="started", media_ms=_ms(activity.onset_s))
        elif spoke and not activity.speaking:
            self.note("speech-update", role="caller", status="stopped", media_ms=_ms(activity.last_speech_s))

    def decide(self, action: Decided | StateChanged) -> None:
        """Write down a decision of turn-taking."""
        if isinstance(action, StateChanged):
            self.note("state", **{"from": action.before.value, "to": action.after.value, "why": action.why})
        elif action.what == "turn.ended":
            self._turn_ended(action)
        elif action.what == "fault":
            self.note("fault", stage=action.detail, reason=action.why)
        elif action.what.startswith("barge-in"):
            decision = {"decision": action.detail} if action.detail else {}
            self.note(
                action.what, reply=action.reply, why=action.why, media_ms=_ms(self._media_s), **decision
            )
            if action.detail == "resume":
                self._heard_at.clear()
        else:
            self.note(action.what, why=action.why)
            if action.what == "noise":
                self._heard_at.clear()

    def _turn_ended(self, action: Decided) -> None:
        last_sound_s = self._activity.last_speech_s if self._activity else self._media_s
        self._heard_at["last_sound"] = self._at_media(last_sound_s)
        self._heard_at["end_of_turn"] = self._now()
        self.note(
            "turn.ended", turn=action.turn, text=action.detail, reason=action.why, media_ms=_ms(last_sound_s)
        )

    def reply_prepared(self, number: int, origin: CallerTurn) -> None:
        """A reply is being made on speculation."""
        self._prepared_at = self._now()
        self._timelines[number] = timeline = Timeline(origin.number)
        timeline.reach("prepared", self._prepared_at)
        self.note("speculation.started", reply=number, turn=origin.number)

    def speculated(self, number: int, tokens: int, *, used: bool) -> None:
        """What was prepared is used, or was in vain: so much time and so many tokens."""
        spent_ms = round((self._now() - self._prepared_at) * 1000)
        self.note(
            "speculation.used" if used else "speculation.dropped", reply=number, ms=spent_ms, tokens=tokens
        )
        self.speculation.add(spent_ms, tokens, used=used)
        if not used:
            self._timelines.pop(number, None)

    def reply_started(self, number: int, origin: Origin) -> None:
        """A reply is being made."""
        if isinstance(origin, CallerTurn):
            timeline = self._timelines.get(number) or Timeline(origin.number)
            for stage, at_s in self._heard_at.items():
                timeline.reach(stage, at_s)
            self._heard_at.clear()
            self._timelines[number] = timeline
            self.note("reply.started", reply=number, turn=origin.number)
        else:
            purpose = "news" if isinstance(origin, News) else getattr(origin, "purpose", "goodbye")
            self.note("reply.started", reply=number, purpose=purpose)

    def reach(self, stage: str, number: int) -> None:
        """A reply got to a stage; only the first time counts."""
        if number <= self._settled or (number, stage) in self._reached:
            return
        self._reached.add((number, stage))
        self.note(STAGE_EVENTS[stage], reply=number)
        timeline = self._timelines.get(number)
        if timeline is not None:
            timeline.reach(stage, self._now())

    def cancelled(self, heard: Heard, epoch: int) -> None:
        """The caller cut in: this was heard, this was made."""
        self.note(
            "audio.cancelled",
            reply=heard.reply,
            heard_text=heard.text,
            generated_text=heard.generated,
            played_ms=_ms(heard.played_s),
            epoch=epoch,
        )

    def withdrawn(self, number: int) -> None:
        """A reply was taken back before anything of it was heard."""
        self.note("reply.withdrawn", reply=number)
        self._timelines.pop(number, None)
        self._forget(number)

    def reply_ended(self, heard: Heard, interrupted: bool) -> None:
        """A reply is settled."""
        self.note("reply.ended", reply=heard.reply, heard_text=heard.text, interrupted=interrupted)
        timeline = self._timelines.pop(heard.reply, None)
        if timeline is not None:
            self.note("turn.timeline", **timeline.as_data())
        self._forget(heard.reply)

    def _forget(self, reply: int) -> None:
        self._settled = max(self._settled, reply)
        self._reached = {item for item in self._reached if item[0] > reply}

    def _now(self) -> float:
        return self._clock.now() - self._began

    def _at_media(self, media_s: float) -> float:
        """The time of the call at which this point of the caller's audio came in."""
        return self._now() - max(0.0, self._media_s - media_s)


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
