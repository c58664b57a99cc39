"""What came of each trial, judged by the caller's recording; only turns are told by the bridge's log.

Theory. While the agent answers at length, the recording is laid beside the same answer spoken in full
(`lab.reply_trace`). So "went on" means byte after byte, a pause is where the recording falls behind, and a
stop is where the answer never goes on. An answer is the agent's first sound behind the caller's last.
"""

from __future__ import annotations

__all__ = ["Outcome", "judge_call"]

from dataclasses import dataclass, replace

from ..bridge_log import BridgeEvent
from ..figures import find_underruns
from ..hearing import Utterance, first_sound_after
from ..measured_call import FRAME_MS, MeasuredCall
from ..reply_trace import BYTES_PER_MS, HeldBack, ReplyTrace, trace_reply
from ..word_errors import digits_in
from .calls import PlannedCall, PlannedTrial
from .corpus import Setting, Trial, Wanted

_TELLING = ("barge-in.paused", "barge-in.decided", "turn.ended", "noise")
_ANSWER_WITHIN_MS = 5000
_LONGEST_OWN_PAUSE_MS = 700
"""A reply has pauses of its own."""
_LONGEST_DOUBT_MS = 2500
"""Noise never ends, so the end of listening may find the agent in doubt, which is no stop."""
_EDGE_MS = 100
"""A turn that ended so close to an edge of what was said is not cut off by it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """One trial, as it was heard; times in milliseconds."""

    trial: Trial
    void: str = ""
    """Why nothing can be said of it: the agent was not speaking, or the call broke."""
    stopped: bool = False
    """The agent was silenced and did not go on with what it was saying."""
    stop_ms: int | None = None
    """From the caller's first audible sound to the agent's last."""
    pauses: tuple[HeldBack, ...] = ()
    resumed_after_ms: tuple[int, ...] = ()
    """Of each pause: from the end of the caller's sound to the agent's next."""
    spoke_ms: int = 0
    """How long the agent spoke while it was judged."""
    turns: tuple[str, ...] = ()
    """What the bridge took for turns of the caller's."""
    cut_off: int = 0
    """Turns that ended while the caller was in the middle of saying something."""
    gaps: int = 0
    """Silence within the agent's speech that nobody asked for."""
    response_ms: int | None = None
    reasons: tuple[str, ...] = ()
    """The bridge's own, for whoever looks into it."""

    @property
    def passed(self) -> bool:
        """The agent did what was wanted."""
        wanted = self.trial.scenario.wanted
        if self.void or self.cut_off:
            return False
        if wanted is Wanted.GO_ON and self.trial.scenario.setting is Setting.GREETING:
            return not self.stopped and not self.pauses  # what was said into it is answered afterwards
        if wanted is Wanted.GO_ON:
            return not self.stopped and not self.turns
        if wanted is Wanted.STOP:
            return self.stopped
        return len(self.turns) == 1 and self.response_ms is not None and not self.group_lost

    @property
    def group_lost(self) -> bool:
        """More than one of the digits that were meant is missing from the turn: no mishearing does that."""
        return len(digits_in(" ".join(self.turns))) < len(self.trial.value) - 1

    @property
    def value_heard(self) -> bool | None:
        """Whether the digits that were meant are those of the turn; None where none were meant."""
        return digits_in(" ".join(self.turns)) == self.trial.value if self.trial.value else None


@dataclass(frozen=True, slots=True)
class _Window:
    """The stretch of a call that belongs to one trial."""

    asked_ms: int
    """The end of the question before it."""
    onset_ms: int
    sound_end_ms: int
    """Of what the caller said; `end_ms` where it never ends, or was nothing."""
    end_ms: int

    def holds(self, at_ms: int) -> bool:
        return self.onset_ms < at_ms <= self.end_ms


def judge_call(plan: PlannedCall, call: MeasuredCall, whole_reply: bytes) -> tuple[Outcome, ...]:
    """Judge every trial of a call; `whole_reply` is what the agent says at length, spoken to its end."""
    return tuple(_judge(planned, call, whole_reply) for planned in plan.trials)


def _judge(planned: PlannedTrial, call: MeasuredCall, whole_reply: bytes) -> Outcome:
    trial = planned.trial
    window = _window(planned, call)
    if window is None:
        return Outcome(trial, void="the call ended before it came to this")
    events = [event for event in call.events if window.holds(event.at_ms)]
    asked_about = [u for u in call.utterances if u.step in (planned.ask_step, planned.step)]
    common = Outcome(
        trial,
        turns=tuple(str(event.data.get("text", "")) for event in events if event.type == "turn.ended"),
        cut_off=sum(_cut_off(utterance, call) for utterance in asked_about),
        gaps=sum(window.holds(gap.at_ms) for gap in find_underruns(call.gaps, call.utterances, call.events)),
        reasons=tuple(_reason(event) for event in events if event.type in _TELLING),
    )
    if trial.scenario.wanted is Wanted.ANSWER:
        return _with_answer(common, window, call)
    begin_ms = _reply_begins(window, call)
    recording = bytes(call.heard[begin_ms * BYTES_PER_MS : window.end_ms * BYTES_PER_MS])
    trace = trace_reply(recording, whole_reply)
    may_wait_ms = _ANSWER_WITHIN_MS if trial.scenario.setting is Setting.LISTENING else 0
    if trace is None or begin_ms + trace.begin_ms > window.onset_ms + may_wait_ms:
        return replace(common, void="the agent was not speaking")
    return _with_trace(common, window, trace, begin_ms)


def _window(planned: PlannedTrial, call: MeasuredCall) -> _Window | None:
    """Find the trial's stretch; None if the caller did not come to it."""
    spoken = {each.step: each for each in call.spoken}
    if planned.step not in spoken or (planned.ask_step >= 0 and planned.ask_step not in spoken):
        return None
    audible = {utterance.step: utterance for utterance in call.utterances}
    over = min((each.start_ms for each in call.spoken if each.step > planned.step), default=None)
    end_ms = over if over is not None else len(call.heard) // BYTES_PER_MS
    asked = audible.get(planned.ask_step)
    asked_ms = asked.last_sound_ms if asked else 0
    if planned.step == planned.ask_step:
        answered = [event.at_ms for event in call.of_type("turn.ended") if event.at_ms >= asked_ms]
        return _Window(asked_ms, min(answered, default=asked_ms), end_ms, end_ms)
    said, line = audible.get(planned.step), spoken[planned.step]
    # A click is too short to be heard as a sound of the caller's; it is where its audio begins.
    onset_ms = said.first_sound_ms if said else line.start_ms
    sound_end_ms = said.last_sound_ms if said else line.start_ms + 2 * FRAME_MS
    return _Window(asked_ms, onset_ms, sound_end_ms, end_ms)


def _reply_begins(window: _Window, call: MeasuredCall) -> int:
    """Where the reply to the question begins, so that what was cut off by the question is left out."""
    first_frames = [event.at_ms for event in call.of_type("playout.first-frame")]
    behind = [at_ms for at_ms in first_frames if window.asked_ms <= at_ms < window.end_ms]
    return (
        max(window.asked_ms, (min(behind) - FRAME_MS) // FRAME_MS * FRAME_MS) if behind else window.asked_ms
    )


def _cut_off(utterance: Utterance, call: MeasuredCall) -> int:
    return sum(
        utterance.first_sound_ms + _EDGE_MS < event.at_ms < utterance.last_sound_ms - _EDGE_MS
        for event in call.of_type("turn.ended")
    )


def _with_answer(common: Outcome, window: _Window, call: MeasuredCall) -> Outcome:
    answer = first_sound_after(call.agent, window.sound_end_ms, window.end_ms)
    taken_ms = answer.start_ms - window.sound_end_ms if answer else None
    on_time = taken_ms is not None and taken_ms <= _ANSWER_WITHIN_MS
    return replace(common, response_ms=taken_ms if on_time else None)


def _with_trace(common: Outcome, window: _Window, trace: ReplyTrace, begin_ms: int) -> Outcome:
    """Say what the caller's sound did to the reply."""
    last_ms = begin_ms + trace.end_ms
    pauses = tuple(_moved(pause, begin_ms) for pause in trace.pauses)
    pauses = tuple(pause for pause in pauses if pause.until_ms > window.onset_ms)
    # A window may end in a pause of the reply's own.
    listening = common.trial.scenario.setting is Setting.LISTENING
    margin_ms = _LONGEST_DOUBT_MS if listening else _LONGEST_OWN_PAUSE_MS
    stopped = not trace.finished and last_ms < window.end_ms - margin_ms
    return replace(
        common,
        stopped=stopped,
        stop_ms=max(0, last_ms - window.onset_ms) if stopped else None,
        pauses=pauses,
        resumed_after_ms=tuple(
            max(0, pause.until_ms - window.sound_end_ms)
            for pause in pauses
            if window.sound_end_ms < window.end_ms
        ),
        spoke_ms=max(0, last_ms - max(window.onset_ms, begin_ms + trace.begin_ms)),
    )


def _moved(pause: HeldBack, by_ms: int) -> HeldBack:
    return HeldBack(pause.at_ms + by_ms, pause.until_ms + by_ms, pause.repeated_ms, pause.lost_ms)


def _reason(event: BridgeEvent) -> str:
    told = [str(event.data[name]) for name in ("decision", "why", "text", "reason") if event.data.get(name)]
    return f"{event.at_ms} {event.type}: {', '.join(told)}"
