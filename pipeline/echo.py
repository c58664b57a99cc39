"""Expected echo: how loud our own voice may be in the caller's audio.

Theory. A telephone line gives back some of what it is sent: the far end's hybrid or loudspeaker leaks it,
15 to 45 dB weaker, 20 to 700 ms after we wrote it. Voice activity takes that for a caller. What we wrote
is known, so the level of its echo can be foretold, and a sound that is no louder is nobody's speech.

Levels are compared by the fourth root of their power, so that quiet speech has its say beside loud.
While we speak, sums are kept for each possible delay: of what was ours, its square, and its product
with what was heard. The quotient of the last two is the coupling at that delay if all that was heard
is echo; other sounds can only add to it. It starts at a prior, so that the first greeting is safe
before anything is known. Where what is heard rises and falls with what was ours at one delay (their
correlation is high), delay and coupling are learned. A caller's speech has its own course, so it
teaches nothing; but if less comes back than was learned, the coupling falls with it.

Both directions lie on one grid of 16 ms of our clock. Of all frames of the last seconds the one that was
least late shows when a point of the caller's audio was said.

Times are seconds on the clock, `media_s` seconds of the caller's audio; levels are dBFS. No I/O.
"""

from __future__ import annotations

__all__ = ["ExpectedEcho"]

import math

import numpy as np
from numpy.typing import NDArray

from offhook.codecs import g711
from offhook.codecs.framing import SAMPLE_RATE_HZ as _HZ

FEARED_DB = -20.0
"""Coupling assumed before anything is known."""
LONGEST_DELAY_S = 0.7
"""From writing to hearing: network both ways, the far end's buffer and the echo's own path."""

_SLOT = 128
"""Samples: 16 ms, half a window of voice activity."""
_SLOT_S = _SLOT / _HZ
_LAGS = math.ceil(LONGEST_DELAY_S / _SLOT_S) + 1
_SLOTS = 512
_TOGETHER = 8
"""Windows that are learned from at once: numpy costs the same for one as for eight."""
_LOOKED_BACK_AT = _LAGS + 2 * _TOGETHER - 1
"""Slots that a step of learning reaches back."""
_EARLIER, _LATER = 1, 3
"""Slots around the learned delay that may hold the echo: frames have other borders, and rooms ring."""
_AUDIBLE = 10 ** (-50 / 40)
"""Our own sound counts from -50 dBFS: its echo lies below the noise of any line otherwise."""
_FEARED = 10 ** (FEARED_DB / 40)
_FEARED_MASS = 0.2
"""The prior counts as much as 64 ms of loud speech (-20 dBFS)."""
_KEPT = 1 - _TOGETHER / 45
"""What each step leaves of the sums: they cover the last 1.5 s of our speech."""
_LEARNED_FROM = 0.75
"""Correlation: callers who spoke over ours stayed below 0.55 nearly always, echo alone is above 0.8."""
_LEAST_WINDOWS = 16
_LOUDEST = 10 ** (-10 / 40)
"""What comes back less than 10 dB weaker than it was sent is a caller who fell in with us."""
_MARGIN_DB, _WIDEST_DB = 6.0, 12.0
"""An echo's windows scatter: lines filter, and a hiss may pass better than a vowel."""
_NO_ECHO_DB = 15.0
"""What is so much louder than the echo is a caller, and says nothing of its scatter."""
_WIDER_DB, _NARROWER_DB = 0.6, 0.2
"""By a window that was louder, and by a step of learning: 4 in 100 windows stay above."""
_RISE = 10 ** (0.5 / 40)
"""What is feared without an echo known grows by at most 2 dB in a second of our speech."""
_STRETCH_S = 1.0

_PUT_OFF = _HZ // 2
"""Samples of ours that may wait until their level is asked for: numpy costs the same for many as for few."""

_SQUARES = np.square(g711.decode_float(bytes(range(256))))
_MEAN = np.full(_SLOT, 1 / _SLOT, np.float32)
_ONES = np.ones(_TOGETHER, np.float32)


class ExpectedEcho:
    """The echo of one call: told what is played and how loud every window of the caller's is."""

    def __init__(self) -> None:
        self._power = np.zeros(_SLOTS, np.float32)
        self._own = np.zeros(_SLOTS, np.float32)
        """Fourth roots of `_power`; both begin at slot `_first`."""
        self._first = 0
        self._end = 0
        """Sample behind the last one played."""
        self._waiting = bytearray()
        """What was played last; its level was not taken yet."""
        self._audible_until_s = -math.inf
        self._power_heard = self._heard_at = 0.0
        """Of the window heard last: its power (full scale is 1), and when it ended."""
        self._sums = np.zeros((3, _LAGS))
        """Own, own squared and own times heard, by lag."""
        self._weight = self._heard_sum = self._heard_squares = 0.0
        self._heard: list[float] = []
        """Windows that were not learned from yet."""
        self._lag: int | None = None
        self._coupling = _FEARED
        self._margin_db = _MARGIN_DB
        self._latest_s = self._before_s = math.inf
        """Least lateness of the caller's audio in this stretch of it, and in the one before."""
        self._stretch_ends_s = 0.0

    @property
    def coupling_db(self) -> float:
        """Level of the echo relative to what we play, as far as is known."""
        return 40 * math.log10(max(self._coupling, 1e-3))

    @property
    def delay_s(self) -> float | None:
        """From playing a sound to hearing its echo; None while none was recognised."""
        return None if self._lag is None else self._lag * _SLOT_S

    # ------------------------------------------------------------------ ours

    def play(self, audio: bytes, at: float) -> None:
        """Carrier bytes (mu-law, 8 kHz) that begin to sound at `at`, or behind those played before."""
        begin = round(at * _HZ)
        if begin > self._end:
            self._take_levels()
            self._end = begin
        self._waiting += audio
        self._end += len(audio)
        if len(self._waiting) >= _PUT_OFF:
            self._take_levels()

    def clear(self, now: float) -> None:
        """What was to sound after `now` never will."""
        cut = round(now * _HZ)
        if cut >= self._end:
            return
        self._take_levels()
        self._end = cut
        behind = max(0, cut // _SLOT + 1 - self._first)
        self._power[behind:] = self._own[behind:] = 0
        self._audible_until_s = min(self._audible_until_s, now)

    # ----------------------------------------------------------- the caller's

    def hear(self, level_dbfs: float, media_s: float, now: float) -> None:
        """Take the caller's next 32 ms, which end at `media_s`, and learn from them."""
        self._heard_at = ends_at = self._said_at(media_s, now)
        if not self._may_sound(ends_at):
            self._heard.clear()
            return
        self._power_heard = power = 10 ** (level_dbfs / 10)
        self._heard.append(math.sqrt(math.sqrt(power)))
        if len(self._heard) == _TOGETHER:
            self._take_levels()
            self._learn(round(ends_at / _SLOT_S) - self._first)

    @property
    def explains(self) -> bool:
        """What was heard last may be no more than our echo."""
        ends_at = self._heard_at
        if not self._may_sound(ends_at):
            return False
        self._take_levels()
        end = round(ends_at / _SLOT_S) - self._first
        oldest, newest = (_LAGS, 0) if self._lag is None else (self._lag + _LATER, self._lag - _EARLIER)
        own = self._own[max(0, end - oldest - 2) : max(0, end - newest)]
        echo = (float(own.max(initial=0.0)) * self._coupling) ** 4
        return bool(self._power_heard <= echo * 10 ** (self._margin_db / 10))

    # --------------------------------------------------------------- details

    def _said_at(self, media_s: float, now: float) -> float:
        """When a point of the caller's audio would have come without jitter."""
        late_s = now - media_s
        if media_s >= self._stretch_ends_s:
            self._stretch_ends_s = media_s + _STRETCH_S
            self._before_s, self._latest_s = self._latest_s, late_s
        elif late_s < self._latest_s:
            self._latest_s = late_s
        return media_s + min(self._latest_s, self._before_s)

    def _may_sound(self, at: float) -> bool:
        audible_until_s = self._end / _HZ if self._waiting else self._audible_until_s
        return at <= audible_until_s + LONGEST_DELAY_S

    def _take_levels(self) -> None:
        """Measure what was played since this was done last."""
        if not self._waiting:
            return
        audio, self._waiting = self._waiting, bytearray()
        slot, offset = divmod(self._end - len(audio), _SLOT)
        count = -(-(offset + len(audio)) // _SLOT)
        self._make_room(slot, slot + count)
        squares = np.zeros(count * _SLOT, np.float32)
        squares[offset : offset + len(audio)] = _SQUARES.take(np.frombuffer(audio, np.uint8))
        place = slice(slot - self._first, slot - self._first + count)
        # A slot may hold the end of one message and the begin of the next.
        self._power[place] += squares.reshape(count, _SLOT) @ _MEAN
        own = np.sqrt(np.sqrt(self._power[place]))
        self._own[place] = own
        if own.max() > _AUDIBLE:
            self._audible_until_s = self._end / _HZ

    def _learn(self, end: int) -> None:
        """Compare the windows up to slot `end` with what was ours, at every lag."""
        heard = np.array(self._heard, np.float32)
        self._heard.clear()
        if not _LOOKED_BACK_AT <= end <= _SLOTS:
            return
        halves = self._own[end - _LOOKED_BACK_AT : end]
        levels = (halves[1:] + halves[:-1]) * np.float32(0.5)
        if levels.max() < _AUDIBLE:
            return
        # Row: window. Column: lag; what the window itself would hold without any delay comes first.
        view = np.ndarray((_TOGETHER, _LAGS), np.float32, levels, 4 * (_LAGS - 1), (8, -4))
        own = np.ascontiguousarray(view)
        self._sums *= _KEPT
        self._sums += (_ONES @ own, _ONES @ (own * own), heard @ own)
        self._weight = self._weight * _KEPT + _TOGETHER
        self._heard_sum = self._heard_sum * _KEPT + float(heard.sum())
        self._heard_squares = self._heard_squares * _KEPT + float(heard @ heard)
        if self._judge() and self._lag is not None:
            echo = own[:, max(0, self._lag - _EARLIER) : self._lag + _LATER + 1].max(axis=1) * self._coupling
            self._widen(heard / np.maximum(echo, 1e-3))

    def _widen(self, excess: NDArray[np.float32]) -> None:
        """Fit the margin to windows of echo alone, by their level over the expected (fourth roots)."""
        above = (excess > 10 ** (self._margin_db / 40)) & (excess < 10 ** (_NO_ECHO_DB / 40))
        wanted_db = self._margin_db + _WIDER_DB * int(above.sum()) - _NARROWER_DB
        self._margin_db = min(_WIDEST_DB, max(_MARGIN_DB, wanted_db))

    def _judge(self) -> bool:
        """Draw conclusions; True if what was heard of late was echo alone."""
        own, squares, products = self._sums
        weight = self._weight
        variances = (squares * weight - own * own) * (self._heard_squares * weight - self._heard_sum**2)
        correlation = (products * weight - own * self._heard_sum) / np.sqrt(np.maximum(variances, 1e-12))
        best = int(correlation.argmax())
        # A course that fits best at the longest delay of all fits better beyond it: no echo.
        if weight >= _LEAST_WINDOWS and correlation[best] >= _LEARNED_FROM and best < _LAGS - 1:
            coupling = float(products[best] / squares[best])
            if coupling <= _LOUDEST:
                self._lag, self._coupling = best, coupling
                return True
        ratios = (products + _FEARED * _FEARED_MASS) / (squares + _FEARED_MASS)
        if self._lag is None:
            # A caller who begins to speak is no reason for new fear.
            self._coupling = min(_FEARED, float(ratios.max()), self._coupling * _RISE)
        else:
            self._coupling = min(self._coupling, float(ratios[self._lag]))
        return False

    def _make_room(self, begin: int, end: int) -> None:
        """Forget what cannot be heard any more, if slots up to `end` are needed."""
        if end + _LAGS - self._first <= _SLOTS:
            return
        shift = begin - 2 * _LAGS - _LOOKED_BACK_AT - self._first
        for slots in (self._power, self._own):
            kept = slots[shift:].copy()
            slots[:] = 0
            slots[: len(kept)] = kept
        self._first += shift
