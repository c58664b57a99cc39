"""Puts together what the processes of a benchmark found out."""

from __future__ import annotations

__all__ = ["result_of"]

from offhook.codecs.framing import FRAME_BYTES

from .added_latency import AddedLatency
from .histogram import Delay, DelayHistogram
from .load_figures import NS_PER_BYTE, LoadFigures
from .parts import PartFigures
from .plan import BenchPlan
from .probes import ServedFigures
from .report import BenchResult
from .setup_process import SetupFigures
from .setup_result import SetupResult
from .vendor_probes import VendorFigures


def result_of(
    plan: BenchPlan,
    load: LoadFigures,
    served: ServedFigures,
    vendors: VendorFigures | None = None,
    setups: SetupFigures | None = None,
) -> BenchResult:
    """Put the two sides' figures together."""
    frames_out = load.bytes_in_window / FRAME_BYTES
    pairs = (served.frames_in_window + frames_out) / 2
    spoken_s = load.bytes_in_window * NS_PER_BYTE / 1e9
    return BenchResult(
        plan=plan,
        calls_of_workers=tuple(served.calls_of_workers),
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
        calm_after_s=load.calm_after_s,
        turns=0 if vendors is None else vendors.answer.count,
        turn_to_frame=_delay(vendors.answer if vendors else None),
        clears=0 if vendors is None else vendors.clear.count,
        evidence_to_clear=_delay(vendors.clear if vendors else None),
        stale_messages=load.stale_messages,
        collections=served.collections,
        memory_growth_kib=(served.resident_loaded - served.resident_at_begin) / 1024,
        stalls=served.stalls,
        stalls_named=served.stalls_named,
        drift_ms=load.ahead_last.quantile_ms(0.5) - load.ahead_first.quantile_ms(0.5),
        setup=None if setups is None else SetupResult.of(setups),
        parts_us=_parts_us(served.parts, pairs),
        added=None if plan.vendors is None or vendors is None else AddedLatency.of(vendors),
        sound_checked=load.sound.checked + served.sound.checked,
        sound_wrong=load.sound.wrong + served.sound.wrong,
        sound_out_of_place=load.sound.out_of_place,
    )


def _delay(histogram: DelayHistogram | None) -> Delay | None:
    return None if histogram is None or not histogram.count else Delay.of(histogram)


def _parts_us(parts: PartFigures, pairs: float) -> dict[str, float]:
    seconds = {**parts.seconds, "other threads": parts.other_threads_s} if parts.samples else {}
    by_size = sorted(seconds.items(), key=lambda item: -item[1])
    return {name: 1e6 * part_s / max(pairs, 1.0) for name, part_s in by_size}


def _others_cpu_percent(served: ServedFigures) -> float | None:
    if served.core_busy_s is None:
        return None
    return 100 * max(0.0, served.core_busy_s - served.cpu_s) / served.window_s
