"""No law of a call is vacuous: for each, the code is broken on purpose, and the law must notice."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from call_laws import LAWS, Unlawful
from random_call import Program, Step, play

from offhook.pipeline import history, model_failover, reply
from offhook.pipeline.call import Call
from offhook.pipeline.correspondence import Correspondence
from offhook.pipeline.ear import Ear
from offhook.pipeline.evidence import DigitPressed, State, StateChanged
from offhook.pipeline.heard_ledger import HeardLedger
from offhook.pipeline.history import History
from offhook.pipeline.journal import CallJournal
from offhook.pipeline.messages import AgentSaid
from offhook.pipeline.playout import Playout, SendClear
from offhook.pipeline.replies import Replies
from offhook.pipeline.speaker import Speaker
from offhook.pipeline.tools import Toolbox
from offhook.pipeline.turn import TurnTaking

Patch = pytest.MonkeyPatch
Breaks = Callable[[Patch], None]
MUTATIONS: dict[str, tuple[Breaks, Program]] = {}
"""By law: how to break the code, and a call in which it shows."""


def call_of(*steps: tuple[float | str, str, Any], ends: str = "hangs up") -> Program:
    """A call in which these things happen."""
    return Program(tuple(Step(when, do, given) for when, do, given in steps), ends=ends)


QUESTION = (2.2, "says", ("what is the policy", 0.7, 1.0))
STORY = (2.2, "says", ("tell me a story", 0.7, 1.0))
CUT_IN = (2.2, "says", ("no wait a bad one", 1.4, 1.0))
ORDER = (2.2, "says", ("order it twice", 0.7, 1.0))
LATER = (3.5, "old mark", (0,))
SLOW_VOICE = (0.2, "voice", ("is slow", 0))
SOON_CUT_IN = ("playout.first-mark", "says", ("no wait a bad one", 1.4, 1.0))
NOISE = (0.1, "makes noise", (0.25,))
CONGESTION = (2.2, "line is congested", (True, 1.5))
CUT_INTO = call_of(QUESTION, CUT_IN, LATER, LATER)
TOOL_CALL = call_of(ORDER, LATER, LATER, LATER)


def mutation(law: str, program: Program) -> Callable[[Breaks], Breaks]:
    """Say which law must notice, and in which call."""

    def keep(breaks: Breaks) -> Breaks:
        MUTATIONS[law] = breaks, program
        return breaks

    return keep


@mutation("audio_is_of_the_present_reply", replace(CUT_INTO, barge_in="partial"))
def _a_reply_that_is_cut_is_not_revoked(patch: Patch) -> None:
    patch.setattr(Speaker, "revoke", lambda speaker: None)


@mutation("a_paused_reply_is_silent", CUT_INTO)
def _a_pause_does_nothing(patch: Patch) -> None:
    patch.setattr(Speaker, "pause", lambda speaker: None)


@mutation(
    "a_line_that_takes_nothing_gets_nothing",
    call_of(QUESTION, CONGESTION, LATER),
)
def _the_line_is_not_asked(patch: Patch) -> None:
    patch.setattr(Speaker, "_serve", lambda speaker, now: speaker._write(speaker._playout.due(now)))


@mutation("no_word_of_an_old_reply_is_sent", call_of(*[SLOW_VOICE] * 3, QUESTION, SOON_CUT_IN, LATER, LATER))
def _an_old_reply_goes_on_under_the_new_ones_number(patch: Patch) -> None:
    async def room(speaker: Speaker, number: int) -> bool:
        return True

    begin, append = Playout.begin_clause, Playout.append
    patch.setattr(Speaker, "room", room)
    patch.setattr(Playout, "begin_clause", lambda out, number, text: begin(out, out.reply or 0, text) or True)
    patch.setattr(Playout, "append", lambda out, number, *more: append(out, out.reply or 0, *more) or True)
    patch.setattr(Replies, "_cancel", lambda replies: None)


@mutation("the_far_end_holds_no_more_than_the_lead", call_of(QUESTION, LATER))
def _the_lead_is_long(patch: Patch) -> None:
    patch.setattr(Playout.__init__, "__kwdefaults__", {"lead_s": 1.0, "message_s": 0.1, "mark_every_s": 0.5})


@mutation("one_reply_at_a_time", call_of(QUESTION, LATER))
def _the_end_of_a_reply_is_not_told(patch: Patch) -> None:
    patch.setattr(CallJournal, "reply_ended", lambda *arguments: None)


@mutation("states_move_as_allowed", call_of(QUESTION, LATER))
def _a_state_is_left_out(patch: Patch) -> None:
    decide = CallJournal.decide

    def some(journal: CallJournal, action: Any) -> None:
        if not (isinstance(action, StateChanged) and action.after is State.PROCESSING):
            decide(journal, action)

    patch.setattr(CallJournal, "decide", some)


@mutation("a_cut_is_silent_at_once", CUT_INTO)
def _no_clear_is_written(patch: Patch) -> None:
    write = Speaker._write
    patch.setattr(
        Speaker,
        "_write",
        lambda speaker, items: write(speaker, [item for item in items if not isinstance(item, SendClear)]),
    )


@mutation("everything_that_waits_is_bounded", call_of(STORY, LATER))
def _the_voice_waits_for_nothing(patch: Patch) -> None:
    async def room(speaker: Speaker, number: int) -> bool:
        return speaker._playout.reply == number

    patch.setattr(Speaker, "room", room)


@mutation("history_alternates", call_of(QUESTION, LATER, LATER, QUESTION, LATER, LATER))
def _replies_are_forgotten(patch: Patch) -> None:
    settle = History.settle
    patch.setattr(History, "settle", lambda past, before, said, *more: settle(past, before, None))
    patch.setattr(history, "_alternating", iter)


@mutation("heard_text_begins_what_was_made", CUT_INTO)
def _what_was_made_is_not_noted(patch: Patch) -> None:
    settle = History.settle

    def unmade(past: History, before: Any, said: AgentSaid, *more: Any) -> None:
        settle(past, before, replace(said, generated=""), *more)

    patch.setattr(History, "settle", unmade)


@mutation("each_tool_call_is_answered_once", TOOL_CALL)
def _answers_are_not_written_down(patch: Patch) -> None:
    settle = History.settle
    patch.setattr(History, "settle", lambda past, before, said, *more: settle(past, before, said))


@mutation("equal_tool_calls_do_not_run_at_once", TOOL_CALL)
def _nothing_is_shared(patch: Patch) -> None:
    patch.setattr(Toolbox, "_shared", lambda *arguments: None)


@mutation("history_holds_only_heard_words", CUT_INTO)
def _all_that_was_made_counts(patch: Patch) -> None:
    patch.setattr(HeardLedger, "heard_text", lambda ledger, offset: ledger.text)


@mutation("every_heard_word_is_in_the_history", CUT_INTO)
def _nothing_that_was_cut_counts(patch: Patch) -> None:
    patch.setattr(HeardLedger, "heard_text", lambda ledger, offset: "")


def _no_deadlines(patch: Patch) -> None:
    patch.setattr(TurnTaking, "next_deadline", None)
    patch.setattr(reply, "DELTA_WAIT_S", 1e6)
    patch.setattr(model_failover, "ALONE_S", 1e6)


MUTATIONS["every_turn_is_answered"] = (
    _no_deadlines,
    call_of((0.1, "model", ("stalls", 0)), QUESTION, *[LATER] * 11),
)
MUTATIONS["every_call_ends"] = (
    _no_deadlines,
    call_of((0.1, "model", ("stalls", 0)), QUESTION, ends="falls silent"),
)
MUTATIONS["every_pause_is_decided"] = (
    _no_deadlines,
    call_of(QUESTION, ("playout.first-mark", "recogniser is", ("without finals",)), NOISE, *[LATER] * 5),
)


@mutation("no_part_fails_by_itself", call_of(QUESTION, (0.1, "presses", ("4",)), LATER))
def _keys_break_turn_taking(patch: Patch) -> None:
    feed = TurnTaking.feed

    def breaks(turns: TurnTaking, evidence: Any, now: float) -> Any:
        if isinstance(evidence, DigitPressed):
            raise KeyError(evidence.digit)
        return feed(turns, evidence, now)

    patch.setattr(TurnTaking, "feed", breaks)


@mutation("nothing_of_the_call_is_left", call_of(QUESTION))
def _the_ear_stays_open(patch: Patch) -> None:
    patch.setattr(Ear, "close", lambda ear: None)


@mutation("each_text_is_answered_once", call_of((0.5, "writes, and reads", ("hello", False)), LATER))
def _texts_are_taken_and_forgotten(patch: Patch) -> None:
    patch.setattr(Correspondence, "take", lambda correspondence, turn: None)


@mutation("loop_is_left_without_an_error", call_of(QUESTION, LATER))
def _marks_break_the_speaker(patch: Patch) -> None:
    def breaks(speaker: Speaker, name: str) -> None:
        raise KeyError(name)

    patch.setattr(Speaker, "mark_reached", breaks)


@mutation("every_task_is_gone_in_time", call_of(QUESTION))
def _a_task_does_not_stop_when_told(patch: Patch) -> None:
    async def stubborn(ear: Ear) -> None:
        try:
            await asyncio.sleep(3600)
        except asyncio.CancelledError:
            await asyncio.sleep(3600)

    patch.setattr(Ear, "run", stubborn)


@mutation("nothing_warns", call_of((2.2, "presses", ("4",)), LATER))
def _work_is_never_awaited(patch: Patch) -> None:
    def forgets(call: Call, digit: str) -> None:
        asyncio.sleep(1)  # type: ignore[unused-coroutine]

    patch.setattr(Call, "dtmf", forgets)


@pytest.mark.parametrize("law", LAWS)
def test_a_law_notices_when_it_is_broken(law: str, monkeypatch: Patch) -> None:
    breaks, program = MUTATIONS[law]
    breaks(monkeypatch)

    with pytest.raises(Unlawful) as unlawful:
        play(program)

    assert law in unlawful.value.laws


PLAIN: Sequence[Program] = [program for _, program in MUTATIONS.values()]


@pytest.mark.parametrize("program", PLAIN, ids=list(MUTATIONS))
def test_the_same_call_is_lawful_when_nothing_is_broken(program: Program) -> None:
    play(program)
