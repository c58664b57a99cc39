"""Turn-taking alone, at its corners."""

from __future__ import annotations

from turn_rig import Conversation

from offhook.pipeline.evidence import (
    AgentWants,
    CallerTurn,
    CloseWanted,
    DigitPressed,
    Fault,
    Goodbye,
    News,
    Over,
    ReplyAudible,
    ReplyEmpty,
    ReplyPlayed,
    ResumePlayout,
    Say,
    State,
    WithdrawReply,
    Words,
)
from offhook.pipeline.ports import Transcript


def test_a_question_is_answered_although_noise_paused_its_answer() -> None:
    call = Conversation()
    call.until(1.0, speaking=True)
    call.until(1.1)
    call.words("what is my balance")
    call.until(1.8)
    assert call.turns.state is State.PROCESSING
    call.until(3.1, speaking=True)
    call.until(3.3)
    call.words("", utterance=1)
    call.until(5.0)
    assert [turn.text for turn in call.started(CallerTurn)] == ["what is my balance"]
    assert call.turns.reply is not None, "noise takes no answer away"
    assert isinstance(call.decisions()[-1], ResumePlayout)


def test_hold_music_does_not_outlast_the_longest_call() -> None:
    call = Conversation(max_call_s=60)
    call.until(80, speaking=True)
    assert call.turns.state is State.ENDED


def test_a_goodbye_that_noise_withdrew_still_ends_the_call() -> None:
    call = Conversation(max_call_s=60, silence_hangup_s=3600, silence_prompts=())
    call.until(60.05)
    call.until(61.4, speaking=True)
    call.until(61.6)
    call.words("", utterance=1)
    call.until(90)
    assert call.turns.state is State.ENDED


def test_an_end_without_any_words_is_an_end() -> None:
    call = Conversation(goodbye="")
    call.until(1.0, speaking=True)
    call.until(1.1)
    call.words("bye")
    call.until(1.8)
    reply = call.turns.reply
    assert reply is not None
    call.tell(CloseWanted("the assistant ended the call"))
    call.tell(ReplyEmpty(reply))
    assert call.turns.state is State.ENDED


def say_yes_over_the_end(*, asks: bool) -> Conversation:
    call = Conversation()
    reply = call.speaks("Shall I book it?")
    call.until(1.0)
    call.until(1.35, speaking=True)
    call.until(1.6)
    call.words("yes")
    call.until(2.2)
    assert any(isinstance(action, ResumePlayout) for action in call.actions)
    call.tell(ReplyPlayed(reply, asks=asks))
    call.until(6.0)
    return call


def test_a_yes_over_the_last_syllable_of_a_question_is_its_answer() -> None:
    assert [turn.text for turn in say_yes_over_the_end(asks=True).started(CallerTurn)] == ["yes"]


def test_a_yes_over_the_end_of_a_statement_is_a_backchannel() -> None:
    assert say_yes_over_the_end(asks=False).started(CallerTurn) == []


def test_a_key_over_a_reply_that_may_not_be_cut_is_kept_for_afterwards() -> None:
    call = Conversation()
    reply = call.speaks("For sales press one.", interruptible=False)
    call.until(1.0)
    call.tell(DigitPressed("1"))
    call.until(2.0)
    call.tell(ReplyPlayed(reply))
    call.until(6.0)
    assert [turn.text for turn in call.started(CallerTurn)] == ["1"]


def test_a_key_survives_a_fault() -> None:
    call = Conversation()
    call.tell(DigitPressed("1"))
    call.tell(Fault("transcriber", "lost"))
    call.until(7)
    assert [turn.text for turn in call.started(CallerTurn)] == ["1"]


def test_a_hash_without_digits_asks_nothing() -> None:
    call = Conversation()
    call.tell(DigitPressed("#"))
    call.until(1)
    assert call.started(CallerTurn) == []


def test_what_the_operator_wants_said_survives_noise_before_it_is_heard() -> None:
    call = Conversation()
    call.tell(AgentWants(Say("Your driver is here.", "operator")))
    call.until(1.4, speaking=True)
    call.until(1.6)
    call.words("")
    call.until(6)
    assert len(call.started(Say)) == 1
    assert isinstance(call.decisions()[-1], ResumePlayout)


def test_many_faults_end_the_call_with_a_goodbye() -> None:
    call = Conversation()
    reply = call.speaks("A long story.")
    for _ in range(3):
        call.tell(Fault("transcriber", "lost"))
    call.tell(ReplyPlayed(reply))
    for _ in range(3):
        call.until(call.now + 1)
        if call.turns.reply is not None:
            call.tell(ReplyAudible(call.turns.reply))
            call.tell(ReplyPlayed(call.turns.reply))
    assert len(call.started(Goodbye)) == 1
    assert call.turns.state is State.ENDED


def test_words_that_the_recogniser_doubts_are_no_answer_to_a_question() -> None:
    call = Conversation()
    reply = call.speaks("Is that right?")
    call.until(1.0)
    call.until(1.3, speaking=True)
    call.until(1.4)
    over = Over("Is that right", asks=True)
    call.tell(Words(Transcript(0, 1, 1, "thanks for watching", True, call.now, confidence=0.1), over))
    call.until(2.0)
    assert isinstance(call.decisions()[-1], ResumePlayout)
    call.tell(ReplyPlayed(reply, asks=True))
    assert not call.started(CallerTurn)


def test_what_must_be_heard_is_said_before_the_goodbye() -> None:
    call = Conversation()
    call.speaks("One moment.")
    call.tell(AgentWants(Say("123#", "keys", interruptible=False)))
    call.tell(AgentWants(Say("Anything else?", "operator")))
    call.tell(CloseWanted("the assistant ended the call"))
    for _ in range(2):
        reply = call.turns.reply
        assert reply is not None
        call.tell(ReplyAudible(reply))
        call.tell(ReplyPlayed(reply))
    assert [say.text for say in call.started(Say)] == ["One moment.", "123#"]
    assert call.started(Goodbye)


def test_the_goodbye_is_said_once_though_the_end_is_wanted_twice() -> None:
    call = Conversation()
    call.tell(CloseWanted("the assistant ended the call"))
    reply = call.turns.reply
    assert reply is not None
    call.tell(ReplyAudible(reply))
    call.tell(CloseWanted("ended by the operator", reopens=False))
    call.tell(ReplyPlayed(reply))
    assert call.turns.state is State.ENDED


def test_sound_without_end_or_words_holds_the_floor_for_one_turn_and_no_longer() -> None:
    call = Conversation(max_turn_s=20)
    call.until(1.0, speaking=True)
    call.tell(AgentWants(News()))
    call.until(25.0, speaking=True)
    assert [say.purpose for say in call.started(Say)] == ["apology"], (
        "the caller is told that nothing was heard"
    )
    for _ in range(2):
        reply = call.turns.reply
        assert reply is not None
        call.tell(ReplyAudible(reply))
        call.tell(ReplyPlayed(reply))
        call.until(call.now + 1.0, speaking=True)
    assert call.started(News)
    call.until(80.0, speaking=True)
    assert [say.purpose for say in call.started(Say)][1:2] == ["silence-prompt"]


def test_words_over_sound_without_end_are_answered() -> None:
    call = Conversation(max_turn_s=20)
    call.until(21.5, speaking=True)
    reply = call.turns.reply
    assert reply is not None
    call.tell(ReplyAudible(reply))
    call.tell(ReplyPlayed(reply))
    call.words("is anybody there", utterance=1)
    call.until(23.0, speaking=True)
    assert [turn.text for turn in call.started(CallerTurn)] == ["is anybody there"]


def test_keys_wait_for_words_that_are_still_coming() -> None:
    call = Conversation()
    call.until(0.5, speaking=True)
    call.tell(DigitPressed("4"))
    call.partial("my account is")
    call.until(3.5, speaking=True)
    assert not call.started(CallerTurn)
    call.until(3.6)
    call.words("my account is the one that ends with")
    call.until(8.0)
    (turn,) = call.started(CallerTurn)
    assert turn.text == "my account is the one that ends with 4"


def test_a_caller_who_talks_on_over_keys_is_answered_in_the_end() -> None:
    call = Conversation(max_turn_s=20)
    call.until(0.5, speaking=True)
    call.tell(DigitPressed("4"))
    call.partial("well you see")
    call.until(25.0, speaking=True)
    assert [turn.text for turn in call.started(CallerTurn)] == ["well you see 4"]


def test_a_turn_that_went_on_with_words_that_were_taken_back_is_answered() -> None:
    call = Conversation(barge_in="partial")
    call.until(1.0, speaking=True)
    call.words("where is my order")
    call.until(2.2)
    call.partial("and the hat", utterance=1)
    assert isinstance(call.decisions()[-1], WithdrawReply)
    call.words("", utterance=1)
    call.until(6.0)
    assert [turn.text for turn in call.started(CallerTurn)] == ["where is my order"] * 2
