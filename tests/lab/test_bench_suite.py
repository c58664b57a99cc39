"""What a benchmark makes of its runs: medians, history, capacity, parts, and what stays in memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.lab.bench.calibration import Calibration, calibrate
from offhook.lab.bench.capacity import find_capacity
from offhook.lab.bench.history import History, changes
from offhook.lab.bench.load_figures import LoadFigures
from offhook.lab.bench.parts import CODEC_IN, CODEC_OUT, LOOP, WRITE, part_of
from offhook.lab.bench.plan import BenchPlan, Cores
from offhook.lab.bench.probes import ServedFigures
from offhook.lab.bench.report import BenchResult
from offhook.lab.bench.runtime_probes import GcProbe, StallMaker
from offhook.lab.bench.series import RunSeries
from offhook.lab.bench.soak import SoakPlan, soak
from offhook.lab.bench.summing_up import result_of
from offhook.lab.virtual_loop import VirtualLoop
from offhook.pipeline.clock import LoopClock

PLAN = BenchPlan(calls=2, seconds=10, cores=Cores(1, 0))


def run_of(cpu_s: float, *, underruns: int = 0) -> BenchResult:
    load = LoadFigures(bytes_in_window=160_000, underruns=underruns)
    return result_of(PLAN, load, ServedFigures(frames_in_window=1000, cpu_s=cpu_s, window_s=10.0))


# ------------------------------------------------------------------ series


def test_a_series_tells_the_median_and_the_worst_of_what_may_not_happen() -> None:
    series = RunSeries((run_of(0.5), run_of(9.0, underruns=3), run_of(0.6)))

    assert series.result.cpu_us_per_pair == pytest.approx(600)
    assert series.result.underruns == 3
    assert series.spread_percent == pytest.approx(100 * 8.5 / 0.6)
    assert sum("us a pair" in line for line in series.lines()) == 3


def test_a_core_whose_speed_moved_is_told() -> None:
    assert Calibration(100, 105).warning is None
    assert "20 %" in (Calibration(120, 100).warning or "")
    assert calibrate(None) > 0


# ------------------------------------------------------------------ history


def test_the_last_run_of_the_same_plan_and_machine_is_found(tmp_path: Path) -> None:
    history = History(tmp_path / "out" / "history.jsonl")
    assert history.last({"calls": 1}, "here") is None

    for number, (calls, machine) in enumerate([(1, "here"), (1, "here"), (2, "here"), (1, "there")]):
        history.add({"plan": {"calls": calls}, "machine": machine, "number": number})
    with (tmp_path / "out" / "history.jsonl").open("a") as lines:
        lines.write('{"plan": {"ca')

    assert (history.last({"calls": 1}, "here") or {})["number"] == 1
    assert history.last({"calls": 3}, "here") is None


def written(cpu_s: float, calibration_us: float, underruns: int = 0) -> dict[str, object]:
    run = replace(run_of(cpu_s, underruns=underruns), calibration=Calibration(calibration_us, calibration_us))
    return run.to_json()


def test_a_change_beyond_noise_is_told_from_one_within() -> None:
    assert "within noise" in str(changes(written(0.5, 100), written(0.51, 100))[0])
    assert "WORSE" in str(changes(written(0.5, 100), written(0.6, 100))[0])
    assert "better" in str(changes(written(0.5, 100), written(0.4, 100))[0])
    assert "WORSE" in str(changes(written(0.5, 100), written(0.5, 100, underruns=1))[-1])


def test_a_slower_machine_is_no_slower_server() -> None:
    assert "within noise" in str(changes(written(0.5, 100), written(0.6, 120))[0])


# ------------------------------------------------------------------ capacity


@given(st.integers(0, 2500))
def test_the_largest_number_of_calls_is_found_to_a_twentieth(limit: int) -> None:
    found = find_capacity(lambda calls: calls <= limit, start=100, limit=2000)

    assert found.calls <= limit
    assert found.calls >= min(limit, 2000) * 0.95 - 1
    assert len(found.tried) <= 14


# ------------------------------------------------------------------ parts


@pytest.mark.parametrize(
    ("frames", "part"),
    [
        ([("/x/codecs/g711.py", "decode", True), ("/x/pipeline/ear.py", "_push", True)], CODEC_IN),
        ([("/x/codecs/resample.py", "feed", True), ("/x/pipeline/voice.py", "_live", True)], CODEC_OUT),
        ([("/x/bridge/media_socket.py", "_write", True)], WRITE),
        ([("/x/pipeline/playout.py", "due", True)], "playout"),
        ([("/x/pipeline/turn.py", "feed", True)], "turn-taking, feed, events"),
        ([("/lib/json.py", "loads", True), ("/x/bridge/twilio/dialect.py", "receive", True)],
         "frame, parse, dialect"),
        ([("/x/bridge/media_socket.py", "data_received", False)], LOOP),
        ([], LOOP),
        ([("/lib/asyncio.py", "run", True), ("/x/lab/bench/served_process.py", "serve_calls", True)], LOOP),
    ],
)  # fmt: skip
def test_a_sample_belongs_to_the_innermost_part(frames: list[tuple[str, str, bool]], part: str) -> None:
    assert part_of(frames) == part


# ------------------------------------------------------------------ the runtime


def test_collections_are_counted_and_timed() -> None:
    import gc

    probe = GcProbe()
    probe.begin()
    gc.collect()
    figures = probe.end()
    gc.collect()

    assert figures.count >= 1
    assert figures.longest_ms > 0


class SteppingClock(LoopClock):
    """A clock that moves a little whenever it is read: a loop that waits by work comes to its end."""

    def __init__(self, loop: VirtualLoop) -> None:
        super().__init__(loop, self._step)
        self._virtual = loop

    def _step(self) -> float:
        self._virtual.stall(0.001)
        return self._virtual.time()


def test_a_stall_blocks_the_loop_every_so_often_until_it_is_over() -> None:
    loop = VirtualLoop()
    stalls = StallMaker(SteppingClock(loop), stall_s=0.1, every_s=5.0)
    stalls.begin()
    loop.call_later(12.6, loop.stop)
    loop.run_forever()
    stalls.end()

    assert stalls.stalls == 3
    assert loop.timers == 0
    loop.close()


def test_a_soak_leaves_no_task_and_no_timer() -> None:
    result = soak(SoakPlan(calls=4, calls_in_all=20))

    assert (result.calls, result.unspoken, result.tasks_left, result.timers_left) == (20, 0, 0, 0)
    assert result.virtual_s > 10


def test_an_hour_of_virtual_time_is_spread_over_the_calls() -> None:
    shortest_s, longest_s = SoakPlan(calls=10, calls_in_all=100, hours=1.0).call_s

    assert (shortest_s + longest_s) / 2 * 100 / 10 == pytest.approx(3600)
