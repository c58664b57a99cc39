"""The WebSocket frames of a media stream, as the carrier writes and reads them.

Written in as few steps as possible, since a load generator must be much cheaper than what it loads.
Layout: RFC 6455, section 5.2; messages: Twilio Media Streams documentation, "WebSocket messages".
"""

from __future__ import annotations

__all__ = ["CLOSE", "PING", "TEXT", "client_frame", "pong_frame", "read_frames"]

from collections.abc import Iterator
from struct import Struct

TEXT = 0x1
CLOSE = 0x8
PING = 0x9
PONG = 0xA

_FINAL = 0x80
_MASKED = 0x80
# A mask of zeros leaves the payload as it is. The server unmasks it like any other.
_MASK = b"\0\0\0\0"
_LONG = Struct("!BBH4s")


def client_frame(payload: bytes) -> bytes:
    """The text frame of a payload below 64 KiB."""
    length = len(payload)
    if length < 126:
        return bytes((_FINAL | TEXT, _MASKED | length)) + _MASK + payload
    return _LONG.pack(_FINAL | TEXT, _MASKED | 126, length, _MASK) + payload


def pong_frame(payload: bytes) -> bytes:
    """The answer to a ping (payload of at most 125 bytes)."""
    return bytes((_FINAL | PONG, _MASKED | len(payload))) + _MASK + payload


def read_frames(buffer: bytearray) -> Iterator[tuple[int, bytes]]:
    """Take every complete frame of a server's out of the buffer; yields (opcode, payload)."""
    at = 0
    while len(buffer) - at >= 2:
        length = buffer[at + 1] & 0x7F
        begin = at + 2
        if length >= 126:
            size = 2 if length == 126 else 8
            if len(buffer) < begin + size:
                break
            length = int.from_bytes(buffer[begin : begin + size], "big")
            begin += size
        if len(buffer) < begin + length:
            break
        yield buffer[at] & 0x0F, bytes(buffer[begin : begin + length])
        at = begin + length
    del buffer[:at]
