"""How fast the server's core is right now: a fixed piece of work, before and after a measurement."""

from __future__ import annotations

__all__ = ["Calibration", "calibrate"]

import os
import time
from dataclasses import dataclass
from statistics import median

import numpy as np

from .plan import Cores

ROUNDS = 9
MOVED_PERCENT = 10.0


@dataclass(frozen=True, slots=True)
class Calibration:
    """CPU time of the same work before and after, in microseconds."""

    before_us: float
    after_us: float

    @property
    def mean_us(self) -> float:
        """What the figures in between are to be compared by."""
        return (self.before_us + self.after_us) / 2

    @property
    def moved_percent(self) -> float:
        """By how much the two differ."""
        return 100 * abs(self.after_us - self.before_us) / min(self.before_us, self.after_us)

    @property
    def warning(self) -> str | None:
        """Why the figures cannot be compared with others, if so."""
        if self.moved_percent <= MOVED_PERCENT:
            return None
        return f"The core's speed moved by {self.moved_percent:.0f} %: do not compare its CPU time."

    def __str__(self) -> str:
        return f"{self.before_us:.0f} us before, {self.after_us:.0f} us after"


def calibrate(cores: Cores | None) -> float:
    """CPU time, in microseconds, that the work takes on the server's core now; the median of some rounds."""
    allowed = None
    if cores is not None:
        allowed = os.sched_getaffinity(0)
        os.sched_setaffinity(0, {cores.server})
    try:
        return median(_round_us() for _ in range(ROUNDS))
    finally:
        if allowed is not None:
            os.sched_setaffinity(0, allowed)


def _round_us() -> float:
    """About half of it is Python, about half numpy on small arrays: what the media path is made of."""
    frame = np.arange(160, dtype=np.uint8)
    table = np.arange(256, dtype=np.float64)
    taps = np.ones((200, 32))
    windows = np.ones((10, 200))
    began_ns = time.thread_time_ns()
    found: dict[int, bytes] = {}
    for number in range(4000):
        text = b'{"event":"media","chunk":"%d"}' % number
        found[number & 63] = text[text.index(b'"chunk":"') :]
    for _ in range(400):
        table.take(frame)
        windows.dot(taps)
    return (time.thread_time_ns() - began_ns) / 1000
