"""The figures of a round, and whether they are better or worse than those of the last one."""

from __future__ import annotations

__all__ = ["FIGURES", "Board", "Figure", "board_of", "verdict"]

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from ..figures import nearest_rank
from .corpus import Part, Wanted
from .outcome import Outcome

Outcomes = Sequence[Outcome]


@dataclass(frozen=True, slots=True)
class Figure:
    """One row of the board: less is better in all of them."""

    name: str
    unit: str
    target: float | None
    band: float
    """A difference up to here is noise."""
    of: Callable[[Outcomes], float | None]
    """The value; None where no trial tells it."""


@dataclass(frozen=True, slots=True)
class Board:
    """A whole round, as plain values."""

    figures: Mapping[str, Mapping[str, float | None]]
    """By part, then by the figure's name."""
    scenarios: Mapping[str, Mapping[str, int]]
    """By name: `passed`, `void` and `count`."""
    outcomes: tuple[Mapping[str, Any], ...]
    """Every trial."""

    @property
    def passed(self) -> bool:
        """Every trial did what was wanted and every target is met, in both parts."""
        met = all(
            figure.target is None or (value := figures.get(figure.name)) is None or value <= figure.target
            for figures in self.figures.values()
            for figure in FIGURES
        )
        return met and all(counts["passed"] == counts["count"] for counts in self.scenarios.values())

    def to_json(self) -> dict[str, Any]:
        """The same as JSON types."""
        return asdict(self)


def board_of(outcomes: Outcomes) -> Board:
    """Add up what came of the trials."""
    figures = {}
    for part in Part:
        of_part = [outcome for outcome in outcomes if outcome.trial.part is part]
        figures[part.value] = {figure.name: figure.of(of_part) for figure in FIGURES}
    names = list(dict.fromkeys(outcome.trial.scenario.name for outcome in outcomes))
    scenarios = {}
    for name in names:
        those = [outcome for outcome in outcomes if outcome.trial.scenario.name == name]
        scenarios[name] = {
            "passed": sum(outcome.passed for outcome in those),
            "void": sum(bool(outcome.void) for outcome in those),
            "count": len(those),
        }
    return Board(figures, scenarios, tuple(_plain(outcome) for outcome in outcomes))


def verdict(figure: Figure, now: float | None, last: float | None) -> Literal["", "same", "better", "worse"]:
    """Compare a figure with the last one; empty where either is unknown."""
    if now is None or last is None:
        return ""
    if abs(now - last) <= figure.band:
        return "same"
    return "better" if now < last else "worse"


def _plain(outcome: Outcome) -> Mapping[str, Any]:
    trial = outcome.trial
    return {
        "scenario": trial.scenario.name,
        "kind": trial.scenario.kind,
        "part": trial.part.value,
        "said": trial.label,
        "wanted": trial.scenario.wanted.value,
        "passed": outcome.passed,
        "void": outcome.void,
        "stopped": outcome.stopped,
        "stop_ms": outcome.stop_ms,
        "pauses": [asdict(pause) for pause in outcome.pauses],
        "resumed_after_ms": list(outcome.resumed_after_ms),
        "spoke_ms": outcome.spoke_ms,
        "turns": list(outcome.turns),
        "value_heard": outcome.value_heard,
        "group_lost": outcome.group_lost,
        "cut_off": outcome.cut_off,
        "gaps": outcome.gaps,
        "response_ms": outcome.response_ms,
        "reasons": list(outcome.reasons),
    }


def _wanting(outcomes: Outcomes, wanted: Wanted) -> list[Outcome]:
    return [outcome for outcome in outcomes if outcome.trial.scenario.wanted is wanted and not outcome.void]


def _of_kind(outcomes: Outcomes, kind: str) -> list[Outcome]:
    return [outcome for outcome in outcomes if outcome.trial.scenario.kind == kind and not outcome.void]


def _count(outcomes: Outcomes, counted: Callable[[Outcome], float]) -> float | None:
    return sum(map(counted, outcomes)) if outcomes else None


def _rank(values: Sequence[int], share: float) -> float | None:
    return nearest_rank(values, share) if values else None


def _stops(outcomes: Outcomes) -> list[int]:
    stops = [outcome.stop_ms for outcome in _wanting(outcomes, Wanted.STOP)]
    return [stop for stop in stops if stop is not None]


def _responses(outcomes: Outcomes) -> list[int]:
    responses = [outcome.response_ms for outcome in _of_kind(outcomes, "answers")]
    return [response for response in responses if response is not None]


def _resumed(outcomes: Outcomes) -> list[int]:
    return [after for outcome in _wanting(outcomes, Wanted.GO_ON) for after in outcome.resumed_after_ms]


def _pauses_a_minute(outcomes: Outcomes, name: str) -> float | None:
    """Of all scenarios whose name begins so."""
    those = [o for o in outcomes if o.trial.scenario.name.startswith(name) and not o.void]
    minutes = sum(outcome.spoke_ms for outcome in those) / 60_000
    return round(sum(len(o.pauses) + o.stopped for o in those) / minutes, 1) if minutes else None


def _most(outcomes: Outcomes, of_pause: Callable[[Any], int]) -> float | None:
    pauses = [pause for outcome in _wanting(outcomes, Wanted.GO_ON) for pause in outcome.pauses]
    return max(map(of_pause, pauses), default=None)


def _not_one_turn(outcomes: Outcomes) -> float | None:
    return _count(_of_kind(outcomes, "numbers"), lambda o: len(o.turns) != 1)


def _unanswered(outcomes: Outcomes) -> float | None:
    return _count(_wanting(outcomes, Wanted.ANSWER), lambda o: o.response_ms is None)


FIGURES: tuple[Figure, ...] = (
    Figure(
        "false stops, not resumed", "", 0, 0, lambda o: _count(_wanting(o, Wanted.GO_ON), lambda e: e.stopped)
    ),
    Figure(
        "false stops, resumed",
        "",
        None,
        1,
        lambda o: _count(_wanting(o, Wanted.GO_ON), lambda e: len(e.pauses)),
    ),
    Figure("resumed after the sound's end, p50", "ms", None, 60, lambda o: _rank(_resumed(o), 0.5)),
    Figure("resumed after the sound's end, longest", "ms", 700, 100, lambda o: _rank(_resumed(o), 1.0)),
    Figure("repeated on resume, most", "ms", 600, 60, lambda o: _most(o, lambda pause: pause.repeated_ms)),
    Figure("lost on resume, most", "ms", 20, 0, lambda o: _most(o, lambda pause: pause.lost_ms)),
    Figure("needless pauses a minute, café", "", 2, 0.5, lambda o: _pauses_a_minute(o, "café")),
    Figure("needless pauses a minute, keyboard", "", 0, 0, lambda o: _pauses_a_minute(o, "keyboard")),
    Figure("needless pauses a minute, breathing", "", None, 0.5, lambda o: _pauses_a_minute(o, "breathing")),
    Figure("needless pauses a minute, click", "", 0, 0, lambda o: _pauses_a_minute(o, "click")),
    Figure("needless pauses a minute, beep", "", 0, 0, lambda o: _pauses_a_minute(o, "beep")),
    Figure("needless pauses a minute, echo", "", 0, 0, lambda o: _pauses_a_minute(o, "echo")),
    Figure("missed stops", "", 0, 0, lambda o: _count(_wanting(o, Wanted.STOP), lambda e: not e.stopped)),
    Figure("stop time, p50", "ms", 200, 40, lambda o: _rank(_stops(o), 0.5)),
    Figure("stop time, p95", "ms", 350, 60, lambda o: _rank(_stops(o), 0.95)),
    Figure("turns cut off", "", 0, 0, lambda o: _count(o, lambda e: e.cut_off)),
    Figure("numbers that were not one turn", "", 0, 0, _not_one_turn),
    Figure(
        "numbers that lost a group",
        "",
        0,
        0,
        lambda o: _count(_of_kind(o, "numbers"), lambda e: e.group_lost),
    ),
    Figure(
        "numbers with a wrong digit",
        "",
        None,
        0,
        lambda o: _count(_of_kind(o, "numbers"), lambda e: e.value_heard is False),
    ),
    Figure("invented turns", "", 0, 0, lambda o: _count(_of_kind(o, "noise"), lambda e: len(e.turns))),
    Figure(
        "unanswered", "", 0, 0, lambda o: _count(_wanting(o, Wanted.ANSWER), lambda e: e.response_ms is None)
    ),
    Figure("response, p50", "ms", 900, 60, lambda o: _rank(_responses(o), 0.5)),
    Figure("response, p95", "ms", None, 120, lambda o: _rank(_responses(o), 0.95)),
    Figure("gaps", "", 0, 0, lambda o: _count(o, lambda e: e.gaps)),
)
"""Every row, in the order of the table."""
