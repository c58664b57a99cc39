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
QUIET_LINE_DBFS = -62.0
"""On a line whose noise is below this, all that is louder may be speech."""
BEGINS_ABOVE_DB, GOES_ON_ABOVE_DB = 12.0, 9.0
"""So far above the noise of a loud line speech begins and goes on.

Voices in the background are speech to any model, and only weaker than the caller. In a cafe 10 dB below the
caller these figures leave one or two onsets a minute.
"""


class SpeechGate:
    """Turns voice windows into `Activity`: onset, speech, pause; small state, no I/O.

    A window is speech if the model thinks so and it is louder than the line's own noise. Speech begins once
    `min_speech_s` of it were seen in a row, and is over after `hangover_s` without any. Both count in the
    caller's audio, never on the clock.
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
        self._noise.add(window.level_dbfs)
        return Activity(window.media_s, self._speaking, self._onset_s, self._last_speech_s)

    def _audible_dbfs(self, begun: bool) -> float:
        """What a voice must be louder than on this line."""
        noise_dbfs = self._noise.floor_dbfs
        if noise_dbfs <= QUIET_LINE_DBFS:
            return FLOOR_DBFS
        return max(FLOOR_DBFS, noise_dbfs + (GOES_ON_ABOVE_DB if begun else BEGINS_ABOVE_DB))

    def _take_speech(self, begins_s: float, ends_s: float) -> None:
        if self._run_started_s is None:
            self._run_started_s = begins_s
        if not self._speaking and ends_s - self._run_started_s >= self._min_speech_s - 1e-9:
            self._speaking = True
            self._onset_s = self._run_started_s
        if self._speaking:
            self._last_speech_s = ends_s
