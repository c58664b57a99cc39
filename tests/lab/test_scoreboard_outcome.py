"""Trials on calls that were made up: what the agent did, and whether it was wanted."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from offhook.lab.bridge_log import BridgeEvent
from offhook.lab.caller import SpokenUtterance
from offhook.lab.hearing import Sound, Utterance
from offhook.lab.measured_call import MeasuredCall
from offhook.lab.scoreboard.calls import PlannedCall, plan_calls
from offhook.lab.scoreboard.corpus import Part, Scenario, Setting, Trial, Wanted
from offhook.lab.scoreboard.outcome import Outcome, judge_call
from offhook.lab.script import Say, Silence

REPLY = np.random.default_rng(1).integers(0, 120, 80_000, np.uint8).tobytes()
"""Ten seconds of speech."""
ASKED_MS, REPLY_MS, ONSET_MS, SOUND_END_MS, END_MS = 1000, 1600, 4000, 4500, 8000


def event(kind: str, at_ms: int, **data: Any) -> BridgeEvent:
    return BridgeEvent(kind, at_ms, data)


def planned(wanted: Wanted, setting: Setting = Setting.SPEAKING, **options: Any) -> PlannedCall:
    step = Silence(10) if setting is Setting.LISTENING else Say("Yeah.", cut_in_after_s=2.0)
    (call,) = plan_calls([Trial(Scenario("one", "matrix", setting, wanted), Part.TUNING, step, **options)])
    return call


def heard(
    *pieces: tuple[int, bytes], agent: tuple[Sound, ...] = (), events: tuple[BridgeEvent, ...] = ()
) -> Any:
    """A call in which the agent's channel holds pieces at their milliseconds."""
    channel = bytearray(b"\xff" * 8 * END_MS)
    for at_ms, audio in pieces:
        channel[8 * at_ms : 8 * at_ms + len(audio)] = audio
    return MeasuredCall(
        heard=channel[: 8 * END_MS],
        utterances=(
            Utterance("ask", 400, ASKED_MS, step=1),
            Utterance("Yeah.", ONSET_MS, SOUND_END_MS, step=2),
        ),
        spoken=(SpokenUtterance(1, "ask", 380, 1100), SpokenUtterance(2, "Yeah.", ONSET_MS - 40, 4600)),
        agent=agent,
        events=(event("turn.ended", 1500, text="ask"), event("playout.first-frame", REPLY_MS), *events),
    )


def outcome(plan: PlannedCall, call: MeasuredCall) -> Outcome:
    (judged,) = judge_call(plan, call, REPLY)
    return judged


def test_an_agent_that_speaks_on_went_on() -> None:
    judged = outcome(planned(Wanted.GO_ON), heard((REPLY_MS, REPLY)))
    assert (judged.stopped, judged.pauses, judged.passed) == (False, (), True)
    assert not outcome(planned(Wanted.STOP), heard((REPLY_MS, REPLY))).passed


def test_a_stop_is_timed_from_the_callers_first_sound() -> None:
    call = heard((REPLY_MS, REPLY[: 8 * (ONSET_MS + 140 - REPLY_MS)]))
    judged = outcome(planned(Wanted.STOP), call)
    assert (judged.stop_ms, judged.passed) == (140, True)
    assert not outcome(planned(Wanted.GO_ON), call).passed


def test_a_pause_that_was_resumed_is_no_stop() -> None:
    played = 8 * (ONSET_MS + 100 - REPLY_MS)
    call = heard((REPLY_MS, REPLY[:played]), (5000, REPLY[played - 8 * 200 :]))
    judged = outcome(planned(Wanted.GO_ON), call)
    (pause,) = judged.pauses
    assert (pause.at_ms, pause.until_ms, pause.repeated_ms, pause.lost_ms) == (4100, 5000, 200, 0)
    assert judged.resumed_after_ms == (500,)
    assert judged.passed
    assert not outcome(planned(Wanted.STOP), call).passed


def test_the_same_reply_from_its_beginning_is_another_reply() -> None:
    played = 8 * (ONSET_MS + 100 - REPLY_MS)
    judged = outcome(planned(Wanted.GO_ON), heard((REPLY_MS, REPLY[:played]), (5200, REPLY)))
    assert (judged.stopped, judged.stop_ms) == (True, 100)


def test_what_was_cut_off_by_the_question_is_another_reply() -> None:
    call = heard((200, REPLY[8 * 5000 : 8 * 5700]), (REPLY_MS, REPLY))
    assert outcome(planned(Wanted.GO_ON), call).passed


def test_an_agent_that_was_silent_cannot_be_judged() -> None:
    judged = outcome(planned(Wanted.GO_ON), heard())
    assert (judged.void, judged.passed) == ("the agent was not speaking", False)


def test_words_that_became_a_turn_did_not_leave_the_agent_alone() -> None:
    call = heard((REPLY_MS, REPLY), events=(event("turn.ended", 5000, text="Yeah."),))
    judged = outcome(planned(Wanted.GO_ON), call)
    assert (judged.turns, judged.passed) == (("Yeah.",), False)


@pytest.mark.parametrize(
    ("texts", "answer_ms", "passed"),
    [(("yeah",), 5200, True), (("ye", "ah"), 5200, False), ((), 5200, False), (("yeah",), None, False)],
)
def test_an_answer_is_one_turn_and_a_sound(
    texts: tuple[str, ...], answer_ms: int | None, passed: bool
) -> None:
    turns = tuple(event("turn.ended", 4900 + 10 * index, text=text) for index, text in enumerate(texts))
    agent = (Sound(answer_ms, 7000),) if answer_ms else ()
    judged = outcome(planned(Wanted.ANSWER, Setting.ASKED), heard(agent=agent, events=turns))
    assert judged.passed is passed
    assert judged.response_ms == (700 if answer_ms else None)


def test_a_turn_that_ends_in_the_middle_of_a_sentence_is_cut_off() -> None:
    turns = (event("turn.ended", 4250, text="one two"), event("turn.ended", 5000, text="three"))
    plan = planned(Wanted.ANSWER, Setting.ASKED, value="123")
    judged = outcome(plan, heard(agent=(Sound(5200, 7000),), events=turns))
    assert (judged.cut_off, judged.value_heard, judged.passed) == (1, True, False)


def test_one_turn_that_lost_half_of_a_number_is_not_as_wanted() -> None:
    plan = planned(Wanted.ANSWER, Setting.ASKED, value="2125550147")
    for text, passed in (("212.", False), ("212 555 014.", True), ("212 555 0147", True)):
        turns = (event("turn.ended", 4900, text=text),)
        assert outcome(plan, heard(agent=(Sound(5200, 7000),), events=turns)).passed is passed


def test_a_caller_who_only_listens_is_judged_from_the_reply_on() -> None:
    plan = planned(Wanted.GO_ON, Setting.LISTENING)
    played = 8 * 2000
    call = heard((REPLY_MS, REPLY[:played]), (REPLY_MS + 2500, REPLY[played:]))
    call.spoken, call.utterances = call.spoken[:1], call.utterances[:1]
    judged = outcome(plan, call)
    assert judged.passed
    assert judged.turns == ()
    assert len(judged.pauses) == 1
    assert judged.resumed_after_ms == ()
    assert judged.spoke_ms == END_MS - REPLY_MS
