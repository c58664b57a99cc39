"""How long a call goes on with a recogniser that is lost again and again, and how long it waits; no I/O."""

from __future__ import annotations

__all__ = ["Retries"]

import random
from collections.abc import Iterable

BACKOFF_S = (0.0, 0.25, 0.5, 1.0, 2.0)
"""Waits after the first, second, ... loss in a row; the last one is repeated."""
JITTER, LEAST_JITTER_S = 0.5, 0.05
"""A wait is longer by up to this share of it: calls that lost a recogniser together come back one by one."""
LOSSES_WITH_STAND_IN = 2
LOSSES_ALONE = 5


class Retries:
    """Counts a recogniser's losses in a row; one that follows `settled` is the first again."""

    def __init__(self, names: Iterable[str], seed: str) -> None:
        """`seed`: what the waits are drawn from, so that not all calls reconnect in step."""
        self._names, self._seed = frozenset(names), seed
        self._waits = 0
        self._given_up: set[str] = set()
        """Since anybody last worked."""
        self._losses = 0
        """Of the present recogniser."""
        self._fruitless = 0
        """Of the present recogniser, without a result."""

    @property
    def hopeless(self) -> bool:
        """All were given up since anybody last worked."""
        return self._given_up == self._names

    def lost(self, *, refused: bool, stand_in: bool) -> bool:
        """Count a loss; True if the recogniser is to be given up.

        One with a stand-in is given up after the second loss, one without after the fifth that brought
        no result; after a refusal, or where all have failed, at once.
        """
        self._losses += 1
        self._fruitless += 1
        if refused or self.hopeless:
            return True
        return self._fruitless >= LOSSES_ALONE or (stand_in and self._losses >= LOSSES_WITH_STAND_IN)

    def gave_up(self, name: str) -> bool:
        """This one has failed; True if it was the last one that had not."""
        was_hopeless = self.hopeless
        self._given_up.add(name)
        return self.hopeless and not was_hopeless

    def moved(self) -> None:
        """Another recogniser has its turn."""
        self._losses = self._fruitless = 0

    def worked(self) -> None:
        """A result came."""
        self._fruitless = 0
        self._given_up.clear()

    def settled(self) -> None:
        """It has listened for long enough that what was before is forgotten."""
        self._losses = 0
        self.worked()

    def wait_s(self) -> float:
        """How long to wait before the next attempt."""
        losses = len(BACKOFF_S) if self.hopeless else max(1, min(self._losses, len(BACKOFF_S)))
        wait_s = BACKOFF_S[losses - 1]
        self._waits += 1
        # Made when it is needed, which it hardly ever is: a generator holds 2.5 KB.
        jitter = random.Random(f"{self._seed} {self._waits}")
        return wait_s + jitter.uniform(0.0, max(LEAST_JITTER_S, JITTER * wait_s))
