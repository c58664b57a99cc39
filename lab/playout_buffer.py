"""The carrier's playout buffer: what the bridge sent and the caller has not heard yet."""

from __future__ import annotations

__all__ = ["PlayoutBuffer"]

from collections import deque

from offhook.codecs.framing import FRAME_BYTES

CAPACITY_BYTES = 10 * 60 * 8000
"""Ten minutes; Twilio drops what is sent beyond it (warning 31931)."""


class PlayoutBuffer:
    """A first-in first-out of audio and marks, emptied by one 20 ms frame at a time.

    A frame sounds from the `play_frame` that returns it until the next one, so a mark behind
    its last byte is due then, and at once when nothing sounds or waits.
    """

    def __init__(self) -> None:
        self._queue: deque[bytes | str] = deque()
        self._passed: list[str] = []
        self._sounding = False
        self._offset = 0
        self.queued_bytes = 0
        self.played_bytes = 0
        self.cleared_bytes = 0
        self.dropped_bytes = 0

    def add_audio(self, payload: bytes) -> bool:
        """Queue carrier bytes; False when they were dropped because the buffer is full."""
        if self.queued_bytes + len(payload) > CAPACITY_BYTES:
            self.dropped_bytes += len(payload)
            return False
        self._queue.append(payload)
        self.queued_bytes += len(payload)
        return True

    def add_mark(self, name: str) -> tuple[str, ...]:
        """Queue a mark; returns the marks that are due at once."""
        if self._queue:
            self._queue.append(name)
        elif self._sounding:
            self._passed.append(name)
        else:
            return (name,)
        return ()

    def clear(self) -> tuple[str, ...]:
        """Empty the queue; returns every pending mark in order. The frame that sounds sounds on."""
        marks = tuple(self._passed) + tuple(item for item in self._queue if isinstance(item, str))
        self.cleared_bytes += self.queued_bytes
        self.queued_bytes = 0
        self._offset = 0
        self._queue.clear()
        self._passed.clear()
        return marks

    def play_frame(self) -> tuple[bytes, tuple[str, ...]]:
        """Begin the next 20 ms; returns its audio (0 to 160 bytes) and the marks of the frame that ended."""
        marks = tuple(self._passed)
        self._passed.clear()
        frame = bytearray()
        while self._queue:
            item = self._queue[0]
            if isinstance(item, str):
                self._passed.append(item)
            elif len(frame) == FRAME_BYTES:
                break
            else:
                frame += self._take(item, FRAME_BYTES - len(frame))
                if self._offset:
                    break
            self._queue.popleft()
        self._sounding = bool(frame)
        self.queued_bytes -= len(frame)
        self.played_bytes += len(frame)
        return bytes(frame), marks

    def _take(self, item: bytes, limit: int) -> bytes:
        piece = item[self._offset : self._offset + limit]
        self._offset += len(piece)
        if self._offset == len(item):
            self._offset = 0
        return piece
