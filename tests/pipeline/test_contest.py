"""The contest for the floor alone: pause, then commit or resume, and the speculation that waits beside it."""

from __future__ import annotations

from typing import Any

import pytest
from turn_rig import Conversation

from offhook.pipeline.evidence import (
    CallerTurn,
    CommitInterruption,
    DigitPressed,
    DropPrepared,
    KeysWanted,
    Over,
    PausePlayout,
    PrepareReply,
    ReplyAudible,
    ReplyPlayed,
    ReplyProtected,
    ResumePlayout,
    StartReply,
    State,
    WithdrawReply,
    Words,
)
from offhook.pipeline.ports import Transcript


def interrupted(
    text: str, *, over: Over | None = None, sound_s: float = 0.5, **settings: Any
) -> Conversation:
    """The caller says `text` over a reply, and is then silent for two seconds."""
    call = Conversation(**settings)
    call.speaks("Orders leave within one working day.")
    call.until(1.0)
    call.until(1.0 + sound_s, speaking=True)
    call.until(1.2 + sound_s)
    call.words(text, over=over)
    call.until(3.2 + sound_s)
    return call


def kinds(call: Conversation) -> list[type]:
    return [type(action) for action in call.decisions()]


@pytest.mark.parametrize("said", ["yeah", "Uh-huh.", "okay, right", "thank you", "um", ""])
def test_the_agent_goes_on_over_an_acknowledgement_or_a_noise(said: str) -> None:
    assert kinds(interrupted(said)) == [PausePlayout, ResumePlayout]


@pytest.mark.parametrize("said", ["stop", "wait", "yeah but wait", "where is my order", "no", "um, hold on"])
def test_the_agent_stops_for_a_stop_word_or_content(said: str) -> None:
    assert kinds(interrupted(said)) == [PausePlayout, CommitInterruption]


def test_the_agent_resumes_300_ms_after_an_acknowledgement_has_ended() -> None:
    call = Conversation()
    call.speaks("Orders leave within one working day.")
    call.until(1.0)
    call.until(1.5, speaking=True)
    call.until(1.6)
    call.words("yeah")
    call.until(1.78)
    assert kinds(call) == [PausePlayout]
    call.until(1.9)
    assert kinds(call) == [PausePlayout, ResumePlayout]


def test_yeah_is_an_answer_while_the_agent_asks() -> None:
    call = interrupted("yeah", over=Over("Shall I book it?", asks=True))
    assert kinds(call) == [PausePlayout, CommitInterruption]
    assert [turn.text for turn in call.started(CallerTurn)] == ["yeah"]


def test_sound_alone_never_takes_the_floor() -> None:
    call = Conversation()
    call.speaks("Orders leave within one working day.")
    call.until(1.0)
    call.until(6.0, speaking=True)
    assert kinds(call) == [PausePlayout, ResumePlayout]
    assert call.turns.state is State.RESPONDING


def test_a_sound_in_which_the_recogniser_heard_no_words_holds_the_agent_for_one_second() -> None:
    call = Conversation()
    call.speaks("Orders leave within one working day.")
    call.until(1.0)
    call.until(1.8, speaking=True)
    call.words("")
    call.until(2.15, speaking=True)
    assert kinds(call) == [PausePlayout, ResumePlayout]


def test_words_in_a_sound_that_was_resumed_over_still_take_the_floor() -> None:
    call = Conversation()
    call.speaks("Orders leave within one working day.")
    call.until(1.0)
    call.until(4.0, speaking=True)
    call.words("where is my order")
    assert kinds(call) == [PausePlayout, ResumePlayout, CommitInterruption]


def test_after_two_pauses_in_vain_only_words_pause_the_reply() -> None:
    call = Conversation()
    call.speaks("Orders leave within one working day.")
    for start in (1.0, 3.0, 5.0, 7.0):
        call.until(start)
        call.until(start + 0.5, speaking=True)
        call.until(start + 0.75)
        call.words("", utterance=round(start))
    assert kinds(call) == [PausePlayout, ResumePlayout] * 2
    call.until(9.0)
    call.until(9.5, speaking=True)
    call.words("where is my order", utterance=9)
    assert kinds(call)[-1] is CommitInterruption


def test_a_caller_who_never_stops_talking_is_answered_and_cannot_talk_the_answer_away() -> None:
    call = Conversation(max_turn_s=5)
    call.until(4.0, speaking=True)
    call.words("so then I said")
    call.until(5.2, speaking=True)
    reply = call.turns.reply
    assert reply is not None
    call.tell(ReplyAudible(reply))
    call.words("and then he said", utterance=1)
    call.until(7.0, speaking=True)
    assert kinds(call) == []
    call.tell(ReplyPlayed(reply))
    assert call.turns.state is State.LISTENING


def test_what_must_be_heard_cannot_be_cut_and_the_words_are_answered_afterwards() -> None:
    call = Conversation()
    reply = call.speaks("This call is recorded.")
    call.tell(ReplyProtected(reply))
    call.until(1.0)
    call.until(1.8, speaking=True)
    call.words("where is my order")
    call.until(2.5)
    assert kinds(call) == []
    call.tell(ReplyPlayed(reply))
    call.until(3.5)
    assert [turn.text for turn in call.started(CallerTurn)] == ["where is my order"]


def test_a_reply_that_turns_out_to_be_protected_is_resumed() -> None:
    call = Conversation()
    reply = call.speaks("This call is recorded.")
    call.until(1.0)
    call.until(1.3, speaking=True)
    call.tell(ReplyProtected(reply))
    assert kinds(call) == [PausePlayout, ResumePlayout]


def test_a_key_that_a_tool_wants_cuts_in_and_makes_no_turn() -> None:
    call = Conversation()
    call.speaks("Please key in your number.")
    call.tell(KeysWanted(True))
    call.until(1.0)
    call.tell(DigitPressed("4"))
    call.until(5.0)
    assert kinds(call) == [CommitInterruption]
    assert call.started(CallerTurn) == []


# ------------------------------------------------------------- speculation


def asks(call: Conversation, text: str, *, at: float = 1.0) -> None:
    """The caller asks, and the final words come 150 ms after the last sound."""
    call.until(at, speaking=True)
    call.until(at + 0.25)
    call.words(text)


def test_a_reply_is_prepared_in_the_silence_and_used_when_the_turn_ends() -> None:
    call = Conversation(speculates=True)
    asks(call, "where is my order")
    call.until(1.3)
    prepared = [action for action in call.actions if isinstance(action, PrepareReply)]
    assert [action.origin.text for action in prepared] == ["where is my order"]
    call.until(1.8)
    started = [action for action in call.actions if isinstance(action, StartReply)]
    assert [action.reply for action in started] == [prepared[0].reply]
    assert not any(isinstance(action, DropPrepared) for action in call.actions)


def test_a_reply_is_used_when_only_signs_differ() -> None:
    call = Conversation(speculates=True)
    asks(call, "where is my order")
    call.until(1.3)
    call.words("Where is my order?")
    call.until(1.8)
    prepared = [action.reply for action in call.actions if isinstance(action, PrepareReply)]
    assert [action.reply for action in call.actions if isinstance(action, StartReply)] == prepared


def test_new_words_drop_what_was_prepared() -> None:
    call = Conversation(speculates=True)
    asks(call, "where is my order")
    call.until(1.35)
    call.until(1.8, speaking=True)
    call.words("where is my order and my bill")
    call.until(2.7)
    prepared = [action.reply for action in call.actions if isinstance(action, PrepareReply)]
    dropped = [action.reply for action in call.actions if isinstance(action, DropPrepared)]
    started = [action.reply for action in call.actions if isinstance(action, StartReply)]
    assert len(prepared) == 2
    assert dropped == prepared[:1]
    assert started == prepared[1:]


def test_nothing_is_prepared_for_hesitation_or_without_leave() -> None:
    hesitant = Conversation(speculates=True)
    asks(hesitant, "um")
    plain = Conversation()
    asks(plain, "where is my order")
    for call in (hesitant, plain):
        call.until(3.0)
        assert not any(isinstance(action, PrepareReply) for action in call.actions)


def test_waste_has_a_limit() -> None:
    call = Conversation(speculates=True, max_speculations=2)
    for number in range(5):
        start = call.now
        call.until(start + 0.3, speaking=True)
        call.until(start + 0.5)
        call.words(" ".join(["more"] * (number + 1)), utterance=number)
        call.until(start + 0.6)
    assert sum(isinstance(action, PrepareReply) for action in call.actions) == 2


def test_a_withdrawn_reply_takes_nothing_from_the_next_turn() -> None:
    call = Conversation(speculates=True)
    asks(call, "where is my order")
    call.until(1.8)
    call.until(2.3, speaking=True)
    call.words("and my bill", utterance=1)
    call.until(3.2)
    assert WithdrawReply in kinds(call)
    assert call.started(CallerTurn)[-1].text == "where is my order and my bill"


def test_a_gap_of_the_sound_at_the_decision_does_not_hold_the_reply_for_ever() -> None:
    call = Conversation()
    call.speaks("Orders leave within one working day.")
    call.until(1.0)
    call.until(1.95, speaking=True)
    call.until(2.12)
    assert call.turns.paused
    call.until(3.2, speaking=True)
    assert kinds(call) == [PausePlayout, ResumePlayout], "twice decide_ms after the pause"


def test_bursts_of_sound_do_not_hold_the_reply_for_ever() -> None:
    call = Conversation()
    call.speaks("Orders leave within one working day.")
    call.until(1.0)
    while call.now < 3.5:
        call.until(call.now + 0.3, speaking=True)
        call.until(call.now + 0.3)
    assert kinds(call)[:2] == [PausePlayout, ResumePlayout]


def test_words_before_a_stalled_uplink_do_not_hold_the_reply_for_ever() -> None:
    call = Conversation()
    call.speaks("Orders leave within one working day.")
    call.until(1.0)
    call.partial("mm")
    assert call.turns.paused
    while call.turns.paused and (deadline := call.turns.next_deadline or 9.0) < 4.0:
        call.actions += call.turns.advance(deadline)
    assert not call.turns.paused


def test_what_was_said_before_a_reply_was_known_to_be_protected_is_answered_behind_it() -> None:
    call = Conversation()
    reply = asked(call)
    call.until(call.now + 0.4, speaking=True)
    call.partial("no the other", utterance=99)
    call.tell(ReplyProtected(reply))
    assert kinds(call) == [PausePlayout, ResumePlayout]
    call.until(call.now + 0.2)
    call.words("no the other one", utterance=99)
    call.tell(ReplyAudible(reply))
    call.until(call.now + 0.5)
    call.tell(ReplyPlayed(reply))
    call.until(call.now + 1.5)
    assert call.started(CallerTurn)[-1].text == "no the other one"


@pytest.mark.parametrize(("key", "collected"), [("#", False), ("5", True)])
def test_a_key_that_makes_no_turn_takes_no_question_back(key: str, collected: bool) -> None:
    call = Conversation()
    call.tell(KeysWanted(collected))
    reply = asked(call)
    call.tell(DigitPressed(key))
    call.until(call.now + 1)
    assert call.turns.reply == reply
    assert kinds(call) == []


def asked(call: Conversation) -> int:
    """The caller has asked something; returns the reply that is being made."""
    call.until(call.now + 1.0, speaking=True)
    call.words("where is my order")
    call.until(call.now + 1.2)
    reply = call.turns.reply
    assert reply is not None
    assert call.turns.state is State.PROCESSING
    return reply


def test_words_that_are_never_final_and_a_deadline_in_silence_leave_no_reply_paused() -> None:
    call = Conversation()
    call.speaks("Orders leave within one working day.")
    call.until(1.0)
    call.until(1.9, speaking=True)
    call.tell(Words(Transcript(0, 0, 1, "stop", False, call.now)))
    call.until(12.0)
    assert kinds(call)[-1] in (CommitInterruption, ResumePlayout)
