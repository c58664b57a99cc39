"""How loud a caller's line is when nobody speaks on it, and whether its noise passes for speech.

Voice activity tells speech from traffic, fans and keys by itself. It cannot tell the caller from people
around him: a cafe is speech. There only what stands out from the floor is the caller's; on any other line
the level says nothing that voice activity does not know better.
"""

from __future__ import annotations

__all__ = ["LineNoise"]

import bisect
from collections import deque

WINDOWS = 125
"""Four seconds: nobody speaks so long without a gap between words."""
SHARE = 0.1
"""Of these windows the quieter tenth is the line's own noise."""
LEAST_DBFS = -70.0
NEAR_FLOOR_DB = 10.0
"""Of eight voices at once nearly all windows are less than this above the floor."""
TEMPTED = 0.15
"""In a cafe half of the windows near the floor pass for speech; beside a fan hardly one does."""
MEMORY_WINDOWS = 60
"""Windows near the floor, about 2 s of them, after which their judgement is half renewed."""
ASSUMED_QUIET = 4
"""Quiet windows in front of the first one: a caller who speaks as the line opens is no noise for a second."""


class LineNoise:
    """The noise floor of one line, from the levels of its last windows; a few microseconds a window."""

    def __init__(self) -> None:
        self._recent = deque([LEAST_DBFS] * ASSUMED_QUIET)
        self._sorted = [LEAST_DBFS] * ASSUMED_QUIET
        self._tempting = 0.0
        """Of the windows near the floor, those that passed for speech."""

    @property
    def floor_dbfs(self) -> float:
        """The level that all but a tenth of the last windows were above."""
        return max(LEAST_DBFS, self._sorted[int(SHARE * (len(self._sorted) - 1))])

    @property
    def sounds_like_speech(self) -> bool:
        """What is heard while nobody speaks to us passes for speech."""
        return self._tempting >= TEMPTED

    def add(self, level_dbfs: float, *, speech: bool) -> None:
        """Take the next window's level, and whether it passes for speech."""
        if level_dbfs < self.floor_dbfs + NEAR_FLOOR_DB:
            self._tempting += (speech - self._tempting) / MEMORY_WINDOWS
        self._recent.append(level_dbfs)
        bisect.insort(self._sorted, level_dbfs)
        if len(self._recent) > WINDOWS:
            del self._sorted[bisect.bisect_left(self._sorted, self._recent.popleft())]
