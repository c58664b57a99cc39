"""The scripted caller, frame by frame."""

from __future__ import annotations

import numpy as np

from offhook.codecs import g711
from offhook.lab.caller import Act, ScriptedCaller
from offhook.lab.script import Expect, HangUp, HangUpKind, Press, Say, Script, Silence, Step, WaitFor

LOUD = g711.encode((8000 * np.sin(2 * np.pi * 437 * np.arange(160) / 8000)).astype(np.int16))
QUIET = b"\xff" * 160


def caller(*steps: Step) -> ScriptedCaller:
    script = Script(steps)
    return ScriptedCaller(script, {i: LOUD * 10 for i, step in enumerate(steps) if isinstance(step, Say)})


def run(subject: ScriptedCaller, agent: str, most: int = 2000) -> list[Act]:
    """Let the agent sound (`#`) or not (`.`), then stay silent, until the caller hangs up."""
    acts = [subject.first_act()]
    for index in range(most):
        if acts[-1].hang_up is not None:
            break
        heard = LOUD if agent[index : index + 1] == "#" else QUIET
        acts.append(subject.listen(acts[-1].frame or QUIET, heard))
    return acts


def first_sound(acts: list[Act]) -> int:
    return next(index for index, act in enumerate(acts) if act.frame is not None)


def test_what_a_stream_ended_before_is_done_first_in_the_next_one() -> None:
    subject = caller(Press("1"), HangUp())
    assert subject.first_act().digit == "1"
    assert subject.first_act().digit == "1"
    assert subject.listen(QUIET, QUIET).digit == ""


def test_the_caller_waits_for_the_end_of_the_greeting() -> None:
    subject = caller(WaitFor("greeting_end", 0.7), Say("hello"), HangUp())
    acts = run(subject, "." * 10 + "#" * 40)
    assert first_sound(acts) == 10 + 40 + 35
    assert acts[-1].hang_up is HangUpKind.STOP
    assert subject.failures == []
    utterance = subject.utterances()[0]
    assert (utterance.text, utterance.step) == ("hello", 1)
    assert (utterance.first_sound_ms, utterance.last_sound_ms) == (85 * 20, 95 * 20)


def test_an_agent_who_never_speaks_fails_the_wait_and_the_script_goes_on() -> None:
    subject = caller(WaitFor("greeting_end", within_s=1), Say("hello"))
    acts = run(subject, "")
    assert first_sound(acts) == 50
    assert [failure.reason for failure in subject.failures] == ["the agent was not heard for 1 s"]
    assert acts[-1].hang_up is HangUpKind.STOP


def test_an_agent_who_never_stops_fails_the_wait() -> None:
    subject = caller(WaitFor("agent_silent", within_s=1))
    run(subject, "#" * 200)
    assert [failure.reason for failure in subject.failures] == ["the agent spoke on for 1 s"]


def test_only_what_is_said_after_the_callers_own_words_is_an_answer() -> None:
    subject = caller(Say("hello"), WaitFor("agent_silent", 0.2), HangUp())
    acts = run(subject, "#####" + "." * 60 + "#" * 10)
    assert len(acts) - 1 == 65 + 10 + 10


def test_cutting_in_counts_from_the_first_sound_of_the_reply() -> None:
    subject = caller(Say("question"), Say("stop", cut_in_after_s=1.0), HangUp())
    acts = run(subject, "." * 40 + "#" * 100)
    second = next(i for i in range(11, len(acts)) if acts[i].frame is not None)
    assert second == 40 + 50
    assert subject.failures == []


def test_a_reply_too_short_to_cut_into_is_a_failure() -> None:
    subject = caller(Say("question"), Say("stop", cut_in_after_s=3.0), HangUp())
    run(subject, "." * 40 + "#" * 10)
    assert "ended before it could be cut into" in subject.failures[0].reason


def test_a_reply_that_never_comes_cannot_be_cut_into() -> None:
    subject = caller(Say("stop", cut_in_after_s=1.0))
    run(subject, "")
    assert "was not heard" in subject.failures[0].reason


def test_keys_are_pressed_one_after_the_other() -> None:
    acts = run(caller(Press("12"), HangUp(HangUpKind.CLOSE)), "")
    assert [(i, act.digit) for i, act in enumerate(acts) if act.digit] == [(0, "1"), (12, "2")]
    assert acts[24].hang_up is HangUpKind.CLOSE


def test_keys_are_answered_by_what_the_agent_says_next() -> None:
    subject = caller(WaitFor("greeting_end", 0.2), Press("20#"), WaitFor("agent_silent", 0.2), HangUp())
    acts = run(subject, "#####" + "." * 200 + "#" * 10)
    assert len(acts) - 1 == 5 + 200 + 10 + 10
    (keys,) = subject.key_presses()
    assert (keys.text, keys.keyed, keys.last_sound_ms - keys.first_sound_ms) == ("20#", True, 480)


def test_keys_count_as_pressed_with_the_last_one() -> None:
    subject = caller(Press("12"))
    run(subject, "", most=11)
    assert (subject.steps_done, subject.pressed[-1].digits) == (0, "1")
    run(subject, "", most=1)
    assert (subject.steps_done, subject.pressed[-1].digits) == (1, "12")


def test_silence_lasts_as_long_as_written() -> None:
    assert len(run(caller(Silence(0.5), HangUp()), "")) == 26


def test_a_caller_who_does_not_hang_up_stays() -> None:
    acts = run(caller(Expect(within_ms=1), HangUp(HangUpKind.NONE)), "", most=100)
    assert len(acts) == 101
    assert all(act == Act() for act in acts)


def test_a_wait_for_the_agents_voice_ends_at_its_onset() -> None:
    acts = run(caller(WaitFor("agent_speaks"), HangUp()), "." * 20 + "####")
    assert len(acts) - 1 == 22  # two loud frames make an onset
