"""From the probabilities of single windows to stretches of speech."""

from __future__ import annotations

__all__ = ["SpeechGate"]

from .evidence import Activity
from .line_noise import LineNoise
from .ports import VoiceWindow

HYSTERESIS = 0.15
"""Speech goes on above threshold minus this (the figure that Silero's own iterator uses)."""
FLOOR_DBFS = -60.0
"""Quieter than this nobody speaks, whatever the model thinks of it."""
BEGINS_ABOVE_DB, GOES_ON_ABOVE_DB = 12.0, 9.0
"""So far above noise that passes for speech the caller's begins and goes on.

In a cafe 10 dB below the caller these figures leave one or two onsets a minute.
"""


class SpeechGate:
    """Turns voice windows into `Activity`: onset, speech, pause; small state, no I/O.

    A window is speech if the model thinks so, and it is louder than noise that would pass for speech.
    Speech begins once `min_speech_s` of it were seen in a row, and is over after `hangover_s` without any.
    Both count in the caller's audio, never on the clock.
    """

    def __init__(self, threshold: float, min_speech_s: float, hangover_s: float = 0.2) -> None:
        self._on = threshold
        self._off = max(0.01, threshold - HYSTERESIS)
        self._min_speech_s = min_speech_s
        self._hangover_s = hangover_s
        self._noise = LineNoise()
        self._speaking = False
        self._run_started_s: float | None = None
        self._onset_s = 0.0
        self._last_speech_s = 0.0
        self._window_ended_s = 0.0

    def may_take(self, window: VoiceWindow) -> bool:
        """The model may think enough of it for speech."""
        return window.probability >= self._off

    def feed(self, window: VoiceWindow) -> Activity:
        """Take the next window and say what is known now."""
        begins_s = self._window_ended_s
        self._window_ended_s = window.media_s
        begun = self._speaking or self._run_started_s is not None
        limit = self._off if begun else self._on
        if window.probability >= limit and window.level_dbfs > self._audible_dbfs(begun):
            self._take_speech(begins_s, window.media_s)
        elif not self._speaking:
            self._run_started_s = None
        elif window.media_s - self._last_speech_s >= self._hangover_s:
            self._speaking = False
            self._run_started_s = None
        self._noise.add(window.level_dbfs, speech=window.probability >= self._off)
        return Activity(window.media_s, self._speaking, self._onset_s, self._last_speech_s)

    def _audible_dbfs(self, begun: bool) -> float:
        """What a voice must be louder than on this line."""
        if not self._noise.sounds_like_speech:
            return FLOOR_DBFS
        above_db = GOES_ON_ABOVE_DB if begun else BEGINS_ABOVE_DB
        return max(FLOOR_DBFS, self._noise.floor_dbfs + above_db)

    def _take_speech(self, begins_s: float, ends_s: float) -> None:
        if self._run_started_s is None:
            self._run_started_s = begins_s
        if not self._speaking and ends_s - self._run_started_s >= self._min_speech_s - 1e-9:
            self._speaking = True
            self._onset_s = self._run_started_s
        if self._speaking:
            self._last_speech_s = ends_s
