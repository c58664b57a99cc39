"""The features that Whisper was trained on, in numpy."""

from __future__ import annotations

__all__ = ["FRAMES_PER_S", "RATE_HZ", "log_mel"]

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 16000
FRAMES_PER_S = 100

_HOP = RATE_HZ // FRAMES_PER_S
_WINDOW = 400
_BANDS = 80
_QUIETEST = -10.0
"""log10 of the least power that counts (OpenAI Whisper, audio.py)."""
_RANGE = 8.0
"""Powers further below the loudest, in powers of ten, are raised to this floor."""


def _slaney_mel(hz: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Slaney's mel scale: linear below 1 kHz, logarithmic above (Auditory Toolbox, 1998)."""
    values = np.asarray(hz, np.float64)
    high = 15 + np.log(np.maximum(values, 1000) / 1000) / (np.log(6.4) / 27)
    return np.where(values < 1000, values * 3 / 200, high)


def _slaney_hz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(mel < 15, mel * 200 / 3, 1000 * np.exp((mel - 15) * np.log(6.4) / 27))


def _triangles() -> NDArray[np.float32]:
    """Filter bank, shape [bands, bins], each triangle of unit area."""
    corners = _slaney_hz(np.linspace(0, float(_slaney_mel(RATE_HZ / 2)), _BANDS + 2))
    bins = np.arange(_WINDOW // 2 + 1) * RATE_HZ / _WINDOW
    widths = np.diff(corners)
    rising = (bins - corners[:-2, None]) / widths[:-1, None]
    falling = (corners[2:, None] - bins) / widths[1:, None]
    areas = (corners[2:] - corners[:-2]) / 2
    return (np.maximum(0, np.minimum(rising, falling)) / areas[:, None]).astype(np.float32)


_FILTERS = _triangles()
_HANN = np.hanning(_WINDOW + 1)[:-1].astype(np.float32)


def log_mel(samples: NDArray[np.float32], frames: int) -> NDArray[np.float32]:
    """Features of 16 kHz samples (+-1) followed by digital silence, shape [80, frames], values about -1 to 1.

    The silence is filled in, not computed: all of its frames are equal.
    """
    spoken = min(frames, (len(samples) + _WINDOW // 2) // _HOP + 1)
    padded = np.zeros(spoken * _HOP + _WINDOW, np.float32)
    half = _WINDOW // 2
    body = samples[: len(padded) - half]
    padded[half : half + len(body)] = body
    mirror = body[1 : half + 1][::-1]
    padded[half - len(mirror) : half] = mirror
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::_HOP][:spoken]
    power = np.abs(np.fft.rfft(windows * _HANN)) ** 2
    mel = np.log10(np.maximum(_FILTERS @ power.T.astype(np.float32), 10**_QUIETEST))
    floor = max(_QUIETEST, float(mel.max(initial=_QUIETEST)) - _RANGE)
    features = np.full((_BANDS, frames), floor, np.float32)
    np.maximum(mel, floor, out=features[:, :spoken])
    features += 4
    features /= 4
    return features
