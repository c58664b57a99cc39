"""Expectations, judged from given evidence."""

from __future__ import annotations

import re
from typing import Any

import pytest

from offhook.lab.agent_words import HeardSpeech
from offhook.lab.bridge_log import BridgeEvent
from offhook.lab.expectations import EAR, LOG, RECOGNISER, Evidence, Verdict, judge
from offhook.lab.hearing import BargeIn, Sound, Utterance
from offhook.lab.script import Expect, Say, Script, Step, ToolExpectation
from offhook.lab.twilio.ending import Ending

POLICY = re.compile("shipping", re.IGNORECASE)


def evidence(*steps: Step, **known: Any) -> Evidence:
    """Two utterances, at 1-2 s and 5-6 s; the agent answers at 2.6 s and, cut off, again at 6.8 s."""
    given: dict[str, Any] = {
        "script": Script(steps),
        "utterances": [Utterance("policy?", 1000, 2000, 0), Utterance("when?", 5000, 6000, 2)],
        "agent": [Sound(2600, 5200), Sound(6800, 8000)],
        "barge_ins": [BargeIn(1, 5000, 200, True, 0)],
        "heard": [HeardSpeech(2600, 5200, "Our shipping policy"), HeardSpeech(6800, 8000, "On Friday.")],
        "events": [],
        "ending": Ending("agent"),
        "duration_ms": 9000,
    }
    return Evidence(**(given | known))


def verdict(first: Expect, second: Expect | None = None, **known: Any) -> Verdict:
    """Judge `first` behind the first utterance, or `second` behind the second."""
    judged = judge(evidence(Say("policy?"), first, Say("when?"), second or Expect(), **known))
    return judged[0]


def said(reply: int, at_ms: int, text: str) -> list[BridgeEvent]:
    return [
        BridgeEvent("playout.first-frame", at_ms, {"reply": reply}),
        BridgeEvent("reply.ended", at_ms + 1000, {"reply": reply, "heard_text": text}),
    ]


def test_words_are_found_where_they_were_heard() -> None:
    assert verdict(Expect(agent_says=POLICY)) == Verdict(1, "agent says /shipping/", True, RECOGNISER)


def test_words_said_later_do_not_count() -> None:
    judged = verdict(Expect(agent_says=re.compile("Friday")))
    assert not judged.met
    assert judged.detail == "heard: Our shipping policy"


def test_the_bridges_log_is_named_when_it_alone_has_the_words() -> None:
    judged = verdict(Expect(agent_says=re.compile("5 days")), events=said(1, 2590, "It takes 5 days."))
    assert (judged.met, judged.judged_by) == (True, LOG)


def test_both_sources_are_named_when_both_have_the_words() -> None:
    judged = verdict(Expect(agent_says=POLICY), events=said(1, 2590, "Our shipping policy"))
    assert judged.judged_by == f"{RECOGNISER} and {LOG}"


@pytest.mark.parametrize(("within_ms", "met"), [(600, True), (599, False)])
def test_words_may_have_to_come_in_time(within_ms: int, met: bool) -> None:
    assert verdict(Expect(agent_says=POLICY, within_ms=within_ms)).met is met


@pytest.mark.parametrize(("within_ms", "met"), [(600, True), (599, False)])
def test_an_answer_may_have_to_come_in_time(within_ms: int, met: bool) -> None:
    judged = verdict(Expect(within_ms=within_ms))
    assert (judged.met, judged.judged_by, judged.detail) == (met, EAR, "after 600 ms")


def test_no_answer_is_not_in_time() -> None:
    assert verdict(Expect(within_ms=600), agent=[]).detail == "there was no answer"


def second(expect: Expect, **known: Any) -> Verdict:
    return judge(evidence(Say("policy?"), Expect(), Say("when?"), expect, **known))[0]


@pytest.mark.parametrize(("within_ms", "met"), [(200, True), (180, False)])
def test_silence_is_timed_from_the_cut_in(within_ms: int, met: bool) -> None:
    assert second(Expect(agent_silent_within_ms=within_ms)).met is met


def test_silence_cannot_be_judged_when_nobody_spoke() -> None:
    judged = second(Expect(agent_silent_within_ms=200), barge_ins=[])
    assert judged.detail == "the agent was not speaking when the caller began"


def test_an_agent_that_spoke_on_was_not_silent() -> None:
    judged = second(Expect(agent_silent_within_ms=200), barge_ins=[BargeIn(1, 5000, None, False, 0)])
    assert (judged.met, judged.detail) == (False, "the agent spoke on")


TOOL = ToolExpectation("check_order", {"order": "12345"})


@pytest.mark.parametrize("arguments", [{"order": "12345", "x": 1}, {"order": 12345}, '{"order": "12345"}'])
def test_a_tool_call_is_found_in_the_log(arguments: object) -> None:
    call = BridgeEvent("function-call", 6500, {"name": "check_order", "arguments": arguments})
    assert second(Expect(tool_called=TOOL, within_ms=500), events=[call]).met
    assert not second(Expect(tool_called=TOOL, within_ms=499), events=[call]).met


@pytest.mark.parametrize(
    "data",
    [
        {"name": "other", "arguments": {"order": "12345"}},
        {"name": "check_order", "arguments": {"order": "1"}},
        {"name": "check_order", "arguments": "not json"},
        {"name": "check_order", "arguments": "[1]"},
        {"name": "check_order"},
    ],
)
def test_another_tool_call_is_not_taken_for_it(data: dict[str, Any]) -> None:
    judged = second(Expect(tool_called=TOOL), events=[BridgeEvent("function-call", 6500, data)])
    assert not judged.met
    assert judged.detail.startswith("called: ")


def test_a_tool_cannot_be_judged_without_a_log() -> None:
    assert second(Expect(tool_called=TOOL)).detail == "this bridge gives no event log"


def test_who_ended_the_call() -> None:
    assert verdict(Expect(ended_by="agent")).met
    judged = verdict(Expect(ended_by="agent"), ending=Ending("lost", "code 1011"))
    assert (judged.met, judged.detail) == (False, "the line was lost: code 1011")


def test_an_expectation_that_was_never_come_to_is_not_met() -> None:
    judged = second(
        Expect(agent_says=POLICY, ended_by="agent"), utterances=[Utterance("policy?", 1000, 2000, 0)]
    )
    assert (judged.met, judged.detail) == (False, "the call ended before the caller came to it")
    assert judged.expected == "agent says /shipping/, ended by agent"


def test_an_expectation_before_any_words_is_about_the_greeting() -> None:
    heard = [HeardSpeech(100, 900, "Welcome to shipping"), HeardSpeech(2600, 5200, "yes")]
    judged = judge(
        evidence(Expect(agent_says=POLICY), Say("a"), heard=heard, utterances=[Utterance("a", 1000, 2000, 1)])
    )
    assert judged[0].met
