"""What turn-taking is told, and what it orders.

Evidence is a fact about the call; an action is an order to the parts of the call.
Both are frozen values, so a call can be logged, replayed and compared.
Times named `_s` are seconds: `media_s` on the caller's audio (samples / 8000), `now` on the clock.
"""

from __future__ import annotations

__all__ = [
    "Action",
    "Activity",
    "AgentBusy",
    "AgentSpoke",
    "AgentWants",
    "CallerReads",
    "CallerTurn",
    "CloseWanted",
    "CommitInterruption",
    "Decided",
    "DigitPressed",
    "DropPrepared",
    "EndCall",
    "EndUtterance",
    "Evidence",
    "Fault",
    "Goodbye",
    "Hearing",
    "KeysWanted",
    "LineClosed",
    "News",
    "Origin",
    "Over",
    "PausePlayout",
    "PrepareReply",
    "ReplyAudible",
    "ReplyEmpty",
    "ReplyPlayed",
    "ReplyProtected",
    "ResumePlayout",
    "Say",
    "StartReply",
    "State",
    "StateChanged",
    "TextSent",
    "WithdrawReply",
    "Words",
]

import enum
from dataclasses import dataclass

from .ports import Transcript


class State(enum.Enum):
    """Where a conversation stands."""

    IDLE = "idle"
    LISTENING = "listening"
    PROCESSING = "processing"
    RESPONDING = "responding"
    ERROR = "error"
    ENDED = "ended"


# ------------------------------------------------------------------ evidence


@dataclass(frozen=True, slots=True)
class Activity:
    """What voice activity says after one more window of the caller's audio."""

    media_s: float
    """The caller's audio up to here was looked at."""
    speaking: bool
    """Somebody speaks; short pauses inside speech are bridged."""
    onset_s: float
    """Where the present or last stretch of speech began."""
    last_speech_s: float
    """Where speech was last seen."""

    @property
    def speech_s(self) -> float:
        """How much speech the present or last stretch holds, in seconds."""
        return max(0.0, self.last_speech_s - self.onset_s)

    @property
    def silence_s(self) -> float:
        """How much of the caller's audio since speech was last seen, in seconds."""
        return self.media_s - self.last_speech_s


@dataclass(frozen=True, slots=True)
class Over:
    """What the agent was playing when words came."""

    recent_text: str
    """Its words of the last seconds: what an echo of ours would say."""
    asks: bool = False
    """The clause in play is a question, and most of it was heard."""


@dataclass(frozen=True, slots=True)
class Words:
    """The recogniser's newest text of an utterance."""

    transcript: Transcript
    over: Over | None = None


@dataclass(frozen=True, slots=True)
class DigitPressed:
    """The caller pressed a key."""

    digit: str


@dataclass(frozen=True, slots=True)
class TextSent:
    """The caller wrote something beside the call; it is a turn as soon as nobody speaks."""

    text: str


@dataclass(frozen=True, slots=True)
class CallerReads:
    """The caller writes or reads beside the call: they are there, though they say nothing."""


@dataclass(frozen=True, slots=True)
class KeysWanted:
    """A tool takes the keys that are pressed, or does so no more; meanwhile they make no turn."""

    wanted: bool


@dataclass(frozen=True, slots=True)
class ReplyAudible:
    """The first audio of a reply went to the line."""

    reply: int


@dataclass(frozen=True, slots=True)
class ReplyPlayed:
    """The caller heard a reply to its end."""

    reply: int
    asks: bool = False
    """It ended with a question."""


@dataclass(frozen=True, slots=True)
class ReplyProtected:
    """What a reply is going to say must be heard: the caller cannot cut in."""

    reply: int


@dataclass(frozen=True, slots=True)
class AgentSpoke:
    """A reply is over; this was heard of it."""

    text: str


@dataclass(frozen=True, slots=True)
class ReplyEmpty:
    """A reply ended without a word."""

    reply: int


@dataclass(frozen=True, slots=True)
class Fault:
    """A part failed beyond its own repair."""

    stage: str
    """"transcriber", "model", "voice" or "reply"."""
    reason: str
    reply: int | None = None
    """The reply that is lost with it, if any."""
    hopeless: bool = False
    """Every provider of the stage has failed."""


@dataclass(frozen=True, slots=True)
class Hearing:
    """The recogniser listens; not `whole` from its loss until a new one has caught up with what was said."""

    whole: bool


@dataclass(frozen=True, slots=True)
class AgentBusy:
    """Tools run whose answers the caller waits for, or none does any more."""

    busy: bool


@dataclass(frozen=True, slots=True)
class CloseWanted:
    """The agent, a tool or an operator wants to end the call."""

    reason: str
    goodbye: bool = True
    """Say the goodbye first; otherwise end when the present reply was heard."""
    reopens: bool = True
    """A caller who goes on talking takes the call up again."""
    last_words: str | None = None
    """Said in place of the assistant's goodbye."""
    transfer_to: str = ""
    """Who takes the call over (E.164); empty: it is hung up."""


@dataclass(frozen=True, slots=True)
class LineClosed:
    """The carrier's stream is gone."""

    reason: str


# -------------------------------------------------- what a reply is made from


@dataclass(frozen=True, slots=True)
class CallerTurn:
    """The caller said something that wants an answer."""

    number: int
    text: str


@dataclass(frozen=True, slots=True)
class News:
    """Answers of tools are there and want telling."""


@dataclass(frozen=True, slots=True)
class Say:
    """A fixed text is to be said: greeting, prompt, filler, apology."""

    text: str
    purpose: str
    """"greeting", "silence-prompt", "filler", "apology", "one-moment", "operator"."""
    interruptible: bool = True
    only_now: bool = False
    """Drop it if it cannot be said at once."""


@dataclass(frozen=True, slots=True)
class Goodbye:
    """The last words; the call ends when they were heard."""

    reason: str
    text: str
    interruptible: bool = True


Origin = CallerTurn | News | Say | Goodbye


@dataclass(frozen=True, slots=True)
class AgentWants:
    """The agent has something to say at the next free moment."""

    origin: News | Say


Evidence = (
    Activity
    | Words
    | DigitPressed
    | TextSent
    | KeysWanted
    | ReplyAudible
    | ReplyProtected
    | ReplyPlayed
    | ReplyEmpty
    | AgentSpoke
    | Fault
    | Hearing
    | CloseWanted
    | LineClosed
    | AgentWants
    | CallerReads
    | AgentBusy
)


# ------------------------------------------------------------------- actions


@dataclass(frozen=True, slots=True)
class StartReply:
    """Make a reply and play it; one that was prepared under this number is played at once."""

    reply: int
    origin: Origin


@dataclass(frozen=True, slots=True)
class PrepareReply:
    """Make a reply on speculation; nothing of it is heard, and no tool runs, before `StartReply`."""

    reply: int
    origin: CallerTurn


@dataclass(frozen=True, slots=True)
class DropPrepared:
    """The caller went on, or said something else: the prepared reply was in vain."""

    reply: int


@dataclass(frozen=True, slots=True)
class PausePlayout:
    """Fall silent at once; keep everything."""

    reply: int


@dataclass(frozen=True, slots=True)
class ResumePlayout:
    """Go on from the word that was cut."""

    reply: int


@dataclass(frozen=True, slots=True)
class CommitInterruption:
    """The caller took the floor: revoke the reply, cut the history at what was heard."""

    reply: int


@dataclass(frozen=True, slots=True)
class WithdrawReply:
    """Nothing of the reply was heard: forget it, as if it had never been asked for."""

    reply: int


@dataclass(frozen=True, slots=True)
class EndUtterance:
    """Tell the recogniser that what follows is another utterance."""


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision and its reason, for the log."""

    what: str
    """"turn.ended", "barge-in.paused", "barge-in.decided", "noise", "silence.prompt", "fault"."""
    why: str
    detail: str = ""
    reply: int | None = None
    """The reply that it is about."""
    turn: int | None = None
    """The turn that it is about."""


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The public state moved."""

    before: State
    after: State
    why: str


@dataclass(frozen=True, slots=True)
class EndCall:
    """The conversation is over."""

    reason: str
    transfer_to: str = ""
    """Who takes the call over (E.164); empty: nobody."""


Action = (
    StartReply
    | PrepareReply
    | DropPrepared
    | PausePlayout
    | ResumePlayout
    | CommitInterruption
    | WithdrawReply
    | EndUtterance
    | Decided
    | StateChanged
    | EndCall
)
