"""What is between a caller's mouth and the bridge, sans-I/O: surroundings, echo, and clumped delivery.

Theory. A microphone hears the caller, the place they are in, and the agent from the earpiece: `Microphone`
adds the three, frame by frame, and what was said stays known apart from it. A connection keeps the order of
its messages, so a late one holds up all behind it: `ClumpedDelivery` keeps messages back and lets them go at
once, again and again. The media timestamps are the sender's, so that lateness is no silence.
"""

from __future__ import annotations

__all__ = ["CLEAR_LINE", "ClumpedDelivery", "LineConditions", "Microphone", "surroundings"]

import random
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from offhook.codecs import g711
from offhook.codecs.framing import FRAME_BYTES

from .noises import Samples, active_dbfs, noise

Message = TypeVar("Message")

FRAME_MS = 20
SPEECH_DBFS = -22.0
"""The active level of a caller who has said nothing yet."""
_BED_S = 45.0
"""So long a bed of noise is made; a longer call hears it again."""


@dataclass(frozen=True, slots=True)
class LineConditions:
    """What is wrong with a line; the defaults are a clear one."""

    echo_db: float | None = None
    """Level of the agent's voice in the caller's channel, relative to what the caller hears; below 0."""
    echo_delay_ms: int = 120
    noise: str = ""
    """A kind of `lab.noises` under all of the caller's channel."""
    snr_db: float = 10.0
    """How far the noise lies below the caller's active level."""
    jitter_ms: tuple[int, int] | None = None
    """Messages arrive in clumps, one after so many milliseconds; both ways."""
    burst_ms: int = 0
    """So long nothing arrives at the bridge, then all at once."""
    burst_every_s: float = 5.0


CLEAR_LINE = LineConditions()


def surroundings(
    line: LineConditions, caller: Iterable[bytes], seed: int, voices: Sequence[NDArray[Any]] = ()
) -> Samples | None:
    """The bed of noise of a line, None without one; `caller` is the mu-law that its level is measured by."""
    if not line.noise:
        return None
    said = g711.decode(b"".join(caller))
    level_dbfs = active_dbfs(said) if said.any() else SPEECH_DBFS
    return noise(line.noise, _BED_S, seed, level_dbfs - line.snr_db, voices)


class Microphone:
    """What a telephone picks up in each 20 ms: its caller, the noise around them, and its own earpiece."""

    def __init__(self, line: LineConditions = CLEAR_LINE, bed: Samples | None = None) -> None:
        self._bed = bed
        self._gain = 10 ** (line.echo_db / 20) if line.echo_db is not None else 0.0
        delayed = max(1, round(line.echo_delay_ms / FRAME_MS))
        self._heard: deque[bytes] = deque(maxlen=delayed)
        self._sample = 0

    def pick_up(self, said: bytes, heard: bytes) -> bytes:
        """Take what was said and heard in 20 ms (160 bytes of mu-law each); returns what goes out."""
        echo = self._heard[0] if len(self._heard) == self._heard.maxlen else b""
        self._heard.append(heard)
        if self._bed is None and not (self._gain and echo.strip(b"\xff\x7f")):
            return said
        mix = g711.decode(said).astype(np.float64)
        if self._gain and echo:
            mix += self._gain * g711.decode(echo)
        if self._bed is not None:
            mix += np.take(self._bed, range(self._sample, self._sample + FRAME_BYTES), mode="wrap")
            self._sample += FRAME_BYTES
        return g711.encode(np.clip(np.rint(mix), -32768, 32767).astype(np.int16))


class ClumpedDelivery(Generic[Message]):
    """One direction of a connection: messages in, and in the same order out when they arrive."""

    def __init__(
        self,
        generator: random.Random,
        *,
        jitter_ms: tuple[int, int] | None = None,
        burst_ms: int = 0,
        burst_every_s: float = 5.0,
    ) -> None:
        self._generator, self._jitter_ms, self._burst_ms = generator, jitter_ms, burst_ms
        self._burst_every_ms = round(burst_every_s * 1000)
        self._waiting: deque[Message] = deque()
        self._open_from_ms = 0
        self._next_burst_ms = self._burst_every_ms

    def add(self, messages: Iterable[Message]) -> None:
        """Send messages on their way."""
        self._waiting += messages

    def arrived(self, now_ms: int) -> tuple[Message, ...]:
        """Take what has arrived by `now_ms`; times never go back."""
        if self._burst_ms and now_ms >= self._next_burst_ms:
            self._next_burst_ms += self._burst_every_ms
            self._open_from_ms = now_ms + self._burst_ms
        if now_ms < self._open_from_ms:
            return ()
        if self._jitter_ms is not None:
            self._open_from_ms = now_ms + self._generator.randint(*self._jitter_ms)
        return self.flush()

    def flush(self) -> tuple[Message, ...]:
        """Take whatever is still on its way."""
        messages = tuple(self._waiting)
        self._waiting.clear()
        return messages
