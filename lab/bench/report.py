"""What a benchmark run found out, and whether that is what was promised."""

from __future__ import annotations

__all__ = ["BenchResult", "Delay", "result_of"]

import platform
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from offhook.codecs.framing import FRAME_BYTES

from .far_end import NS_PER_BYTE, LoadFigures
from .histogram import DelayHistogram
from .plan import BenchPlan
from .probes import ServedFigures
from .vendor_probes import VendorFigures

DELAY_LIMIT_MS = 20.0
"""In 99 of 100 frames or messages, on the way in and on the way out."""
ANSWER_LIMIT_MS = 25.0
OWN_LIMIT_MS, OWN_P99_LIMIT_MS = 3.0, 15.0
CLEAR_LIMIT_MS, CLEAR_P99_LIMIT_MS = 1.0, 5.0
"""With vendors that answer at once: in half, and in 99 of 100 of all cases."""
TALK_SHARE = 0.7
"""The agents must have spoken for this part of the time, or it was no load."""
OTHERS_LIMIT_PERCENT = 10.0
LOAD_CPU_LIMIT = 0.6
LOAD_LATE_LIMIT_MS = 5.0


@dataclass(frozen=True, slots=True)
class Delay:
    """How long something took, in milliseconds."""

    p50_ms: float
    p99_ms: float
    max_ms: float

    @classmethod
    def of(cls, histogram: DelayHistogram) -> Delay:
        """Sum a histogram up."""
        return cls(histogram.quantile_ms(0.5), histogram.quantile_ms(0.99), histogram.max_ms)

    def __str__(self) -> str:
        return f"p50 {self.p50_ms:.2f}   p99 {self.p99_ms:.2f}   max {self.max_ms:.2f} ms"


@dataclass(frozen=True, slots=True)
class AddedLatency:
    """What bridge and vendors' clients add to vendors that answer at once."""

    answers: int
    answer: Delay
    """From the end of a turn to the first frame written."""
    own: Delay
    """Of that, outside the vendors' clients."""
    clears: int
    clear: Delay
    """From a partial to the `clear` written."""

    @classmethod
    def of(cls, figures: VendorFigures) -> AddedLatency:
        """Sum the histograms up."""
        return cls(
            figures.answer.count,
            Delay.of(figures.answer),
            Delay.of(figures.own),
            figures.clear.count,
            Delay.of(figures.clear),
        )

    def faults(self) -> Iterator[tuple[bool, str]]:
        """What was promised: whether it was kept, and what to say if not."""
        yield self.answers > 0 and self.clears > 0, "no turn was answered, or no answer was cut into"
        yield self.answer.p50_ms <= ANSWER_LIMIT_MS, f"an answer takes {self.answer.p50_ms:.1f} ms in p50"
        yield self.own.p50_ms <= OWN_LIMIT_MS, f"the bridge adds {self.own.p50_ms:.2f} ms in p50"
        yield self.own.p99_ms <= OWN_P99_LIMIT_MS, f"the bridge adds {self.own.p99_ms:.1f} ms in p99"
        yield self.clear.p50_ms <= CLEAR_LIMIT_MS, f"a clear takes {self.clear.p50_ms:.2f} ms in p50"
        yield self.clear.p99_ms <= CLEAR_P99_LIMIT_MS, f"a clear takes {self.clear.p99_ms:.1f} ms in p99"


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

    @property
    def faults(self) -> tuple[str, ...]:
        """What was promised and not kept, in sentences."""
        checks = (
            (self.in_delay.p99_ms < DELAY_LIMIT_MS, f"the way in takes {self.in_delay.p99_ms:.1f} ms in p99"),
            (
                self.out_delay.p99_ms < DELAY_LIMIT_MS,
                f"the way out takes {self.out_delay.p99_ms:.1f} ms in p99",
            ),
            (not self.underruns, f"{self.underruns} underruns were heard"),
            (not self.calls_lost, f"{self.calls_lost} calls were lost"),
            (not self.frames_lost, f"{self.frames_lost} frames were lost"),
            (
                self.answered_interruptions == self.interruptions,
                f"{self.interruptions - self.answered_interruptions} interruptions did not silence the agent",
            ),
            (
                self.talk_share >= TALK_SHARE or self.added is not None,
                f"the agents spoke for {self.talk_share:.0%} of the time only",
            ),
            *(() if self.added is None else self.added.faults()),
        )
        return tuple(fault for kept, fault in checks if not kept)

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
        return tuple(warnings)

    @property
    def passed(self) -> bool:
        """Everything was as promised."""
        return not self.faults

    def to_json(self) -> dict[str, Any]:
        """Everything, as JSON values."""
        return {
            **asdict(self),
            "system": _system(),
            "passed": self.passed,
            "faults": list(self.faults),
            "warnings": list(self.warnings),
        }

    def lines(self) -> list[str]:
        """Everything, for people to read."""
        plan = self.plan
        target = f"{plan.calls} calls on one core, delay in p99 < {DELAY_LIMIT_MS:g} ms, no underrun heard"
        return [
            f"{plan.calls} calls, {self.seconds:.0f} s, {_setting(plan)}",
            _system(),
            "",
            *(f"{name:<18}{value}" for name, value in self._rows().items()),
            *(f"warning: {warning}" for warning in self.warnings),
            "",
            f"{'met' if self.passed else 'MISSED'}: {target}",
            *(f"  {fault}" for fault in self.faults),
        ]

    def _rows(self) -> dict[str, str]:
        cpu = f"{self.cpu_percent:.1f} % of a core, {self.cpu_us_per_pair:.1f} us per frame in and out"
        if self.others_cpu_percent is not None:
            cpu += f"; others took {self.others_cpu_percent:.1f} %"
        noticed = f"{self.underrun_ms:.0f} ms; the bridge noticed {self.bridge_underruns}"
        rows = {
            "server CPU": cpu,
            "delay in": f"{self.in_delay}   (caller's frame to conversation)",
            "delay out": f"{self.out_delay}   (bridge's write to far end)",
            "loop lag": str(self.loop_lag),
            "underruns heard": f"{self.underruns} ({noticed})",
            "memory per call": f"{self.memory_per_call_kib:.0f} KiB",
            "lost": f"{self.frames_lost} frames, {self.calls_lost} calls",
            "agents spoke": f"{self.talk_share:.0%} of the time",
        }
        if self.plan.interrupting_calls:
            silenced = f"{self.answered_interruptions} of {self.interruptions} silenced the agent"
            rows["interruptions"] = f"{silenced}, {self.fell_silent}"
        if (added := self.added) is not None:
            rows["turn to answer"] = f"{added.answer}   ({added.answers}, first frame written)"
            rows["the bridge's own"] = f"{added.own}   (outside the vendors' clients)"
            rows["partial to clear"] = f"{added.clear}   ({added.clears})"
        rows["load generator"] = f"{self.load_cpu_percent:.0f} % of its core, late {self.load_lateness}"
        return rows


def result_of(
    plan: BenchPlan, load: LoadFigures, served: ServedFigures, vendors: VendorFigures | None = None
) -> BenchResult:
    """Put the two sides' figures together."""
    frames_out = load.bytes_in_window / FRAME_BYTES
    pairs = (served.frames_in_window + frames_out) / 2
    spoken_s = load.bytes_in_window * NS_PER_BYTE / 1e9
    return BenchResult(
        plan=plan,
        seconds=served.window_s,
        cpu_percent=100 * served.cpu_s / served.window_s,
        others_cpu_percent=_others_cpu_percent(served),
        cpu_us_per_pair=1e6 * served.cpu_s / max(pairs, 1.0),
        in_delay=Delay.of(served.in_delay),
        out_delay=Delay.of(load.out_delay),
        loop_lag=Delay.of(served.loop_lag),
        underruns=load.underruns,
        underrun_ms=load.underrun_ns / 1e6,
        bridge_underruns=served.bridge_underruns,
        memory_per_call_kib=(served.resident_loaded - served.resident_idle) / 1024 / plan.calls,
        frames_lost=load.frames_sent - served.frames_received,
        calls_lost=load.lost_calls,
        talk_share=spoken_s / served.window_s / plan.calls,
        interruptions=load.interruptions,
        fell_silent=Delay.of(load.fell_silent),
        answered_interruptions=load.answered_interruptions,
        load_cpu_percent=100 * load.cpu_share,
        load_lateness=Delay.of(load.lateness),
        rules=served.rules,
        added=None if plan.vendors is None or vendors is None else AddedLatency.of(vendors),
    )


def _others_cpu_percent(served: ServedFigures) -> float | None:
    if served.core_busy_s is None:
        return None
    return 100 * max(0.0, served.core_busy_s - served.cpu_s) / served.window_s


def _setting(plan: BenchPlan) -> str:
    loop = "uvloop" if plan.uvloop else "asyncio"
    cores = f"server on core {plan.cores.server}, load on {plan.cores.load}" if plan.cores else "not pinned"
    return f"voice activity {plan.vad}, engine audio {plan.engine_audio}, {loop}, {cores}"


def _system() -> str:
    return f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
