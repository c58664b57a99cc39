"""What calls on the embedded engines were like, and how many of them a core carries."""

from __future__ import annotations

__all__ = ["EmbeddedResult", "MachineUse", "Spread", "result_of"]

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from ..figures import nearest_rank
from ..word_errors import WordErrors
from .embedded_callers import HeardTurn
from .process_use import ProcessUse

RESPONSE_LIMIT_MS = 1500
"""In 95 of 100 turns, from the caller's last sound to the agent's first."""
WRONG_WORDS = 0.4
"""Of a turn's words: with more of them wrong it is another turn."""
BUSY = 0.8
"""So much of a core may be used before what waits for it waits long."""
OTHERS_LIMIT = 0.1
"""Of a core."""
_MIB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Spread:
    """Milliseconds of something that happened several times; 0 if it never did."""

    p50_ms: int
    p95_ms: int
    max_ms: int

    @classmethod
    def of(cls, values: Sequence[int]) -> Spread:
        """Sum values up."""
        if not values:
            return cls(0, 0, 0)
        return cls(nearest_rank(values, 0.5), nearest_rank(values, 0.95), max(values))

    def __str__(self) -> str:
        return f"p50 {self.p50_ms}   p95 {self.p95_ms}   max {self.max_ms} ms"


@dataclass(frozen=True, slots=True)
class MachineUse:
    """Who took what of the machine while all calls were up."""

    seconds: float
    processes: Mapping[str, ProcessUse]
    """The server and its models; empty if not known."""
    others_cores: float | None
    """Cores that others kept busy, the simulated callers left out; None if not known."""


@dataclass(frozen=True, slots=True)
class EmbeddedResult:
    """One run's figures."""

    calls: int
    seconds: float
    """With all calls up; processor time is of these."""
    turns: int
    """What the callers said."""
    answered: int
    wrong: int
    """Turns that were cut in two, lost, or understood as something else."""
    response: Spread
    """From the caller's last sound to the agent's first."""
    first_partial: Spread
    """From the caller's first sound."""
    final: Spread
    """From the caller's last sound to the final words."""
    partial_step_ms: int
    """Half of all partials came so soon after the one before, or sooner."""
    words_wrong: float
    """Of the words said, by Levenshtein distance."""
    callers_speak: float
    """Share of the time."""
    underruns: int
    cpu_s: Mapping[str, float]
    """By process, for a minute of one call."""
    busy: Mapping[str, float]
    """By process, share of a core."""
    resident_mib: Mapping[str, int]
    """By process."""
    unserved: int
    """Callers who never came to say anything: their call was not taken, or the greeting did not end."""
    late_callers: int
    """Callers whose own frames were late: this machine was too slow for them."""
    others_cores: float | None = None
    """Cores that other programs kept busy meanwhile."""

    @property
    def calls_per_core(self) -> float | None:
        """What a core carries that all processes share, 80 % busy, by processor time; None if not known."""
        total_s = sum(self.cpu_s.values())
        return 60 * BUSY / total_s if total_s else None

    @property
    def faults(self) -> tuple[str, ...]:
        """What a caller would complain about, in sentences."""
        checks = (
            (self.answered == self.turns, f"{self.turns - self.answered} turns had no answer"),
            (not self.wrong, f"{self.wrong} turns were not understood as they were said"),
            (
                self.response.p95_ms <= RESPONSE_LIMIT_MS,
                f"an answer takes {self.response.p95_ms} ms in p95",
            ),
            (not self.underruns, f"{self.underruns} underruns were heard"),
            (not self.unserved, f"{self.unserved} callers could not say anything"),
            (bool(self.turns), "no turn was judged"),
        )
        return tuple(fault for kept, fault in checks if not kept)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Why the times may say more of the machine than of the server; processor time is less touched."""
        warnings = []
        if self.late_callers:
            warnings.append(f"{self.late_callers} callers sent frames late")
        if (others := self.others_cores or 0.0) > OTHERS_LIMIT:
            warnings.append(f"other programs kept {others:.1f} cores busy")
        return tuple(warnings)

    @property
    def passed(self) -> bool:
        """Every caller was served well."""
        return not self.faults

    def to_json(self) -> dict[str, Any]:
        """Everything, as JSON values."""
        return {
            **asdict(self),
            "calls_per_core": self.calls_per_core,
            "passed": self.passed,
            "faults": list(self.faults),
            "warnings": list(self.warnings),
        }

    def lines(self) -> list[str]:
        """Everything, for people to read."""
        target = f"{self.calls} calls, response in p95 <= {RESPONSE_LIMIT_MS} ms, every turn understood"
        return [
            f"{self.calls} calls on the embedded engines, {self.seconds:.0f} s",
            "",
            *(f"{name:<18}{value}" for name, value in self._rows().items()),
            *(f"warning: {warning}" for warning in self.warnings),
            "",
            f"{'met' if self.passed else 'MISSED'}: {target}",
            *(f"  {fault}" for fault in self.faults),
        ]

    def _rows(self) -> dict[str, str]:
        rows = {
            "turns": f"{self.turns}, {self.answered} answered, {self.wrong} wrong",
            "response": f"{self.response}   (last sound to the agent's first)",
            "first partial": str(self.first_partial),
            "final": f"{self.final}   (from the last sound)",
            "partial step": f"{self.partial_step_ms} ms",
            "words wrong": f"{self.words_wrong:.1%}",
            "callers speak": f"{self.callers_speak:.0%} of the time",
            "underruns heard": f"{self.underruns}",
        }
        for name, cpu_s in self.cpu_s.items():
            of_core = f"{self.busy[name]:.0%} of a core"
            rows[name] = f"{cpu_s:.2f} CPU s a call minute, {of_core}, {self.resident_mib[name]} MiB"
        if (carried := self.calls_per_core) is not None:
            rows["a core carries"] = f"{carried:.1f} calls, {BUSY:.0%} busy, by processor time"
        return rows


def result_of(
    calls: int,
    turns: Sequence[HeardTurn],
    use: MachineUse,
    *,
    speaking_share: float,
    underruns: int,
    unserved: int,
    late_callers: int,
) -> EmbeddedResult:
    """Put the figures of all turns together."""
    answers = [turn.figures.response_ms for turn in turns if turn.figures.response_ms is not None]
    partials = [
        stage.duration_ms for turn in turns for stage in turn.figures.stages if stage.name == "first partial"
    ]
    steps = [step for turn in turns for step in turn.steps_ms]
    errors = sum((turn.errors for turn in turns), WordErrors(0, 0, 0, 0))
    return EmbeddedResult(
        calls=calls,
        seconds=use.seconds,
        turns=len(turns),
        answered=len(answers),
        wrong=sum(len(turn.turns) != 1 or turn.errors.rate > WRONG_WORDS for turn in turns),
        response=Spread.of(answers),
        first_partial=Spread.of(partials),
        final=Spread.of([turn.final_ms for turn in turns if turn.final_ms is not None]),
        partial_step_ms=round(median(steps)) if steps else 0,
        words_wrong=errors.rate,
        callers_speak=speaking_share,
        underruns=underruns,
        unserved=unserved,
        cpu_s={name: each.cpu_s / use.seconds * 60 / calls for name, each in use.processes.items()},
        busy={name: each.cpu_s / use.seconds for name, each in use.processes.items()},
        resident_mib={name: each.resident_bytes // _MIB for name, each in use.processes.items()},
        late_callers=late_callers,
        others_cores=use.others_cores,
    )
