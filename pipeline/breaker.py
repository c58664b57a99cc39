"""A circuit breaker: a provider that fails again and again is left alone for a while.

Closed: calls use the provider. After `FAILURES` failures in a row, or one refusal, it opens: no call does for
`REST_S`, twice as long each time it fails anew. Then it is half open: one real use is the probe, and its
outcome closes the breaker or opens it again. One breaker serves all calls of the process. No I/O.
"""

from __future__ import annotations

__all__ = ["BreakerState", "CircuitBreaker"]

import enum

from .clock import Clock

FAILURES = 3
REST_S = 10.0
LONGEST_REST_S = 120.0
PROBE_WITHIN_S = 10.0
"""A probe that told nothing by then, for its call ended meanwhile, lets another one try."""


class BreakerState(enum.Enum):
    """Whether a provider is used."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half open"


class CircuitBreaker:
    """One provider's record in one stage."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._in_a_row = 0
        self._rest_s = REST_S
        self._opens_until: float | None = None
        self._probing_since: float | None = None
        self.failures = 0
        """In all."""

    @property
    def state(self) -> BreakerState:
        """Closed, open, or half open once its rest is over."""
        if self._opens_until is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if self._clock.now() < self._opens_until else BreakerState.HALF_OPEN

    @property
    def rests_until(self) -> float:
        """When it may be tried again; 0 while it is closed."""
        return self._opens_until or 0.0

    def admits(self) -> bool:
        """Whether the provider may be used now; while half open, True makes the asker the probe."""
        match self.state:
            case BreakerState.CLOSED:
                return True
            case BreakerState.OPEN:
                return False
        now = self._clock.now()
        if self._probing_since is not None and now - self._probing_since < PROBE_WITHIN_S:
            return False
        self._probing_since = now
        return True

    def worked(self) -> None:
        """The provider did what it was asked."""
        self._in_a_row, self._rest_s = 0, REST_S
        self._opens_until = self._probing_since = None

    def failed(self, *, refused: bool = False) -> None:
        """The provider failed, or refused for a reason that lasts."""
        self.failures += 1
        self._in_a_row += 1
        probe_failed = self.state is BreakerState.HALF_OPEN
        if probe_failed:
            self._rest_s = min(LONGEST_REST_S, 2 * self._rest_s)
        if probe_failed or refused or self._in_a_row >= FAILURES:
            self._opens_until = self._clock.now() + self._rest_s
            self._probing_since = None
