"""Every result that this machine has had, and what has changed since the last one of the same plan."""

from __future__ import annotations

__all__ = ["HISTORY", "Change", "History", "changes", "present_commit"]

import json
import shutil
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HISTORY = Path("out/bench/history.jsonl")
NOISE_PERCENT = 5.0
"""Two runs of the same code on a quiet machine lie that far apart."""
NOISE_MS = 0.5
COMMIT_WITHIN_S = 5.0
FIGURES: Mapping[str, tuple[str, ...]] = {
    "CPU per pair, us": ("cpu_us_per_pair",),
    "delay in p99, ms": ("in_delay", "p99_ms"),
    "delay out p99, ms": ("out_delay", "p99_ms"),
    "memory per call, KiB": ("memory_per_call_kib",),
    "underruns": ("underruns",),
}


@dataclass(frozen=True, slots=True)
class Change:
    """One figure, before and now."""

    name: str
    before: float
    now: float
    noise: float
    """So far may two runs of the same code lie apart."""

    def __str__(self) -> str:
        difference = self.now - self.before
        share = f" ({difference / self.before:+.0%})" if self.before else ""
        verdict = "within noise" if abs(difference) <= self.noise else "WORSE" if difference > 0 else "better"
        return f"{self.name:<22}{self.before:9.2f} -> {self.now:9.2f}{share}  {verdict}"


class History:
    """Results as JSON lines."""

    def __init__(self, path: Path = HISTORY) -> None:
        self._path = path

    def last(self, plan: Mapping[str, Any], machine: str) -> dict[str, Any] | None:
        """The newest result of the same plan on the same machine; None if there is none."""
        if not self._path.exists():
            return None
        found = None
        with self._path.open(encoding="utf-8") as lines:
            for line in lines:
                try:
                    result = json.loads(line)
                except ValueError:
                    continue  # a run that was killed while it wrote
                if (
                    isinstance(result, dict)
                    and result.get("plan") == plan
                    and result.get("machine") == machine
                ):
                    found = result
        return found

    def add(self, result: Mapping[str, Any]) -> None:
        """Write one behind the others. Raises OSError."""
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a", encoding="utf-8") as lines:
            lines.write(json.dumps(result) + "\n")


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Change]:
    """What differs; CPU time is scaled by what the same fixed work took around either run."""
    speed = _calibration_us(now) / _calibration_us(before) if _calibration_us(before) else 1.0
    found = []
    for name, path in FIGURES.items():
        old, new = _figure(before, path), _figure(now, path)
        if path == ("cpu_us_per_pair",):
            old *= speed or 1.0
        noise = old * _noise_percent(before, now) / 100
        if path[-1].endswith("_ms"):
            noise = max(noise, NOISE_MS)
        found.append(Change(name, old, new, noise))
    return found


def present_commit() -> str | None:
    """The commit that is checked out here, with a `+` if files were changed since; None outside of git."""
    git = shutil.which("git")
    if git is None:
        return None
    words = [git, "describe", "--always", "--abbrev=12", "--dirty=+"]
    try:
        done = subprocess.run(  # noqa: S603  fixed words; only where git lies is found out
            words, capture_output=True, text=True, timeout=COMMIT_WITHIN_S, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() or None


def _noise_percent(before: Mapping[str, Any], now: Mapping[str, Any]) -> float:
    return max(NOISE_PERCENT, *(float(each.get("spread_percent") or 0.0) for each in (before, now)))


def _calibration_us(result: Mapping[str, Any]) -> float:
    calibration = result.get("calibration") or {}
    return float(calibration.get("before_us", 0.0) + calibration.get("after_us", 0.0)) / 2


def _figure(result: Mapping[str, Any], path: tuple[str, ...]) -> float:
    value: Any = result
    for name in path:
        value = value.get(name, 0) if isinstance(value, Mapping) else 0
    return float(value)
