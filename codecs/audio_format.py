"""What a stream of audio bytes means, and turning one meaning into another.

A part that wants audio in a certain form says so with an AudioFormat, and whoever feeds it converts once:
`converter(MULAW_8K, PCM_16K).feed(frame)`.
"""

from __future__ import annotations

__all__ = ["MULAW_8K", "PCM_8K", "PCM_16K", "PCM_24K", "AudioFormat", "Converter", "Encoding", "converter"]

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from . import g711
from .resample import Resampler

Encoding = Literal["mulaw", "pcm16"]


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """The encoding and the rate of one channel of audio."""

    encoding: Encoding
    """G.711 mu-law, or 16-bit little-endian PCM."""
    rate_hz: int
    """Samples a second."""

    @property
    def bytes_per_sample(self) -> int:
        """The length of a sample, in bytes."""
        return 1 if self.encoding == "mulaw" else 2

    @property
    def bytes_per_s(self) -> int:
        """The length of a second of audio, in bytes."""
        return self.bytes_per_sample * self.rate_hz

    def __str__(self) -> str:
        return f"{self.encoding} {self.rate_hz} Hz"


MULAW_8K = AudioFormat("mulaw", 8000)
PCM_8K = AudioFormat("pcm16", 8000)
PCM_16K = AudioFormat("pcm16", 16_000)
PCM_24K = AudioFormat("pcm16", 24_000)


class Converter(Protocol):
    """Turns one stream of audio bytes into another format, chunk by chunk."""

    @property
    def delay_s(self) -> float:
        """By how much the output lags behind the input, in seconds; constant."""

    def feed(self, data: bytes, /) -> bytes:
        """Take the next bytes in and return those that are due."""

    def flush(self) -> bytes:
        """Return what is still inside at the end of the stream, and start anew."""


class _Unchanged:
    """The converter between equal formats: the bytes that come in go out."""

    __slots__ = ()
    delay_s = 0.0

    def feed(self, data: bytes, /) -> bytes:
        return data

    def flush(self) -> bytes:
        return b""


class _Conversion:
    """Decodes, resamples where the rates differ, and encodes."""

    __slots__ = ("_from_mulaw", "_odd_byte", "_resampler", "_to_mulaw", "delay_s")

    def __init__(self, source: AudioFormat, target: AudioFormat) -> None:
        self._from_mulaw = source.encoding == "mulaw"
        self._to_mulaw = target.encoding == "mulaw"
        differs = source.rate_hz != target.rate_hz
        self._resampler = Resampler(source.rate_hz, target.rate_hz) if differs else None
        self.delay_s = self._resampler.delay_s if self._resampler else 0.0
        self._odd_byte = b""

    def feed(self, data: bytes, /) -> bytes:
        pcm = g711.decode(data) if self._from_mulaw else self._samples(data)
        if self._resampler is not None:
            pcm = self._resampler.feed(pcm)
        return self._encoded(pcm)

    def flush(self) -> bytes:
        # Half a sample at the very end has no meaning.
        self._odd_byte = b""
        return b"" if self._resampler is None else self._encoded(self._resampler.flush())

    def _samples(self, data: bytes) -> NDArray[np.int16]:
        if self._odd_byte:
            data = self._odd_byte + data
            self._odd_byte = b""
        if len(data) % 2:
            self._odd_byte = data[-1:]
        return np.frombuffer(data, "<i2", len(data) // 2).astype(np.int16, copy=False)

    def _encoded(self, pcm: NDArray[np.int16]) -> bytes:
        return g711.encode(pcm) if self._to_mulaw else pcm.astype("<i2", copy=False).tobytes()


def converter(source: AudioFormat, target: AudioFormat) -> Converter:
    """Return what turns `source` into `target`; equal formats cost nothing and keep the very same bytes.

    Raises ValueError if the ratio of the rates is not one of small whole numbers.
    """
    return _Unchanged() if source == target else _Conversion(source, target)
