"""Streaming sample-rate conversion with a short, constant delay.

One polyphase filter bank per pair of rates. With the ratio reduced to up/down, every block of `down`
input samples makes `up` output samples, each the inner product of the latest input and one phase of a
Kaiser-windowed sinc (J. F. Kaiser, 1974; Oppenheim and Schafer, Discrete-Time Signal Processing, 7.5).
Several blocks are made by one row of a matrix product: its taps are then zero in part, but far fewer samples
are copied, and that is what takes the time.
The pass-band ends at 0.425 of the lower rate and the stop-band begins at 0.575 of it: 3400 and 4600 Hz on
the telephone side, with at least -0.1 dB and at most -58 dB there.

A stream that is cut in other places gives the same samples, bit for bit. The taps are whole multiples of
2**-24 and the samples are 16-bit integers, so every product and every partial sum of an inner product is a
whole multiple of 2**-24 below 2**18: at most 42 of the 53 bits that float64 represents exactly. Nothing is
ever rounded before the end, so the order in which a linear-algebra library adds cannot matter.
"""

from __future__ import annotations

__all__ = ["Resampler", "ResamplerRows", "resample"]

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from math import ceil

import numpy as np
from numpy.typing import NDArray

_HALF_WIDTH = 12
"""Half the length of the filter, in samples of the lower rate: 1.5 ms at 8 kHz."""

_KAISER_BETA = 5.65
"""Shape of the window: 0.1102 * (60 - 8.7), Kaiser's formula for 60 dB of rejection."""

_TAP_SCALE = 2.0**24
_LARGEST_TERM = 1000
_ROW_SAMPLES = 48
"""About so many input or output samples, whichever are more, are worth a row of their own."""
_PIECE = 16_384
"""Input samples filtered at a time, so that a long recording does not become a huge matrix."""

_EMPTY = np.empty(0, np.int16)
# As arrays: a ufunc takes longer to understand a Python number than to compare a frame with it.
_LOWEST, _HIGHEST = np.array(-32_768.0), np.array(32_767.0)


@dataclass(frozen=True, slots=True)
class _Bank:
    """The filter of one pair of rates, shared by all streams between them."""

    up: int
    """Output samples of a block."""
    down: int
    """Input samples of a block."""
    history: int
    """Input samples before a block that its filter still reads."""
    delay: int
    """Output samples by which the filter lags."""
    span: int
    """Blocks that are made by one row of the product."""
    taps: NDArray[np.float64]
    """The phases of `span` blocks, shape [history + span * down, span * up]."""


@lru_cache(maxsize=32)
def _bank(in_hz: int, out_hz: int) -> _Bank:
    """Design the filter from `in_hz` to `out_hz`; ValueError if the rates do not fit each other."""
    if in_hz < 1 or out_hz < 1:
        raise ValueError(f"sample rates must be positive, not {in_hz} and {out_hz} Hz")
    ratio = Fraction(out_hz, in_hz)
    up, down = ratio.numerator, ratio.denominator
    if up == down:
        return _Bank(1, 1, 0, 0, 1, np.ones((1, 1)))
    if max(up, down) > _LARGEST_TERM:
        raise ValueError(f"{in_hz} to {out_hz} Hz is {up}:{down}, not a ratio of small whole numbers")
    lower_hz = min(in_hz, out_hz)
    half = Fraction(_HALF_WIDTH * in_hz, lower_hz)
    # The last output of a stream's first n inputs is due at n - down/up at the latest, so the filter
    # may reach one output period less than half its length into the future of the output's instant.
    delay = ceil(half * ratio) - 1
    history = ceil(half + delay / ratio) - 1
    inputs = np.arange(-history, down)[:, np.newaxis] * up
    outputs = (np.arange(up) - delay) * down
    distance = (inputs - outputs) / up
    inside = np.abs(distance) < float(half)
    near = distance[inside]
    window = np.i0(_KAISER_BETA * np.sqrt(1 - (near / float(half)) ** 2))
    taps = np.zeros(distance.shape)
    taps[inside] = np.sinc(near * (lower_hz / in_hz)) * window
    taps = _quantised(taps / taps.sum(axis=0))
    span = 1
    while 2 * span * max(up, down) <= _ROW_SAMPLES:
        span *= 2
    return _Bank(up, down, history, delay, span, _spread(taps, up, down, span))


def _spread(taps: NDArray[np.float64], up: int, down: int, span: int) -> NDArray[np.float64]:
    """The matrix that makes `span` blocks from the samples that any of them reads."""
    reach = len(taps)
    spread = np.zeros((reach + (span - 1) * down, span * up))
    for block in range(span):
        spread[block * down : block * down + reach, block * up : (block + 1) * up] = taps
    return spread


def _quantised(taps: NDArray[np.float64]) -> NDArray[np.float64]:
    """Round taps to multiples of 1 / _TAP_SCALE so that every phase passes a constant unchanged."""
    steps = np.rint(taps * _TAP_SCALE)
    phases = np.arange(steps.shape[1])
    steps[np.abs(steps).argmax(axis=0), phases] += _TAP_SCALE - steps.sum(axis=0)
    quantised: NDArray[np.float64] = steps / _TAP_SCALE
    return quantised


def _to_int16(samples: NDArray[np.float64]) -> NDArray[np.int16]:
    """Round to the nearest 16-bit sample and saturate, in place where possible."""
    np.minimum(np.maximum(samples, _LOWEST, out=samples), _HIGHEST, out=samples)
    return np.rint(samples, out=samples).astype(np.int16)


class Resampler:
    """Converts one stream of samples from one rate to another, in chunks of any size.

    After n samples in all, floor(n * out_hz / in_hz) samples have come out in all.
    """

    __slots__ = ("_bank", "_held", "_phase", "_untouched", "delay_s")

    delay_s: float
    """By how much the output lags behind the input, in seconds; constant."""

    def __init__(self, in_hz: int, out_hz: int) -> None:
        """Start a stream; ValueError if the ratio of the rates is not one of small whole numbers."""
        self._bank = _bank(in_hz, out_hz)
        self.delay_s = self._bank.delay / out_hz
        self._restart()

    def _restart(self) -> None:
        self._held = np.zeros(self._bank.history)
        self._phase = 0
        self._untouched = True

    def feed(self, pcm: NDArray[np.int16]) -> NDArray[np.int16]:
        """Take the next samples in, shape [n], and return those that are due."""
        if pcm.size <= _PIECE:
            return self._filter(pcm)
        pieces = [self._filter(pcm[start : start + _PIECE]) for start in range(0, pcm.size, _PIECE)]
        return np.concatenate(pieces)

    def flush(self) -> NDArray[np.int16]:
        """Return the tail, until the last sample has left the filter, and start anew."""
        if self._untouched:
            return _EMPTY
        bank = self._bank
        silence = bank.history + ceil(bank.down / bank.up) if bank.delay else 0
        tail = self._filter(np.zeros(silence, np.int16))
        self._restart()
        return tail

    def _filter(self, pcm: NDArray[np.int16]) -> NDArray[np.int16]:
        if pcm.size == 0:
            return _EMPTY
        bank, first = self._bank, self._phase
        up, down, history = bank.up, bank.down, bank.history
        end = first + pcm.size
        step = bank.span * down
        rows = -(-end // step)
        missing = rows * step - end
        parts = (self._held, pcm, np.zeros(missing)) if missing else (self._held, pcm)
        signal = np.concatenate(parts, dtype=np.float64)
        windows = np.ndarray((rows, history + step), np.float64, signal, 0, (8 * step, 8))
        made = windows.dot(bank.taps).ravel()
        if first or missing:
            made = made[first * up // down : end * up // down]
        whole = end // down * down
        self._held = signal[whole : history + end].copy()
        self._phase = end - whole
        self._untouched = False
        return _to_int16(made)


class ResamplerRows:
    """Converts many streams from one rate to a whole multiple of it, many chunks for the price of few.

    Each stream has a row, and gets the samples that a `Resampler` of its own would give, bit for bit.
    """

    def __init__(self, in_hz: int, out_hz: int) -> None:
        """ValueError if the second rate is no whole multiple of the first."""
        bank = _bank(in_hz, out_hz)
        if bank.down != 1:
            raise ValueError(f"{out_hz} Hz is no whole multiple of {in_hz} Hz")
        self._bank = bank
        self._held = np.zeros((16, bank.history))
        self._free = list(range(16))[::-1]

    def acquire(self) -> int:
        """Begin a stream; returns its row."""
        if not self._free:
            rows = len(self._held)
            self._held = np.concatenate((self._held, np.zeros_like(self._held)))
            self._free = list(range(rows, 2 * rows))[::-1]
        row = self._free.pop()
        self._held[row] = 0
        return row

    def release(self, row: int) -> None:
        """End a stream."""
        self._free.append(row)

    def feed(self, rows: Sequence[int], chunks: NDArray[np.int16]) -> NDArray[np.int16]:
        """Take a chunk of each of these streams, shape [n, k] with k > 0; returns [n, k * ratio]."""
        bank, (streams, size) = self._bank, chunks.shape
        history, span = bank.history, bank.span
        steps = -(-size // span)
        signals = np.zeros((streams, history + steps * span))
        signals[:, :history] = self._held[rows]
        signals[:, history : history + size] = chunks
        shape = (streams, steps, history + span)
        windows = np.ndarray(shape, np.float64, signals, 0, (signals.strides[0], 8 * span, 8))
        made = windows.reshape(-1, history + span).dot(bank.taps).reshape(streams, -1)
        self._held[rows] = signals[:, size : history + size]
        return _to_int16(made[:, : size * bank.up])


def resample(pcm: NDArray[np.int16], in_hz: int, out_hz: int) -> NDArray[np.int16]:
    """Return a whole recording, shape [n], at another rate, in time with the input and round(n * ratio) long.

    Raises ValueError if the ratio of the rates is not one of small whole numbers.
    """
    resampler = Resampler(in_hz, out_hz)
    delay = resampler._bank.delay
    made = np.concatenate((resampler.feed(pcm), resampler.flush()))
    return made[delay : delay + round(pcm.size * Fraction(out_hz, in_hz))]
