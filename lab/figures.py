"""What a call is judged by: times from the caller's side, and the bridge's stages beside their targets."""

from __future__ import annotations

__all__ = ["Stage", "TurnFigures", "Underrun", "find_underruns", "nearest_rank", "spread", "turn_figures"]

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from offhook.bridge.nearest_rank import nearest_rank

from .bridge_log import BridgeEvent
from .carrier import Gap
from .hearing import FRAME_MS, Sound, Utterance, first_sound_after, response_ms

FIRST_PARTIAL_TARGET_MS = 200
FIRST_TOKEN_TARGET_MS = 400
FIRST_AUDIO_TARGET_MS = 150
TOOL_TARGET_MS = 2000
_LONGEST_UNDERRUN_MS = 1000
"""A longer silence is a pause between two replies, or worse, and shows as such."""
_BOUNDARY_MS = 120


@dataclass(frozen=True, slots=True)
class Stage:
    """One part of a turn, from one moment to another."""

    name: str
    start_ms: int
    end_ms: int
    target_ms: int | None = None

    @property
    def duration_ms(self) -> int:
        """Below zero where a stage was ready before it was due."""
        return self.end_ms - self.start_ms


@dataclass(frozen=True, slots=True)
class TurnFigures:
    """One utterance of the caller's, or one row of keys, and what followed."""

    turn: int
    """Counted from 1."""
    said: str
    last_sound_ms: int
    """The caller's last audible sound or last key, caller media time."""
    response_ms: int | None
    """From there to the first agent audio heard; None if there was no answer before the next utterance."""
    from_decision_ms: int | None
    """From the bridge's end-of-turn decision to the first agent audio heard; None if unknown."""
    stages: tuple[Stage, ...] = ()
    """As the bridge reports them; empty for a bridge that does not."""
    keyed: bool = False
    """Keys were pressed and nothing was said."""


@dataclass(frozen=True, slots=True)
class Underrun:
    """Silence inside a reply that the bridge did not ask for."""

    at_ms: int
    length_ms: int


def turn_figures(
    utterances: Sequence[Utterance], agent: Sequence[Sound], events: Sequence[BridgeEvent]
) -> tuple[TurnFigures, ...]:
    """The figures of every utterance; those of spoken words and of keys may come in any order."""
    utterances = sorted(utterances, key=lambda utterance: utterance.first_sound_ms)
    return tuple(_one_turn(index, utterances, agent, events) for index in range(len(utterances)))


def _one_turn(
    index: int, utterances: Sequence[Utterance], agent: Sequence[Sound], events: Sequence[BridgeEvent]
) -> TurnFigures:
    utterance = utterances[index]
    until = utterances[index + 1].first_sound_ms if index + 1 < len(utterances) else None
    answer = first_sound_after(agent, utterance.last_sound_ms, until)
    # What is decided once the answer is heard is another turn's, such as one the script knows nothing of.
    decided_by = answer.start_ms + FRAME_MS if answer else until
    timeline = _timeline(events, utterance.first_sound_ms, decided_by)
    decided = _moment(timeline, "end_of_turn_ms")
    stages = _stages(utterance, timeline, answer) + _tools(events, utterance.first_sound_ms, until)
    return TurnFigures(
        turn=index + 1,
        said=utterance.text,
        last_sound_ms=utterance.last_sound_ms,
        response_ms=response_ms(utterances, index, agent),
        from_decision_ms=answer.start_ms - decided if answer and decided is not None else None,
        stages=stages,
        keyed=utterance.keyed,
    )


def _timeline(events: Sequence[BridgeEvent], start_ms: int, until_ms: int | None) -> Mapping[str, Any]:
    """The bridge's timeline of the turn that was decided in this stretch; the last if there are several."""
    found: Mapping[str, Any] = {}
    for event in events:
        decided = _moment(event.data, "end_of_turn_ms") if event.type == "turn.timeline" else None
        if decided is not None and start_ms <= decided and (until_ms is None or decided < until_ms):
            found = event.data
    return found


def _stages(utterance: Utterance, timeline: Mapping[str, Any], answer: Sound | None) -> tuple[Stage, ...]:
    moments = {name: _moment(timeline, f"{name}_ms") for name in _MOMENTS}
    moments["first_sound"], moments["last_sound"] = utterance.first_sound_ms, utterance.last_sound_ms
    moments["heard"] = answer.start_ms if answer else None
    decided, audio = moments["end_of_turn"], moments["first_audio"]
    moments["asked"] = decided if moments["prepared"] is None else moments["prepared"]
    moments["ready"] = audio if audio is None or decided is None else max(audio, decided)
    stages = []
    for name, start, end, target_ms in _STAGES:
        start_ms, end_ms = moments[start], moments[end]
        if timeline and start_ms is not None and end_ms is not None:
            stages.append(Stage(name, start_ms, end_ms, target_ms))
    return tuple(stages)


_MOMENTS = (
    "partial", "final", "prepared", "end_of_turn",
    "first_token", "first_clause", "first_audio", "first_frame",
)  # fmt: skip
_STAGES: tuple[tuple[str, str, str, int | None], ...] = (
    ("first partial", "first_sound", "partial", FIRST_PARTIAL_TARGET_MS),
    ("final transcript", "last_sound", "final", None),
    ("end of turn", "last_sound", "end_of_turn", None),
    ("first token", "asked", "first_token", FIRST_TOKEN_TARGET_MS),
    ("first clause", "first_token", "first_clause", None),
    ("first audio", "first_clause", "first_audio", FIRST_AUDIO_TARGET_MS),
    ("first frame sent", "ready", "first_frame", None),
    ("heard by the caller", "first_frame", "heard", None),
)


def _tools(events: Sequence[BridgeEvent], start_ms: int, until_ms: int | None) -> tuple[Stage, ...]:
    asked = {
        event.data.get("id"): event
        for event in events
        if event.type == "function-call"
        and event.at_ms >= start_ms
        and (until_ms is None or event.at_ms < until_ms)
    }
    return tuple(
        Stage(f"tool {call.data.get('name', '')}", call.at_ms, event.at_ms, TOOL_TARGET_MS)
        for event in events
        if event.type == "function-result" and (call := asked.get(event.data.get("id"))) is not None
    )


def find_underruns(
    gaps: Sequence[Gap], utterances: Sequence[Utterance], events: Sequence[BridgeEvent]
) -> tuple[Underrun, ...]:
    """The gaps that lie inside a reply: short, the caller silent, and no reply begun at their end."""
    begun = [event.at_ms for event in events if event.type == "playout.first-frame"]
    found = []
    for gap in gaps:
        end_ms = gap.at_ms + gap.length_ms
        spoken_over = any(u.first_sound_ms < end_ms and u.last_sound_ms > gap.at_ms for u in utterances)
        between = any(gap.at_ms - _BOUNDARY_MS <= moment <= end_ms + _BOUNDARY_MS for moment in begun)
        if gap.length_ms <= _LONGEST_UNDERRUN_MS and not spoken_over and not between:
            found.append(Underrun(gap.at_ms, gap.length_ms))
    return tuple(found)


def _moment(data: Mapping[str, Any], name: str) -> int | None:
    value = data.get(name)
    return round(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def spread(values: Sequence[int]) -> str:
    """p50, p95 and the largest, in words."""
    return (
        f"p50 {nearest_rank(values, 0.5)} ms, p95 {nearest_rank(values, 0.95)} ms, max {max(values)} ms "
        f"of {len(values)}"
    )
