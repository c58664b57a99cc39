"""What is printed of a call."""

from __future__ import annotations

import io
from dataclasses import replace
from typing import Any

import pytest
from rich.console import Console

from offhook.lab.bridge_log import BridgeEvent
from offhook.lab.call_result import CallResult, LiveLine
from offhook.lab.caller import StepFailure
from offhook.lab.carrier import CarrierCounts
from offhook.lab.conversation_view import ConversationView
from offhook.lab.expectations import Verdict
from offhook.lab.figures import Stage, TurnFigures
from offhook.lab.hearing import BargeIn, Sound
from offhook.lab.live_lines import is_same_reply, line_of

TURN = TurnFigures(
    turn=1,
    said="What now? [bold]",
    last_sound_ms=2000,
    response_ms=620,
    from_decision_ms=110,
    stages=(Stage("first partial", 1000, 1320, 200), Stage("first token", 2510, 2500, 400)),
)
RESULT = CallResult(
    call_sid="CA1",
    passed=False,
    ended_by="agent",
    end_reason="",
    duration_ms=9000,
    transcript=(),
    turns=(TURN, replace(TURN, turn=2, response_ms=None, from_decision_ms=None, stages=())),
    barge_ins=(BargeIn(1, 5000, 200, True, 0), BargeIn(2, 7000, None, False, 0)),
    underruns=(),
    expectations=(Verdict(1, "agent says /a/", True, "ear"), Verdict(2, "tool x()", False, "log", "nothing")),
    failures=(StepFailure(3, 100, "too late"),),
    warnings=("31950: binary frame",),
    twiml=(),
    counts=CarrierCounts(450, 10, 200, 32000, 0, 0, 4, 4, 1, 0),
    events=(),
    recording="call.wav",
)


def shown(result: CallResult = RESULT, *, width: int = 60) -> list[str]:
    output = io.StringIO()
    ConversationView(Console(file=output, width=width)).show_result(result)
    return output.getvalue().splitlines()


def test_both_latencies_stand_under_the_turns_words() -> None:
    lines = shown()
    at = lines.index('turn 1  "What now? [bold]"')
    assert lines[at + 1] == (
        "  from the caller's last sound to the agent's first: 620 ms; from the end-of-turn decision: 110 ms"
    )
    assert "  from the caller's last sound to the agent's first: no answer" in lines


def test_every_stage_stands_beside_its_target_on_one_axis() -> None:
    partial, token = (next(line for line in shown() if name in line) for name in ("partial", "token"))
    assert partial.startswith("  first partial             -1000   320 ms  █")
    assert partial.endswith("target 200, over")
    assert token.endswith("target 400")
    assert "+510   -10 ms" in token


def test_the_ending_and_the_verdicts_are_told() -> None:
    lines = shown()
    assert "barge-in at 5.00 s: silent after 200 ms, 0 stale frames" in lines
    assert "barge-in at 7.00 s: the agent spoke on, no clear was sent" in lines
    assert any(line.startswith("ended by agent after 9.0 s; 200 agent frames, 0 underruns") for line in lines)
    assert "met     agent says /a/  [ear]" in lines
    assert "FAILED  tool x()  [log; nothing]" in lines
    assert "FAILED  step 4: too late" in lines
    assert "warning 31950: binary frame" in lines
    assert lines[-1].startswith("recording: call.wav")


def test_a_lost_line_is_told_as_such() -> None:
    lines = shown(replace(RESULT, ended_by="lost", end_reason="1008 assistant_refused"))
    assert any(
        line.startswith("ended: the line was lost (1008 assistant_refused) after 9.0") for line in lines
    )


def test_keys_and_named_steps_are_told_as_the_caller_knows_them() -> None:
    failure = StepFailure(3, 100, "too late", '--say "Hello"')
    lines = shown(replace(RESULT, turns=(replace(TURN, said="20#", keyed=True),), failures=(failure,)))
    assert "turn 1  keys 20#" in lines
    assert any(
        line.startswith("  from the caller's last key to the agent's first sound: 620") for line in lines
    )
    assert 'FAILED  --say "Hello": too late' in lines


@pytest.mark.parametrize(
    ("reply", "caller_acted_ms", "same"), [(1300, 0, True), (2000, 0, False), (1300, 1100, False)]
)
def test_a_reply_goes_on_after_a_short_pause(reply: int, caller_acted_ms: int, same: bool) -> None:
    assert is_same_reply([Sound(500, 1000), Sound(reply, 3000)], caller_acted_ms) is same


def test_the_first_sound_is_a_reply_of_its_own() -> None:
    assert not is_same_reply([Sound(500, 1000)], 0)


@pytest.mark.parametrize(
    ("kind", "data", "who", "text"),
    [
        ("transcript.final", {"text": "hi"}, "bridge", 'heard the caller say "hi"'),
        ("reply.ended", {"heard_text": "Hello."}, "agent", "Hello."),
        ("reply.ended", {"heard_text": "We send", "interrupted": True}, "agent", "We send --"),
        ("reply.ended", {"interrupted": True}, "agent", "-- (cut off before a word was heard)"),
        ("function-call", {"name": "a", "arguments": {"b": 1}}, "bridge", 'calls a({"b": 1})'),
        ("function-call", {"name": "a", "arguments": "{}"}, "bridge", "calls a({})"),
        ("function-result", {"name": "a", "ok": True, "ms": 5}, "bridge", "a answered after 5 ms"),
        ("function-result", {"name": "a", "ok": False, "ms": 5}, "bridge", "a failed after 5 ms"),
        (
            "barge-in.decided",
            {"decision": "commit", "why": "content"},
            "bridge",
            "barge-in: commit (content)",
        ),
        ("fault", {"stage": "voice", "reason": "died"}, "bridge", "fault in voice: died"),
        ("call.ended", {"reason": "done"}, "bridge", "call ended: done"),
    ],
)
def test_events_are_told_in_plain_words(kind: str, data: dict[str, Any], who: Any, text: str) -> None:
    assert line_of(BridgeEvent(kind, 1500, data)) == LiveLine(1500, who, text)


@pytest.mark.parametrize(
    ("kind", "data"), [("state", {}), ("transcript.final", {"text": ""}), ("reply.ended", {})]
)
def test_events_of_no_use_to_a_reader_are_left_out(kind: str, data: dict[str, Any]) -> None:
    assert line_of(BridgeEvent(kind, 0, data)) is None


def test_live_lines_are_not_broken() -> None:
    output = io.StringIO()
    ConversationView(Console(file=output, width=20)).show_line(LiveLine(1500, "caller", "long " * 20))
    assert output.getvalue() == "   1.50  caller  " + "long " * 20 + "\n"
