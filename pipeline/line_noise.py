"""How loud a caller's line is when nobody speaks on it."""

from __future__ import annotations

__all__ = ["LineNoise"]

import bisect
from collections import deque

WINDOWS = 125
"""Four seconds: nobody speaks so long without a gap between words."""
SHARE = 0.1
"""Of these windows the quieter tenth is the line's own noise."""
LEAST_DBFS = -70.0
ASSUMED_QUIET = 4
"""Quiet windows in front of the first one: a caller who speaks as the line opens is no noise for a second."""


class LineNoise:
    """The noise floor of one line, from the levels of its last windows; a few microseconds a window."""

    def __init__(self) -> None:
        self._recent = deque([LEAST_DBFS] * ASSUMED_QUIET)
        self._sorted = [LEAST_DBFS] * ASSUMED_QUIET

    @property
    def floor_dbfs(self) -> float:
        """The level that all but a tenth of the last windows were above."""
        return max(LEAST_DBFS, self._sorted[int(SHARE * (len(self._sorted) - 1))])

    def add(self, level_dbfs: float) -> None:
        """Take the next window's level."""
        self._recent.append(level_dbfs)
        bisect.insort(self._sorted, level_dbfs)
        if len(self._recent) > WINDOWS:
            del self._sorted[bisect.bisect_left(self._sorted, self._recent.popleft())]
