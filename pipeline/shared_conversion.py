"""The caller's frames in a recogniser's format, those of all calls converted together.

numpy costs nearly the same for one frame as for eight. So the first frame of a pass of the loop asks for a
callback behind it, which converts all that have come by then. With many streams it comes 2 ms later: a loop
that is not busy finds few frames in a pass, and would be kept busy by converting them.
"""

from __future__ import annotations

__all__ = ["Conversions", "ConvertedStream", "SharedConversion"]

import asyncio
from collections.abc import Callable

import structlog

from offhook.codecs import g711
from offhook.codecs.audio_format import MULAW_8K, AudioFormat
from offhook.codecs.resample import ResamplerRows

from .log_fields import failure_fields

log = structlog.get_logger(__name__)

Take = Callable[[bytes], None]

MANY_STREAMS = 25
"""From so many on there is a frame in less than 1 ms."""
GATHER_S = 0.002


class ConvertedStream:
    """One caller's audio on its way to one recogniser."""

    __slots__ = ("_conversion", "on_error", "row", "take")

    def __init__(
        self, conversion: SharedConversion, row: int, take: Take, on_error: Callable[[Exception], None]
    ):
        self._conversion = conversion
        self.row = row
        self.take, self.on_error = take, on_error

    def push(self, audio: bytes) -> None:
        """Hand over carrier bytes (mu-law, 8 kHz) of any length."""
        self._conversion.push(self, audio)

    def settle(self) -> None:
        """Convert at once what was pushed: something is to be said about it."""
        self._conversion.settle(self)

    def close(self) -> None:
        """Nothing more is taken or given."""
        self._conversion.close(self)


class SharedConversion:
    """From the carrier's format to one whose rate is a whole multiple of it, for all calls of a process."""

    def __init__(self, target: AudioFormat) -> None:
        """ValueError for a format that frames cannot be converted to one by one."""
        self._rows = ResamplerRows(MULAW_8K.rate_hz, target.rate_hz)
        self._pending: dict[ConvertedStream, bytes] = {}
        self._streams = 0

    def open(self, take: Take, on_error: Callable[[Exception], None]) -> ConvertedStream:
        """Begin a stream; `take` is given 16-bit samples. What it raises goes to `on_error`."""
        self._streams += 1
        return ConvertedStream(self, self._rows.acquire(), take, on_error)

    def push(self, stream: ConvertedStream, audio: bytes) -> None:
        """Convert this at the end of the loop's pass, or soon after it; of a closed stream nothing is."""
        if stream.row < 0:
            return
        pending = self._pending
        if not pending:
            loop = asyncio.get_running_loop()
            if self._streams < MANY_STREAMS:
                loop.call_soon(self._flush)
            else:
                loop.call_later(GATHER_S, self._flush)
        before = pending.get(stream)
        pending[stream] = audio if before is None else before + audio

    def settle(self, stream: ConvertedStream) -> None:
        """Convert what there is of one stream."""
        audio = self._pending.get(stream)
        if audio:
            self._pending[stream] = b""
            self._convert([stream], [audio])

    def close(self, stream: ConvertedStream) -> None:
        """Forget a stream; harmless when it was forgotten before."""
        self._pending.pop(stream, None)
        if stream.row >= 0:
            self._rows.release(stream.row)
            stream.row = -1
            self._streams -= 1

    def _flush(self) -> None:
        pending, self._pending = self._pending, {}
        by_size: dict[int, list[ConvertedStream]] = {}
        for stream, audio in pending.items():
            by_size.setdefault(len(audio), []).append(stream)
        by_size.pop(0, None)
        for streams in by_size.values():
            # Whoever takes audio may close another stream.
            open_ = [stream for stream in streams if stream.row >= 0]
            if open_:
                self._convert(open_, [pending[stream] for stream in open_])

    def _convert(self, streams: list[ConvertedStream], chunks: list[bytes]) -> None:
        samples = g711.decode(b"".join(chunks)).reshape(len(streams), -1)
        made = self._rows.feed([stream.row for stream in streams], samples)
        audio = made.astype("<i2", copy=False).tobytes()
        size = len(audio) // len(streams)
        for number, stream in enumerate(streams):
            if stream.row < 0:
                continue
            try:
                stream.take(audio[number * size : (number + 1) * size])
            except Exception as error:
                # One call's mistake must not cost the others their frames.
                log.error("conversion.not-taken", **failure_fields(error, log_words=False))
                stream.on_error(error)


class Conversions:
    """The shared conversions of a process, by the format they make."""

    def __init__(self) -> None:
        self._by_format: dict[AudioFormat, SharedConversion] = {}

    def to(self, target: AudioFormat) -> SharedConversion | None:
        """The conversion to this format; None if frames cannot be converted to it one by one."""
        if target.encoding != "pcm16" or target.rate_hz % MULAW_8K.rate_hz:
            return None
        if target not in self._by_format:
            self._by_format[target] = SharedConversion(target)
        return self._by_format[target]
