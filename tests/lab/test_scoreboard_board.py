"""The board: figures of each part, targets, and the comparison with the round before."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

from offhook.lab.reply_trace import HeldBack
from offhook.lab.scoreboard.board import FIGURES, Board, board_of, verdict
from offhook.lab.scoreboard.corpus import Part, Scenario, Setting, Trial, Wanted
from offhook.lab.scoreboard.outcome import Outcome
from offhook.lab.scoreboard.report import keep, last_board, lines
from offhook.lab.script import Say, Silence

GO_ON = Scenario("backchannel", "matrix", Setting.SPEAKING, Wanted.GO_ON)
STOP = Scenario("cut in", "cut-ins", Setting.SPEAKING, Wanted.STOP)
CAFE = Scenario("café", "noise", Setting.LISTENING, Wanted.GO_ON)


def trial(scenario: Scenario, part: Part = Part.TUNING) -> Trial:
    return Trial(scenario, part, Silence(20) if scenario is CAFE else Say("Yeah."))


def stop(stop_ms: int, part: Part = Part.TUNING) -> Outcome:
    return Outcome(trial(STOP, part), stopped=True, stop_ms=stop_ms)


def value(board: Board, name: str, part: Part = Part.TUNING) -> float | None:
    return board.figures[part][name]


def test_each_part_has_figures_of_its_own() -> None:
    board = board_of([stop(100), stop(140), stop(300), stop(500, Part.HELD_OUT)])
    assert value(board, "stop time, p50") == 140
    assert value(board, "stop time, p95") == 300
    assert value(board, "stop time, p50", Part.HELD_OUT) == 500
    assert value(board, "response, p50") is None
    assert board.scenarios["cut in"] == {"passed": 4, "void": 0, "count": 4}
    assert not board.passed


def test_pauses_are_counted_by_the_minute_that_the_agent_spoke() -> None:
    pause = HeldBack(1000, 1500, repeated_ms=120, lost_ms=0)
    outcome = Outcome(trial(CAFE), pauses=(pause, pause), spoke_ms=30_000)
    board = board_of([outcome, replace(outcome, pauses=())])
    assert value(board, "needless pauses a minute, café") == 2
    assert value(board, "repeated on resume, most") == 120
    assert board.passed


def test_a_stop_that_nobody_wanted_fails_the_round() -> None:
    board = board_of([Outcome(trial(GO_ON), stopped=True, stop_ms=90, reasons=("decided: content",))])
    assert value(board, "false stops, not resumed") == 1
    assert not board.passed
    told = list(lines(board, None))
    assert "- backchannel (tuning), Yeah.: stopped after 90 ms, turns: none" in told
    assert "    decided: content" in told


def test_what_could_not_be_judged_counts_for_nothing_but_a_failure() -> None:
    board = board_of([Outcome(trial(STOP), void="the agent was not speaking")])
    assert value(board, "missed stops") is None
    assert board.scenarios["cut in"] == {"passed": 0, "void": 1, "count": 1}


def test_small_differences_are_noise() -> None:
    median = next(figure for figure in FIGURES if figure.name == "stop time, p50")
    assert verdict(median, 140, 150) == "same"
    assert verdict(median, 100, 150) == "better"
    assert verdict(median, 200, 150) == "worse"
    assert verdict(median, None, 150) == ""


def test_a_round_is_kept_and_compared_with_the_next(tmp_path: Path) -> None:
    assert last_board(tmp_path) is None
    latest = keep(board_of([stop(100)]), tmp_path, "2026-11-23T01:00:00+00:00", seed=1)
    assert json.loads(latest.read_text())["outcomes"][0]["stop_ms"] == 100
    assert len(list((tmp_path / "history").iterdir())) == 1
    told = next(line for line in lines(board_of([stop(300)]), last_board(tmp_path)) if "p50" in line)
    assert told.split() == ["stop", "time,", "p50,", "ms", "200", "300!", "100", "-", "WORSE"]
