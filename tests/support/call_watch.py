"""The laws that hold at every moment of a call: each is a function that yields what breaks it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from call_rig import CallRig
from fake_engines import WORD_S

from offhook.pipeline.audio_tape import BLOCK_BYTES
from offhook.pipeline.call import EVIDENCE_LIMIT
from offhook.pipeline.channel import Overflow, Sender, open_channel
from offhook.pipeline.correspondence import WAITING_LIMIT, WrittenAnswer, WrittenTurn
from offhook.pipeline.evidence import State
from offhook.pipeline.ports import CallEvent
from offhook.pipeline.replay import MOST_BYTES
from offhook.pipeline.speaker import AHEAD_S
from offhook.pipeline.turn import AGENDA_LIMIT, TRANSITIONS

BYTES_PER_S = 8000
LEAD_S = 0.2
ROUND_TRIP_S = 0.1
"""The longest of the lines in these calls."""
FIRST_CLAUSE_S = 16 * WORD_S
"""The longest in these calls; it is prepared as a whole while a silence is waited out."""
WAITING_S = max(AHEAD_S + WORD_S, FIRST_CLAUSE_S) + LEAD_S + WORD_S + ROUND_TRIP_S
"""What may wait and the piece that is added, and what a pause takes back: all on its way, and a word."""
INSTANT_S = 1e-6
BREACHES_KEPT = 4
MARKS_LIMIT = 64
"""Marks that may be on their way at once: those of the lead, of a reply's ends and of probes."""
FIXED_WORDS_FROM = 180
"""Numbers of words in texts that a call may say again: greeting, apology, goodbye, filler."""


@dataclass(frozen=True, slots=True)
class Breach:
    """A law that was broken, and how."""

    law: str
    what: str

    def __str__(self) -> str:
        return f"{self.law}: {self.what}"


class WatchedRig(CallRig):
    """A rig that knows the task its call runs in, and what the laws need to remember."""

    running: asyncio.Task[None]
    heard_within_s = 0.05
    """How far off the heard point may be: a frame, and an echo that is on its way."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self.channels: list[Sender[Any]] = []
        self.live: set[int] = set()
        """Replies that began and are not settled."""
        self.state = State.IDLE
        self.word_born: dict[int, float] = {}
        """When the model made the word with this number; only rigs that number words keep it."""
        self.word_reply: dict[int, int] = {}
        """The reply under which that word was first sent."""
        self.reply_begun: dict[int, float] = {}
        self.posts: list[list[WrittenAnswer]] = []
        """What came back for each text that was to be answered in writing."""
        self.broken: Callable[[str, str], None] = lambda law, what: None
        """Notes a breach of a law that somebody else judges."""

    def writes(self, text: str, aloud: bool) -> None:
        """The caller writes, and wants the answer in writing."""
        answers: list[WrittenAnswer] = []
        self.posts.append(answers)
        self.call.write(WrittenTurn(text, answers.append, aloud))

    def word_is_born(self, number: int) -> None:
        """The model says a word that no reply before it had."""
        self.word_born[number] = self.clock.now()
        self.word_reply.pop(number, None)


# --------------------------------------------------------- laws of each message of audio

AudioLaw = Callable[[WatchedRig, bytes], Iterator[str]]


def audio_is_of_the_present_reply(rig: WatchedRig, audio: bytes) -> Iterator[str]:
    """Nothing is sent but the reply that turn-taking has started."""
    turns, playout = rig.call._turns, rig.call._replies.speaker._playout
    if turns.reply is None or playout.reply != turns.reply:
        yield f"audio of reply {playout.reply}, but {turns.reply} is present"


def a_paused_reply_is_silent(rig: WatchedRig, audio: bytes) -> Iterator[str]:
    """No audio between a pause and its resume."""
    if rig.call._turns.paused:
        yield "audio while the reply is paused"


def a_line_that_takes_nothing_gets_nothing(rig: WatchedRig, audio: bytes) -> Iterator[str]:
    """No audio on a line that is congested or closed."""
    if rig.line.congested or rig.line.closed:
        yield f"audio on a line that is {'closed' if rig.line.closed else 'congested'}"


def no_word_of_an_old_reply_is_sent(rig: WatchedRig, audio: bytes) -> Iterator[str]:
    """Every word sent was made after its reply began, and is sent under one reply only."""
    present = rig.call._turns.reply or 0
    for number in set(audio):
        if number not in rig.word_born or number >= FIXED_WORDS_FROM:
            continue
        if rig.word_born[number] < rig.reply_begun.get(present, 0.0):
            yield f"word{number} is older than reply {present}"
        first = rig.word_reply.setdefault(number, present)
        if first != present:
            yield f"word{number} of reply {first} is sent in reply {present}"


def the_far_end_holds_no_more_than_the_lead(rig: WatchedRig, audio: bytes) -> Iterator[str]:
    """What was sent and is not played stays within the lead, so that a clear throws little away."""
    if rig.line.buffered_s > LEAD_S + rig.heard_within_s:
        yield f"the far end holds {rig.line.buffered_s:.3f} s"


AUDIO_LAWS: tuple[AudioLaw, ...] = (
    audio_is_of_the_present_reply,
    a_paused_reply_is_silent,
    a_line_that_takes_nothing_gets_nothing,
    no_word_of_an_old_reply_is_sent,
    the_far_end_holds_no_more_than_the_lead,
)

# ------------------------------------------------------------------- laws of each event

EventLaw = Callable[[WatchedRig, CallEvent], Iterator[str]]


def one_reply_at_a_time(rig: WatchedRig, event: CallEvent) -> Iterator[str]:
    """A reply begins when the one before it is settled, withdrawn or cut."""
    reply = event.data.get("reply")
    if event.type == "reply.started":
        if rig.live:
            yield f"reply {reply} begins while {sorted(rig.live)} are not over"
        rig.live.add(int(str(reply)))
    elif event.type in ("reply.ended", "reply.withdrawn"):
        if reply not in rig.live:
            yield f"{event.type} of reply {reply}, which is not live"
        rig.live.discard(int(str(reply)))


def states_move_as_allowed(rig: WatchedRig, event: CallEvent) -> Iterator[str]:
    """The public states form one chain of allowed moves."""
    if event.type != "state":
        return
    before, after = State(event.data["from"]), State(event.data["to"])
    if before is not rig.state or after not in TRANSITIONS[before]:
        yield f"{before.value} -> {after.value}, though the state was {rig.state.value}"
    rig.state = after


def a_cut_is_silent_at_once(rig: WatchedRig, event: CallEvent) -> Iterator[str]:
    """After a pause or a commit nothing is left for the far end to play."""
    if event.type in ("barge-in.paused", "audio.cancelled") and rig.line.buffered_s > INSTANT_S:
        yield f"{event.type}, but {rig.line.buffered_s:.3f} s are still to be played"


EVENT_LAWS: tuple[EventLaw, ...] = (
    one_reply_at_a_time,
    states_move_as_allowed,
    a_cut_is_silent_at_once,
)

# ------------------------------------------------------------------------------- bounds


def what_waits(rig: WatchedRig) -> Iterator[tuple[str, float, float]]:
    """Everything that waits in a call: its name, how much there is, and how much there may be."""
    call, turns = rig.call, rig.call._turns
    playout = call._replies.speaker._playout
    yield "evidence", len(call._waiting), EVIDENCE_LIMIT
    yield "what the agent wants to say", len(turns._agenda), AGENDA_LIMIT
    yield "audio that waits, in s", playout.waiting_s, WAITING_S + rig.heard_within_s
    yield "marks on their way", len(playout._marks), MARKS_LIMIT
    yield "audio for a recogniser that was lost", call._ear._recogniser.kept_bytes, MOST_BYTES + BLOCK_BYTES
    yield "texts to be answered", len(call._correspondence._waiting), WAITING_LIMIT
    for sender in rig.channels:
        yield "a channel", sender.statistics().depth, sender.statistics().limit


def everything_that_waits_is_bounded(rig: WatchedRig) -> Iterator[str]:
    """No queue, buffer or agenda holds more than its limit."""
    for name, amount, limit in what_waits(rig):
        if amount > limit:
            yield f"{name}: {amount} of {limit}"


# -------------------------------------------------------------------------------- watch


class Watch:
    """Judges a call while it goes on; `breaches` is empty for a lawful one."""

    def __init__(self, rig: WatchedRig) -> None:
        self._rig = rig
        self.breaches: list[Breach] = []
        rig.broken = self.broken
        self._send_audio, self._emit = rig.line.send_audio, rig.log.emit
        # What the call already holds is given a sharper eye.
        rig.line.send_audio = self._audio  # type: ignore[method-assign]
        rig.log.emit = self._event  # type: ignore[method-assign]
        rig.line.source = lambda: rig.call._turns.reply or 0
        self._patch = pytest.MonkeyPatch()
        self._patch.setattr("offhook.pipeline.reply.open_channel", self._opened)

    def close(self) -> None:
        """Watch no more; what comes later on the line is still noted."""
        self._patch.undo()

    def broken(self, law: str, what: str) -> None:
        """Note a breach of a law; a few of each say enough."""
        if sum(breach.law == law for breach in self.breaches) >= BREACHES_KEPT:
            return
        self.breaches.append(Breach(law, f"at {self._rig.clock.now():.3f} s: {what}"))

    def loop_is_left_without_an_error(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Take what a callback of the loop raised."""
        what = f"{context.get('exception')!r}: {context.get('message')}"
        self.broken("loop_is_left_without_an_error", what)

    def _audio(self, audio: bytes) -> None:
        self._send_audio(audio)
        for law in AUDIO_LAWS:
            for what in law(self._rig, audio):
                self.broken(law.__name__, what)
        self._bounds()

    def _event(self, event: CallEvent) -> None:
        rig = self._rig
        if event.type in ("reply.started", "speculation.started"):
            rig.reply_begun.setdefault(int(str(event.data["reply"])), rig.clock.now())
        if event.type == "message.answered":
            # What was written belongs to no reply, though one may read it out.
            for digits in re.findall(r"\bword(\d+)", str(event.data["text"])):
                rig.word_born.pop(int(digits), None)
        for law in EVENT_LAWS:
            for what in law(rig, event):
                self.broken(law.__name__, what)
        self._bounds()
        self._emit(event)

    def _bounds(self) -> None:
        for what in everything_that_waits_is_bounded(self._rig):
            self.broken(everything_that_waits_is_bounded.__name__, what)

    def _opened(self, limit: int, overflow: Overflow) -> Any:
        sender: Sender[Any]
        sender, receiver = open_channel(limit, overflow)
        self._rig.channels.append(sender)
        return sender, receiver
