"""What `offhook bench` does with a scenario: which runs it takes, what is printed, what is kept."""

from __future__ import annotations

__all__ = [
    "BenchOrder",
    "Findings",
    "carry_out",
    "measure_capacity",
    "measure_embedded_calls",
    "measure_soak",
    "measure_standard",
    "measure_workers",
    "scenario_plan",
]

import asyncio
import platform
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import Any

from .capacity import find_capacity
from .embedded_load import measure_embedded
from .history import History, changes, present_commit
from .plan import BenchPlan, NotCarried
from .report import BenchResult
from .run import run_bench
from .series import RunSeries
from .soak import SoakPlan, soak
from .workers import WorkersResult

FLAT_PERCENT = 15.0
"""So far may the CPU time of a frame pair lie apart between loads."""
STALLS_S = (0.1, 0.3)
STANDARD_LOADS = (100, 250, 400)
STANDARD_SOAK_CALLS = 10_000
SETUPS_PER_S = 10.0
CAPACITY_START, CAPACITY_LIMIT = 100, 2000
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True)
class BenchOrder:
    """What was asked for."""

    plan: BenchPlan
    loads: tuple[int, ...] = (100,)
    """Numbers of calls; the plan is carried out with each of them."""
    runs: int = 1
    parts: bool = False
    """A further pass tells where the CPU time goes."""
    compare: bool = True


@dataclass(slots=True)
class Findings:
    """What came of it."""

    lines: list[str] = field(default_factory=list)
    results: list[dict[str, Any]] = field(default_factory=list)
    passed: bool = True

    def add(self, lines: Iterable[str], result: dict[str, Any], *, passed: bool) -> None:
        """One more part of it."""
        self.lines += ["", *lines] if self.lines else lines
        self.results.append(result)
        self.passed = self.passed and passed


def carry_out(order: BenchOrder, history: History, say: Say = lambda _: None) -> Findings:
    """Measure all of it. Raises OffhookError if something could not be measured."""
    findings = Findings()
    plan = order.plan
    if plan.scenario == "stalls":
        plans = [replace(plan, calls=calls, stall_s=stall_s) for calls in order.loads for stall_s in STALLS_S]
    else:
        plans = [replace(plan, calls=calls) for calls in order.loads]
    results = [_measured(each, order, history, findings, say) for each in plans]
    if len(order.loads) > 1:
        findings.lines += ["", *_by_load(results)]
    return findings


def measure_soak(plan: SoakPlan, history: History, say: Say = lambda _: None) -> Findings:
    """Hold many calls on virtual time, and see what stays of them."""
    findings = Findings()
    result = soak(plan, say=say)
    written = {"scenario": "soak", **result.to_json(), **_circumstances()}
    history.add(written)
    findings.add(result.lines(), written, passed=not result.faults)
    return findings


def measure_embedded_calls(
    calls: int, seconds: float, history: History, say: Say = lambda _: None
) -> Findings:
    """Calls with embedded speech, by callers who say recorded sentences. Raises OffhookError."""
    findings = Findings()
    result = asyncio.run(measure_embedded(calls, seconds, say=say))
    written = {"scenario": "embedded", **result.to_json(), **_circumstances()}
    history.add(written)
    findings.add(result.lines(), written, passed=result.passed)
    return findings


def measure_capacity(order: BenchOrder, history: History, say: Say = lambda _: None) -> Findings:
    """Find the largest number of calls that keeps what is promised. Raises OffhookError."""
    findings = Findings()

    def carries(calls: int) -> bool:
        plan = replace(order.plan, calls=calls)
        try:
            result = RunSeries(tuple(run_bench(plan) for _ in range(order.runs))).result
        except NotCarried as error:
            say(f"{calls:5} calls: not carried, {error}")
            return False
        say(f"{calls:5} calls: {'carried' if result.passed else 'not carried'}, {_in_short(result)}")
        return result.passed

    capacity = find_capacity(carries, start=CAPACITY_START, limit=CAPACITY_LIMIT)
    tried = [list(each) for each in capacity.tried]
    written = {
        "scenario": f"capacity-{order.plan.scenario}",
        "calls": capacity.calls,
        "tried": tried,
        **_circumstances(),
    }
    history.add(written)
    lines = [f"{order.plan.scenario}: {capacity.calls} calls on one core of this machine"]
    findings.add(lines, written, passed=capacity.calls > 0)
    return findings


def measure_workers(order: BenchOrder, history: History, say: Say = lambda _: None) -> Findings:
    """One worker against two, runs of either in turn. Raises OffhookError."""
    plan = replace(order.plan, calls=order.loads[0])
    # As many calls for each worker: what a frame costs falls with the calls of its process.
    both = replace(plan, calls=2 * plan.calls, workers=2)
    pairs = [(run_bench(plan, say=say), run_bench(both, say=say)) for _ in range(order.runs)]
    result = WorkersResult(tuple(one for one, _ in pairs), tuple(two for _, two in pairs))
    written = {"scenario": "workers", **result.to_json(), **_circumstances()}
    history.add(written)
    findings = Findings()
    findings.add(result.lines(), written, passed=not result.faults)
    return findings


def measure_standard(plan: BenchPlan, history: History, say: Say = lambda _: None) -> Findings:
    """Every scenario once, in one table. Raises OffhookError if something could not be measured."""
    findings, table = Findings(), []
    for each in _standard_plans(plan):
        result = _measured(each, BenchOrder(each, compare=False), history, findings, say)
        table.append(f"{_name(each):<12}{each.calls:5} calls  {_in_short(result)}  {_verdict(result.passed)}")
        table += [f"{'':<12}{fault}" for fault in result.faults]
    soaked = measure_soak(SoakPlan(calls_in_all=STANDARD_SOAK_CALLS), history)
    held = soaked.results[0]
    table.append(
        f"{'soak':<12}{held['calls']:5} calls  memory {held['growth']:+.1%}, "
        f"{held['tasks_left']} tasks left  {_verdict(soaked.passed)}"
    )
    return Findings(table, [*findings.results, *soaked.results], findings.passed and soaked.passed)


def scenario_plan(plan: BenchPlan, scenario: str) -> BenchPlan:
    """The plan as this scenario wants it."""
    match scenario:
        case "media" | "workers":
            return replace(plan, scenario="media", vad="off", engine_audio="pcm")
        case "barge-in":
            return replace(plan, scenario="barge-in")
        case "setup":
            return replace(plan, scenario="setup", setups_per_s=plan.setups_per_s or SETUPS_PER_S)
        case "stalls":
            return replace(plan, scenario="stalls", stall_s=plan.stall_s or STALLS_S[0])
        case _:
            return plan


def _standard_plans(plan: BenchPlan) -> list[BenchPlan]:
    media, short = scenario_plan(plan, "media"), replace(plan, seconds=16.0)
    return [
        *(replace(media, calls=calls, seconds=10.0) for calls in STANDARD_LOADS),
        plan,
        scenario_plan(short, "barge-in"),
        scenario_plan(short, "setup"),
        *(replace(scenario_plan(short, "stalls"), stall_s=stall_s) for stall_s in STALLS_S),
    ]


def _name(plan: BenchPlan) -> str:
    return f"stalls {1000 * plan.stall_s:.0f}" if plan.stall_s else plan.scenario


def _verdict(passed: bool) -> str:
    return "met" if passed else "MISSED"


def _measured(
    plan: BenchPlan, order: BenchOrder, history: History, findings: Findings, say: Say
) -> BenchResult:
    series = RunSeries(tuple(run_bench(plan, say=say) for _ in range(order.runs)))
    result = series.result
    lines = series.lines()
    if order.parts:
        sampled = run_bench(replace(plan, parts=True), say=say)
        result = replace(result, parts_us=sampled.parts_us)
        lines += ["", *_parts(result, sampled)]
    written = {**result.to_json(), "spread_percent": series.spread_percent, **_circumstances()}
    before = history.last(written["plan"], written["machine"]) if order.compare else None
    history.add(written)
    if before is not None:
        lines += ["", f"against {before['commit'] or 'the last run'}:"]
        lines += [f"  {change}" for change in changes(before, written)]
        if before["warnings"] or written["warnings"]:
            lines.append("  one of the two bears a warning: what differs may be the machine")
    findings.add(lines, written, passed=result.passed)
    return result


def _parts(result: BenchResult, sampled: BenchResult) -> list[str]:
    whole = sum(sampled.parts_us.values())
    more = 100 * (sampled.cpu_us_per_pair / max(result.cpu_us_per_pair, 1e-9) - 1)
    lines = [f"where the CPU time goes (a pass of its own, {more:+.0f} % with the sampling):"]
    lines += [f"  {name:<26}{us:6.1f} us a pair, {us / whole:4.0%}" for name, us in sampled.parts_us.items()]
    return [*lines, f"  {'all parts':<26}{whole:6.1f} us a pair; measured {sampled.cpu_us_per_pair:.1f}"]


def _by_load(results: list[BenchResult]) -> list[str]:
    costs = [result.cpu_us_per_pair for result in results]
    apart = 100 * (max(costs) / max(min(costs), 1e-9) - 1)
    return [
        *(f"{result.plan.calls:5} calls  {_in_short(result)}" for result in results),
        f"CPU time of a pair is {'flat' if apart <= FLAT_PERCENT else 'NOT flat'}: {apart:.0f} % apart",
    ]


def _in_short(result: BenchResult) -> str:
    return (
        f"{result.cpu_percent:5.1f} % of a core, {result.cpu_us_per_pair:5.1f} us a pair, "
        f"in p99 {result.in_delay.p99_ms:6.2f} ms, out p99 {result.out_delay.p99_ms:6.2f} ms, "
        f"{result.underruns} underruns, {result.memory_per_call_kib:.0f} KiB a call"
    )


def _circumstances() -> dict[str, Any]:
    return {"commit": present_commit(), "machine": platform.node()}
