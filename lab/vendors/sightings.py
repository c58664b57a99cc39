"""What an emulated vendor saw of its client: requests, keys, cancellations, what was left open."""

from __future__ import annotations

__all__ = ["Sighting", "Sightings"]

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from offhook.pipeline.clock import Clock

KEPT = 100_000


@dataclass(frozen=True, slots=True)
class Sighting:
    """One thing that was seen."""

    at_s: float
    """On the clock of the emulator."""
    vendor: str
    what: str
    """"connected", "refused", "request", "cancelled", "finished", "closed", "context-opened", ..."""
    data: Mapping[str, Any] = field(default_factory=dict)


class Sightings:
    """Everything seen so far, the oldest forgotten first, and what is open now."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.all: list[Sighting] = []
        self.counts: Counter[tuple[str, str]] = Counter()
        """By vendor and what was seen: how often, the forgotten ones included."""
        self.open: Counter[str] = Counter()
        """By "deepgram connection", "openai request", "elevenlabs context", ...: how many are open."""
        self.most_open: Counter[str] = Counter()

    def note(self, vendor: str, what: str, **data: Any) -> None:
        """Write down what is seen now."""
        self.all.append(Sighting(self._clock.now(), vendor, what, data))
        self.counts[vendor, what] += 1
        if len(self.all) > KEPT:
            del self.all[: KEPT // 10]

    def opened(self, what: str, count: int = 1) -> None:
        """Something is open from now on, or (-1) no more."""
        self.open[what] += count
        self.most_open[what] = max(self.most_open[what], self.open[what])

    def of(self, vendor: str, what: str | None = None) -> list[Sighting]:
        """What was seen at a vendor, in order."""
        return [item for item in self.all if item.vendor == vendor and what in (None, item.what)]
