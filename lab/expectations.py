"""Judges a script's expectations after the call: by the caller's ear, and by the bridge's log where it must.

Who says so: silence, answers and the end of the call are judged by the caller's ear alone. The
agent's words are looked for in what the recogniser hears on the caller's side and in the bridge's
log of what was heard; either is enough, and the verdict names it. Tools leave no sound, so only
the bridge's log tells of them.
"""

from __future__ import annotations

__all__ = ["Evidence", "Verdict", "judge"]

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .agent_words import HeardSpeech
from .bridge_log import BridgeEvent
from .hearing import BargeIn, Sound, Utterance, first_sound_after
from .script import Expect, Say, Script, ToolExpectation
from .twilio.ending import Ending, told_ending

EAR, RECOGNISER, LOG = "the caller's ear", "recogniser on the caller's side", "the bridge's log"


@dataclass(frozen=True, slots=True)
class Verdict:
    """One expectation, and whether it was met."""

    step: int
    """Index in the script."""
    expected: str
    met: bool
    judged_by: str
    detail: str = ""
    """What was seen instead, or when it was seen."""


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything that is known of a call once it is over; times in ms since the stream began."""

    script: Script
    utterances: Sequence[Utterance]
    agent: Sequence[Sound]
    barge_ins: Sequence[BargeIn]
    heard: Sequence[HeardSpeech]
    events: Sequence[BridgeEvent]
    ending: Ending
    duration_ms: int


@dataclass(frozen=True, slots=True)
class _Window:
    """The stretch an expectation is about."""

    start_ms: int
    end_ms: int
    said: Utterance | None
    """The utterance it follows."""
    index: int
    """Of that utterance."""

    @property
    def from_ms(self) -> int:
        return self.said.last_sound_ms if self.said else self.start_ms

    def holds(self, moment_ms: int) -> bool:
        return self.start_ms <= moment_ms <= self.end_ms


def judge(evidence: Evidence) -> tuple[Verdict, ...]:
    """A verdict for every expectation in the script."""
    return tuple(
        verdict
        for step, expect in enumerate(evidence.script.steps)
        if isinstance(expect, Expect)
        for verdict in _judge_step(step, expect, evidence)
    )


def _judge_step(step: int, expect: Expect, evidence: Evidence) -> Iterator[Verdict]:
    window = _window(step, evidence)
    if window is None:
        yield Verdict(step, _describe(expect), False, EAR, "the call ended before the caller came to it")
        return
    if expect.agent_says is not None:
        yield _judge_words(step, expect.agent_says, expect.within_ms, window, evidence)
    if expect.tool_called is not None:
        yield _judge_tool(step, expect.tool_called, expect.within_ms, window, evidence)
    if expect.within_ms is not None and expect.agent_says is None and expect.tool_called is None:
        yield _judge_answer(step, expect.within_ms, window, evidence)
    if expect.agent_silent_within_ms is not None:
        yield _judge_silence(step, expect.agent_silent_within_ms, window, evidence)
    if expect.ended_by is not None:
        detail = told_ending(evidence.ending.by) + (f": {r}" if (r := evidence.ending.reason) else "")
        met = evidence.ending.by == expect.ended_by
        yield Verdict(step, f"ended by {expect.ended_by}", met, EAR, "" if met else detail)


def _window(step: int, evidence: Evidence) -> _Window | None:
    """From the utterance before the step to the one behind it; None if the former was not said."""
    steps = evidence.script.steps
    before = [index for index in range(step) if isinstance(steps[index], Say)]
    by_step = {utterance.step: index for index, utterance in enumerate(evidence.utterances)}
    if before and before[-1] not in by_step:
        return None
    index = by_step[before[-1]] if before else -1
    said = evidence.utterances[index] if before else None
    following = evidence.utterances[index + 1] if index + 1 < len(evidence.utterances) else None
    end_ms = following.first_sound_ms if following else evidence.duration_ms + 5000
    return _Window(said.first_sound_ms if said else 0, end_ms, said, index)


def _judge_words(
    step: int, pattern: re.Pattern[str], within_ms: int | None, window: _Window, evidence: Evidence
) -> Verdict:
    expected = f"agent says /{pattern.pattern}/" + (f" within {within_ms} ms" if within_ms else "")
    sources = (
        (RECOGNISER, [(speech.start_ms, speech.text) for speech in evidence.heard]),
        (LOG, _told_heard(evidence.events)),
    )
    met_by: list[str] = []
    latest = "" if sources[0][1] else "nothing was heard"
    for source, spoken in sources:
        inside = [(at_ms, text) for at_ms, text in spoken if window.holds(at_ms)]
        at_ms = _found_at(pattern, inside)
        if at_ms is None:
            latest = latest or "heard: " + (" ".join(text for _, text in inside) or "nothing")
        elif within_ms is None or at_ms - window.from_ms <= within_ms:
            met_by.append(source)
        else:
            latest = f"only after {at_ms - window.from_ms} ms"
    judged_by = " and ".join(met_by) or " and ".join(source for source, spoken in sources if spoken)
    return Verdict(step, expected, bool(met_by), judged_by or EAR, "" if met_by else latest)


def _found_at(pattern: re.Pattern[str], spoken: Sequence[tuple[int, str]]) -> int | None:
    """When the piece began with which the words so far first match."""
    so_far = ""
    for at_ms, text in spoken:
        so_far = f"{so_far} {text}".strip()
        if pattern.search(so_far):
            return at_ms
    return None


def _told_heard(events: Sequence[BridgeEvent]) -> list[tuple[int, str]]:
    """Each reply's first frame and the words of it that the bridge says were heard."""
    first_frame: dict[Any, int] = {}
    for event in events:
        if event.type == "playout.first-frame":
            first_frame.setdefault(event.data.get("reply"), event.at_ms)
    return [
        (first_frame.get(event.data.get("reply"), event.at_ms), str(event.data.get("heard_text") or ""))
        for event in events
        if event.type == "reply.ended"
    ]


def _judge_tool(
    step: int, tool: ToolExpectation, within_ms: int | None, window: _Window, evidence: Evidence
) -> Verdict:
    arguments = ", ".join(f"{name}={value!r}" for name, value in tool.arguments.items())
    expected = f"tool {tool.name}({arguments})" + (f" within {within_ms} ms" if within_ms else "")
    if not evidence.events:
        return Verdict(step, expected, False, LOG, "this bridge gives no event log")
    calls = [e for e in evidence.events if e.type == "function-call" and window.holds(e.at_ms)]
    matching = [call for call in calls if _is_call(call.data, tool)]
    if not matching:
        seen = "; ".join(f"{c.data.get('name')}({json.dumps(_arguments(c.data))})" for c in calls)
        return Verdict(step, expected, False, LOG, f"called: {seen or 'nothing'}")
    late_ms = matching[0].at_ms - window.from_ms
    met = within_ms is None or late_ms <= within_ms
    return Verdict(step, expected, met, LOG, "" if met else f"only after {late_ms} ms")


def _is_call(data: Mapping[str, Any], tool: ToolExpectation) -> bool:
    arguments = _arguments(data)
    return data.get("name") == tool.name and all(
        str(arguments.get(name)) == str(value) for name, value in tool.arguments.items()
    )


def _arguments(data: Mapping[str, Any]) -> Mapping[str, Any]:
    """The arguments as a mapping, whether the log gives them parsed or as JSON text."""
    arguments = data.get("arguments", {})
    if isinstance(arguments, str):
        try:
            arguments = json.loads(arguments)
        except ValueError:
            return {}
    return arguments if isinstance(arguments, Mapping) else {}


def _judge_answer(step: int, within_ms: int, window: _Window, evidence: Evidence) -> Verdict:
    answer = first_sound_after(evidence.agent, window.from_ms, window.end_ms)
    taken_ms = answer.start_ms - window.from_ms if answer else None
    met = taken_ms is not None and taken_ms <= within_ms
    detail = f"after {taken_ms} ms" if taken_ms is not None else "there was no answer"
    return Verdict(step, f"agent answers within {within_ms} ms", met, EAR, detail)


def _judge_silence(step: int, within_ms: int, window: _Window, evidence: Evidence) -> Verdict:
    expected = f"agent falls silent within {within_ms} ms"
    cut_in = next((b for b in evidence.barge_ins if b.utterance == window.index), None)
    if cut_in is None:
        return Verdict(step, expected, False, EAR, "the agent was not speaking when the caller began")
    if cut_in.stop_ms is None:
        return Verdict(step, expected, False, EAR, "the agent spoke on")
    return Verdict(step, expected, cut_in.stop_ms <= within_ms, EAR, f"after {cut_in.stop_ms} ms")


def _describe(expect: Expect) -> str:
    parts = [
        f"agent says /{expect.agent_says.pattern}/" if expect.agent_says else "",
        f"tool {expect.tool_called.name}" if expect.tool_called else "",
        f"within {expect.within_ms} ms" if expect.within_ms else "",
        f"agent silent within {expect.agent_silent_within_ms} ms" if expect.agent_silent_within_ms else "",
        f"ended by {expect.ended_by}" if expect.ended_by else "",
    ]
    return ", ".join(filter(None, parts))
