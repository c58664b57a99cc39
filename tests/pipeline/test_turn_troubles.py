"""What turn-taking does when a recogniser is lost, and when nobody is left to do a part of the work."""

from __future__ import annotations

from turn_rig import Conversation

from offhook.pipeline.evidence import (
    CallerTurn,
    EndCall,
    Fault,
    Goodbye,
    Hearing,
    PausePlayout,
    ReplyAudible,
    ReplyPlayed,
    Say,
    State,
)
from offhook.pipeline.ports import TurnHint


def asks(call: Conversation) -> None:
    """The caller says something, up to 2 s; what was said last is not final yet."""
    call.until(1.0)
    call.until(2.0, speaking=True)
    call.partial("where is")


def hear_out(call: Conversation) -> None:
    """The agent's present reply is heard to its end."""
    reply = call.turns.reply
    assert reply is not None
    call.tell(ReplyAudible(reply))
    call.tell(ReplyPlayed(reply))


# -------------------------------------------------------- nobody is left to do it


def test_a_call_that_cannot_go_on_is_handed_over_at_the_first_fault() -> None:
    call = Conversation(handover="I am putting you through.")
    asks(call)
    call.words("where is my order")
    call.until(3.0)
    call.tell(Fault("model", "all are down", call.turns.reply, hopeless=True))
    assert call.started(Say) == []
    assert call.started(Goodbye) == [Goodbye("fault", "I am putting you through.", interruptible=False)]
    hear_out(call)
    assert call.actions[-1] == EndCall("fault")


def test_words_over_the_handover_do_not_stop_it() -> None:
    call = Conversation(handover="I am putting you through.")
    asks(call)
    call.tell(Fault("transcriber", "all are down", hopeless=True))
    call.until(3.0)
    reply = call.turns.reply
    assert reply is not None
    call.tell(ReplyAudible(reply))
    call.until(4.0, speaking=True)
    call.words("no wait stop", utterance=1)
    assert call.decisions() == []
    call.tell(ReplyPlayed(reply))
    assert call.turns.state is State.ENDED


def test_where_nobody_could_take_over_the_caller_is_asked_to_say_it_again() -> None:
    call = Conversation()
    asks(call)
    call.words("where is my order")
    call.until(3.0)
    call.tell(Fault("model", "all are down", call.turns.reply, hopeless=True))
    assert [say.purpose for say in call.started(Say)] == ["apology"]
    assert call.turns.state is not State.ENDED


def test_a_handover_that_cannot_be_spoken_is_made_all_the_same() -> None:
    call = Conversation(handover="I am putting you through.")
    asks(call)
    call.words("where is my order")
    call.until(3.0)
    call.tell(Fault("voice", "all are down", call.turns.reply, hopeless=True))
    call.tell(Fault("voice", "all are down", call.turns.reply, hopeless=True))
    assert call.actions[-1] == EndCall("fault")


# ------------------------------------------------------------ the recogniser is lost


def test_a_turn_waits_for_the_words_that_a_lost_recogniser_owes() -> None:
    call = Conversation()
    asks(call)
    call.tell(Hearing(whole=False))
    call.until(4.8)  # far beyond the time that final words may take
    assert call.started(CallerTurn) == []
    call.words("where is my order")
    call.tell(Hearing(whole=True))
    call.until(5.2)
    assert [turn.text for turn in call.started(CallerTurn)] == ["where is my order"]


def test_a_loss_in_the_wait_for_final_words_makes_it_longer() -> None:
    call = Conversation()
    asks(call)
    call.until(3.5)
    call.tell(Hearing(whole=False))
    call.until(5.5)
    assert call.started(CallerTurn) == []
    call.tell(Hearing(whole=True))
    call.until(9.0)
    assert [turn.text for turn in call.started(CallerTurn)] == ["where is"]


def test_a_recogniser_that_never_comes_back_holds_no_turn_for_ever() -> None:
    call = Conversation()
    asks(call)
    call.tell(Hearing(whole=False))
    call.until(5.2)
    hear_out(call)
    call.until(12.0)
    assert [turn.text for turn in call.started(CallerTurn)] == ["where is"]


def test_a_caller_who_waits_for_a_recogniser_is_told_so_once() -> None:
    call = Conversation()
    asks(call)
    call.tell(Hearing(whole=False))
    call.until(5.2)
    assert call.started(Say) == [Say("One moment.", "one-moment", only_now=True)]
    hear_out(call)
    call.tell(Hearing(whole=False))
    call.until(6.0)
    assert len(call.started(Say)) == 1
    call.words("where is my order")
    call.tell(Hearing(whole=True))
    call.until(6.5)
    assert [turn.text for turn in call.started(CallerTurn)] == ["where is my order"]


def test_words_that_come_over_the_wait_message_are_the_turn() -> None:
    call = Conversation()
    asks(call)
    call.tell(Hearing(whole=False))
    call.until(5.2)
    reply = call.turns.reply
    assert reply is not None
    call.tell(ReplyAudible(reply))
    call.words("where is my order")
    call.tell(Hearing(whole=True))
    call.until(6.5)
    assert [turn.text for turn in call.started(CallerTurn)] == ["where is my order"]


def test_nobody_is_told_to_wait_who_has_said_nothing() -> None:
    call = Conversation(silence_prompts=[])
    call.until(1.0)
    call.tell(Hearing(whole=False))
    call.until(6.0)
    assert call.started(Say) == []


# ------------------------------------------------------- a recogniser that hears turns


def test_a_recogniser_that_hears_the_caller_begin_pauses_the_agent() -> None:
    call = Conversation()
    reply = call.speaks("A long answer.")
    call.until(1.0)
    call.partial("", turn=TurnHint.STARTED)
    assert call.decisions() == [PausePlayout(reply)]
