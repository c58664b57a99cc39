"""What a recogniser is given to decode and when: bytes, hints and answers in, decodes out; no I/O.

An utterance is the caller's speech from 300 ms before its first onset to the end of the turn. While speech
goes on it is decoded again every 350 ms or so (partials); when speech pauses, once more as a whole (the
final candidate). If speech goes on before the turn has ended, later partials and finals of the same
utterance replace the text. Long pauses inside an utterance are left out, and nothing is decoded in them.
Where speech went on and the whole gave no more words than before, what was added is decoded by itself: a
recogniser may stop listening at a pause.

Positions are counts of bytes (mu-law, 8 kHz) since the stream began.
"""

from __future__ import annotations

__all__ = ["DecodePlan", "Heard", "UtteranceTracker"]

from collections import deque
from dataclasses import dataclass, field

import numpy as np

from offhook.codecs import g711
from offhook.codecs.framing import SAMPLE_RATE_HZ as _HZ

_RING = 3 * _HZ
"""Audio kept while nobody speaks; an onset is noticed late."""
_PRE_ROLL = int(0.3 * _HZ)
_TAIL = int(0.1 * _HZ)
"""Voice activity ends a word a little early: so much behind its end belongs to it."""
_LONGEST_GAP = _HZ
"""Of a longer pause within an utterance, what lies beyond tail and pre-roll is left out."""
_LONGEST = 20 * _HZ
_CUT_WITHIN = 3 * _HZ
_CUT_BLOCK = _HZ // 10
_FIRST_PARTIAL = int(0.3 * _HZ)
_STEP = int(0.35 * _HZ)
_LONGEST_STEP = 2 * _HZ
_STEP_PER_TURNAROUND = 1.5
"""One caller's partials take at most two thirds of the recogniser; where they come late there are fewer."""
_WORTH_WORDS = int(0.4 * _HZ)
"""So much added speech holds words."""
_LULL = int(0.08 * _HZ)
_LULL_RATIO = 0.1
_LONGEST_LULL = int(0.3 * _HZ)
"""A partial is put off in a lull, since the final that follows a pause would have to wait for it."""
_MOST_CLOSED = 4


@dataclass(slots=True)
class _Utterance:
    number: int
    audio: bytearray = field(default_factory=bytearray)
    end: int = 0
    """Position behind the audio's last byte."""
    settled: bool = True
    """All its audio has a final."""
    paused_at: int = 0
    """Position where speech ended."""
    text: str = ""
    confidence: float = 1.0
    decoded_to: int = 0
    """Position up to which `text` was heard."""
    final_text: str = ""
    final_bytes: int = 0
    """The last final, and how much of the audio it was made of."""
    lost_words: bool = False
    """Audio behind the last final gave no words together with what was before it."""
    closed: bool = False

    def would_lose_words(self, text: str, decoded_bytes: int) -> bool:
        """Speech was added since the last final, and this text of all of it says no more than that one."""
        added = decoded_bytes - self.final_bytes
        return bool(self.final_text) and added >= _WORTH_WORDS and _size(text) <= _size(self.final_text)


@dataclass(frozen=True, slots=True)
class DecodePlan:
    """What to decode now."""

    utterance: int
    audio: bytes
    end: int
    """Position behind the audio's last byte."""
    final: bool
    addition: bool = False
    """The audio is what was added since the last final; the text goes behind that one's."""


@dataclass(frozen=True, slots=True)
class Heard:
    """Words to report, or, without a text, that sound was listened to and held none."""

    utterance: int
    text: str
    final: bool
    end: int
    confidence: float


class UtteranceTracker:
    """Follows one caller's speech."""

    def __init__(self) -> None:
        self.end = 0
        """Position behind the last byte pushed."""
        self.step = _STEP
        self._ring = bytearray()
        self._current = _Utterance(0)
        self._speaking = False
        self._floor = 0
        """What lies before this position belongs to an utterance that is over."""
        self._closed: deque[_Utterance] = deque()
        self._next_partial = 0
        self.discarded = 0
        """Utterances that ended without a final since too many waited for one."""

    # ------------------------------------------------------------------- in

    def push(self, audio: bytes) -> None:
        """Take the caller's next bytes."""
        self.end += len(audio)
        self._ring += audio
        if len(self._ring) > 2 * _RING:
            del self._ring[:-_RING]
        if self._speaking:
            self._extend(audio)
            if len(self._current.audio) >= _LONGEST:
                self._split()

    def speech_started(self, position: int) -> None:
        """Somebody began to speak at `position`."""
        if self._speaking:
            return
        self._speaking = True
        current = self._current
        begin = max(position - _PRE_ROLL, self._floor, current.end)
        if current.audio and begin - current.end <= _LONGEST_GAP:
            begin = current.end
        # A stream that is opened anew gets the hint first and then the audio that it missed.
        current.end = min(self.end, max(begin, self.end - len(self._ring)))
        self._extend(self._since(current.end))
        self._next_partial = position + _FIRST_PARTIAL

    def speech_paused(self, position: int) -> None:
        """Speech ended at `position`."""
        if not self._speaking:
            return
        self._speaking = False
        self._current.paused_at = position

    def end_utterance(self) -> None:
        """The turn is over; what follows is another utterance."""
        speaking = self._speaking
        self._close(self.end if speaking else min(self.end, self._current.paused_at + _TAIL))
        if speaking:
            self._begin_after_cut(b"")

    # ------------------------------------------------------------------ out

    def known(self) -> Heard | None:
        """A final that needs no decode, since a partial has heard all the speech; asked before `plan`."""
        utterance = self._unsettled()
        if utterance is None or not utterance.decoded_to:
            return None
        if utterance.decoded_to < min(utterance.end, utterance.paused_at + _TAIL):
            return None
        return self._settle(utterance, utterance.decoded_to)

    def plan(self) -> DecodePlan | None:
        """What is to be decoded now, finals first, or None."""
        if (utterance := self._unsettled()) is not None:
            first = utterance.final_bytes if utterance.lost_words else 0
            return DecodePlan(
                utterance.number,
                bytes(utterance.audio[first:]),
                utterance.end,
                final=True,
                addition=utterance.lost_words,
            )
        if self._speaking and self._current.audio and self.end >= self._next_partial and not self._lull():
            current = self._current
            self._next_partial = current.end + self.step
            return DecodePlan(current.number, bytes(current.audio), current.end, final=False)
        return None

    @property
    def due(self) -> bool:
        """`known` or `plan` may have something."""
        return (self._speaking and self.end >= self._next_partial) or self.final_due

    @property
    def final_due(self) -> bool:
        """Somebody has said something, and is silent or says something else now."""
        return self._unsettled() is not None

    def decoded(self, plan: DecodePlan, text: str, confidence: float, turnaround_s: float) -> Heard | None:
        """Take the answer to a plan, so long after it was first wanted; returns what is to be reported."""
        if not plan.final:
            self.step = min(_LONGEST_STEP, max(_STEP, int(turnaround_s * _STEP_PER_TURNAROUND * _HZ)))
        candidates = (*self._closed, self._current)
        utterance = next((each for each in candidates if each.number == plan.utterance), None)
        if utterance is None or plan.end < utterance.decoded_to:
            return None
        if plan.final and not plan.addition and utterance.would_lose_words(text, len(plan.audio)):
            utterance.lost_words = True
            return None
        if plan.addition:
            text = f"{utterance.final_text} {text}".strip()
        utterance.text, utterance.confidence, utterance.decoded_to = text, confidence, plan.end
        if utterance is self._current:
            self._next_partial = max(self._next_partial, plan.end + self.step)
        if plan.final:
            if plan.end < utterance.end:  # speech went on meanwhile; this was a final candidate all the same
                return Heard(plan.utterance, text, final=True, end=plan.end, confidence=confidence)
            return self._settle(utterance, plan.end)
        return Heard(plan.utterance, text, final=False, end=plan.end, confidence=confidence)

    # --------------------------------------------------------------- inside

    def _unsettled(self) -> _Utterance | None:
        if self._closed:
            return self._closed[0]
        current = self._current
        return current if not self._speaking and not current.settled else None

    def _settle(self, utterance: _Utterance, end: int) -> Heard:
        utterance.settled, utterance.lost_words = True, False
        utterance.final_text = utterance.text
        utterance.final_bytes = len(utterance.audio) - max(0, utterance.end - end)
        if utterance.closed:
            self._closed.remove(utterance)
        return Heard(utterance.number, utterance.text, True, end, utterance.confidence)

    def _extend(self, audio: bytes | bytearray) -> None:
        self._current.audio += audio
        self._current.end += len(audio)
        self._current.settled = self._current.settled and not audio

    def _since(self, position: int) -> bytearray:
        """Audio from `position` on; it must lie within the ring."""
        return self._ring[len(self._ring) - (self.end - position) :]

    def _close(self, floor: int) -> None:
        """End the current utterance; its audio, if it has no final yet, waits for one."""
        utterance = self._current
        self._floor = max(self._floor, floor)
        if not utterance.settled:
            utterance.closed = True
            if self._speaking:
                utterance.paused_at = utterance.end
            self._closed.append(utterance)
            if len(self._closed) > _MOST_CLOSED:
                self._closed.popleft()
                self.discarded += 1
        self._current = _Utterance(utterance.number + 1, end=self._floor)

    def _begin_after_cut(self, audio: bytes) -> None:
        """Speech goes on in a new utterance that begins with `audio`, the last bytes pushed."""
        self._current.end = self.end - len(audio)
        self._next_partial = self._current.end + _FIRST_PARTIAL
        self._extend(audio)

    def _split(self) -> None:
        """End a very long utterance at the quietest recent point."""
        utterance = self._current
        recent = np.abs(g711.decode(bytes(utterance.audio[-_CUT_WITHIN:])).astype(np.int32))
        levels = recent[: len(recent) // _CUT_BLOCK * _CUT_BLOCK].reshape(-1, _CUT_BLOCK).sum(axis=1)
        behind = len(recent) - (int(levels.argmin()) * _CUT_BLOCK + _CUT_BLOCK // 2)
        rest = bytes(utterance.audio[-behind:])
        del utterance.audio[-behind:]
        utterance.end -= behind
        self._close(utterance.end)
        self._begin_after_cut(rest)

    def _lull(self) -> bool:
        """The latest audio is quiet beside the utterance's loudest, and has not been so for long."""
        current = self._current
        if self.end > self._next_partial + _LONGEST_LULL:
            return False
        recent = bytes(current.audio[-_CUT_WITHIN:])
        size = len(recent) // _LULL * _LULL
        if size < 2 * _LULL:
            return False
        blocks = np.abs(g711.decode(recent[-size:]).astype(np.int32)).reshape(-1, _LULL).sum(axis=1)
        return bool(blocks[-1] < _LULL_RATIO * blocks.max())


def _size(text: str) -> int:
    """Letters and digits."""
    return sum(character.isalnum() for character in text)
