"""The WebSocket frames of a media stream, as the carrier writes and reads them.

Written in as few steps as possible, since a load generator must be much cheaper than what it loads.
Layout: RFC 6455, section 5.2; messages: Twilio Media Streams documentation, "WebSocket messages".
"""

from __future__ import annotations

__all__ = ["CLOSE", "PING", "TEXT", "client_frame", "pong_frame", "split_frames"]

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


def split_frames(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """Every complete frame of a server's in these bytes, as (opcode, payload), and the bytes behind them."""
    frames = []
    at, end = 0, len(data)
    while end - at >= 2:
        length = data[at + 1]
        begin = at + 2
        if length >= 126:
            size = 2 if length == 126 else 8
            if end < begin + size:
                break
            length = int.from_bytes(data[begin : begin + size], "big")
            begin += size
        if end < begin + length:
            break
        frames.append((data[at] & 0x0F, data[begin : begin + length]))
        at = begin + length
    return frames, data[at:]
