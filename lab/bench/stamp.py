"""A moment written into mu-law audio, so that whoever gets the audio knows how long it took.

Fifteen hexadecimal digits of nanoseconds, each as one of the sixteen quietest positive codes of
G.711: at most 120 of 32,124, so that voice activity takes a stamp for a line's own noise.
"""

from __future__ import annotations

__all__ = ["STAMP_BYTES", "read_stamp", "stamp"]

STAMP_BYTES = 15
"""A multiple of three: a stamp keeps to itself in base64, too."""

_DIGITS = b"0123456789abcdef"
_CODES = bytes(range(0xF0, 0x100))
_TO_CODES = bytes.maketrans(_DIGITS, _CODES)
_TO_DIGITS = b"?" * 0xF0 + _DIGITS
_SILENCE = (1 << 4 * STAMP_BYTES) - 1
"""What digital silence reads as."""


def stamp(moment_ns: int) -> bytes:
    """The codes that say this moment."""
    return (b"%015x" % moment_ns).translate(_TO_CODES)


def read_stamp(audio: bytes) -> int | None:
    """The moment at the beginning of this audio, or None if it bears no stamp."""
    if len(audio) < STAMP_BYTES:
        return None
    try:
        moment_ns = int(audio[:STAMP_BYTES].translate(_TO_DIGITS), 16)
    except ValueError:
        return None
    return None if moment_ns == _SILENCE else moment_ns
