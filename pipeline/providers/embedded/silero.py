"""Silero's voice-activity model at the telephone's own 8 kHz: the windows of all calls in one batch."""

from __future__ import annotations

__all__ = ["WINDOW", "SileroStatistics", "SileroStream", "SileroVoiceActivity"]

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from offhook.codecs.framing import SAMPLE_RATE_HZ as _HZ
from offhook.config.errors import ProviderError

from ...clock import Clock
from ...ports import VoiceWindow, Workers

if TYPE_CHECKING:
    from .silero_model import SileroModel

log = logging.getLogger(__name__)

Value = TypeVar("Value")

WINDOW = 256
"""Samples the model judges at once: 32 ms."""

_BACKLOG = 2 * _HZ
_BATCH_EVERY_S = 0.008
"""Windows that come meanwhile share a batch; alone, a window never waits."""


@dataclass(frozen=True, slots=True)
class SileroStatistics:
    """How the batcher has fared."""

    streams: int
    windows: int
    batches: int
    dropped: int
    """Windows that fell off a backlog of 2 s."""
    faults: int
    """Batches that the model failed on."""


class SileroStream:
    """One caller's audio on its way to the model."""

    def __init__(
        self,
        on_window: Callable[[VoiceWindow], None],
        on_fault: Callable[[ProviderError], None] | None,
        on_pending: Callable[[SileroStream], None],
    ) -> None:
        self.on_window, self.on_fault = on_window, on_fault
        self.closed = False
        self.slot = -1
        """Its row in the model's state; -1 until its first batch."""
        self.dropped = 0
        self._on_pending = on_pending
        self._waiting = bytearray()
        self._taken = 0

    def push(self, audio: bytes) -> None:
        """Hand over carrier bytes of any length; never waits, drops the oldest windows beyond 2 s."""
        if self.closed:
            return
        self._waiting += audio
        if len(self._waiting) > _BACKLOG:
            excess = -(-(len(self._waiting) - _BACKLOG) // WINDOW)
            del self._waiting[: excess * WINDOW]
            self._taken += excess * WINDOW
            self.dropped += excess
        if len(self._waiting) >= WINDOW:
            self._on_pending(self)

    def close(self) -> None:
        """No further window is reported, not even one that is being computed."""
        self.closed = True
        self._waiting.clear()
        self._on_pending(self)

    @property
    def pending(self) -> bool:
        """There is a whole window."""
        return len(self._waiting) >= WINDOW

    def take(self) -> tuple[bytes, float]:
        """Remove the oldest window; returns its bytes and the media time of its end in seconds."""
        window = bytes(self._waiting[:WINDOW])
        del self._waiting[:WINDOW]
        self._taken += WINDOW
        return window, self._taken / _HZ


def _load() -> SileroModel:
    # Imported here, since onnxruntime takes a while and is needed by nothing else in this process.
    from .silero_model import load

    return load(WINDOW)


class SileroVoiceActivity:
    """Serves all calls of the process: one batch at a time in a thread, no wait on the loop."""

    def __init__(self, workers: Workers, clock: Clock) -> None:
        self._workers, self._clock = workers, clock
        self._task: asyncio.Task[None] | None = None
        self._wake = asyncio.Event()
        self._touched: dict[SileroStream, None] = {}
        """Streams with a window to do, or to be forgotten; oldest first."""
        self._streams = self._windows = self._batches = self._dropped = self._faults = 0

    @property
    def ready(self) -> bool:
        """The model is loaded and warm."""
        return self._task is not None and not self._task.done()

    @property
    def takes_jobs(self) -> bool:
        """Windows are looked at."""
        return self.ready

    def statistics(self) -> SileroStatistics:
        """Count what has happened so far."""
        return SileroStatistics(self._streams, self._windows, self._batches, self._dropped, self._faults)

    async def start(self) -> None:
        """Load and warm the model in a thread; raises ProviderError if it is not there."""
        try:
            model = await self._workers.in_thread(_load)
        except (OSError, ImportError) as error:
            raise ProviderError("silero", f"the voice-activity model cannot be loaded: {error}") from error
        self._task = asyncio.create_task(self._run(model), name="voice-activity")

    async def close(self) -> None:
        """Stop at once; what the thread still computes is dropped."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    def open(
        self,
        on_window: Callable[[VoiceWindow], None],
        on_fault: Callable[[ProviderError], None] | None = None,
    ) -> SileroStream:
        """Start a stream; both are called on the loop. A fault loses one window, the stream goes on."""
        self._streams += 1
        return SileroStream(on_window, on_fault, self._touch)

    def _touch(self, stream: SileroStream) -> None:
        self._touched[stream] = None
        self._wake.set()

    async def _run(self, model: SileroModel) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            while batch := self._gather(model):
                begun_s = self._clock.now()
                await self._compute(model, batch)
                if self._touched:
                    await self._clock.sleep_until(begun_s + _BATCH_EVERY_S)

    def _gather(self, model: SileroModel) -> list[tuple[SileroStream, bytes, float]]:
        """Take a window of each stream that has one; only here, while the thread idles, rows change hands."""
        batch: list[tuple[SileroStream, bytes, float]] = []
        touched, self._touched = self._touched, {}
        for stream in touched:
            if stream.closed:
                self._forget(model, stream)
                continue
            if not stream.pending:
                continue
            if stream.slot < 0:
                stream.slot = model.acquire()
            batch.append((stream, *stream.take()))
            if stream.pending:
                self._touched[stream] = None
        return batch

    def _forget(self, model: SileroModel, stream: SileroStream) -> None:
        if stream.slot >= 0:
            model.release(stream.slot)
            stream.slot = -1
        self._streams -= 1
        self._dropped += stream.dropped

    async def _compute(self, model: SileroModel, batch: list[tuple[SileroStream, bytes, float]]) -> None:
        slots = [stream.slot for stream, _, _ in batch]
        audio = b"".join(window for _, window, _ in batch)
        self._batches += 1
        self._windows += len(batch)
        try:
            probabilities, levels = await self._workers.in_thread(model.run, slots, audio)
        except Exception as error:  # onnxruntime has no common class for its errors
            self._faults += 1
            log.exception("voice-activity batch of %d windows failed", len(batch))
            fault = ProviderError("silero", f"the voice-activity model failed: {type(error).__name__}")
            for stream, _, _ in batch:
                if not stream.closed and stream.on_fault is not None:
                    self._deliver(stream.on_fault, fault)
            return
        for (stream, _, media_s), probability, level in zip(batch, probabilities, levels, strict=True):
            if not stream.closed:
                self._deliver(stream.on_window, VoiceWindow(media_s, probability, level))

    def _deliver(self, callback: Callable[[Value], None], value: Value) -> None:
        """One call's mistake must not cost the others their windows."""
        try:
            callback(value)
        except Exception:
            log.exception("a voice-activity callback failed")
