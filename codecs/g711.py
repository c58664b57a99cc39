"""G.711 mu-law, the telephone network's eight-bit sample, exact to the bit.

Both directions are table look-ups. The tables follow ITU-T G.711 (11/1988) table 2: a sample is reduced
to 14 bits, a bias of 33 is added to its magnitude, and the code is the sign, the position of the highest
set bit (the segment) and the four bits below it, all inverted on the line.
"""

from __future__ import annotations

__all__ = ["SILENCE", "decode", "decode_float", "encode"]

import numpy as np
from numpy.typing import NDArray

SILENCE = 0xFF
"""The code of a zero sample; a run of it is digital silence."""

_BIAS = 33
_LARGEST_BIASED = 0x1FFF


def _levels() -> NDArray[np.int16]:
    """The 256 decoded levels, in the order of the codes."""
    bits = ~np.arange(256) & 0xFF
    segment, step = bits >> 4 & 7, bits & 15
    magnitude = ((2 * step + _BIAS) << segment) - _BIAS
    return (4 * np.where(bits & 0x80, -magnitude, magnitude)).astype(np.int16)


def _codes() -> NDArray[np.uint8]:
    """The code of every 16-bit sample, addressed like a list: sample -1 is the last entry."""
    sample = np.arange(65_536).astype(np.uint16).view(np.int16).astype(np.int32)
    negative = sample < 0
    # G.711 counts negative samples from -1 down, hence the ones' complement and not the absolute value.
    magnitude = np.where(negative, ~sample, sample) >> 2
    biased = np.minimum(magnitude + _BIAS, _LARGEST_BIASED)
    segment = np.frexp(biased)[1] - 6
    step = biased >> (segment + 1) & 15
    codes: NDArray[np.uint8] = (~(negative << 7 | segment << 4 | step)).astype(np.uint8)
    return codes


_LEVELS = _levels()
_LEVELS_FLOAT = _LEVELS.astype(np.float32) / np.float32(32_768)
_CODES = _codes()


def decode(ulaw: bytes) -> NDArray[np.int16]:
    """Return the samples of mu-law codes, as int16 of shape [len(ulaw)], peak 32,124."""
    return _LEVELS.take(np.frombuffer(ulaw, np.uint8))


def decode_float(ulaw: bytes) -> NDArray[np.float32]:
    """Return the samples of mu-law codes, as float32 of shape [len(ulaw)] within -1..1."""
    return _LEVELS_FLOAT.take(np.frombuffer(ulaw, np.uint8))


def encode(pcm: NDArray[np.int16]) -> bytes:
    """Return the mu-law codes of 16-bit samples, one byte each."""
    return _CODES.take(pcm).tobytes()
