"""Both sides of a call as they sounded, ready to be written a stretch at a time. No I/O and no clock.

Theory. All places are samples of one time line, that of the carrier's media: it begins with the call and
moves with the clock. The caller's frames carry media timestamps, which say how they lie to each other; where
the first of them lies is told by the frame that came soonest after it was spoken. Timestamps wobble by
milliseconds, so a frame that comes within 15 ms of the end of the one before is put right behind it.

The agent's audio is played back to back from the moment it is sent, and what a `clear` finds not yet played
never is (Twilio Media Streams documentation, `media` and `clear`). The carrier plays it half a round trip
after it was sent, and the caller's frames take another half to come here: on the time line it lies a round
trip later.

Nothing is given out before it is settled: a `clear` or a late frame may still change the last seconds. So
a tape holds a few seconds at most, and a pause is silent though its audio was sent before.
"""

from __future__ import annotations

__all__ = ["LOOK_AHEAD_S", "CallTape", "Stretch", "samples"]

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offhook.codecs import g711
from offhook.codecs.framing import SAMPLE_RATE_HZ as RATE_HZ

LOOK_AHEAD_S = 3.0
"""A frame of the caller's that comes later than this is silence."""
SLIPPED_AFTER_S = 1.0
"""Frames that have no place for so long were not held up: the media clock stood still, or jumped."""
LONGEST_ROUND_TRIP_S = 1.0
LOOK_AHEAD = round(LOOK_AHEAD_S * RATE_HZ)
WOBBLE = 3 * RATE_HZ // 200
"""Less than a frame, so that one that is missing is a gap."""
PIECES_LIMIT = 1_000
"""Pieces of one side that wait; they are 20 ms or longer, so this is 20 s of a recorder that is stuck."""

Piece = tuple[int, bytes]
"""Where it begins, and its mu-law."""
Span = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Stretch:
    """A part of a call that nothing changes any more, as samples from `begin` to before `end`."""

    begin: int
    end: int
    caller: Sequence[Piece]
    """What the caller said; where pieces overlap the later one counts."""
    agent: Sequence[Piece]
    """What the caller heard."""
    silences: Sequence[Span]
    """Where recording was paused."""

    @property
    def seconds(self) -> float:
        """How long it is."""
        return (self.end - self.begin) / RATE_HZ


def samples(stretch: Stretch) -> NDArray[np.int16]:
    """Make the stretch's samples, shape [n, 2]: the caller on the left, the agent on the right."""
    sides = []
    for pieces in (stretch.caller, stretch.agent):
        side = np.full(stretch.end - stretch.begin, g711.SILENCE, np.uint8)
        for place, audio in pieces:
            first, last = max(place, stretch.begin), min(place + len(audio), stretch.end)
            if first < last:
                heard = np.frombuffer(audio, np.uint8)[first - place : last - place]
                side[first - stretch.begin : last - stretch.begin] = heard
        for first, last in stretch.silences:
            side[max(0, first - stretch.begin) : max(0, last - stretch.begin)] = g711.SILENCE
        sides.append(g711.decode(side.tobytes()))
    return np.stack(sides, axis=1)


class CallTape:
    """The last seconds of one call. Times are the clock's, in seconds, and never go back."""

    def __init__(self, now: float) -> None:
        self._began = now
        self._given = 0
        """Everything before this place was given out."""
        self._caller: list[Piece] = []
        self._agent: list[Piece] = []
        self._anchor: int | None = None
        """Where a media timestamp of zero lies."""
        self._media_end = 0
        self._misplaced_since: float | None = None
        self._round_trip = 0
        self._agent_end = 0
        self._spans: list[Span] = []
        self._paused_at: int | None = None
        self.lost = 0
        """Samples of the caller's that had no place, or were too many."""

    @property
    def paused(self) -> bool:
        """What sounds now is not kept."""
        return self._paused_at is not None

    @property
    def paused_s(self) -> tuple[tuple[float, float], ...]:
        """From when to when recording was paused, for all pauses that are over."""
        return tuple((first / RATE_HZ, last / RATE_HZ) for first, last in self._spans)

    # --------------------------------------------------------------- what sounds

    def caller(self, audio: bytes, timestamp_ms: int, now: float) -> None:
        """Take mu-law of the caller's that was spoken at this media time and came just now."""
        place, size = timestamp_ms * RATE_HZ // 1000, len(audio)
        if -WOBBLE <= place - self._media_end <= WOBBLE:
            place = self._media_end
        came = self._place(now) - size
        if self._anchor is None:
            self._anchor = came - place
        early = place + self._anchor - came
        if self._misses(came + early, early, size):
            if not self._slipped(now):
                self.lost += size
                return
            self._anchor = came - place
        elif early > 0:
            # Nothing comes before it was spoken: the frames before this one were held up.
            self._advance(early)
        self._misplaced_since = None
        self._media_end = place + size
        if len(self._caller) < PIECES_LIMIT:
            self._caller.append((place + self._anchor, audio))
        else:
            self.lost += size

    def agent(self, audio: bytes, now: float) -> None:
        """Take mu-law that is sent now, to be played behind what was sent before."""
        place = max(self._agent_end, self._place(now) + self._round_trip)
        self._agent_end = place + len(audio)
        self._agent.append((place, audio))

    def clear(self, now: float) -> None:
        """What was sent and is not played by now never is."""
        cut = self._place(now) + self._round_trip
        self._agent = [(place, audio[: cut - place]) for place, audio in self._agent if place < cut]
        self._agent_end = min(self._agent_end, cut)

    def round_trip(self, seconds: float) -> None:
        """Say how far away the carrier is; without effect in later seconds, for what was given out stays."""
        if self._given:
            return
        before, self._round_trip = self._round_trip, round(min(seconds, LONGEST_ROUND_TRIP_S) * RATE_HZ)
        further = self._round_trip - before
        self._agent = [(place + further, audio) for place, audio in self._agent]
        self._agent_end += further if self._agent_end else 0

    # -------------------------------------------------------------------- orders

    def pause(self, now: float) -> None:
        """Both sides are silent from now on."""
        if self._paused_at is None:
            self._paused_at = self._place(now)

    def resume(self, now: float) -> None:
        """Both sides are heard from now on; what was spoken before and comes later is not."""
        if self._paused_at is not None:
            self._spans.append((self._paused_at, self._place(now)))
            self._paused_at = None

    # -------------------------------------------------------------- what is given

    def take(self, now: float) -> Stretch | None:
        """Give out what is settled and was not given before, if there is any."""
        end = self._place(now) - LOOK_AHEAD
        return self._give(end) if end > self._given else None

    def end(self, now: float) -> Stretch:
        """Give out the rest: the line is closed, and what the agent said and nobody heard is dropped."""
        self.clear(now)
        end = max(self._given, self._place(now) + self._round_trip)
        if self._paused_at is not None:
            self._spans.append((self._paused_at, max(self._paused_at, end)))
            self._paused_at = None
        return self._give(end)

    # ------------------------------------------------------------------- details

    def _place(self, now: float) -> int:
        return round((now - self._began) * RATE_HZ)

    def _misses(self, place: int, early: int, size: int) -> bool:
        """A frame has no place on the tape: what it belongs to was given out, or is far from here."""
        return 0 < self._given >= place + size or early > LOOK_AHEAD

    def _advance(self, early: int) -> None:
        self._anchor = (self._anchor or 0) - early
        if not self._given:
            # Nothing of them was given out, so they can still be put where they were spoken.
            self._caller = [(place - early, audio) for place, audio in self._caller]

    def _slipped(self, now: float) -> bool:
        if self._misplaced_since is None:
            self._misplaced_since = now
        return now - self._misplaced_since > SLIPPED_AFTER_S

    def _give(self, end: int) -> Stretch:
        begin, self._given = self._given, end
        open_span = () if self._paused_at is None else ((self._paused_at, end),)
        stretch = Stretch(
            begin,
            end,
            [piece for piece in self._caller if piece[0] < end],
            [piece for piece in self._agent if piece[0] < end],
            [span for span in (*self._spans, *open_span) if span[0] < end and span[1] > begin],
        )
        self._caller = [piece for piece in self._caller if piece[0] + len(piece[1]) > end]
        self._agent = [piece for piece in self._agent if piece[0] + len(piece[1]) > end]
        return stretch
