"""What bridge and vendors' clients add to vendors that answer at once, and what was promised of it."""

from __future__ import annotations

__all__ = ["AddedLatency"]

from collections.abc import Iterator
from dataclasses import dataclass

from .histogram import Delay
from .vendor_probes import VendorFigures

ANSWER_LIMIT_MS = 25.0
OWN_LIMIT_MS, OWN_P99_LIMIT_MS = 3.0, 15.0
CLEAR_LIMIT_MS, CLEAR_P99_LIMIT_MS = 1.0, 5.0
"""With vendors that answer at once: in half, and in 99 of 100 of all cases."""


@dataclass(frozen=True, slots=True)
class AddedLatency:
    """What bridge and vendors' clients add to vendors that answer at once."""

    answers: int
    answer: Delay
    """From the end of a turn to the first frame written."""
    own: Delay
    """Of that, outside the vendors' clients."""
    clears: int
    clear: Delay
    """From a partial to the `clear` written."""

    @classmethod
    def of(cls, figures: VendorFigures) -> AddedLatency:
        """Sum the histograms up."""
        return cls(
            figures.answer.count,
            Delay.of(figures.answer),
            Delay.of(figures.own),
            figures.clear.count,
            Delay.of(figures.clear),
        )

    def faults(self) -> Iterator[tuple[bool, str]]:
        """What was promised: whether it was kept, and what to say if not."""
        yield self.answers > 0 and self.clears > 0, "no turn was answered, or no answer was cut into"
        yield self.answer.p50_ms <= ANSWER_LIMIT_MS, f"an answer takes {self.answer.p50_ms:.1f} ms in p50"
        yield self.own.p50_ms <= OWN_LIMIT_MS, f"the bridge adds {self.own.p50_ms:.2f} ms in p50"
        yield self.own.p99_ms <= OWN_P99_LIMIT_MS, f"the bridge adds {self.own.p99_ms:.1f} ms in p99"
        yield self.clear.p50_ms <= CLEAR_LIMIT_MS, f"a clear takes {self.clear.p50_ms:.2f} ms in p50"
        yield self.clear.p99_ms <= CLEAR_P99_LIMIT_MS, f"a clear takes {self.clear.p99_ms:.1f} ms in p99"
