"""Cutting telephone audio into frames, and its arithmetic of bytes and seconds."""

from __future__ import annotations

__all__ = ["FRAME_BYTES", "FRAME_S", "SAMPLE_RATE_HZ", "Framer", "byte_count", "seconds"]

from .g711 import SILENCE

SAMPLE_RATE_HZ = 8000
"""Samples a second on the telephone line; in mu-law also bytes a second."""

FRAME_S = 0.02
"""The length of the frames that carriers send, in seconds."""

FRAME_BYTES = 160
"""The length of a mu-law frame, in bytes."""


def seconds(nbytes: int) -> float:
    """Return how long `nbytes` of mu-law audio play, in seconds."""
    return nbytes / SAMPLE_RATE_HZ


def byte_count(seconds: float) -> int:
    """Return how many bytes of mu-law audio play for `seconds`, to the nearest byte."""
    return round(seconds * SAMPLE_RATE_HZ)


class Framer:
    """Cuts a stream of bytes that comes in pieces of any length into frames of one length."""

    __slots__ = ("_rest", "_size")

    def __init__(self, size: int = FRAME_BYTES) -> None:
        """Make frames of `size` bytes; ValueError if that is not positive."""
        if size < 1:
            raise ValueError(f"a frame must have at least 1 byte, not {size}")
        self._size = size
        self._rest = b""

    def push(self, data: bytes) -> list[bytes]:
        """Take the next bytes in and return the frames that they complete."""
        size = self._size
        if len(data) == size and not self._rest:
            return [data]
        data = self._rest + data
        whole = len(data) - len(data) % size
        self._rest = data[whole:]
        return [data[start : start + size] for start in range(0, whole, size)]

    def flush(self, pad: int = SILENCE) -> bytes:
        """Return the last, incomplete frame filled up with the byte `pad`, or nothing if there is none."""
        rest, self._rest = self._rest, b""
        return rest.ljust(self._size, bytes((pad,))) if rest else b""
