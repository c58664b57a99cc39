"""Scripts: what may be written, and what is said about the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from offhook.config.errors import ConfigError
from offhook.lab.line import LineConditions
from offhook.lab.script import (
    Expect,
    HangUp,
    HangUpKind,
    Press,
    Say,
    Script,
    Silence,
    WaitFor,
    spoken_script,
)
from offhook.lab.script_file import load_script, parse_script

WHOLE = """
name: shipping
max_s: 60
steps:
  - wait_for: greeting_end
  - say: "What is your shipping policy?"
  - say: "Just a moment."
    cut_in_after_s: 4.0
  - expect: {agent_silent_within_ms: 700}
  - wait_for: {agent_silent_s: 2.5, within_s: 30}
  - wav: question.wav
  - dtmf: "12#"
  - silence_s: 3
  - expect: {agent_says: /fri(day)?/, within_ms: 4000}
  - expect: {tool_called: {name: check_order_status, arguments: {order_number: "12345"}}}
  - hang_up: half-close
  - expect: {ended_by: agent}
"""


def problems(data: object) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        parse_script(data, source="test", folder=Path())
    return [str(problem) for problem in caught.value.problems]


def one_step(step: object) -> list[str]:
    return problems({"steps": [step]})


def test_every_step_is_read(tmp_path: Path) -> None:
    (tmp_path / "question.wav").write_bytes(b"")
    (tmp_path / "whole.yaml").write_text(WHOLE)
    script = load_script(tmp_path / "whole.yaml")
    assert (script.name, script.max_s) == ("shipping", 60)
    steps = script.steps
    assert steps[:3] == (
        WaitFor("greeting_end"),
        Say("What is your shipping policy?"),
        Say("Just a moment.", cut_in_after_s=4.0),
    )
    assert steps[4] == WaitFor("agent_silent", 2.5, 30)
    assert steps[5:8] == (Say(wav=tmp_path / "question.wav"), Press("12#"), Silence(3))
    words, tool = steps[8], steps[9]
    assert isinstance(words, Expect)
    assert words.agent_says is not None
    assert words.agent_says.search("on Friday")
    assert words.within_ms == 4000
    assert isinstance(tool, Expect)
    assert tool.tool_called is not None
    assert tool.tool_called.arguments == {"order_number": "12345"}
    assert steps[10] == HangUp(HangUpKind.HALF_CLOSE)


def test_what_is_wrong_with_the_line_is_read() -> None:
    line = {"echo_db": -25, "noise": "cafe", "snr_db": 5, "jitter_ms": [100, 150], "burst_ms": 400}
    script = parse_script({"line": line, "steps": [{"say": "hi"}]}, source="test", folder=Path())
    assert script.line == LineConditions(
        echo_db=-25, noise="cafe", snr_db=5, jitter_ms=(100, 150), burst_ms=400, burst_every_s=5
    )
    told = problems(
        {
            "line": {"nose": "cafe", "noise": "caffe", "jitter_ms": [150, 100], "echo_db": 3},
            "steps": [{"say": "hi"}],
        }
    )
    assert len(told) == 4
    assert told[0].endswith("Did you mean `noise`?")
    assert told[1].endswith("Did you mean `cafe`?")


def test_a_sentence_may_have_pauses_a_level_and_a_speed() -> None:
    steps = [
        {"say": ["five five", {"pause_s": 0.9}, "zero"], "level_db": -6, "speed": 1.11},
        {"sound": "cough", "cut_in_after_s": 2},
    ]
    script = parse_script({"steps": steps}, source="test", folder=Path())
    assert script.steps == (
        Say("five five zero", parts=("five five", 0.9, "zero"), level_db=-6, speed=1.1),
        Say(sound="cough", cut_in_after_s=2),
    )
    assert one_step({"say": [{"pause_s": 1}]})
    assert one_step({"say": ["a", {"pause": 1}]})
    assert one_step({"sound": "thunder"})
    assert one_step({"say": "a", "speed": 3})


def test_words_without_slashes_are_taken_as_they_are() -> None:
    script = parse_script({"steps": [{"expect": {"agent_says": "9 a.m."}}]}, source="test", folder=Path())
    expect = script.steps[0]
    assert isinstance(expect, Expect)
    assert expect.agent_says is not None
    assert expect.agent_says.search("from 9 A.M. on")
    assert not expect.agent_says.search("9 axm.")


def test_all_problems_are_told_at_once() -> None:
    told = problems(
        {
            "steps": [
                {"wait_four": "greeting_end"},
                {"wait_for": "greting_end"},
                {"say": ""},
                {"say": "hi", "cutin_after_s": 3},
                {"dtmf": 123},
                {"expect": {"agent_says": "/(/"}},
                {"hang_up": "vanished"},
            ]
        }
    )
    assert len(told) == 7
    assert told[0].endswith("Did you mean `wait_for`?")
    assert told[1].endswith("Did you mean `greeting_end`?")
    assert (
        told[3]
        == "test: steps.3.cutin_after_s: 'cutin_after_s' is not a known key. Did you mean `cut_in_after_s`?"
    )
    assert "in quotes" in told[4]
    assert "regular expression" in told[5]
    assert told[6].endswith("Did you mean `vanish`?")


@pytest.mark.parametrize("data", [None, [], "say", {"steps": []}, {"steps": "say"}, {}])
def test_what_is_no_script_is_refused(data: object) -> None:
    assert problems(data)


@pytest.mark.parametrize(
    "step",
    [
        "say",
        {},
        {"say": "a", "dtmf": "1"},
        {"say": 5},
        {"wav": "missing.wav"},
        {"dtmf": "12x"},
        {"dtmf": ""},
        {"silence_s": -1},
        {"silence_s": True},
        {"silence_s": 9999},
        {"wait_for": {"agent_silent": 1}},
        {"wait_for": {"agent_silent_s": "long"}},
        {"wait_for": "agent_silent", "within_s": 0},
        {"expect": {}},
        {"expect": "friday"},
        {"expect": {"within_ms": 1.5}},
        {"expect": {"ended_by": "nobody"}},
        {"expect": {"tool_called": 3}},
        {"expect": {"tool_called": {"name": "x", "arguments": []}}},
        {"expect": {"tool_called": {}}},
        {"expect": {"agent_say": "hello"}},
    ],
)
def test_a_bad_step_is_refused(step: Any) -> None:
    assert one_step(step)


def test_problems_in_a_file_name_the_line(tmp_path: Path) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text("steps:\n  - say: hello\n  - hang_up: never\n")
    with pytest.raises(ConfigError, match=r"bad\.yaml:3: steps\.1\.hang_up"):
        load_script(path)


@pytest.mark.parametrize("content", [b"steps: [", b"\xff\xfe\x00", b"steps: []\nsteps: []\n"])
def test_a_file_that_is_no_yaml_is_a_config_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.yaml"
    path.write_bytes(content)
    with pytest.raises(ConfigError):
        load_script(path)


def test_a_missing_file_is_a_config_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_script(tmp_path / "none.yaml")


def test_spoken_actions_wait_for_the_agent_and_hang_up() -> None:
    kinds = [type(step).__name__ for step in spoken_script([Say("a"), Press("1")]).steps]
    assert kinds == ["WaitFor", "Say", "WaitFor", "Press", "WaitFor", "HangUp"]


def test_spoken_actions_are_named_by_their_options() -> None:
    script = spoken_script([Say("a"), Script((Silence(1),), "keys"), Press("1")])
    names = [script.step_name(index) for index in range(len(script.steps))]
    assert names[:3] == ['--say "a"', '--say "a"', "step 1 of script keys"]
    assert names[3:] == ["--dtmf 1", "--dtmf 1", "after --dtmf 1", "after --dtmf 1"]
    assert script.complete_at == 5


def test_a_script_alone_counts_its_own_steps() -> None:
    script = spoken_script([Script((Silence(1), HangUp()))])
    assert (script.step_name(1), script.complete_at) == ("step 2", None)


def test_nothing_to_say_is_to_hear_the_greeting_out() -> None:
    script = spoken_script([])
    assert [type(step).__name__ for step in script.steps] == ["WaitFor", "HangUp"]
    assert (script.step_name(0), script.complete_at) == ("the greeting", None)


def test_a_script_at_the_end_decides_how_the_call_ends() -> None:
    script = spoken_script([Say("a"), Script((Say("b"), HangUp(HangUpKind.NONE)), max_s=300)])
    assert script.steps[-1] == HangUp(HangUpKind.NONE)
    assert script.max_s == 300
