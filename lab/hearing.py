"""What a listener perceives, from 20 ms frames alone: who was audible when.

All times are caller media time: milliseconds of 20 ms frames since the stream began.
"""

from __future__ import annotations

__all__ = [
    "BargeIn",
    "Sound",
    "SoundDetector",
    "Utterance",
    "first_sound_after",
    "judge_barge_in",
    "level_dbfs",
    "response_ms",
]

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from offhook.codecs import g711

FRAME_MS = 20
AUDIBLE_DBFS = -45.0
"""Above the hiss of a telephone line (about -70), below the quietest syllables (about -40)."""
HANGOVER_MS = 300
"""Pauses up to here belong to the sound around them."""
_ONSET_FRAMES = 2
"""A single loud frame is a click."""


@dataclass(frozen=True, slots=True)
class Sound:
    """One stretch of audible speech, short pauses included."""

    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class Utterance:
    """Something the caller said, as it was audible on the line, or keyed in."""

    text: str
    """What the script says, the name of the file, or the keys; empty where unknown."""
    first_sound_ms: int
    last_sound_ms: int
    step: int = 0
    """Index of the script's step."""
    keyed: bool = False
    """Keys were pressed and nothing was said."""


@dataclass(frozen=True, slots=True)
class BargeIn:
    """The caller spoke while the agent was audible."""

    utterance: int
    """Index of the caller's utterance."""
    onset_ms: int
    """The caller's first audible sound over the agent."""
    stop_ms: int | None
    """From the onset to the last agent audio heard; None when the agent spoke on past the caller."""
    cleared: bool
    """The bridge sent `clear` meanwhile."""
    frames_after_clear: int
    """Audible agent frames behind the first `clear` and before the caller's last sound: stale audio."""


def level_dbfs(frame: bytes) -> float:
    """RMS level of mu-law audio relative to a full-scale square wave, -inf for silence."""
    pcm = g711.decode(frame).astype(np.float64)
    power = float(np.mean(pcm * pcm)) if len(pcm) else 0.0
    return 10 * math.log10(power / 32768.0**2) if power > 0 else -math.inf


class SoundDetector:
    """Finds the audible stretches of one side of the line, frame by frame."""

    def __init__(self, threshold_dbfs: float = AUDIBLE_DBFS, hangover_ms: int = HANGOVER_MS) -> None:
        self._threshold_dbfs, self._hangover_ms = threshold_dbfs, hangover_ms
        self._loud_frames = 0
        self._closed: list[Sound] = []
        self._start_ms: int | None = None
        self._end_ms = 0
        self.now_ms = 0

    def feed(self, frame: bytes) -> None:
        """Listen to the next 20 ms of mu-law."""
        self.now_ms += FRAME_MS
        loud = level_dbfs(frame) >= self._threshold_dbfs
        self._loud_frames = self._loud_frames + 1 if loud else 0
        if self._loud_frames >= _ONSET_FRAMES:
            if self._start_ms is None:
                self._start_ms = self.now_ms - self._loud_frames * FRAME_MS
            self._end_ms = self.now_ms
        elif not loud and self._start_ms is not None and self.now_ms - self._end_ms > self._hangover_ms:
            self._closed.append(Sound(self._start_ms, self._end_ms))
            self._start_ms = None

    @property
    def last_audible_ms(self) -> int | None:
        """Where the last audible frame ended, None before the first."""
        return self._end_ms if self._start_ms is not None or self._closed else None

    @property
    def sounds(self) -> tuple[Sound, ...]:
        """Every stretch so far, the one that goes on included."""
        if self._start_ms is None:
            return tuple(self._closed)
        return (*self._closed, Sound(self._start_ms, self._end_ms))

    def first_audible_after(self, moment_ms: int) -> int | None:
        """When sound was first audible at or after `moment_ms`, None if it was not."""
        if self._start_ms is None and (not self._closed or self._closed[-1].end_ms <= moment_ms):
            return None
        return next((max(s.start_ms, moment_ms) for s in self.sounds if s.end_ms > moment_ms), None)


def first_sound_after(sounds: Sequence[Sound], moment_ms: int, until_ms: int | None = None) -> Sound | None:
    """The first stretch that begins at or after `moment_ms` and before `until_ms`."""
    later = (sound for sound in sounds if sound.start_ms >= moment_ms)
    found = next(later, None)
    return found if found and (until_ms is None or found.start_ms < until_ms) else None


def response_ms(utterances: Sequence[Utterance], index: int, agent: Sequence[Sound]) -> int | None:
    """From the caller's last audible sound to the first agent audio heard; None if there was no answer."""
    said = utterances[index].last_sound_ms
    until = utterances[index + 1].first_sound_ms if index + 1 < len(utterances) else None
    answer = first_sound_after(agent, said, until)
    return answer.start_ms - said if answer else None


def judge_barge_in(
    index: int, utterance: Utterance, agent: Sequence[Sound], clears_ms: Sequence[int]
) -> BargeIn | None:
    """Judge the caller's utterance as a cut-in; None when the agent was not audible at its onset."""
    onset, last = utterance.first_sound_ms, utterance.last_sound_ms
    cut = next((sound for sound in agent if sound.start_ms < onset < sound.end_ms), None)
    if cut is None:
        return None
    clears = [moment for moment in clears_ms if onset <= moment <= last]
    stop = cut.end_ms - onset if cut.end_ms <= last or clears else None
    after = sum(_overlap_ms(sound, clears[0] + FRAME_MS, last) for sound in agent) if clears else 0
    return BargeIn(index, onset, stop, bool(clears), after // FRAME_MS)


def _overlap_ms(sound: Sound, start_ms: int, end_ms: int) -> int:
    return max(0, min(sound.end_ms, end_ms) - max(sound.start_ms, start_ms))
