"""Tells a recogniser that has stopped working from a caller who says nothing it could know; no I/O.

Only the caller's speech counts, never time: in silence a recogniser has nothing to say. Noise passes for
speech too, so one that answers without words is believed for longer than one that does not answer.
"""

from __future__ import annotations

__all__ = ["SilentRecogniser"]

from math import inf

from .evidence import Activity
from .ports import Transcript

SILENT_S = 4.0
"""So much speech without any answer, and the recogniser is silent."""
WORDLESS_S = 8.0
"""So much speech with answers that hold no words."""
AGAIN_S = 10.0
"""So much speech lies between two alarms."""


class SilentRecogniser:
    """Counts the speech for which a recogniser has not answered."""

    def __init__(self) -> None:
        self._seen_s = 0.0
        """Speech up to here is counted."""
        self._unanswered_s = 0.0
        self._wordless_s = 0.0
        self._since_alarm_s = inf

    @property
    def answers(self) -> bool:
        """It says something, though it may be that there are no words."""
        return self._unanswered_s < SILENT_S

    def sound(self, activity: Activity) -> bool:
        """Take what voice activity says; True if the recogniser is silent."""
        more_s = activity.last_speech_s - max(self._seen_s, activity.onset_s)
        if more_s <= 0:
            return False
        self._seen_s = activity.last_speech_s
        self._unanswered_s += more_s
        self._wordless_s += more_s
        self._since_alarm_s += more_s
        silent = self._unanswered_s >= SILENT_S or self._wordless_s >= WORDLESS_S
        if not silent or self._since_alarm_s < AGAIN_S:
            return False
        self._since_alarm_s = 0.0
        return True

    def answered(self, transcript: Transcript) -> None:
        """Take a result of the recogniser's; one without words answers for the audio it covers."""
        if transcript.text.strip():
            self.begin_anew()
        else:
            behind_s = max(0.0, self._seen_s - transcript.covers_s)
            self._unanswered_s = min(self._unanswered_s, behind_s)

    def begin_anew(self) -> None:
        """Another recogniser listens from now on, or this one was found to be well."""
        self._unanswered_s = self._wordless_s = 0.0
