"""The caller's audio that no recogniser has answered for yet, for the next one if this one is lost; no I/O.

Audio is settled once words for it are final, or the turn it belongs to is over. Where speech lies behind
that point everything since is kept, up to `MOST_S`; otherwise the last few seconds, since voice activity
and words come late. Positions are seconds of the caller's audio since the stream began.
"""

from __future__ import annotations

__all__ = ["Missed", "Replay"]

from dataclasses import dataclass

from offhook.codecs.framing import SAMPLE_RATE_HZ as BYTES_PER_S

from .audio_tape import AudioTape
from .evidence import Activity
from .ports import Transcript

KEPT_BYTES = 3 * BYTES_PER_S
"""At least so much is kept while nobody speaks."""
SPARE_BYTES = BYTES_PER_S // 2
"""And at most so much more: the oldest goes in pieces."""
MOST_S = 30.0
"""Of speech without an answer so much is kept; then the oldest goes."""
MOST_BYTES = int(MOST_S) * BYTES_PER_S
TAIL_S = 0.1
"""Voice activity ends a word a little early: so much behind its end belongs to it."""
SAME_SPEECH_S = 0.1
"""A final whose audio ends this much before the speech does still holds the last word."""
LATE_S = 0.5
"""Voice activity that lags further behind the audio says nothing about its end."""


@dataclass(frozen=True, slots=True)
class Missed:
    """What a recogniser that is opened now has to hear first."""

    begins_at_s: float
    audio: bytes
    """Carrier bytes (mu-law, 8 kHz) up to now."""
    speech_from_s: float | None
    """Where the first speech in it begins; None: there is none."""


class Replay:
    """A ring of one caller's audio that grows as long as speech in it is not settled."""

    def __init__(self) -> None:
        self._audio = AudioTape()
        self._start = 0
        """Place of the first byte that is still of use."""
        self._limit = KEPT_BYTES + SPARE_BYTES
        self._activity = Activity(0.0, speaking=False, onset_s=0.0, last_speech_s=0.0)
        self._settled_s = 0.0
        self._worded_s = 0.0
        """Words that are not final cover the audio up to here."""
        self._open_from_s: float | None = None
        """Where speech begins that is not settled."""
        self._lost = 0

    @property
    def media_s(self) -> float:
        """Seconds of the caller's audio so far."""
        return len(self._audio) / BYTES_PER_S

    @property
    def kept_bytes(self) -> int:
        """How much is held now."""
        return self._audio.kept_bytes

    @property
    def lost_s(self) -> float:
        """Seconds of speech and its pauses that were dropped before any recogniser answered for them."""
        return self._lost / BYTES_PER_S

    def push(self, audio: bytes) -> None:
        """Take the caller's next carrier bytes."""
        self._audio.append(audio)
        if len(self._audio) - self._start > self._limit:
            self._trim()

    def sound(self, activity: Activity) -> None:
        """Take what voice activity says."""
        self._activity = activity
        if self._open_from_s is None and activity.last_speech_s > self._settled_s + SAME_SPEECH_S:
            self._open(activity.onset_s)

    def answered(self, transcript: Transcript) -> None:
        """Take a result that counts: what a final covers is settled."""
        if transcript.final:
            self._settle(self._settled_by(transcript))
            self._worded_s = 0.0
        elif transcript.text.strip():
            self._worded_s = max(self._worded_s, transcript.covers_s)
            if self._open_from_s is None and self._worded_s > self._settled_s + SAME_SPEECH_S:
                self._open(self._settled_s)

    def end_utterance(self) -> None:
        """What was said up to now has been dealt with; a sound that has only just begun has not."""
        now_s, activity = self.media_s, self._activity
        if not activity.speaking and now_s - activity.media_s < LATE_S:
            now_s = min(now_s, max(activity.last_speech_s + TAIL_S, self._worded_s))
        self._settle(now_s)
        self._worded_s = 0.0

    def missed(self) -> Missed:
        """Say what a recogniser that is opened now has to hear."""
        kept_from_s = self._start / BYTES_PER_S
        now_s = self.media_s
        begins_at_s = max(kept_from_s, min(self._settled_s, now_s))
        if self._open_from_s is None:
            begins_at_s = max(begins_at_s, now_s - KEPT_BYTES / BYTES_PER_S)
        audio = self._audio.read(round(begins_at_s * BYTES_PER_S), len(self._audio))
        speech_from_s = None if self._open_from_s is None else max(begins_at_s, self._open_from_s)
        return Missed(begins_at_s, audio, speech_from_s)

    # --------------------------------------------------------------- details

    def _settled_by(self, final: Transcript) -> float:
        """Where the speech of a final ended, if it holds all of the last speech; else where its audio did.

        The silence behind a word is as good in the next recogniser's audio, and the word that breaks it
        is not cut then.
        """
        activity = self._activity
        if activity.speaking or activity.media_s < final.covers_s:
            return final.covers_s
        if activity.last_speech_s <= self._settled_s:
            return final.covers_s if final.text.strip() else self._settled_s
        holds_all = final.covers_s >= activity.last_speech_s - SAME_SPEECH_S
        return activity.last_speech_s + TAIL_S if holds_all else final.covers_s

    def _open(self, from_s: float) -> None:
        self._open_from_s = max(self._settled_s, from_s)
        self._limit = MOST_BYTES

    def _settle(self, until_s: float) -> None:
        self._settled_s = max(self._settled_s, until_s)
        if self._open_from_s is None:
            return
        if self._activity.last_speech_s > self._settled_s + SAME_SPEECH_S:
            self._open_from_s = max(self._open_from_s, self._settled_s)
        else:
            self._open_from_s, self._limit = None, KEPT_BYTES + SPARE_BYTES

    def _trim(self) -> None:
        """Drop the oldest; speech that is not settled is counted, with its pauses."""
        keep = KEPT_BYTES if self._open_from_s is None else MOST_BYTES
        dropped = len(self._audio) - self._start - keep
        if self._open_from_s is not None:
            before_speech = round(self._open_from_s * BYTES_PER_S) - self._start
            self._lost += dropped - min(dropped, max(0, before_speech))
        self._start += dropped
        self._audio.forget(self._start)
