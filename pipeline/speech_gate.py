"""From the probabilities of single windows to stretches of speech."""

from __future__ import annotations

__all__ = ["SpeechGate"]

from .evidence import Activity
from .ports import VoiceWindow

HYSTERESIS = 0.15
"""Speech goes on above threshold minus this (the figure that Silero's own iterator uses)."""
FLOOR_DBFS = -60.0
"""Quieter than this is the line's own noise, whatever the model thinks of it."""


class SpeechGate:
    """Turns voice windows into `Activity`: onset, speech, pause; small state, no I/O.

    Speech begins once `min_speech_s` of it were seen in a row, and is over after `hangover_s`
    without any. Both count in the caller's audio, never on the clock.
    """

    def __init__(self, threshold: float, min_speech_s: float, hangover_s: float = 0.2) -> None:
        self._on = threshold
        self._off = max(0.01, threshold - HYSTERESIS)
        self._min_speech_s = min_speech_s
        self._hangover_s = hangover_s
        self._speaking = False
        self._run_started_s: float | None = None
        self._onset_s = 0.0
        self._last_speech_s = 0.0
        self._window_ended_s = 0.0

    def feed(self, window: VoiceWindow) -> Activity:
        """Take the next window and say what is known now."""
        begins_s = self._window_ended_s
        self._window_ended_s = window.media_s
        audible = window.level_dbfs > FLOOR_DBFS
        limit = self._off if self._speaking or self._run_started_s is not None else self._on
        if audible and window.probability >= limit:
            self._take_speech(begins_s, window.media_s)
        elif not self._speaking:
            self._run_started_s = None
        elif window.media_s - self._last_speech_s >= self._hangover_s:
            self._speaking = False
            self._run_started_s = None
        return Activity(window.media_s, self._speaking, self._onset_s, self._last_speech_s)

    def _take_speech(self, begins_s: float, ends_s: float) -> None:
        if self._run_started_s is None:
            self._run_started_s = begins_s
        if not self._speaking and ends_s - self._run_started_s >= self._min_speech_s - 1e-9:
            self._speaking = True
            self._onset_s = self._run_started_s
        if self._speaking:
            self._last_speech_s = ends_s
