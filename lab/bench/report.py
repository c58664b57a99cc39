"""What a benchmark run found out, and whether that is what was promised."""

from __future__ import annotations

__all__ = ["DELAY_LIMIT_MS", "BenchResult", "system_of"]

import platform
from dataclasses import asdict, dataclass, field
from typing import Any

from .added_latency import AddedLatency
from .calibration import Calibration
from .histogram import Delay
from .plan import BenchPlan
from .runtime_probes import GcFigures
from .setup_result import SetupResult

DELAY_LIMIT_MS = 20.0
"""In 99 of 100 frames or messages, on the way in and on the way out."""
LEAD_S = 0.2
"""So far ahead of what is played the bridge sends (`pipeline/playout.py`)."""
STALLED_BY = "runtime_probes"
TALK_SHARE = 0.7
"""The agents must have spoken for this part of the time, or it was no load."""
OTHERS_LIMIT_PERCENT = 10.0
LOAD_CPU_LIMIT = 0.6
LOAD_LATE_LIMIT_MS = 5.0


@dataclass(frozen=True, slots=True)
class BenchResult:
    """One run's figures."""

    plan: BenchPlan
    seconds: float
    cpu_percent: float
    """Of one core."""
    others_cpu_percent: float | None
    """What other processes took of the server's core; None if that is not known."""
    cpu_us_per_pair: float
    """For one frame in and 20 ms of audio out."""
    in_delay: Delay
    out_delay: Delay
    loop_lag: Delay
    underruns: int
    underrun_ms: float
    bridge_underruns: int
    memory_per_call_kib: float
    frames_lost: int
    """Sent by the callers, and never seen by a conversation."""
    calls_lost: int
    talk_share: float
    interruptions: int
    fell_silent: Delay
    """From an interrupting caller's first sound."""
    answered_interruptions: int
    load_cpu_percent: float
    load_lateness: Delay
    rules: dict[str, int]
    added: AddedLatency | None = None
    """What was added to the vendors' own time, if calls went through their clients."""
    sound_checked: int = 0
    """Pieces of audio that were looked at, at both ends, where every call has its own."""
    sound_wrong: int = 0
    """Of these, not what was sent."""
    sound_out_of_place: int = 0
    """The call's own, but not what came next: left out, doubled, or said beside it (an apology)."""
    calm_after_s: float = 0.0
    """Length of the warm-up: until nobody had heard a gap for a while."""
    calibration: Calibration | None = None
    turns: int = 0
    turn_to_frame: Delay | None = None
    """From the decision that a turn is over to the first frame of its answer written."""
    clears: int = 0
    evidence_to_clear: Delay | None = None
    """From a recogniser's result, or a window of voice activity, to the `clear` written."""
    stale_messages: int = 0
    """Audio that came behind a `clear` while the caller still spoke."""
    collections: GcFigures = field(default_factory=GcFigures)
    memory_growth_kib: float = 0.0
    """Of the server, over the window."""
    stalls: int = 0
    """Of the server's loop, made on purpose."""
    stalls_named: dict[str, int] = field(default_factory=dict)
    """All stalls of the window as the bridge counted them, by kind and by the code that it blames."""
    drift_ms: float = 0.0
    """By how much the audio that the far end had in store changed from the window's beginning to its end."""
    setup: SetupResult | None = None
    """What became of further calls, if they were begun."""
    calls_of_workers: tuple[int, ...] = ()
    """How many calls each server process held in the end."""
    parts_us: dict[str, float] = field(default_factory=dict)
    """CPU time for a frame in and 20 ms out, by part; from a pass of its own."""

    @property
    def faults(self) -> tuple[str, ...]:
        """What was promised and not kept, in sentences."""
        plan = self.plan
        # Who is stalled on purpose is late; a stall beyond the lead is heard once in every reply.
        heard = self.stalls * plan.calls if plan.stall_s >= LEAD_S else 0
        checks = (
            (
                self.in_delay.p99_ms < DELAY_LIMIT_MS or plan.stall_s > 0,
                f"the way in takes {self.in_delay.p99_ms:.1f} ms in p99",
            ),
            (
                self.out_delay.p99_ms < DELAY_LIMIT_MS or plan.stall_s > 0,
                f"the way out takes {self.out_delay.p99_ms:.1f} ms in p99",
            ),
            (self.underruns <= heard, f"{self.underruns} underruns were heard"),
            (
                self._stalls_blamed >= self.stalls,
                f"{self.stalls - self._stalls_blamed} stalls were not blamed on the code that made them",
            ),
            (not self.stale_messages, f"{self.stale_messages} pieces of old audio came behind a clear"),
            *(() if self.setup is None else self.setup.faults()),
            (not self.calls_lost, f"{self.calls_lost} calls were lost"),
            (not self.frames_lost, f"{self.frames_lost} frames were lost"),
            (
                self.answered_interruptions == self.interruptions,
                f"{self.interruptions - self.answered_interruptions} interruptions did not silence the agent",
            ),
            (
                self.talk_share >= TALK_SHARE or self.added is not None or plan.scenario == "barge-in",
                f"the agents spoke for {self.talk_share:.0%} of the time only",
            ),
            (not self.sound_wrong, f"{self.sound_wrong} pieces of audio were not known to be the call's own"),
            (not self.sound_out_of_place, f"{self.sound_out_of_place} pieces of audio were out of place"),
            (
                self.sound_checked > 0 or not plan.own_sound,
                "no piece of audio was looked at whether it is the call's own",
            ),
            *(() if self.added is None else self.added.faults()),
        )
        return tuple(fault for kept, fault in checks if not kept)

    @property
    def _stalls_blamed(self) -> int:
        return sum(count for place, count in self.stalls_named.items() if STALLED_BY in place)

    @property
    def warnings(self) -> tuple[str, ...]:
        """Why the figures may say more of the measurement than of the server."""
        plan, warnings = self.plan, []
        if plan.cores is None:
            warnings.append(
                "This system cannot pin processes to cores: the server may have used more than one."
            )
        elif plan.cores.shared:
            warnings.append("Server and load share one core: the figures are worse than the server.")
        elif (others := self.others_cpu_percent or 0.0) > OTHERS_LIMIT_PERCENT:
            warnings.append(
                f"Other processes took {others:.0f} % of the server's core: "
                "the delays are worse than the server."
            )
        if self.load_cpu_percent > 100 * LOAD_CPU_LIMIT or self.load_lateness.p99_ms > LOAD_LATE_LIMIT_MS:
            warnings.append(
                f"The load generator was the bottleneck ({self.load_cpu_percent:.0f} % of its core, late by "
                f"{self.load_lateness.p99_ms:.1f} ms in p99): do not trust the delays."
            )
        if self.calibration is not None and self.calibration.warning is not None:
            warnings.append(self.calibration.warning)
        return tuple(warnings)

    @property
    def passed(self) -> bool:
        """Everything was as promised."""
        return not self.faults

    def to_json(self) -> dict[str, Any]:
        """Everything, as JSON values."""
        return {
            **asdict(self),
            "system": system_of(),
            "passed": self.passed,
            "faults": list(self.faults),
            "warnings": list(self.warnings),
        }


def system_of() -> str:
    """What the figures were measured with."""
    return f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
