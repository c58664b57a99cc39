"""Figures of several server processes as those of one, and what two workers are worth."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest

from offhook.lab.bench.load_figures import LoadFigures
from offhook.lab.bench.plan import BenchPlan, Cores
from offhook.lab.bench.probes import ServedFigures
from offhook.lab.bench.report import BenchResult
from offhook.lab.bench.served_process import Served
from offhook.lab.bench.summing_up import result_of
from offhook.lab.bench.vendor_probes import VendorFigures
from offhook.lab.bench.workers import WorkersResult, one_figure, seats

PLAN = BenchPlan(calls=100)


def served(delays_ms: list[float], **fields: object) -> ServedFigures:
    figures = ServedFigures(**fields)  # type: ignore[arg-type]
    for delay_ms in delays_ms:
        figures.in_delay.add(round(delay_ms * 1e6))
    return figures


def result(cpu_s: float, *calls: int) -> BenchResult:
    figures = ServedFigures(cpu_s=cpu_s, window_s=1.0, frames_in_window=5000, calls_of_workers=list(calls))
    return result_of(PLAN, LoadFigures(bytes_in_window=160 * 5000), figures)


def test_counts_delays_and_processor_time_add_up() -> None:
    one = Served(
        served([1.0, 2.0], frames_received=10, cpu_s=0.5, window_s=4.0, rules={"a": 1}), VendorFigures()
    )
    other = Served(
        served([9.0], frames_received=5, cpu_s=0.25, window_s=4.1, rules={"a": 2, "b": 1}), VendorFigures()
    )
    one.figures.collections.longest_ms, other.figures.collections.longest_ms = 3.0, 2.0
    whole = one_figure([one, other]).figures
    assert (whole.frames_received, whole.cpu_s, whole.window_s) == (15, 0.75, 4.1)
    assert whole.rules == {"a": 3, "b": 1}
    assert whole.in_delay.count == 3
    assert whole.in_delay.max_ms == 9.0
    assert whole.in_delay.quantile_ms(0.5) == pytest.approx(2.0, abs=0.02)
    assert whole.collections.longest_ms == 3.0
    assert whole.core_busy_s is None


def test_the_calls_of_each_process_stay_apart() -> None:
    figures = [served([], calls_of_workers=[40]), served([], calls_of_workers=[60])]
    assert one_figure(figures).calls_of_workers == [40, 60]


def test_workers_that_cost_what_one_does_carry_twice_as_much() -> None:
    workers = WorkersResult((result(0.3, 100),), (result(0.3, 48, 52),))
    assert workers.ratio == pytest.approx(2.0)
    assert "48 and 52" in "\n".join(workers.lines())


def test_workers_that_cost_more_are_a_fault_and_so_is_one_without_calls() -> None:
    workers = WorkersResult((result(0.3, 100),), (result(0.4, 100, 0),))
    assert any("carry 1.50 times" in fault for fault in workers.faults)
    assert "a worker got no call" in workers.faults


def test_every_worker_has_an_address_of_its_own_and_a_core_if_there_are_enough() -> None:
    here = sorted(os.sched_getaffinity(0))
    with seats(2, Cores(server=here[-1], load=here[0])) as places:
        assert len({seat.place.address for seat in places}) == 2
        assert len({seat.place.secret for seat in places}) == 1
        assert {seat.core for seat in places} == {here[-1], here[-2 if len(here) > 2 else 0]}
        folder = places[0].place.folder
        assert folder.is_dir()
    assert not folder.exists()
    with seats(2, None) as places:
        assert [seat.core for seat in places] == [None, None]


@pytest.mark.realtime
def test_two_workers_share_a_port_and_lose_nothing() -> None:
    from offhook.lab.bench.run import run_bench

    plan = replace(PLAN, calls=8, seconds=2.0, warm_up_s=0.5, scenario="media", vad="off", engine_audio="pcm")
    held = run_bench(replace(plan, workers=2))
    assert sum(held.calls_of_workers) == 8
    assert len(held.calls_of_workers) == 2
    assert held.frames_lost == held.calls_lost == 0
