"""The benchmark as a whole: a real server, real sockets, two processes."""

from __future__ import annotations

import json
from dataclasses import replace
from multiprocessing import Pipe
from pathlib import Path

import pytest
from typer.testing import CliRunner

from offhook.cli import app
from offhook.config.errors import OffhookError
from offhook.lab.bench import run
from offhook.lab.bench.history import HISTORY
from offhook.lab.bench.load_process import CallsUp
from offhook.lab.bench.plan import BenchPlan, Failed, NotCarried, choose_cores

pytestmark = [pytest.mark.realtime, pytest.mark.timeout(60)]


@pytest.mark.parametrize(
    "plan",
    [
        BenchPlan(vad="off", uvloop=False),
        BenchPlan(vad="off", engine_audio="pcm"),
        BenchPlan(vad="off", engine_audio="pcm", scenario="media"),
    ],
)
def test_a_few_calls_are_held_without_a_loss(plan: BenchPlan) -> None:
    few = replace(plan, calls=4, seconds=2.0, warm_up_s=0.2, cores=choose_cores())

    result = run.run_bench(few)

    assert (result.frames_lost, result.calls_lost, result.sound_wrong) == (0, 0, 0)
    assert (result.sound_checked > 0) is plan.own_sound
    assert result.talk_share > 0.7
    assert 0 < result.in_delay.p50_ms < 1000
    assert 0 < result.out_delay.p50_ms < 1000
    assert result.cpu_us_per_pair > 0
    assert "closed_by_bridge" not in result.rules


def test_callers_who_interrupt_silence_the_agent() -> None:
    result = run.run_bench(BenchPlan(calls=2, seconds=6.0, warm_up_s=0.2, barge_in=True))

    assert result.interruptions >= 1
    assert result.answered_interruptions == result.interruptions


def test_the_command_prints_one_json_object_and_exits_by_its_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ["bench", "--calls", "2", "--seconds", "1", "--vad", "off", "--json", "-"]
    done = CliRunner().invoke(app, words)

    result = json.loads(done.stdout)
    assert result["plan"]["calls"] == 2
    assert done.exit_code == (0 if result["passed"] else 1)
    assert json.loads((tmp_path / HISTORY).read_text()) == result


def test_a_storm_silences_every_agent_and_nothing_old_is_heard() -> None:
    result = run.run_bench(BenchPlan(calls=4, seconds=6.0, warm_up_s=0.2, scenario="barge-in"))

    assert result.interruptions >= 4
    assert result.answered_interruptions == result.interruptions
    assert result.clears >= 4
    assert result.stale_messages == 0


def test_calls_begin_and_end_while_others_go_on() -> None:
    plan = BenchPlan(calls=2, seconds=4.0, warm_up_s=0.2, vad="off", scenario="setup", setups_per_s=2)
    result = run.run_bench(plan)

    assert result.setup is not None
    assert (result.setup.begun, result.setup.refused) == (4, 0)
    assert 0 < result.setup.webhook.p50_ms < result.setup.greeting.p50_ms
    assert (result.frames_lost, result.calls_lost) == (0, 0)


def test_a_stall_longer_than_the_lead_is_heard_and_counted() -> None:
    plan = BenchPlan(calls=2, seconds=4.0, warm_up_s=0.2, vad="off", scenario="stalls", stall_s=0.4)
    result = run.run_bench(plan)

    assert result.stalls == 1
    assert 1 <= result.underruns <= 2
    assert result.loop_lag.max_ms >= 300
    assert sum(count for place, count in result.stalls_named.items() if "StallMaker" in place) == 1


def test_a_server_that_refuses_calls_is_told_from_a_measurement_that_failed() -> None:
    ours, theirs = Pipe()
    theirs.send(Failed("it is full", overloaded=True))
    theirs.send(Failed("no socket"))

    with pytest.raises(NotCarried, match="full"):
        run._next(ours, CallsUp, 1.0)
    with pytest.raises(OffhookError, match="no socket") as failed:
        run._next(ours, CallsUp, 1.0)
    assert not isinstance(failed.value, NotCarried)


def test_the_parts_of_the_cpu_time_add_up() -> None:
    plan = BenchPlan(calls=8, seconds=3.0, warm_up_s=0.2, vad="off", scenario="media", parts=True)
    result = run.run_bench(plan)

    assert sum(result.parts_us.values()) == pytest.approx(result.cpu_us_per_pair, rel=0.1)
    assert "codec in" in result.parts_us


def test_a_process_that_ends_early_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "serve_calls", _gives_up)

    with pytest.raises(OffhookError, match="ended early"):
        run.run_bench(BenchPlan(calls=1, seconds=1))


def test_interruptions_need_voice_activity() -> None:
    done = CliRunner().invoke(app, ["bench", "--barge-in", "--vad", "off"])

    assert done.exit_code == 2


def _gives_up(*_: object) -> None:
    """A process without a word."""
