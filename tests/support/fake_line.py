"""An in-memory carrier: plays what it is sent in (virtual) real time and echoes marks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from offhook.pipeline.clock import Clock, Timer

BYTES_PER_S = 8000


@dataclass
class Played:
    """A run of bytes that the caller heard, without a gap."""

    at: float
    audio: bytearray = field(default_factory=bytearray)
    sources: list[tuple[int, int]] = field(default_factory=list)
    """From which byte on the audio is whose."""

    @property
    def ends_at(self) -> float:
        return self.at + len(self.audio) / BYTES_PER_S

    def pieces(self, until: float) -> Iterator[tuple[int, bytes]]:
        """What was heard of this run until then, cut where its source changes."""
        heard = min(len(self.audio), max(0, round((until - self.at) * BYTES_PER_S)))
        ends = [*(start for start, _ in self.sources[1:]), len(self.audio)]
        for (start, source), end in zip(self.sources, ends, strict=True):
            if start < min(end, heard):
                yield source, bytes(self.audio[start : min(end, heard)])


class FakeLine:
    """The far end of a call: a FIFO that plays 8,000 bytes a second, one way `latency_s` away."""

    def __init__(self, clock: Clock, latency_s: float = 0.02, *, echoes_marks: bool = True) -> None:
        self._clock = clock
        self._latency_s = latency_s
        self._echoes = echoes_marks
        self.on_mark: Callable[[str], None] = lambda name: None
        self.source: Callable[[], int] = lambda: 0
        """Whose audio is being sent."""
        self.echo_late_s = 0.0
        """Echoes of marks take so much longer than they should."""
        self.loses_marks = False
        self.log: list[tuple[float, str, Any]] = []
        self.runs: list[Played] = []
        self.clears: list[float] = []
        self.closed = False
        self.gone = False
        """The carrier's side is away; nothing is heard any more."""
        self.congested = False
        self.gaps = 0
        self._pending: deque[tuple[str, Timer]] = deque()
        self._free_at = 0.0

    def send_audio(self, audio: bytes) -> None:
        now = self._clock.now()
        self.log.append((now, "audio", len(audio)))
        if self.gone:
            return
        arrives = now + self._latency_s
        if not self.runs or self._free_at < arrives - 1e-9:
            self.runs.append(Played(arrives))
            self._free_at = arrives
        run, source = self.runs[-1], self.source()
        if not run.sources or run.sources[-1][1] != source:
            run.sources.append((len(run.audio), source))
        run.audio += audio
        self._free_at += len(audio) / BYTES_PER_S

    def send_mark(self, name: str) -> None:
        now = self._clock.now()
        self.log.append((now, "mark", name))
        if self._echoes and not self.loses_marks:
            at = max(self._free_at, now + self._latency_s) + self._latency_s + self.echo_late_s
            self._pending.append((name, self._clock.call_at(at, lambda: self._echo(name))))

    def send_clear(self) -> None:
        now = self._clock.now()
        self.log.append((now, "clear", None))
        arrives = now + self._latency_s
        self.clears.append(now)
        self._empty(arrives)
        for name, timer in list(self._pending):
            timer.cancel()
            self._clock.call_at(arrives + self._latency_s, lambda name=name: self._give_back(name))  # type: ignore[misc]
        self._pending.clear()

    def close(self) -> None:
        self.closed = True
        self._empty(self._clock.now() + self._latency_s)

    def hang_up(self) -> None:
        """The caller is gone: nothing more is heard than if the line had been cleared."""
        self.gone = True
        self._empty(self._clock.now() + self._latency_s)

    @property
    def buffered_s(self) -> float:
        """How much the far end will have to play once all that was sent has arrived."""
        return max(0.0, self._free_at - self._clock.now() - self._latency_s)

    def heard_pieces(self) -> list[tuple[int, bytes]]:
        """Everything the caller heard up to now: whose it is, and the bytes without a gap."""
        now = self._clock.now()
        return [piece for run in self.runs for piece in run.pieces(now)]

    def heard_bytes(self) -> bytes:
        """Everything the caller heard up to now."""
        now = self._clock.now()
        return b"".join(bytes(run.audio[: max(0, round((now - run.at) * BYTES_PER_S))]) for run in self.runs)

    def speaking_at(self, at: float) -> bool:
        """The caller hears the agent at this time."""
        return any(run.at <= at < run.ends_at for run in self.runs)

    def _empty(self, at: float) -> None:
        """What is not played by then never is."""
        if self.runs:
            run = self.runs[-1]
            del run.audio[max(0, round((at - run.at) * BYTES_PER_S)) :]
            run.sources = [item for item in run.sources if item[0] < len(run.audio)] or run.sources[:1]
        self._free_at = min(self._free_at, at)

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
