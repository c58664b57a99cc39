"""A growing row of carrier bytes, of which the oldest can be forgotten.

Every call holds seconds of audio in both directions, and gets and gives away a little of it many times a
second. In one growing array that leaves holes in the process's memory as large as the audio itself; blocks of
one size leave none.
"""

from __future__ import annotations

__all__ = ["AudioTape"]

from collections import deque

from offhook.codecs.framing import SAMPLE_RATE_HZ as BYTES_PER_S

BLOCK_BYTES = BYTES_PER_S // 2


class AudioTape:
    """Bytes at places that are counted from the beginning, whatever was forgotten since."""

    __slots__ = ("_begins_at", "_blocks", "_end", "_last")

    def __init__(self) -> None:
        self._blocks: deque[bytes] = deque()
        """Each is `BLOCK_BYTES` long, also behind a cut: a longer one could not be forgotten in parts."""
        self._last = bytearray()
        self._begins_at = self._end = 0

    def __len__(self) -> int:
        return self._end

    @property
    def begins_at(self) -> int:
        """What lies before was forgotten."""
        return self._begins_at

    @property
    def kept_bytes(self) -> int:
        """How much is held now."""
        return self._end - self._begins_at

    def append(self, audio: bytes) -> None:
        """Add to the end."""
        self._last += audio
        self._end += len(audio)
        while len(self._last) >= BLOCK_BYTES:
            self._blocks.append(bytes(self._last[:BLOCK_BYTES]))
            del self._last[:BLOCK_BYTES]

    def read(self, begin: int, end: int) -> bytes:
        """Take a copy of what lies between two places. Raises IndexError if some of it was forgotten."""
        if begin < self._begins_at:
            raise IndexError(f"place {begin} was forgotten; the tape begins at {self._begins_at}")
        parts: list[bytes | bytearray] = []
        at = self._begins_at
        blocks: tuple[bytes | bytearray, ...] = (*self._blocks, self._last)
        for block in blocks:
            if at >= end:
                break
            if at + len(block) > begin:
                parts.append(block[max(0, begin - at) : end - at])
            at += len(block)
        return b"".join(parts)

    def forget(self, before: int) -> None:
        """What lies before this place will not be read again."""
        while self._blocks and self._begins_at + len(self._blocks[0]) <= before:
            self._begins_at += len(self._blocks.popleft())

    def cut(self, at: int) -> None:
        """End at this place. Raises IndexError if it was forgotten, or has not come."""
        if not self._begins_at <= at <= self._end:
            raise IndexError(
                f"place {at} is not on the tape, which goes from {self._begins_at} to {self._end}"
            )
        while at < (last_begins_at := self._end - len(self._last)):
            self._end, self._last = last_begins_at, bytearray(self._blocks.pop())
        del self._last[at - last_begins_at :]
        self._end = at
