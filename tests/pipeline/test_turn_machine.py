"""Turn-taking against anything that may happen, in any order."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from offhook.config.turn_taking import TurnTaking as Settings
from offhook.pipeline.evidence import (
    Action,
    Activity,
    AgentWants,
    CloseWanted,
    CommitInterruption,
    DigitPressed,
    EndCall,
    Fault,
    LineClosed,
    News,
    PausePlayout,
    ReplyAudible,
    ReplyEmpty,
    ReplyPlayed,
    ResumePlayout,
    Say,
    StartReply,
    State,
    StateChanged,
    TextSent,
    WithdrawReply,
    Words,
)
from offhook.pipeline.ports import Transcript
from offhook.pipeline.turn import TRANSITIONS, TurnTaking

WINDOW_S = 0.032


class AnyCall(RuleBasedStateMachine):
    """Evidence of every kind; the machine keeps the laws.

    A twin is fed every window of audio, the machine itself only those that it does not let pass.
    """

    @initialize(barge_in=st.sampled_from(["off", "partial", "pause"]), greets=st.booleans())
    def begin(self, barge_in: str, greets: bool) -> None:
        self.turns, self.twin = (
            TurnTaking(Settings(barge_in=barge_in), goodbye="Goodbye.", apology="Sorry.")  # type: ignore[arg-type]
            for _ in range(2)
        )
        self.now = self.media_s = 0.0
        self.onset_s = self.last_speech_s = 0.0
        self.speaking = False
        self.utterance = self.sequence = 0
        self.live: int | None = None
        self.started = 0
        self.audible = self.paused = self.ended = False
        self.state = State.IDLE
        greeting = Say("Hello.", "greeting") if greets else None
        self.twin.start(0.0, greeting)
        self.obey(self.turns.start(0.0, greeting))

    # -------------------------------------------------------------- the law

    def obey(self, actions: list[Action]) -> None:
        """Follow the actions as the call would, and check that each is allowed."""
        for action in actions:
            assert not self.ended, "nothing follows the end"
            match action:
                case StateChanged(before, after, why):
                    assert before is self.state
                    assert after in TRANSITIONS[before]
                    assert why
                    self.state = after
                case StartReply(reply):
                    assert self.live is None, "one reply at a time"
                    assert reply > self.started
                    self.live, self.started = reply, reply
                    self.audible = self.paused = False
                case PausePlayout(reply):
                    assert reply == self.live
                    assert not self.paused
                    self.paused = True
                case ResumePlayout(reply):
                    assert reply == self.live
                    assert self.paused
                    self.paused = False
                case CommitInterruption(reply):
                    assert reply == self.live
                    self.live = None
                case WithdrawReply(reply):
                    assert reply == self.live
                    assert not self.audible, "what was heard cannot be withdrawn"
                    self.live = None
                case EndCall(reason, transfer_to):
                    assert reason
                    assert transfer_to in ("", "+14155550101")
                    self.ended = True

    def feed(self, evidence: object) -> None:
        expected = self.twin.feed(evidence, self.now)  # type: ignore[arg-type]
        if isinstance(evidence, Activity) and self.turns.passes(evidence):
            assert not expected, "what passes changes nothing"
            return
        actions = self.turns.feed(evidence, self.now)  # type: ignore[arg-type]
        assert actions == expected
        self.obey(actions)

    # ------------------------------------------------------------ evidence

    @rule(speaking=st.booleans(), windows=st.integers(1, 40))
    def audio_comes(self, speaking: bool, windows: int) -> None:
        for _ in range(windows):
            self.now += WINDOW_S
            self.media_s += WINDOW_S
            if speaking:
                if not self.speaking:
                    self.onset_s = self.media_s - WINDOW_S
                self.speaking, self.last_speech_s = True, self.media_s
            elif self.media_s - self.last_speech_s >= 0.2:
                self.speaking = False
            self.feed(Activity(self.media_s, self.speaking, self.onset_s, self.last_speech_s))
            self.fire_deadlines()

    @rule(
        text=st.sampled_from(["", "yeah", "stop", "when does it arrive", "uh-huh", "and", "12345"]),
        final=st.booleans(),
        confidence=st.sampled_from([1.0, 0.2]),
        lag_s=st.sampled_from([0.0, 0.1, 1.0]),
    )
    def words_come(self, text: str, final: bool, confidence: float, lag_s: float) -> None:
        self.sequence += 1
        self.feed(
            Words(
                Transcript(
                    0, self.utterance, self.sequence, text, final, max(0.0, self.media_s - lag_s), confidence
                )
            )
        )

    @rule()
    def another_utterance(self) -> None:
        self.utterance += 1

    @rule(digit=st.sampled_from("0123456789*#"))
    def a_key_is_pressed(self, digit: str) -> None:
        self.feed(DigitPressed(digit))

    @precondition(lambda self: self.live is not None and not self.audible and not self.paused)
    @rule()
    def the_reply_is_heard(self) -> None:
        self.audible = True
        assert self.live is not None
        self.feed(ReplyAudible(self.live))

    @precondition(lambda self: self.live is not None and self.audible and not self.paused)
    @rule()
    def the_reply_is_over(self) -> None:
        reply, self.live = self.live, None
        assert reply is not None
        self.feed(ReplyPlayed(reply))

    @precondition(lambda self: self.live is not None and not self.audible)
    @rule()
    def the_reply_is_empty(self) -> None:
        reply, self.live = self.live, None
        assert reply is not None
        self.feed(ReplyEmpty(reply))

    @rule(number=st.integers(0, 5))
    def news_of_an_old_reply(self, number: int) -> None:
        if number != self.live:
            self.feed(ReplyPlayed(number))
            self.feed(ReplyAudible(number))
            self.feed(ReplyEmpty(number))

    @rule(stage=st.sampled_from(["model", "voice"]))
    def the_reply_fails(self, stage: str) -> None:
        self.feed(Fault(stage, "broke", self.live))

    @rule()
    def the_recogniser_fails(self) -> None:
        self.feed(Fault("transcriber", "broke"))

    @rule(
        what=st.sampled_from(
            [News(), Say("One moment.", "filler", only_now=True), Say("By the way.", "operator")]
        )
    )
    def the_agent_wants_to_speak(self, what: News | Say) -> None:
        self.feed(AgentWants(what))

    @rule(text=st.sampled_from(["order 4711", "stop"]))
    def the_caller_writes(self, text: str) -> None:
        self.feed(TextSent(text))

    @rule(
        goodbye=st.booleans(),
        reopens=st.booleans(),
        last_words=st.sampled_from([None, "", "I am putting you through."]),
        transfer_to=st.sampled_from(["", "+14155550101"]),
    )
    def the_agent_wants_to_end(
        self, goodbye: bool, reopens: bool, last_words: str | None, transfer_to: str
    ) -> None:
        self.feed(
            CloseWanted(
                "done", goodbye=goodbye, reopens=reopens, last_words=last_words, transfer_to=transfer_to
            )
        )

    @rule(seconds=st.floats(0.01, 70))
    def time_passes(self, seconds: float) -> None:
        end = self.now + seconds
        while (deadline := self.turns.next_deadline) is not None and deadline <= end:
            self.now = max(self.now, deadline)
            self.fire_deadlines()
        self.now = end

    @rule()
    def the_line_closes(self) -> None:
        self.feed(LineClosed("hung up"))
        assert self.ended

    def fire_deadlines(self) -> None:
        for _ in range(100):
            deadline = self.turns.next_deadline
            if deadline is None or deadline > self.now:
                return
            actions = self.turns.advance(self.now)
            assert actions == self.twin.advance(self.now)
            self.obey(actions)
        raise AssertionError("a deadline comes back for ever")

    # ----------------------------------------------------------- invariants

    @invariant()
    def the_machine_and_its_actions_agree(self) -> None:
        if not hasattr(self, "turns"):
            return
        assert self.turns.state is self.state
        assert self.turns.next_deadline == self.twin.next_deadline
        assert (self.state is State.ENDED) == self.ended
        if not self.ended:
            assert self.turns.reply == self.live
            assert (self.state in (State.PROCESSING, State.RESPONDING)) == (self.live is not None)
            assert self.state is not State.ERROR, "an error is left in the same step"

    @invariant()
    def somebody_always_has_something_to_wait_for(self) -> None:
        if hasattr(self, "turns") and not self.ended:
            assert self.turns.next_deadline is not None


AnyCall.TestCase.settings = settings(max_examples=120, stateful_step_count=40, deadline=None)
TestAnyCall = AnyCall.TestCase
