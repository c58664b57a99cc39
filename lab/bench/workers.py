"""One worker against two: so many calls in one server process, and twice as many in two behind one port.

With a core for each, the load needs a third. Where there are only two, the second worker shares the load's
core, and processor time says what both would carry: what each frame costs with two workers, against one.
"""

from __future__ import annotations

__all__ = ["Seat", "WorkersResult", "one_figure", "seats"]

import os
import secrets
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any, TypeVar

from offhook.bridge.workers.place import WorkerPlace

from .histogram import DelayHistogram
from .plan import Cores
from .report import BenchResult

LEAST_RATIO = 1.8
"""Two workers must carry so many times what one does."""

Figures = TypeVar("Figures")


@dataclass(frozen=True, slots=True)
class Seat:
    """What a server process needs to be one of several workers."""

    place: WorkerPlace
    port: int
    """The port of the first one; 0 for the first one itself."""
    core: int | None
    """Where it runs; None where processes are not pinned."""


@contextmanager
def seats(count: int, cores: Cores | None) -> Iterator[list[Seat]]:
    """Places for so many workers in a folder that is removed afterwards."""
    with TemporaryDirectory(prefix="offhook-bench-") as folder:
        key, secret = secrets.token_bytes(32), secrets.token_urlsafe(16)
        yield [
            Seat(WorkerPlace(index, str(Path(folder) / f"{index}.sock"), secret, key), 0, core)
            for index, core in zip(range(count), _cores(count, cores), strict=True)
        ]


def _cores(count: int, cores: Cores | None) -> Sequence[int | None]:
    """A core for each worker; where there are too few beside the load's, one shares that."""
    if cores is None:
        return [None] * count
    # The load's core comes last.
    there = sorted(os.sched_getaffinity(0), key=lambda core: (core == cores.load, -core))
    return [there[index % len(there)] for index in range(count)]


def one_figure(figures: Sequence[Figures]) -> Figures:
    """The figures of several processes as those of one: counts, delays and CPU time are added up.

    Times of the window and of a shared core are those of the longest.
    """
    first: Any = figures[0]
    longest = {"window_s", "core_busy_s", "longest_ms", "measuring"}
    names = [field.name for field in fields(first)]
    values = {name: [getattr(each, name) for each in figures] for name in names}
    whole: Figures = replace(first, **{name: _one(name in longest, values[name]) for name in names})
    return whole


def _one(longest: bool, values: list[Any]) -> Any:
    first = values[0]
    if any(value is None for value in values):
        return None
    if isinstance(first, DelayHistogram):
        return DelayHistogram.of_all(values)
    if isinstance(first, dict):
        return dict(sum((Counter(value) for value in values), Counter()))
    if isinstance(first, list):
        return [item for value in values for item in value]
    if is_dataclass(first):
        return one_figure(values)
    return max(values) if longest else sum(values)


@dataclass(frozen=True, slots=True)
class WorkersResult:
    """Runs with one worker and runs with two, in turn."""

    one: tuple[BenchResult, ...]
    two: tuple[BenchResult, ...]

    @property
    def ratio(self) -> float:
        """How many times one worker's calls two would carry, each on a core of its own."""
        return 2 * _cost_us(self.one) / _cost_us(self.two)

    @property
    def faults(self) -> tuple[str, ...]:
        """What was promised and not kept."""
        faults = [fault for result in (*self.one, *self.two) for fault in result.faults]
        if self.ratio < LEAST_RATIO:
            faults.append(f"two workers carry {self.ratio:.2f} times what one does")
        if not all(result.calls_of_workers and min(result.calls_of_workers) > 0 for result in self.two):
            faults.append("a worker got no call")
        return tuple(faults)

    def lines(self) -> list[str]:
        """For people to read."""
        plan = self.one[0].plan
        spread = ", ".join(" and ".join(map(str, result.calls_of_workers)) for result in self.two)
        runs = f"{plan.seconds:.0f} s, medians of {len(self.one)} runs of each in turn"
        two_us = _cost_us(self.two)
        return [
            f"workers: {plan.calls} calls a worker, {runs}",
            f"one worker    {_cost_us(self.one):5.1f} us of CPU per frame in and out",
            f"two workers   {two_us:5.1f} us; calls of each: {spread}",
            f"two carry     {self.ratio:.2f} times what one does, as far as processor time says",
            "On two cores the load generator needs one, which the second worker shared: no run of two full",
            "cores. Workers share nothing but the file that each call's begin and end are noted in.",
            f"{'MISSED' if self.faults else 'met'}: {LEAST_RATIO:g} times, no frame lost or wrong",
            *(f"  {fault}" for fault in self.faults),
        ]

    def to_json(self) -> dict[str, Any]:
        """As JSON values."""
        return {
            "ratio": self.ratio,
            "one_us_per_pair": [result.cpu_us_per_pair for result in self.one],
            "two_us_per_pair": [result.cpu_us_per_pair for result in self.two],
            "calls_of_workers": [list(result.calls_of_workers) for result in self.two],
            "calls": self.one[0].plan.calls,
            "faults": list(self.faults),
        }


def _cost_us(results: Sequence[BenchResult]) -> float:
    return median(result.cpu_us_per_pair for result in results)
