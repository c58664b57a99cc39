"""The shell around playout: writes to the line, rides on the pacing wheel, tells the news."""

from __future__ import annotations

__all__ = ["Speaker", "SpeakerListener"]

import asyncio
from collections.abc import Sequence
from typing import Protocol

from .clock import Clock
from .echo import ExpectedEcho
from .evidence import Over
from .pacing import PacingWheel
from .playout import (
    FirstFrame,
    FirstMark,
    Heard,
    Outgoing,
    Played,
    Playout,
    PlayoutCounters,
    SendAudio,
    SendClear,
    SendMark,
)
from .ports import Line, WordTiming

RECENT_S = 3.0
"""Words that came so long after we said them may be their echo, recognised late."""
RECENT_WORDS = 10
AHEAD_S = 3.5
"""How much synthesised audio may wait before its producer does; another voice takes over within that time."""
GO_ON_S = 3.0
"""The producer goes on when no more waits: it is not woken for every message that leaves."""


class SpeakerListener(Protocol):
    """Who wants to know what became of a reply's audio."""

    def first_frame(self, reply: int) -> None:
        """Its first audio was written."""

    def first_mark(self, reply: int) -> None:
        """The caller is known to hear it."""

    def played(self, heard: Heard) -> None:
        """The caller heard it to its end."""


class Speaker:
    """One call's voice on its line. All methods but `room` are synchronous, so a barge-in is one callback."""

    def __init__(
        self, line: Line, wheel: PacingWheel, clock: Clock, listener: SpeakerListener, echo: ExpectedEcho
    ) -> None:
        self._line = line
        self._wheel = wheel
        self._clock = clock
        self._listener = listener
        self._echo = echo
        self._said = ("", 0.0)
        """The end of the last reply, and when it had been heard."""
        self._playout = Playout()
        self._slot: int | None = None
        self._moved = asyncio.Event()

    @property
    def counters(self) -> PlayoutCounters:
        """Underruns, clears, stale marks."""
        return self._playout.counters

    @property
    def epoch(self) -> int:
        """How many clears were written."""
        return self._playout.epoch

    @property
    def round_trip_s(self) -> float:
        """The newest measured round trip to the far end."""
        return self._playout.round_trip_s

    def over(self) -> Over:
        """What the caller hears of us, or has just heard, for words that may be its echo."""
        now = self._clock.now()
        playing = self._playout.recent_text(now, RECENT_S)
        said, ended_at = self._said
        recent = said if now - ended_at < RECENT_S else ""
        return Over(f"{recent} {playing}".strip(), self._playout.asks(now))

    # -------------------------------------------------------- making a reply

    def begin(self, reply: int) -> None:
        """Take audio of this reply, and of no other, from now on."""
        self._playout.begin(reply)

    def begin_clause(self, reply: int, text: str) -> bool:
        """Say whose words the audio that follows holds; False if the reply was revoked."""
        return self._playout.begin_clause(reply, text)

    def append(self, reply: int, audio: bytes, words: Sequence[WordTiming] = ()) -> bool:
        """Take carrier bytes; what is due goes out at once. False if the reply was revoked."""
        accepted = self._playout.append(reply, audio, words)
        if accepted:
            self._run()
        return accepted

    def end_clause(self, reply: int) -> None:
        """The clause begun last has all its audio."""
        self._playout.end_clause(reply)

    def finish(self, reply: int) -> bool:
        """The reply has all its audio; False if that is none, or it was revoked."""
        some = self._playout.finish(reply)
        self._run()
        return some

    def finish_at_word(self, reply: int) -> bool:
        """End the reply with the word that is being sent; False if none of it was sent, or it was revoked."""
        begun = self._playout.finish_at_word(reply, self._clock.now())
        self._moved.set()
        return begun

    async def room(self, reply: int) -> bool:
        """Wait until more audio may be made; False as soon as the reply is revoked."""
        if self._playout.waiting_s > AHEAD_S:
            while self._playout.reply == reply and self._playout.waiting_s > GO_ON_S:
                self._moved.clear()
                await self._moved.wait()
        return self._playout.reply == reply

    # -------------------------------------------------------------- barge-in

    def pause(self) -> None:
        """Fall silent at once; nothing is lost."""
        self._write(self._playout.pause(self._clock.now()))
        self._leave()

    def resume(self) -> None:
        """Go on from the start of the word that was cut."""
        self._playout.resume()
        self._run()

    def revoke(self) -> Heard | None:
        """Take the present reply away for good; None if there is none."""
        if self._playout.reply is None:
            return None
        self._remember(self._playout.recent_text(self._clock.now(), RECENT_S))
        heard, out = self._playout.revoke(self._clock.now())
        self._write(out)
        self._leave()
        self._moved.set()
        return heard

    # ---------------------------------------------------------------- events

    def mark_reached(self, name: str) -> None:
        """The carrier echoed a mark."""
        self._write(self._playout.mark_reached(name, self._clock.now()))

    def probe(self) -> None:
        """Measure the round trip if the line is quiet."""
        self._write(self._playout.probe(self._clock.now()))

    def close(self) -> None:
        """Write nothing more."""
        self._leave()

    # --------------------------------------------------------------- details

    def _run(self) -> None:
        self._serve(self._clock.now())
        if self._slot is None and self._playout.reply is not None and not self._playout.paused:
            self._slot = self._wheel.join(self._serve)

    def _serve(self, now: float) -> None:
        if self._line.congested:
            return
        self._write(self._playout.due(now))
        if self._playout.reply is None:
            self._leave()

    def _remember(self, said: str) -> None:
        self._said = said, self._clock.now()

    def _leave(self) -> None:
        if self._slot is not None:
            self._wheel.leave(self._slot, self._serve)
            self._slot = None

    def _write(self, outgoing: Sequence[Outgoing]) -> None:
        """Write first, tell the news afterwards: news may lead to a clear, and nothing may follow a clear."""
        for item in outgoing:
            match item:
                case SendAudio(audio, at):
                    self._line.send_audio(audio)
                    self._echo.play(audio, at)
                case SendMark(name):
                    self._line.send_mark(name)
                case SendClear():
                    self._line.send_clear()
                    self._echo.clear(self._clock.now())
        if self._playout.waiting_s <= GO_ON_S:
            self._moved.set()
        for item in outgoing:
            match item:
                case FirstFrame(reply):
                    self._listener.first_frame(reply)
                case FirstMark(reply):
                    self._listener.first_mark(reply)
                case Played(heard):
                    self._leave()
                    self._remember(" ".join(heard.text.split()[-RECENT_WORDS:]))
                    self._listener.played(heard)
