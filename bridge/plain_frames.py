"""The one WebSocket frame that a call is made of: whole, text, below 64 KiB.

Nearly every frame of a media stream looks like this, so it is read and written here in a few steps;
everything else (fragments, control frames, closing, faults) is left to the `websockets` library.
Layout: RFC 6455, section 5.2.
"""

from __future__ import annotations

__all__ = ["read_text_frame", "text_frame"]

from struct import Struct

try:
    from websockets.speedups import apply_mask
except ImportError:  # a platform without the library's compiled part
    from websockets.utils import apply_mask

_FIN_TEXT = 0x81
_MASKED = 0x80
_LENGTH_16 = 126
_LONG_HEADER = Struct("!BBH")


def text_frame(payload: bytes) -> bytes | None:
    """The frame that a server sends for UTF-8 `payload`; None if it is too long to be plain."""
    length = len(payload)
    if length < _LENGTH_16:
        return bytes((_FIN_TEXT, length)) + payload
    if length < 65_536:
        return _LONG_HEADER.pack(_FIN_TEXT, _LENGTH_16, length) + payload
    return None


def read_text_frame(data: bytes, at: int) -> tuple[bytes, int] | None:
    """Read the client's text frame that begins at index `at`.

    Returns its payload and the index behind it, or None if there is none that is plain and complete.
    """
    available = len(data) - at
    if available < 6 or data[at] != _FIN_TEXT or data[at + 1] < _MASKED:
        return None
    length = data[at + 1] - _MASKED
    header = 6
    if length == _LENGTH_16:
        if available < 8:
            return None
        length = int.from_bytes(data[at + 2 : at + 4], "big")
        header = 8
    elif length > _LENGTH_16:
        return None
    begin = at + header
    end = begin + length
    if end > len(data):
        return None
    return apply_mask(data[begin:end], data[begin - 4 : begin]), end
