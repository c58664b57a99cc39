"""How loud our own voice comes back on the caller's line, so that it is not taken for the caller.

Theory. A telephone line, or the loudspeaker at its end, returns what we play after a delay, weaker by a
coupling that stays much the same within a call. Both envelopes are kept on one grid of 32 ms, the outgoing
one at the times at which the far end plays it, the incoming one at the times at which it was said. Where
they agree at some lag (correlation of their levels in dB over the last seconds) that lag is the delay, and
the difference is the coupling. Where there is sound that agrees at no lag, somebody else makes it: the
coupling is less than was feared. Before anything is known a strong echo of any delay is assumed.

A window is an echo if it is no louder than what was played a delay ago, less the coupling, and a margin.

Times are seconds on the clock; levels are dBFS. No I/O.
"""

from __future__ import annotations

__all__ = ["ExpectedEcho"]

import numpy as np
from numpy.typing import NDArray

from offhook.codecs import g711
from offhook.codecs.framing import FRAME_BYTES, SAMPLE_RATE_HZ

CELL_S = 0.032
"""One window of voice activity."""
CELLS = 128
LAGS = 26
"""Delays of up to 0.8 s: two trips over the network, and a room."""
SPAN = 31
"""One second is compared at a time."""
EVERY = 4
"""Windows between two comparisons."""
FEARED_DB = -16.0
"""Assumed before anything is known; a caller's speech is seldom so much weaker than ours."""
LEAST_DB = -60.0
MARGIN_DB = 6.0
STEADY = 0.25
AGREES = 0.6
"""Correlation of two envelopes from which one is the other's echo."""
DISAGREES = 0.3
AUDIBLE_DBFS = -45.0
"""We are speaking; quieter is a pause."""
QUIET_DBFS = -90.0
NEAR = 2
"""Cells around a known delay that are looked at."""
FRAME_S = FRAME_BYTES / SAMPLE_RATE_HZ
RELAXES_S = 1e-4
"""A late frame shifts the time of all sound for a while; by so much a window it comes back."""

_POWER = (np.square(g711.decode(bytes(range(256))).astype(np.float64)) / 32768.0**2).astype(np.float32)


class ExpectedEcho:
    """The echo of one call: told what is played and how loud every window of the caller's is."""

    def __init__(self) -> None:
        self.coupling_db = FEARED_DB
        """Level of the echo relative to what we play."""
        self.delay_s: float | None = None
        """From playing to hearing it again, or None while that is not known."""
        self._played = np.full(CELLS, QUIET_DBFS)
        self._heard = np.full(CELLS, QUIET_DBFS)
        self._played_to = 0
        """The cell behind the last one that was written; those behind it are silent."""
        self._heard_to = 0
        self._offset_s: float | None = None
        self._lag: int | None = None
        self._agreement = np.zeros(LAGS)
        self._windows = 0

    def play(self, audio: bytes, at: float) -> None:
        """Carrier bytes (mu-law, 8 kHz) that begin to sound at `at`."""
        power = np.take(_POWER, np.frombuffer(audio, np.uint8))
        starts = np.arange(0, len(power), FRAME_BYTES)
        levels = 10 * np.log10(np.maximum(np.add.reduceat(power, starts) / FRAME_BYTES, 1e-9))
        for frame, level in enumerate(levels.tolist()):
            cell = int((at + frame * FRAME_S) / CELL_S)
            self._played_to = _forget(self._played, self._played_to, cell)
            place = cell % CELLS
            self._played[place] = max(self._played[place], level)

    def clear(self, now: float) -> None:
        """What was to sound after `now` never will."""
        cell = int(now / CELL_S) + 1
        for late in range(cell, self._played_to):
            self._played[late % CELLS] = QUIET_DBFS

    def hides(self, level_dbfs: float, media_s: float, now: float) -> bool:
        """Say whether a window of the caller's audio, which ends at `media_s`, is no more than our echo."""
        cell = int(self._said_at(media_s, now) / CELL_S)
        if cell - self._played_to > LAGS:
            return False  # we have long been silent
        self._heard_to = _forget(self._heard, self._heard_to, cell)
        self._heard[cell % CELLS] = max(QUIET_DBFS, level_dbfs)
        if self._loudest(cell, 0, LAGS) < AUDIBLE_DBFS:
            return False
        self._windows += 1
        if self._windows % EVERY == 0:
            self._learn(cell)
        return level_dbfs < self._loudest(cell, *self._lags()) + self.coupling_db + MARGIN_DB

    # --------------------------------------------------------------- details

    def _said_at(self, media_s: float, now: float) -> float:
        """When a point of the caller's audio was said, as the quickest frames tell it."""
        offset_s = now - media_s
        if self._offset_s is not None:
            offset_s = min(offset_s, self._offset_s + RELAXES_S)
        self._offset_s = offset_s
        return media_s + offset_s

    def _lags(self) -> tuple[int, int]:
        return (0, LAGS) if self._lag is None else (max(0, self._lag - NEAR), self._lag + NEAR + 1)

    def _loudest(self, cell: int, first: int, behind: int) -> float:
        places = np.arange(cell - behind + 1, cell - first + 1) % CELLS
        return float(self._played_until(cell)[places].max())

    def _played_until(self, cell: int) -> NDArray[np.float64]:
        """The outgoing envelope, with silence where nothing was played since."""
        self._played_to = _forget(self._played, self._played_to, cell)
        return self._played

    def _learn(self, cell: int) -> None:
        """Compare the last second of both directions at every lag."""
        cells = np.arange(cell - SPAN + 1, cell + 1)
        heard = self._heard[cells % CELLS]
        played = self._played[(cells[None, :] - np.arange(LAGS)[:, None]) % CELLS]
        loud = played > AUDIBLE_DBFS
        if not loud.any(axis=1).all() or loud.sum() < LAGS * SPAN / 4:
            return
        # A chance resemblance lasts for one second, an echo's for the call.
        alike = _correlation(heard, np.maximum(played, AUDIBLE_DBFS - 10))
        agreement = self._agreement
        agreement += STEADY * (alike - agreement)
        best = int(agreement.argmax())
        at_best = loud[best]
        difference = heard[at_best] - played[best][at_best]
        if agreement[best] >= AGREES:
            self._lag, self.delay_s = best, best * CELL_S
            if alike[best] >= AGREES:  # nobody speaks over it
                self._become(float(np.percentile(difference, 75)), 0.5)
        elif agreement[best] < DISAGREES:
            # Whatever this is, it is no echo that is louder than its quieter half.
            self._become(float(np.percentile(difference, 50)), 0.25 if self._lag is None else 0.05)

    def _become(self, coupling_db: float, share: float) -> None:
        wanted = min(0.0, max(LEAST_DB, coupling_db))
        self.coupling_db += share * (wanted - self.coupling_db)


def _forget(ring: NDArray[np.float64], written_to: int, cell: int) -> int:
    """Empty the cells between the last one written and this one; returns the cell behind this one."""
    if cell < written_to:
        return written_to
    for empty in range(max(written_to, cell - CELLS + 1), cell + 1):
        ring[empty % CELLS] = QUIET_DBFS
    return cell + 1


def _correlation(heard: NDArray[np.float64], played: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pearson's, of one series with each row."""
    x = heard - heard.mean()
    y = played - played.mean(axis=1, keepdims=True)
    scale = np.sqrt((x * x).sum() * (y * y).sum(axis=1))
    agreement: NDArray[np.float64] = np.zeros(len(played))
    np.divide(y @ x, scale, out=agreement, where=scale > 1e-9)
    return agreement
