"""What became of calls that were begun while others went on."""

from __future__ import annotations

__all__ = ["SetupResult"]

from collections.abc import Iterator
from dataclasses import dataclass

from .histogram import Delay
from .setup_process import SetupFigures


@dataclass(frozen=True, slots=True)
class SetupResult:
    """Calls that were begun and ended while others went on."""

    begun: int
    refused: int
    webhook: Delay
    """From the connection to the whole answer."""
    greeting: Delay
    """From the webhook's connection to the first audio at the far end."""

    @classmethod
    def of(cls, figures: SetupFigures) -> SetupResult:
        """Sum the histograms up."""
        return cls(figures.begun, figures.refused, Delay.of(figures.webhook), Delay.of(figures.greeting))

    def faults(self) -> Iterator[tuple[bool, str]]:
        """What was promised: whether it was kept, and what to say if not."""
        yield not self.refused, f"{self.refused} of {self.begun} further calls were refused"
        yield self.begun > 0, "no further call was begun"

    def rows(self) -> dict[str, str]:
        """For people to read."""
        return {
            "webhook answered": f"{self.webhook}   ({self.begun}, {self.refused} refused)",
            "webhook to greeting": f"{self.greeting}   (first audio at the far end)",
        }
