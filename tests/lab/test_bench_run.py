"""The benchmark as a whole: a real server, real sockets, two processes."""

from __future__ import annotations

import json

import pytest
from typer.testing import CliRunner

from offhook.cli import app
from offhook.config.errors import OffhookError
from offhook.lab.bench import run
from offhook.lab.bench.plan import BenchPlan, choose_cores

pytestmark = [pytest.mark.realtime, pytest.mark.timeout(60)]


@pytest.mark.parametrize(
    "plan", [BenchPlan(vad="off", uvloop=False), BenchPlan(vad="off", engine_audio="pcm")]
)
def test_a_few_calls_are_held_without_a_loss(plan: BenchPlan) -> None:
    few = BenchPlan(4, 2.0, 0.2, plan.vad, plan.engine_audio, plan.uvloop, cores=choose_cores())

    result = run.run_bench(few)

    assert (result.frames_lost, result.calls_lost) == (0, 0)
    assert result.talk_share > 0.7
    assert 0 < result.in_delay.p50_ms < 1000
    assert 0 < result.out_delay.p50_ms < 1000
    assert result.cpu_us_per_pair > 0
    assert "closed_by_bridge" not in result.rules


def test_callers_who_interrupt_silence_the_agent() -> None:
    result = run.run_bench(BenchPlan(calls=2, seconds=6.0, warm_up_s=0.2, barge_in=True))

    assert result.interruptions >= 1
    assert result.answered_interruptions == result.interruptions


def test_the_command_prints_one_json_object_and_exits_by_its_verdict() -> None:
    done = CliRunner().invoke(app, ["bench", "--calls", "2", "--seconds", "1", "--vad", "off", "--json"])

    result = json.loads(done.stdout)
    assert result["plan"]["calls"] == 2
    assert done.exit_code == (0 if result["passed"] else 1)


def test_a_process_that_ends_early_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "serve_calls", _gives_up)

    with pytest.raises(OffhookError, match="ended early"):
        run.run_bench(BenchPlan(calls=1, seconds=1))


def test_interruptions_need_voice_activity() -> None:
    done = CliRunner().invoke(app, ["bench", "--barge-in", "--vad", "off"])

    assert done.exit_code == 2


def _gives_up(*_: object) -> None:
    """A process without a word."""
