"""Tones of the telephone: those of the keys, made and heard in a stream, and that of a call gone wrong.

Frequencies by ITU-T Q.23; what a receiver must accept and refuse by ITU-T Q.24 (11/1988), the column of
AT&T: 1.5 % off must work and 3.5 % off must not, the high tone may be 4 dB above or 8 dB below the low one,
40 ms of tone must work and 23 ms must not, and a break of 10 ms is no new digit but one of 40 ms is.
"""

from __future__ import annotations

__all__ = ["DTMF_DIGITS", "DtmfDetector", "dtmf", "dtmf_sequence", "power", "special_information_tone"]

import cmath
from math import pi

import numpy as np
from numpy.typing import NDArray

from .framing import SAMPLE_RATE_HZ

_KEYPAD = ("123A", "456B", "789C", "*0#D")
_LOW_HZ = (697.0, 770.0, 852.0, 941.0)
_HIGH_HZ = (1209.0, 1336.0, 1477.0, 1633.0)

DTMF_DIGITS = "".join(_KEYPAD)
"""The sixteen keys, row by row."""

_INFORMATION_HZ = (950.0, 1400.0, 1800.0)
_INFORMATION_S = 0.33
_FULL_SCALE = 32_767
_RAMP_S = 0.005


def dtmf(digit: str, duration_s: float = 0.1, level_dbfs: float = -10) -> NDArray[np.int16]:
    """Return one key's two tones at 8 kHz, each at `level_dbfs` against a full-scale sine, with 5 ms ramps.

    Raises ValueError for an unknown key, a negative duration, and a level at which the sum would clip.
    """
    place = DTMF_DIGITS.find(digit.upper()) if len(digit) == 1 else -1
    if place < 0:
        raise ValueError(f"{digit!r} is no key of a telephone; the keys are {DTMF_DIGITS}")
    if duration_s < 0:
        raise ValueError(f"a tone cannot last {duration_s} s")
    amplitude = 10 ** (level_dbfs / 20)
    if amplitude > 0.5:
        raise ValueError(f"two tones of {level_dbfs} dBFS clip; -6.1 dBFS is the most")
    row, column = divmod(place, 4)
    samples = round(duration_s * SAMPLE_RATE_HZ)
    turns = 2 * pi * np.arange(samples) / SAMPLE_RATE_HZ
    tones = np.sin(_LOW_HZ[row] * turns) + np.sin(_HIGH_HZ[column] * turns)
    return np.rint(_FULL_SCALE * amplitude * tones * _envelope(samples)).astype(np.int16)


def _envelope(samples: int) -> NDArray[np.float64]:
    """A raised-cosine rise and fall at the two ends of `samples` samples, one between them."""
    ramp = min(round(_RAMP_S * SAMPLE_RATE_HZ), samples // 2)
    envelope = np.ones(samples)
    if ramp:
        rise = 0.5 - 0.5 * np.cos(pi * (np.arange(ramp) + 0.5) / ramp)
        envelope[:ramp] = rise
        envelope[-ramp:] = rise[::-1]
    return envelope


def dtmf_sequence(digits: str, on_s: float = 0.1, off_s: float = 0.1) -> NDArray[np.int16]:
    """Return keys pressed one after the other at 8 kHz, each `on_s` of tone followed by `off_s` of silence.

    Raises ValueError for an unknown key or a negative duration.
    """
    if off_s < 0:
        raise ValueError(f"a pause cannot last {off_s} s")
    pause = np.zeros(round(off_s * SAMPLE_RATE_HZ), np.int16)
    parts = [part for digit in digits for part in (dtmf(digit, on_s), pause)]
    return np.concatenate(parts) if parts else pause[:0]


def special_information_tone(level_dbfs: float = -20) -> NDArray[np.int16]:
    """Return the three rising tones at 8 kHz that say that a call cannot go on (ITU-T E.180), about 1 s."""
    samples = round(_INFORMATION_S * SAMPLE_RATE_HZ)
    turns = 2 * pi * np.arange(samples) / SAMPLE_RATE_HZ
    amplitude = _FULL_SCALE * 10 ** (level_dbfs / 20) * _envelope(samples)
    return np.concatenate(
        [np.rint(amplitude * np.sin(hz * turns)).astype(np.int16) for hz in _INFORMATION_HZ]
    )


def power(pcm: NDArray[np.int16], hz: float) -> float:
    """Return the mean power of the tone at `hz` in 8 kHz samples, so amplitude**2 / 2 for a pure sine.

    The value of Goertzel's recurrence (1958), which evaluates one term of the Fourier sum at any frequency;
    here as the inner product it stands for, since an array library has no recurrences. Nothing has power 0.
    """
    if not pcm.size:
        return 0.0
    term = pcm.dot(_carriers(np.array([hz]), pcm.size))[0]
    return float(2 * abs(term) ** 2 / pcm.size**2)


def _carriers(hz: NDArray[np.float64], samples: int) -> NDArray[np.complex128]:
    """Complex oscillations that turn backwards, shape [samples, len(hz)]."""
    carriers: NDArray[np.complex128] = np.exp(-2j * pi / SAMPLE_RATE_HZ * np.outer(np.arange(samples), hz))
    return carriers


# 102 samples are 12.75 ms: a bin of 78 Hz, as wide as the gap between neighbouring tones and no wider,
# so that a tone 1.5 % off keeps most of its power.
_WINDOW = 102
_HOP = _WINDOW // 2
_WINDOWS_ON = 4
_WINDOWS_OFF = 4

_TONES_HZ = np.array(_LOW_HZ + _HIGH_HZ)
_CARRIERS = _carriers(_TONES_HZ, _WINDOW)
_TURN_PER_HOP = [cmath.exp(-2j * pi * hz * _HOP / SAMPLE_RATE_HZ) for hz in _TONES_HZ]

_TONES_SHARE = 0.75
"""How much of a window's power the two tones must hold: speech is richer, and so is noise."""
_NORMAL_TWIST = 10.0
"""How far the low tone may exceed the high one in power: the 8 dB of Q.24 and 2 dB for leakage."""
_REVERSE_TWIST = 10**0.6
"""How far the high tone may exceed the low one in power: the 4 dB of Q.24 and 2 dB for leakage."""
_DOMINANCE = 4.0
"""How far a tone must exceed every other one of its group in power."""
_DEVIATION = 0.025
"""How far a tone may be off its frequency, relative: half-way between what must and must not work."""
_QUIETEST = (_FULL_SCALE * 10 ** (-40 / 20)) ** 2 / 2
"""Mean power below which nothing is looked for: -40 dBFS, 12 dB below the quietest tones of Q.24."""


class DtmfDetector:
    """Hears DTMF digits in one stream of 8 kHz samples that comes in chunks of any size."""

    __slots__ = ("_current", "_key", "_rest", "_run", "_terms")

    def __init__(self) -> None:
        self._rest = np.empty(0, np.float64)
        self._terms: list[complex] = []
        self._key = -1
        self._run = 0
        self._current = -1

    def feed(self, pcm: NDArray[np.int16]) -> str:
        """Take the next samples in, shape [n], and return the digits that have just begun, often none.

        A digit is told once, about 35 ms after its tone begins, however long the key is held.
        """
        signal = np.concatenate((self._rest, pcm), dtype=np.float64)
        count = max(0, (signal.size - _WINDOW) // _HOP + 1)
        self._rest = signal[count * _HOP :].copy()
        if not count:
            return ""
        windows = np.ndarray((count, _WINDOW), np.float64, signal, 0, (8 * _HOP, 8))
        powers = np.square(windows).mean(axis=1)
        if powers.max() < _QUIETEST:
            return "".join([self._follow(-1) for _ in range(count)])
        spectrum: list[list[complex]] = windows.dot(_CARRIERS).tolist()
        return "".join([self._hear(*window) for window in zip(spectrum, powers.tolist(), strict=True)])

    def _hear(self, terms: list[complex], total: float) -> str:
        before, self._terms = self._terms, terms
        key = _key(terms, total)
        if key >= 0 and key == self._key and not _on_pitch(before, terms, key):
            key = -1
        return self._follow(key)

    def _follow(self, key: int) -> str:
        """Take one window's key, -1 for none, and return a digit when enough windows agree on a new one."""
        self._run = self._run + 1 if key == self._key else 1
        self._key = key
        if key < 0:
            if self._run >= _WINDOWS_OFF:
                self._current = -1
            return ""
        if self._run < _WINDOWS_ON or key == self._current:
            return ""
        self._current = key
        return DTMF_DIGITS[key]


def _key(terms: list[complex], total: float) -> int:
    """Return the key whose two tones make up a window of mean power `total`, or -1."""
    if total < _QUIETEST:
        return -1
    powers = [2 * abs(term) ** 2 / _WINDOW**2 for term in terms]
    lows, highs = powers[:4], powers[4:]
    low, high = max(lows), max(highs)
    if low + high < _TONES_SHARE * total:
        return -1
    if low > _NORMAL_TWIST * high or high > _REVERSE_TWIST * low:
        return -1
    if _DOMINANCE * sorted(lows)[-2] > low or _DOMINANCE * sorted(highs)[-2] > high:
        return -1
    return 4 * lows.index(low) + highs.index(high)


def _on_pitch(before: list[complex], now: list[complex], key: int) -> bool:
    """Tell whether both tones of a key are near their frequencies, by how far they turned in one hop."""
    for tone in (key // 4, 4 + key % 4):
        excess = cmath.phase(now[tone] * before[tone].conjugate() * _TURN_PER_HOP[tone])
        hz = excess * SAMPLE_RATE_HZ / (2 * pi * _HOP)
        if abs(hz) > _DEVIATION * float(_TONES_HZ[tone]):
            return False
    return True
