"""The providers of one stage in the order in which they stand in for each other.

A call begins with the first one whose breaker admits it, and stays with it until it fails: the voice never
changes for another reason. What has failed in a call is not gone back to before all others have failed too.
"""

from __future__ import annotations

__all__ = ["Candidate", "LineUp", "Standing", "alone"]

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from offhook.config.errors import ProviderError, ProviderRefused

from .breaker import BreakerState, CircuitBreaker
from .clock import Clock
from .pace import Pace

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Candidate(Generic[T]):
    """One provider of a stage, which all calls share."""

    name: str
    """For logs and events: "deepgram nova-3"."""
    engine: T
    breaker: CircuitBreaker
    pace: Pace = field(default_factory=Pace)


LineUp = tuple[Candidate[T], ...]
"""At least one, the preferred one first."""


def alone(engine: T, clock: Clock, name: str = "embedded") -> LineUp[T]:
    """A line-up without a stand-in."""
    return (Candidate(name, engine, CircuitBreaker(clock)),)


class Standing(Generic[T]):
    """Where one call stands in a line-up; `note` writes `provider.failed` and `provider.switched`."""

    def __init__(self, stage: str, line_up: LineUp[T], note: Callable[..., Any]) -> None:
        self.stage, self.line_up, self._note = stage, line_up, note
        self._failed: set[int] = set()
        self._at = self._first_admitted()

    @property
    def present(self) -> Candidate[T]:
        """Whom the call uses."""
        return self.line_up[self._at]

    def fresh(self) -> Candidate[T]:
        """Whom the call uses for something new: not one that other calls found broken meanwhile."""
        if self.present.breaker.state is BreakerState.OPEN:
            self._move_to(self._first_admitted())
        return self.present

    def stand_in(self) -> Candidate[T] | None:
        """Who would come next, if somebody is admitted now."""
        for index, candidate in enumerate(self.line_up):
            if index != self._at and index not in self._failed and candidate.breaker.admits():
                return candidate
        return None

    def worked(self, candidate: Candidate[T]) -> None:
        """It did what it was asked."""
        candidate.breaker.worked()
        self._failed.discard(self.line_up.index(candidate))

    def failed(self, candidate: Candidate[T], error: ProviderError) -> None:
        """It failed; if it was the present one, the next is now."""
        lasting = isinstance(error, ProviderRefused) and not error.only_this
        candidate.breaker.failed(refused=lasting)
        self._note("provider.failed", stage=self.stage, provider=candidate.name, reason=error.reason)
        self._failed.add(self.line_up.index(candidate))
        if len(self._failed) == len(self.line_up):
            # A new round: whoever has not just failed has had the longest rest.
            self._failed = {self.line_up.index(candidate)} if len(self.line_up) > 1 else set()
        if candidate is self.present:
            self._move_to(self._first_admitted())

    def prefer(self, candidate: Candidate[T]) -> None:
        """It does what the present one does not: use it from now on."""
        self._move_to(self.line_up.index(candidate))

    def _move_to(self, index: int) -> None:
        before, self._at = self.present, index
        if self.present is not before:
            names = {"from": before.name, "to": self.present.name}
            self._note("provider.switched", stage=self.stage, **names)

    def _first_admitted(self) -> int:
        """The first that has not failed and whose breaker admits it, else the one that rests least."""
        hopeful = [index for index in range(len(self.line_up)) if index not in self._failed]
        for index in hopeful:
            if self.line_up[index].breaker.admits():
                return index
        return min(hopeful, key=lambda index: self.line_up[index].breaker.rests_until)
