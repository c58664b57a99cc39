"""Several runs of one plan, and what they come to: the median, and the worst of what may not happen."""

from __future__ import annotations

__all__ = ["RunSeries", "summed_up"]

from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from statistics import median
from typing import Any, TypeVar

from .report import BenchResult
from .report_lines import lines_of

Value = TypeVar("Value")

WORST = (
    "underruns",
    "underrun_ms",
    "bridge_underruns",
    "frames_lost",
    "calls_lost",
    "sound_wrong",
    "sound_out_of_place",
)
"""Fields that say the highest of all runs."""


@dataclass(frozen=True, slots=True)
class RunSeries:
    """The runs, at least one."""

    runs: tuple[BenchResult, ...]

    @property
    def result(self) -> BenchResult:
        """Their median."""
        return summed_up(self.runs)

    @property
    def spread_percent(self) -> float:
        """How far the runs' CPU time lies apart, of the median."""
        costs = [run.cpu_us_per_pair for run in self.runs]
        return 100 * (max(costs) - min(costs)) / max(median(costs), 1e-9)

    def lines(self) -> list[str]:
        """For people to read: the median, and each run's own in short."""
        lines = lines_of(self.result)
        if len(self.runs) > 1:
            lines += ["", f"median of {len(self.runs)} runs; CPU time within {self.spread_percent:.0f} %:"]
            lines += [f"  {_short(run)}" for run in self.runs]
        return lines


def summed_up(runs: Sequence[BenchResult]) -> BenchResult:
    """One result that stands for all."""
    middle: BenchResult = _middle(runs)
    return replace(
        middle,
        plan=runs[0].plan,
        rules=runs[-1].rules,
        # All of them were asked for; a median of one and a median of the other need not belong together.
        interruptions=sum(run.interruptions for run in runs),
        answered_interruptions=sum(run.answered_interruptions for run in runs),
        **{name: max(getattr(run, name) for run in runs) for name in WORST},
    )


def _middle(values: Sequence[Any]) -> Any:
    """The median of numbers, field by field of what has fields; of other things the first."""
    first = values[0]
    if isinstance(first, bool) or any(value is None for value in values):
        return first
    if is_dataclass(first) and not isinstance(first, type):
        changes = {
            each.name: _middle([getattr(value, each.name) for value in values]) for each in fields(first)
        }
        return replace(first, **changes)
    if isinstance(first, int):
        return round(median(values))
    return median(values) if isinstance(first, float) else first


def _short(run: BenchResult) -> str:
    calibration = "" if run.calibration is None else f", calibration {run.calibration.mean_us:.0f} us"
    return (
        f"{run.cpu_percent:5.1f} % of a core, {run.cpu_us_per_pair:5.1f} us a pair, "
        f"in p99 {run.in_delay.p99_ms:.2f} ms, out p99 {run.out_delay.p99_ms:.2f} ms, "
        f"{run.underruns} underruns{calibration}"
    )
