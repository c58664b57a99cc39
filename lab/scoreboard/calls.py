"""Calls made of trials: several of one scenario after another, each with what goes before it."""

from __future__ import annotations

__all__ = ["PlannedCall", "PlannedTrial", "plan_calls"]

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

from ..script import HangUp, Say, Script, Silence, Step, WaitFor
from .corpus import Scenario, Setting, Trial

_BEFORE_S = 0.4
_ANSWER_WITHIN_S = 5.0
_ANSWERED_S = 0.7
_QUESTION_OVER_S = 0.3
_LONGEST_CALL_S = 170.0


@dataclass(frozen=True, slots=True)
class PlannedTrial:
    """A trial and where it stands in its call's script."""

    trial: Trial
    ask_step: int
    """Index of the question before it; -1 where the agent's greeting goes before."""
    step: int
    """Index of what is judged; the question itself where the caller then says nothing."""


@dataclass(frozen=True, slots=True)
class PlannedCall:
    """A call to place."""

    scenario: Scenario
    script: Script
    trials: tuple[PlannedTrial, ...]


def plan_calls(trials: Sequence[Trial]) -> tuple[PlannedCall, ...]:
    """Put the trials of each scenario into as few calls as it allows."""
    groups = [(scenario, list(group)) for scenario, group in groupby(trials, key=lambda each: each.scenario)]
    return tuple(
        _call(scenario, group[start : start + scenario.per_call])
        for scenario, group in groups
        for start in range(0, len(group), scenario.per_call)
    )


def _call(scenario: Scenario, trials: Sequence[Trial]) -> PlannedCall:
    steps: list[Step] = [] if scenario.setting is Setting.GREETING else [Silence(_BEFORE_S)]
    planned = []
    for trial in trials:
        before, judged = list(_before(trial)), len(steps)
        ask = judged if scenario.setting is not Setting.GREETING else -1
        steps += before
        if scenario.setting is not Setting.LISTENING:
            judged = len(steps)
        steps += [trial.step, *_after(trial)]
        planned.append(PlannedTrial(trial, ask, judged))
    steps += [Silence(_BEFORE_S), HangUp()]
    script = Script(tuple(steps), scenario.name, _LONGEST_CALL_S, line=scenario.line)
    return PlannedCall(scenario, script, tuple(planned))


def _before(trial: Trial) -> Iterator[Step]:
    """What leads up to a trial."""
    scenario, cuts_in = trial.scenario, isinstance(trial.step, Say) and trial.step.cut_in_after_s is not None
    if scenario.setting is Setting.GREETING:
        return
    yield Say(scenario.ask)
    if scenario.setting is Setting.LISTENING:
        yield WaitFor("agent_speaks", within_s=_ANSWER_WITHIN_S)
    elif scenario.setting is Setting.SILENT:
        yield WaitFor("agent_silent", _ANSWERED_S, within_s=2 * _ANSWER_WITHIN_S)
    elif scenario.setting is Setting.ASKED and not cuts_in:
        yield WaitFor("agent_silent", _QUESTION_OVER_S, within_s=2 * _ANSWER_WITHIN_S)


def _after(trial: Trial) -> Iterator[Step]:
    """How long the agent is listened to."""
    setting = trial.scenario.setting
    if setting is Setting.SPEAKING:
        yield Silence(trial.scenario.judge_s)
    elif setting in (Setting.SILENT, Setting.ASKED):
        yield WaitFor("agent_speaks", within_s=_ANSWER_WITHIN_S)
        yield WaitFor("agent_silent", _ANSWERED_S, within_s=2 * _ANSWER_WITHIN_S)
    elif setting is Setting.GREETING:
        yield WaitFor("agent_silent", _ANSWERED_S, within_s=2 * _ANSWER_WITHIN_S)
