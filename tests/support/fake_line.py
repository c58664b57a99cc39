"""An in-memory carrier: plays what it is sent in (virtual) real time and echoes marks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from offhook.pipeline.clock import Clock, Timer

BYTES_PER_S = 8000


@dataclass
class Played:
    """A run of bytes that the caller heard, without a gap."""

    at: float
    audio: bytearray = field(default_factory=bytearray)

    @property
    def ends_at(self) -> float:
        return self.at + len(self.audio) / BYTES_PER_S


class FakeLine:
    """The far end of a call: a FIFO that plays 8,000 bytes a second, one way `latency_s` away."""

    def __init__(self, clock: Clock, latency_s: float = 0.02, *, echoes_marks: bool = True) -> None:
        self._clock = clock
        self._latency_s = latency_s
        self._echoes = echoes_marks
        self.on_mark: Callable[[str], None] = lambda name: None
        self.log: list[tuple[float, str, Any]] = []
        self.runs: list[Played] = []
        self.clears: list[float] = []
        self.closed = False
        self.congested = False
        self.gaps = 0
        self._pending: deque[tuple[str, Timer]] = deque()
        self._free_at = 0.0

    def send_audio(self, audio: bytes) -> None:
        now = self._clock.now()
        self.log.append((now, "audio", len(audio)))
        arrives = now + self._latency_s
        if self.runs and self._free_at >= arrives - 1e-9:
            self.runs[-1].audio += audio
        else:
            self.runs.append(Played(arrives, bytearray(audio)))
            self._free_at = arrives
        self._free_at += len(audio) / BYTES_PER_S

    def send_mark(self, name: str) -> None:
        now = self._clock.now()
        self.log.append((now, "mark", name))
        if self._echoes:
            at = max(self._free_at, now + self._latency_s) + self._latency_s
            self._pending.append((name, self._clock.call_at(at, lambda: self._echo(name))))

    def send_clear(self) -> None:
        now = self._clock.now()
        self.log.append((now, "clear", None))
        arrives = now + self._latency_s
        self.clears.append(now)
        if self.runs:
            run = self.runs[-1]
            keep = max(0, round((arrives - run.at) * BYTES_PER_S))
            del run.audio[keep:]
        self._free_at = min(self._free_at, arrives)
        for name, timer in list(self._pending):
            timer.cancel()
            self._clock.call_at(arrives + self._latency_s, lambda name=name: self._give_back(name))  # type: ignore[misc]
        self._pending.clear()

    def close(self) -> None:
        self.closed = True

    def heard_bytes(self) -> bytes:
        """Everything the caller heard up to now."""
        now = self._clock.now()
        return b"".join(bytes(run.audio[: max(0, round((now - run.at) * BYTES_PER_S))]) for run in self.runs)

    def speaking_at(self, at: float) -> bool:
        """The caller hears the agent at this time."""
        return any(run.at <= at < run.ends_at for run in self.runs)

    def _echo(self, name: str) -> None:
        self._pending = deque(item for item in self._pending if item[0] != name)
        self._give_back(name)

    def _give_back(self, name: str) -> None:
        self.on_mark(name)


class FakeControl:
    """Remembers how the call ended."""

    def __init__(self) -> None:
        self.outcome: Mapping[str, Any] | None = None

    async def end(self, outcome: Mapping[str, Any]) -> None:
        self.outcome = outcome
