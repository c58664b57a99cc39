"""The caller's audio on its way to Deepgram, and where in the call lies what the vendor speaks of.

The vendor counts the seconds of audio that it received. Audio that was dropped on the way, and silence that
was put in to keep a connection alive, shift that count against the caller's audio; no I/O.
"""

from __future__ import annotations

__all__ = ["CallerAudio"]

from bisect import bisect_right
from dataclasses import dataclass

from offhook.codecs.framing import SAMPLE_RATE_HZ as _HZ

MOST_WAITING_BYTES = 5 * _HZ
"""So much audio waits for the socket: more than comes while one is opened, or takes nothing, in its time."""
MOST_STRETCHES = 256
SILENCE = b"\xff"


@dataclass(frozen=True, slots=True)
class _Stretch:
    """Audio without a break, up to the next stretch."""

    vendor_at: int
    """Where it begins in what the vendor received, in bytes."""
    media_at: int
    """Where it begins in what was pushed, in bytes."""
    silent: bool
    """It was put in: the caller's audio stands still meanwhile."""


class CallerAudio:
    """A bounded buffer of mu-law that knows what became of every byte.

    What is pushed first is never dropped: it is what a lost recogniser did not answer for. Of what comes
    later the oldest beyond five seconds is.
    """

    def __init__(self, begins_at_s: float) -> None:
        self._begins_at_s = begins_at_s
        self._first = bytearray()
        self._later = bytearray()
        self._later_at = 0
        self._pushed = 0
        self._sent = 0
        self._taken = 0
        self._stretches: list[_Stretch] = []
        self.dropped_bytes = 0

    @property
    def pushed_s(self) -> float:
        """How far the caller's audio has come, in seconds since the call's stream began."""
        return self._begins_at_s + self._pushed / _HZ

    @property
    def taken_s(self) -> float:
        """How far it has been taken to be sent, in seconds since the call's stream began."""
        return self._begins_at_s + self._taken / _HZ

    @property
    def waiting(self) -> int:
        """Bytes that have not been taken."""
        return len(self._first) + len(self._later)

    def push(self, audio: bytes) -> None:
        """Take the caller's next bytes."""
        if self._pushed == 0:
            self._first += audio
            self._later_at = len(audio)
        else:
            self._later += audio
            self._drop(len(self._later) - MOST_WAITING_BYTES)
        self._pushed += len(audio)

    def take(self, most: int) -> bytes:
        """Hand out the oldest bytes to be sent now, at most so many."""
        source, media_at = self._later, self._later_at
        if self._first:
            source, media_at = self._first, self._taken
        piece = bytes(source[:most])
        del source[:most]
        if source is self._later:
            self._later_at += len(piece)
        self._note(_Stretch(self._sent, media_at, silent=False))
        self._sent += len(piece)
        self._taken = media_at + len(piece)
        return piece

    def silence(self, count: int) -> bytes:
        """Make so many bytes of silence, to be sent now; the caller's audio does not go on with them."""
        self._note(_Stretch(self._sent, self._taken, silent=True))
        self._sent += count
        return SILENCE * count

    def media_s(self, vendor_s: float) -> float:
        """Turn seconds of what the vendor received into seconds of the caller's audio."""
        position = round(vendor_s * _HZ)
        index = bisect_right(self._stretches, position, key=lambda stretch: stretch.vendor_at) - 1
        if index < 0:
            return self._begins_at_s
        stretch = self._stretches[index]
        media = stretch.media_at + (0 if stretch.silent else position - stretch.vendor_at)
        return self._begins_at_s + min(media, self._taken) / _HZ

    def _drop(self, excess: int) -> None:
        if excess > 0:
            del self._later[:excess]
            self._later_at += excess
            self.dropped_bytes += excess

    def _note(self, stretch: _Stretch) -> None:
        """Write down a break in the count; what goes on as before is no break."""
        if self._stretches:
            last = self._stretches[-1]
            goes_on = last.media_at + (0 if last.silent else stretch.vendor_at - last.vendor_at)
            if last.silent == stretch.silent and goes_on == stretch.media_at:
                return
        self._stretches.append(stretch)
        del self._stretches[:-MOST_STRETCHES]
