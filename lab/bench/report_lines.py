"""A benchmark's result for people to read."""

from __future__ import annotations

__all__ = ["lines_of"]

from .plan import BenchPlan
from .report import DELAY_LIMIT_MS, BenchResult, system_of


def lines_of(result: BenchResult) -> list[str]:
    """All figures, why they may be doubted, and the verdict."""
    plan = result.plan
    target = f"{plan.calls} calls on one core, delay in p99 < {DELAY_LIMIT_MS:g} ms, no underrun heard"
    return [
        f"{plan.scenario}: {plan.calls} calls, {result.seconds:.0f} s, {_setting(plan)}",
        system_of(),
        "",
        *(f"{name:<28}{value}" for name, value in _rows(result).items()),
        *(f"warning: {warning}" for warning in result.warnings),
        "",
        f"{'met' if result.passed else 'MISSED'}: {target}",
        *(f"  {fault}" for fault in result.faults),
    ]


def _rows(result: BenchResult) -> dict[str, str]:
    cpu = f"{result.cpu_percent:.1f} % of a core, {result.cpu_us_per_pair:.1f} us per frame in and out"
    if result.others_cpu_percent is not None:
        cpu += f"; others took {result.others_cpu_percent:.1f} %"
    noticed = f"{result.underrun_ms:.0f} ms; the bridge noticed {result.bridge_underruns}"
    rows = {
        "server CPU": cpu,
        "delay in": f"{result.in_delay}   (caller's frame to conversation)",
        "delay out": f"{result.out_delay}   (bridge's write to far end)",
        "loop lag": str(result.loop_lag),
        "underruns heard": f"{result.underruns} ({noticed})",
        "memory per call": f"{result.memory_per_call_kib:.0f} KiB",
        "lost": f"{result.frames_lost} frames, {result.calls_lost} calls",
        "agents spoke": f"{result.talk_share:.0%} of the time",
    }
    rows |= _events(result)
    garbage = result.collections
    rows["collections"] = (
        f"{garbage.count}, longest {garbage.longest_ms:.1f} ms, "
        f"{garbage.total_ms / (10 * max(result.seconds, 1e-9)):.2f} % of the time; "
        f"memory grew by {result.memory_growth_kib:.0f} KiB"
    )
    if result.plan.own_sound:
        misplaced = f"{result.sound_wrong} wrong, {result.sound_out_of_place} out of place"
        rows["audio checked"] = f"{result.sound_checked} pieces, {misplaced}"
    rows["warm-up"] = f"{result.calm_after_s:.1f} s until nobody heard a gap"
    if result.calibration is not None:
        rows["calibration"] = f"{result.calibration}"
    rows["load generator"] = f"{result.load_cpu_percent:.0f} % of its core, late {result.load_lateness}"
    return rows


def _events(result: BenchResult) -> dict[str, str]:
    """What happened beside frames coming and going: interruptions, answers, stalls, further calls."""
    plan, rows = result.plan, dict[str, str]()
    if plan.interrupting_calls:
        silenced = f"{result.answered_interruptions} of {result.interruptions} silenced the agent"
        rows["interruptions"] = f"{silenced}, {result.fell_silent}"
        rows["interruptions"] += f"; {result.stale_messages} messages behind a clear"
    if result.added is None and result.turn_to_frame is not None:
        rows["turn to answer"] = f"{result.turn_to_frame}   ({result.turns}, first frame written)"
    if result.added is None and result.evidence_to_clear is not None:
        rows["evidence to clear"] = f"{result.evidence_to_clear}   ({result.clears}, written)"
    if result.stalls:
        named = ", ".join(f"{count} {place}" for place, count in result.stalls_named.items())
        rows["stalls named"] = named or "none"
        made = f"{result.stalls} of {1000 * plan.stall_s:.0f} ms"
        rows["stalls made"] = f"{made}; store at the far end moved by {result.drift_ms:+.1f} ms in the end"
    if result.setup is not None:
        rows |= result.setup.rows()
    if (added := result.added) is not None:
        rows["turn to answer"] = f"{added.answer}   ({added.answers}, first frame written)"
        rows["the bridge's own"] = f"{added.own}   (outside the vendors' clients)"
        rows["partial to clear"] = f"{added.clear}   ({added.clears})"
    return rows


def _setting(plan: BenchPlan) -> str:
    loop = "uvloop" if plan.uvloop else "asyncio"
    cores = f"server on core {plan.cores.server}, load on {plan.cores.load}" if plan.cores else "not pinned"
    return f"voice activity {plan.vad}, engine audio {plan.engine_audio}, {loop}, {cores}"
