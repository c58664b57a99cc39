"""WAV files: reading what the world writes, and writing what survives a crash.

The layout is Microsoft's and IBM's "Multimedia Programming Interface and Data Specifications 1.0" (1991)
with WAVE_FORMAT_EXTENSIBLE (Microsoft, "Multiple Channel Audio Data and WAVE Files", 2001).
"""

from __future__ import annotations

__all__ = ["Wav", "WavError", "Writer", "read"]

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import BinaryIO, Self

import numpy as np
from numpy.typing import NDArray

from . import g711

_PCM, _FLOAT, _MULAW, _EXTENSIBLE = 1, 3, 7, 0xFFFE
_ENCODINGS = {2: "Microsoft ADPCM", 6: "A-law", 17: "IMA ADPCM", 49: "GSM 6.10", 80: "MPEG", 85: "MP3"}
_SUPPORTED = "PCM of 8, 16, 24 or 32 bits, float of 32 bits and mu-law"

# The tail that makes a two-byte format tag a GUID; only then does the tag mean what it says.
_GUID_TAIL = bytes.fromhex("000000001000800000aa00389b71")

_UNKNOWN_SIZE = 0xFFFFFFFF
# Encoders that write to a pipe put a size there that no file reaches.
_SMALLEST_UNKNOWN_SIZE = 0x7FFF0000
_LARGEST_DATA_BYTES = _SMALLEST_UNKNOWN_SIZE - 1


class WavError(ValueError):
    """The bytes are not a WAV file that can be read, or a file has reached the format's limit."""


@dataclass(frozen=True, slots=True)
class Wav:
    """A recording."""

    rate_hz: int
    """Sample frames a second."""
    channels: int
    """Samples in a frame."""
    pcm: NDArray[np.int16]
    """The samples, shape [n, channels]."""


@dataclass(frozen=True, slots=True)
class _Layout:
    """What the `fmt ` chunk says."""

    tag: int
    channels: int
    rate_hz: int
    bits: int

    @property
    def frame_bytes(self) -> int:
        return self.channels * self.bits // 8


def read(source: BinaryIO) -> Wav:
    """Read a whole WAV file from its current position; it need not be seekable.

    PCM of 8, 16, 24 and 32 bits, float32 and mu-law all become int16. A header that was written before the
    length was known is read to the end of the file. Raises WavError, naming what is wrong.
    """
    content = source.read()
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        raise WavError(f"not a WAV file: it begins with {content[:12]!r}, not with RIFF....WAVE")
    layout = None
    for name, start, size in _chunks(content):
        if name == b"fmt ":
            layout = _layout(content[start : start + size])
        elif name == b"data":
            if layout is None:
                raise WavError("the data chunk comes before the fmt chunk")
            return Wav(
                layout.rate_hz, layout.channels, _samples(layout, _audio(content, start, size, layout))
            )
    raise WavError("the file has no data chunk" if layout else "the file has no fmt chunk")


def _chunks(content: bytes) -> Iterator[tuple[bytes, int, int]]:
    """Yield the name, the start and the declared size of every chunk."""
    place = 12
    while place + 8 <= len(content):
        name, size = struct.unpack_from("<4sI", content, place)
        yield name, place + 8, size
        place += 8 + size + size % 2


def _layout(chunk: bytes) -> _Layout:
    if len(chunk) < 16:
        raise WavError(f"the fmt chunk has {len(chunk)} bytes, not at least 16")
    tag, channels, rate_hz, _, frame_bytes, bits = struct.unpack_from("<HHIIHH", chunk)
    if tag == _EXTENSIBLE:
        if len(chunk) < 40 or chunk[26:40] != _GUID_TAIL:
            raise WavError("the extensible fmt chunk names no known encoding")
        tag = int.from_bytes(chunk[24:26], "little")
    readable = {_PCM: (8, 16, 24, 32), _FLOAT: (32,), _MULAW: (8,)}
    if bits not in readable.get(tag, ()):
        encoding = {_PCM: "PCM", _FLOAT: "float", _MULAW: "mu-law"} | _ENCODINGS
        raise WavError(
            f"{encoding.get(tag, f'encoding {tag}')} of {bits} bits cannot be read, only {_SUPPORTED}"
        )
    if not channels or not rate_hz:
        raise WavError(f"{channels} channels at {rate_hz} Hz make no sound")
    layout = _Layout(tag, channels, rate_hz, bits)
    if frame_bytes != layout.frame_bytes:
        raise WavError(
            f"{channels} channels of {bits} bits make {layout.frame_bytes} bytes, not {frame_bytes}"
        )
    return layout


def _audio(content: bytes, start: int, size: int, layout: _Layout) -> bytes:
    """Return the bytes of the data chunk, whole sample frames of them."""
    there = len(content) - start
    riff_end = 8 + int.from_bytes(content[4:8], "little")
    # A size of 0 is an unfinished header unless the header says that something follows the chunk.
    if size >= _SMALLEST_UNKNOWN_SIZE or (size == 0 and not start < riff_end < _SMALLEST_UNKNOWN_SIZE):
        return content[start : start + there - there % layout.frame_bytes]
    if size > there:
        raise WavError(f"the file is cut off: the data chunk should have {size} bytes and has {there}")
    if size % layout.frame_bytes:
        raise WavError(f"the data chunk's {size} bytes are not whole frames of {layout.frame_bytes} bytes")
    return content[start : start + size]


def _samples(layout: _Layout, audio: bytes) -> NDArray[np.int16]:
    return _int16(layout, audio).reshape(-1, layout.channels)


def _int16(layout: _Layout, audio: bytes) -> NDArray[np.int16]:
    """Return the audio at 16 bits: wider samples are rounded, and saturate."""
    if layout.tag == _MULAW:
        return g711.decode(audio)
    if layout.tag == _FLOAT:
        scaled = np.nan_to_num(np.frombuffer(audio, "<f4").astype(np.float64), posinf=1, neginf=-1) * 32_768
        return np.rint(scaled).clip(-32_768, 32_767).astype(np.int16)
    if layout.bits == 8:
        return (np.frombuffer(audio, np.uint8).astype(np.int16) - 128) << 8
    if layout.bits == 16:
        return np.frombuffer(audio, "<i2").astype(np.int16)
    wide = np.zeros((len(audio) * 8 // layout.bits, 4), np.uint8)
    wide[:, 4 - layout.bits // 8 :] = np.frombuffer(audio, np.uint8).reshape(-1, layout.bits // 8)
    rounded = (wide.view("<i4").ravel().astype(np.int64) + 0x8000) >> 16
    return rounded.clip(-32_768, 32_767).astype(np.int16)


class Writer:
    """Writes a WAV file piece by piece, 16-bit PCM or mu-law.

    The header is brought up to date with the first piece, then every 5 s of audio and at `close`, so that a
    crash loses at most the last 5 s. To a sink that cannot seek goes a header of unknown length instead. The
    sink stays the caller's to close.
    """

    __slots__ = (
        "_channels",
        "_closed",
        "_data_bytes",
        "_mulaw",
        "_patch_at",
        "_patch_bytes",
        "_rate_hz",
        "_sink",
        "_start",
    )

    def __init__(self, sink: BinaryIO, rate_hz: int, channels: int, *, mulaw: bool = False) -> None:
        """Write the header at the sink's current position; ValueError if there is no rate or channel."""
        if rate_hz < 1 or not 1 <= channels <= 0xFFFF:
            raise ValueError(f"{channels} channels at {rate_hz} Hz make no sound")
        self._sink, self._rate_hz, self._channels, self._mulaw = sink, rate_hz, channels, mulaw
        self._data_bytes = 0
        self._patch_bytes = 5 * rate_hz * channels * (1 if mulaw else 2)
        self._patch_at = 0
        self._closed = False
        self._start = sink.tell() if sink.seekable() else None
        sink.write(self._header())

    def write(self, pcm: NDArray[np.int16]) -> None:
        """Append samples, shape [n, channels], or [n] where there is one channel.

        Raises ValueError for another shape or after `close`, and WavError when 2 GiB are full.
        """
        if self._closed:
            raise ValueError("the WAV file is closed")
        shape = pcm.shape if pcm.ndim > 1 else (*pcm.shape, 1)
        if len(shape) != 2 or shape[1] != self._channels:
            raise ValueError(f"samples of shape {pcm.shape} do not fit {self._channels} channels")
        audio = g711.encode(pcm) if self._mulaw else pcm.astype("<i2", copy=False).tobytes()
        if self._data_bytes + len(audio) > _LARGEST_DATA_BYTES:
            raise WavError("a WAV file holds no more than 2 GiB")
        self._sink.write(audio)
        self._data_bytes += len(audio)
        if self._data_bytes >= self._patch_at:
            self._patch_header()

    def close(self) -> None:
        """Bring the header up to date for the last time; closing again does nothing."""
        if self._closed:
            return
        self._closed = True
        if self._data_bytes % 2:
            self._sink.write(b"\0")
        self._patch_header()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _patch_header(self) -> None:
        self._patch_at = self._data_bytes + self._patch_bytes
        if self._start is not None:
            end = self._sink.tell()
            self._sink.seek(self._start)
            self._sink.write(self._header())
            self._sink.seek(end)
        self._sink.flush()

    def _header(self) -> bytes:
        frame_bytes = self._channels * (1 if self._mulaw else 2)
        form = struct.pack(
            "<HHIIHH",
            _MULAW if self._mulaw else _PCM,
            self._channels,
            self._rate_hz,
            self._rate_hz * frame_bytes,
            frame_bytes,
            8 * frame_bytes // self._channels,
        )
        known = self._start is not None
        chunks = _chunk(b"fmt ", form + b"\0\0" if self._mulaw else form)
        if self._mulaw:
            frames = self._data_bytes // frame_bytes if known else _UNKNOWN_SIZE
            chunks += _chunk(b"fact", struct.pack("<I", frames))
        data_size = self._data_bytes if known else _UNKNOWN_SIZE
        riff_size = 4 + len(chunks) + 8 + data_size + data_size % 2 if known else _UNKNOWN_SIZE
        return (
            struct.pack("<4sI4s", b"RIFF", riff_size, b"WAVE")
            + chunks
            + struct.pack("<4sI", b"data", data_size)
        )


def _chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack("<4sI", name, len(body)) + body
