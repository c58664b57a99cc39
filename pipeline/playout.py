"""Playout: which bytes go to the line, when, and what the caller heard of them.

Theory. The far end plays what it is sent, in order, at 8,000 bytes a second (mu-law, 8 kHz), and
buffers the rest. It tells us its position only by echoing marks, and what `clear` empties is lost.

So playout never sends more than a lead ahead of what is being played: enough to ride over a late
loop or network, little enough that a `clear` throws little away. `horizon` is the moment at which
the far end will have played all it was sent; it moves by exactly the length of what is sent, so
pacing never drifts. If the horizon falls behind the clock inside a reply the caller heard a gap: an
underrun, counted, and the schedule starts anew from now.

Heard position. An echo that arrives at time t says that its offset was played half a round trip
ago; from there the far end plays on at 8 bytes a millisecond, never beyond what was sent. Before the
first echo, what was sent at t begins to sound half a round trip later. Round trips are measured with
marks sent when nothing is queued, which come back at once.

Two numbers keep this honest. `reply` says who made the audio; audio of a reply that is not the
present one is refused. `epoch` is raised at every `clear` and is part of every mark's name; a mark
of an older epoch proves nothing, since `clear` makes the carrier echo marks that were never played
(Twilio Media Streams documentation, `clear` and `mark` messages).

No I/O and no clock here: the caller hands in the time and writes what comes back.
"""

from __future__ import annotations

__all__ = [
    "FirstFrame",
    "FirstMark",
    "Heard",
    "Outgoing",
    "Played",
    "Playout",
    "PlayoutCounters",
    "SendAudio",
    "SendClear",
    "SendMark",
]

from collections.abc import Sequence
from dataclasses import dataclass, field

from offhook.codecs.framing import FRAME_BYTES
from offhook.codecs.framing import SAMPLE_RATE_HZ as BYTES_PER_S

from .audio_tape import AudioTape
from .heard_ledger import HeardLedger
from .ports import WordTiming

ECHO_LATE_S = 0.3
"""So late does an echo come on a line that delivers in clumps; or a round trip more, if that is longer."""
ECHO_OVERDUE_S = 2.0
"""A carrier that does not echo the last mark of a reply this long after its end never will."""
SHORT_REST_S = 0.3
"""A reply that ends so soon anyway is not cut short."""
WORD_BYTES = 3 * BYTES_PER_S // 2
"""Of what was heard so much is kept, for the word that is said again after a pause; words are shorter."""
REBUFFER_BYTES = 3 * FRAME_BYTES
"""A voice that fell behind is heard again from 60 ms on; scraps with gaps between them are worse."""
UNDERRUN_TOLERANCE_S = 0.002
"""The far end plays whole frames; a message this late is still in time."""


@dataclass(frozen=True, slots=True)
class Heard:
    """What was heard of a reply."""

    reply: int
    text: str
    """The words of which more than half was played."""
    generated: str
    """All words that were made."""
    played_s: float
    complete: bool


@dataclass(frozen=True, slots=True)
class SendAudio:
    """Write these carrier bytes."""

    audio: bytes
    at: float = 0.0
    """When the far end begins to play them, half a round trip aside."""


@dataclass(frozen=True, slots=True)
class SendMark:
    """Write this mark."""

    name: str


@dataclass(frozen=True, slots=True)
class SendClear:
    """Write a clear."""


@dataclass(frozen=True, slots=True)
class FirstFrame:
    """News: the first audio of this reply goes out now."""

    reply: int


@dataclass(frozen=True, slots=True)
class FirstMark:
    """News: the caller is known to hear this reply."""

    reply: int


@dataclass(frozen=True, slots=True)
class Played:
    """News: the caller heard this reply to its end; it is the present reply no more."""

    heard: Heard


Outgoing = SendAudio | SendMark | SendClear | FirstFrame | FirstMark | Played


@dataclass(slots=True)
class PlayoutCounters:
    """What happened on the way out."""

    sent_bytes: int = 0
    underruns: int = 0
    underrun_s: float = 0.0
    clears: int = 0
    stale_marks: int = 0
    unknown_marks: int = 0
    overdue_marks: int = 0
    refused_bytes: int = 0
    """Audio that came for a reply that was already revoked."""


@dataclass(slots=True)
class _Mark:
    reply: int
    offset: int
    played_at: float = 0.0
    """When it is reached if the far end plays without a break; its echo comes a round trip later."""
    last: bool = False
    probe_sent_at: float | None = None


@dataclass(slots=True)
class _Reply:
    number: int
    audio: AudioTape = field(default_factory=AudioTape)
    ledger: HeardLedger = field(default_factory=HeardLedger)
    cursor: int = 0
    """The next byte to send."""
    confirmed: int = 0
    """Bytes that an echo proved to be played."""
    heard_once: int = 0
    """Where it was paused: what was heard up to here stays heard, though its last word is said again."""
    anchor_offset: int = 0
    anchor_at: float = 0.0
    """The far end played `anchor_offset` at this time."""
    restarted_at: int = 0
    """Sent to a far end that had run dry; echoes of what came before say nothing about what follows."""
    next_mark: int = 0
    clause_ends: list[int] = field(default_factory=list)
    finished: bool = False
    cut_short: bool = False
    """It ends before its last word; more audio is refused."""
    end_marked: bool = False
    """The mark behind the last byte was sent."""
    started: bool = False
    proven: bool = False
    """An echo showed that the caller hears it."""


class Playout:
    """The audio, cursor, epoch and heard ledger of one call."""

    def __init__(self, *, lead_s: float = 0.2, message_s: float = 0.1, mark_every_s: float = 0.5) -> None:
        self._lead_s = lead_s
        self._message_bytes = int(message_s * BYTES_PER_S)
        self._mark_every = int(mark_every_s * BYTES_PER_S)
        self._reply: _Reply | None = None
        self._paused = False
        self._epoch = 0
        self._marks: dict[str, _Mark] = {}
        self._mark_number = 0
        self._horizon = 0.0
        self._round_trip_s = 0.0
        self._echoes = False
        """The far end has echoed a mark, so it will echo all."""
        self._emptied = True
        """The far end is dry because it was emptied or all was said; that is no underrun."""
        self.counters = PlayoutCounters()

    # -------------------------------------------------------------- what is

    @property
    def reply(self) -> int | None:
        """The reply whose audio is accepted, or None."""
        return self._reply.number if self._reply else None

    @property
    def paused(self) -> bool:
        """Audio is held back."""
        return self._paused

    @property
    def epoch(self) -> int:
        """How many clears were written."""
        return self._epoch

    @property
    def round_trip_s(self) -> float:
        """The newest measured round trip to the far end."""
        return self._round_trip_s

    @property
    def waiting_s(self) -> float:
        """How much audio is made and not yet sent."""
        reply = self._reply
        return (len(reply.audio) - reply.cursor) / BYTES_PER_S if reply else 0.0

    def heard(self, now: float) -> Heard:
        """What the caller heard of the present reply, were it cut now. Raises LookupError without one."""
        reply = self._present()
        offset = max(reply.heard_once, self._position(reply, now + self._round_trip_s / 2))
        complete = reply.finished and offset >= len(reply.audio)
        text = reply.ledger.text if complete else reply.ledger.heard_text(offset)
        return Heard(reply.number, text, reply.ledger.text, offset / BYTES_PER_S, complete)

    def recent_text(self, now: float, window_s: float) -> str:
        """The words of the present reply that the far end played in the last seconds, or plays now."""
        reply = self._reply
        if reply is None:
            return ""
        offset = self._position(reply, now + self._round_trip_s / 2)
        return reply.ledger.text_between(offset - int(window_s * BYTES_PER_S), offset)

    def asks(self, now: float) -> bool:
        """The clause in play is a question, and more than half of it was heard."""
        reply = self._reply
        if reply is None:
            return False
        return reply.ledger.asks_at(self._position(reply, now + self._round_trip_s / 2))

    # -------------------------------------------------------- making a reply

    def begin(self, reply: int) -> None:
        """Accept audio of this reply, and of no other, from now on."""
        self._reply = _Reply(reply)
        self._paused = False

    def begin_clause(self, reply: int, text: str) -> bool:
        """Say whose words the audio that follows holds; False if the reply was revoked."""
        present = self._reply
        if present is None or present.number != reply or present.cut_short:
            return False
        present.ledger.begin_clause(text, len(present.audio))
        return True

    def append(self, reply: int, audio: bytes, words: Sequence[WordTiming] = ()) -> bool:
        """Add carrier bytes of the clause begun last; False if the reply was revoked."""
        present = self._reply
        if present is None or present.number != reply or present.cut_short:
            self.counters.refused_bytes += len(audio)
            return False
        present.audio.append(audio)
        present.ledger.add_words(words)
        return True

    def end_clause(self, reply: int) -> None:
        """The clause begun last has all its audio."""
        present = self._reply
        if present is not None and present.number == reply and not present.cut_short:
            present.ledger.end_clause(len(present.audio))
            present.clause_ends.append(len(present.audio))

    def finish(self, reply: int) -> bool:
        """The reply has all its audio; False if that is none, or it was revoked."""
        if self._reply is None or self._reply.number != reply:
            return False
        self._reply.finished = True
        return len(self._reply.audio) > 0

    def finish_at_word(self, reply: int, now: float) -> bool:
        """End the reply with the word that is being sent, unless it ends soon anyway.

        Nothing that was sent is taken back. False if none of it was sent, or it was revoked.
        """
        present = self._reply
        if present is None or present.number != reply or not present.started:
            return False
        rest = len(present.audio) - self._position(present, now + self._round_trip_s / 2)
        if present.finished and rest < SHORT_REST_S * BYTES_PER_S:
            return True
        # Behind a pause the cursor stands before what was heard, and that is not taken back either.
        cut = present.ledger.word_end(max(present.cursor, present.heard_once, present.confirmed))
        if cut is None or cut >= len(present.audio):
            return True
        present.audio.cut(cut)
        present.ledger.cut(cut)
        present.clause_ends = [end for end in present.clause_ends if end <= cut]
        present.finished = present.cut_short = True
        return True

    # ------------------------------------------------------------- the clock

    def due(self, now: float) -> list[Outgoing]:
        """What must be written now: audio up to the lead, marks behind it, and news."""
        reply = self._reply
        if reply is None or self._paused:
            return []
        out: list[Outgoing] = []
        self._send_audio(reply, now, out)
        if reply.finished and reply.cursor == len(reply.audio):
            if reply.started and not reply.end_marked:
                reply.end_marked = True
                out.append(self._mark(reply.cursor, last=True))
            elif now > self._horizon + self._round_trip_s + ECHO_OVERDUE_S and reply.started:
                self.counters.overdue_marks += 1
                self._played(reply, out)
        return out

    def probe(self, now: float) -> list[Outgoing]:
        """Measure the round trip with a mark, if nothing is queued at the far end."""
        if now < self._horizon:
            return []
        mark = self._mark(self._reply.cursor if self._reply else 0)
        self._marks[mark.name].probe_sent_at = now
        return [mark]

    def mark_reached(self, name: str, now: float) -> list[Outgoing]:
        """Take an echo; an echo of an older epoch proves nothing."""
        mark = self._marks.pop(name, None)
        if mark is None:
            epoch, _, _ = name.partition(".")
            if epoch.isdecimal() and int(epoch) < self._epoch:
                self.counters.stale_marks += 1
            else:
                self.counters.unknown_marks += 1
            return []
        self._echoes = True
        if mark.probe_sent_at is not None:
            self._round_trip_s = max(0.0, now - mark.probe_sent_at)
            return []
        reply = self._reply
        if reply is None or reply.number != mark.reply:
            return []
        out: list[Outgoing] = []
        reply.confirmed = max(reply.confirmed, mark.offset)
        reply.audio.forget(reply.confirmed - WORD_BYTES)
        if mark.offset > reply.restarted_at:
            reply.anchor_offset, reply.anchor_at = mark.offset, now - self._round_trip_s / 2
        if not reply.proven and mark.offset:
            reply.proven = True
            out.append(FirstMark(reply.number))
        if mark.last:
            self._played(reply, out)
        return out

    # -------------------------------------------------------------- barge-in

    def pause(self, now: float) -> list[Outgoing]:
        """Fall silent: empty the far end and go back to the word that was cut; nothing is lost."""
        reply = self._reply
        if reply is None or self._paused:
            return []
        offset = self._position(reply, now + self._round_trip_s / 2)
        self._paused = True
        if not reply.started:
            return []
        reply.heard_once = max(reply.heard_once, offset)
        reply.cursor = min(max(reply.ledger.word_start(offset), reply.audio.begins_at), len(reply.audio))
        reply.anchor_offset, reply.anchor_at = offset, now
        reply.confirmed = min(reply.confirmed, offset)
        reply.end_marked = False
        return self._clear(now)

    def resume(self) -> None:
        """Go on from the start of the word that was cut, with what `due` gives next."""
        self._paused = False

    def revoke(self, now: float) -> tuple[Heard, list[Outgoing]]:
        """Take the present reply away for good; say what was heard of it.

        Raises LookupError without a reply.
        """
        heard = self.heard(now)
        reply = self._present()
        out: list[Outgoing] = []
        if reply.started and not self._paused:
            out = self._clear(now)
        self._reply = None
        self._paused = False
        return heard, out

    # --------------------------------------------------------------- details

    def _present(self) -> _Reply:
        if self._reply is None:
            raise LookupError("no reply is being played")
        return self._reply

    def _position(self, reply: _Reply, at: float) -> int:
        """Bytes of the reply that the far end has played at `at`.

        Time goes on in a stall of the line, and the far end does not: where an echo that is due has not come,
        its mark is not passed by. A far end that never echoes is trusted to keep time.
        """
        if not reply.started:
            return 0
        if self._paused:
            return reply.anchor_offset
        played = reply.anchor_offset + int((at - reply.anchor_at) * BYTES_PER_S)
        return max(reply.confirmed, min(played, reply.cursor, self._unproven(reply, at)))

    def _unproven(self, reply: _Reply, at: float) -> int:
        """The offset of the first mark whose echo is overdue; beyond the audio where none is."""
        if self._echoes:
            latest = at - 1.5 * self._round_trip_s - max(ECHO_LATE_S, self._round_trip_s)
            for mark in self._marks.values():
                missing = mark.reply == reply.number and mark.offset > reply.confirmed
                if missing and mark.probe_sent_at is None:
                    return mark.offset if mark.played_at < latest else reply.cursor
        return reply.cursor

    def _send_audio(self, reply: _Reply, now: float, out: list[Outgoing]) -> None:
        while reply.cursor < len(reply.audio):
            dry = self._horizon <= now
            waiting = len(reply.audio) - reply.cursor
            if dry and waiting < REBUFFER_BYTES and self._fell_behind(reply):
                return
            if dry:
                self._restart(reply, now, out)
            room = int((self._lead_s - (self._horizon - now)) * BYTES_PER_S)
            # Less than a frame joins the message before it: left over, it would be missing in a stall.
            whole = room if room < self._message_bytes + FRAME_BYTES else self._message_bytes
            size = min(waiting, FRAME_BYTES if dry else whole)
            if size < min(waiting, FRAME_BYTES):
                return
            audio = reply.audio.read(reply.cursor, reply.cursor + size)
            reply.cursor += size
            out.append(SendAudio(audio, self._horizon))
            self.counters.sent_bytes += size
            self._horizon += size / BYTES_PER_S
            self._mark_if_due(reply, out)

    def _fell_behind(self, reply: _Reply) -> bool:
        """The voice was too slow for what is played, and has not come to the end of its clause."""
        whole = reply.finished or (bool(reply.clause_ends) and reply.clause_ends[-1] == len(reply.audio))
        return reply.started and not self._emptied and not whole

    def _restart(self, reply: _Reply, now: float, out: list[Outgoing]) -> None:
        """The far end has nothing to play: what is sent now sounds half a round trip later."""
        if not reply.started:
            reply.started = True
            out.append(FirstFrame(reply.number))
        elif not self._emptied and now - self._horizon > UNDERRUN_TOLERANCE_S:
            self.counters.underruns += 1
            self.counters.underrun_s += now - self._horizon
        self._emptied = False
        self._horizon = now
        reply.anchor_offset, reply.anchor_at = reply.cursor, now + self._round_trip_s / 2
        reply.restarted_at = reply.cursor

    def _mark_if_due(self, reply: _Reply, out: list[Outgoing]) -> None:
        clause_end = False
        while reply.clause_ends and reply.clause_ends[0] <= reply.cursor:
            reply.clause_ends.pop(0)
            clause_end = True
        if reply.cursor >= reply.next_mark or clause_end:
            reply.next_mark = reply.cursor + self._mark_every
            out.append(self._mark(reply.cursor))

    def _mark(self, offset: int, *, last: bool = False) -> SendMark:
        self._mark_number += 1
        name = f"{self._epoch}.{self._mark_number}"
        self._marks[name] = _Mark(self._reply.number if self._reply else 0, offset, self._horizon, last)
        return SendMark(name)

    def _clear(self, now: float) -> list[Outgoing]:
        self._epoch += 1
        self._marks.clear()
        self._horizon = now
        self._emptied = True
        self.counters.clears += 1
        mark = self._mark(0)
        self._marks[mark.name].probe_sent_at = now
        return [SendClear(), mark]

    def _played(self, reply: _Reply, out: list[Outgoing]) -> None:
        self._reply = None
        self._emptied = True
        self._marks = {name: mark for name, mark in self._marks.items() if mark.reply != reply.number}
        text = reply.ledger.text
        out.append(Played(Heard(reply.number, text, text, len(reply.audio) / BYTES_PER_S, complete=True)))
