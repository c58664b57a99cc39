"""Turn-taking alone, fed by hand in windows of 32 ms."""

from __future__ import annotations

from typing import Any

from offhook.config.turn_taking import TurnTaking as Settings
from offhook.pipeline.evidence import (
    Action,
    Activity,
    AgentWants,
    CommitInterruption,
    Evidence,
    Over,
    PausePlayout,
    ReplyAudible,
    ResumePlayout,
    Say,
    StartReply,
    WithdrawReply,
    Words,
)
from offhook.pipeline.ports import Transcript, TurnHint
from offhook.pipeline.turn import TurnTaking

WINDOW_S = 0.032


class Conversation:
    """Turn-taking with a clock, a caller and a record of what it ordered."""

    def __init__(
        self,
        *,
        goodbye: str = "Goodbye.",
        handover: str | None = None,
        speculates: bool = False,
        **settings: Any,
    ) -> None:
        self.turns = TurnTaking(
            Settings(**settings),
            goodbye=goodbye,
            apology="Sorry.",
            one_moment="One moment.",
            handover=handover,
            speculates=speculates,
        )
        self.now = self._onset_s = self._last_speech_s = 0.0
        self._sequence = 0
        self._spoke = False
        self.actions: list[Action] = list(self.turns.start(0.0, None))

    def until(self, when: float, *, speaking: bool = False) -> None:
        """Let clock and audio run on, with or without the caller's voice."""
        while self.now < when:
            self.now = round(self.now + WINDOW_S, 3)
            while (deadline := self.turns.next_deadline) is not None and deadline <= self.now:
                self.actions += self.turns.advance(deadline)
            if speaking:
                self._onset_s = self._onset_s if self._spoke else self.now - 2 * WINDOW_S
                self._last_speech_s = self.now
            self._spoke = speaking
            self.tell(Activity(self.now, speaking, self._onset_s, self._last_speech_s))

    def words(self, text: str, *, utterance: int = 0, over: Over | None = None) -> None:
        self._sequence += 1
        self.tell(Words(Transcript(0, utterance, self._sequence, text, True, self.now), over))

    def partial(self, text: str, *, utterance: int = 0, turn: TurnHint = TurnHint.NONE) -> None:
        """Words that may still change."""
        self._sequence += 1
        self.tell(Words(Transcript(0, utterance, self._sequence, text, False, self.now, turn=turn)))

    def tell(self, evidence: Evidence) -> None:
        self.actions += self.turns.feed(evidence, self.now)

    def speaks(self, text: str, *, interruptible: bool = True) -> int:
        """The agent says something of its own; returns the reply."""
        self.tell(AgentWants(Say(text, "operator", interruptible=interruptible)))
        reply = self.turns.reply
        assert reply is not None
        self.tell(ReplyAudible(reply))
        return reply

    def decisions(self) -> list[Action]:
        """What became of the replies."""
        kinds = PausePlayout | ResumePlayout | CommitInterruption | WithdrawReply
        return [action for action in self.actions if isinstance(action, kinds)]

    def started(self, kind: type) -> list[Any]:
        return [
            item.origin
            for item in self.actions
            if isinstance(item, StartReply) and isinstance(item.origin, kind)
        ]
