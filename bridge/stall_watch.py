"""What holds the event loop up: stalls, told by the code that stood there, and counted by it.

Theory. The loop has one heartbeat (`loop_lag`), a timer that says when it is due next. A second thread
(`stall_watchdog`) sleeps until shortly after that, so while all is well it finds that the beat came. When
it did not, the thread looks where the loop stands, again every 50 ms. The beat that comes at last ends the
stall and judges it: the place seen most often is to blame, unless a garbage collection took most of the
time, or the process was not run at all: then the loop's thread used no processor time, and either waited
for a processor, as the system's scheduler says, or the watchdog slept too long as well.

No thread and no clock here. The loop calls `expect`, `beat` and `rest`, the watchdog calls `look`; what
they share are single attributes and a deque, so neither ever waits for the other.
"""

from __future__ import annotations

__all__ = ["Looked", "Place", "Stall", "StallKind", "StallWatch", "Tally", "Usage"]

import math
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

LATE_S = 0.05
"""A beat that is this late was held up: half of what playout rides over at the least."""
LOOK_AFTER_S = 0.025
"""The first look at a late beat. Beats are 50 ms apart, so a stall of 100 ms is seen before it is over."""
LOOK_EVERY_S = 0.05
LOOKS = 20
"""The newest looks at one stall; they cover its last second."""
IDLE_LOOK_S = 0.1
"""While no beat is due at all."""
STUCK_S = 2.0
"""A stall this long is told before it ends: perhaps it never does."""
PLACES = 50
"""Places that are told apart; what stalls beyond them is counted as `ELSEWHERE`."""
HELD_SHARE = 0.5
"""Of a stall: who took so much of it is to blame."""
IDLE_SHARE = 0.2
"""Of a stall: a thread that computed less was not running code."""


class StallKind(Enum):
    """What held the loop up."""

    CODE = "code"
    """Code on the loop's thread that computed, or waited, too long."""
    COLLECTION = "garbage-collection"
    NOT_RUN = "not-run"
    """The process: the machine had no processor for it, or had stopped it."""


@dataclass(frozen=True, slots=True)
class Place:
    """Where the loop's thread stood, as `module.function:line`; never with a value."""

    innermost: str
    ours: str = ""
    """The innermost of our own package, empty if there is none."""

    def __str__(self) -> str:
        return self.ours or self.innermost


UNSEEN = Place("unseen")
"""Nobody looked, or the stall was too short to be looked at."""
ELSEWHERE = "elsewhere"


@dataclass(frozen=True, slots=True)
class Usage:
    """What the loop's thread had used up to a moment; counts from its start."""

    cpu_s: float = 0.0
    waited_s: float = 0.0
    """Ready to run, and no processor was free."""
    collected_s: float = 0.0
    """In garbage collections, of the whole process."""


@dataclass(frozen=True, slots=True)
class Stall:
    """One stall that is over."""

    kind: StallKind
    place: Place
    late_s: float
    cpu_s: float
    """Processor time of the loop's thread meanwhile."""

    @property
    def blamed(self) -> str:
        """By what it is counted: the place for code, nothing where code is not to blame."""
        return str(self.place) if self.kind is StallKind.CODE else ""


@dataclass(slots=True)
class Tally:
    """Stalls of one kind at one place."""

    count: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Looked:
    """What the watchdog is to do next."""

    again_at_s: float
    stuck: Place | None = None
    """Told once for each stall: the loop stands here for 2 s already."""


@dataclass(frozen=True, slots=True)
class _Expected:
    """The beat that is due; one object, so that the other thread never reads half of it."""

    due_s: float
    usage: Usage


_NOTHING = _Expected(math.inf, Usage())


class StallWatch:
    """Judges the beats of one loop, and the looks at those that are late."""

    def __init__(self) -> None:
        self.watched = False
        """A watchdog looks; without one no stall can be told to be the machine's."""
        self.tallies: dict[tuple[StallKind, str], Tally] = {}
        self._expected = _NOTHING
        self._looks: deque[tuple[_Expected, float, Place]] = deque(maxlen=LOOKS)
        self._first_look: tuple[_Expected, float] = (_NOTHING, math.inf)
        self._stuck_told: _Expected | None = None

    # --------------------------------------------------------------- the loop

    def expect(self, due_s: float, usage: Usage) -> None:
        """The next beat is due then; so much was used up to now."""
        self._expected = _Expected(due_s, usage)

    def rest(self) -> None:
        """No beat is due."""
        self._expected = _NOTHING

    def beat(self, now_s: float, usage: Usage) -> Stall | None:
        """The beat came; the stall it ends, if it was one, which is counted."""
        expected = self._expected
        self._expected = _NOTHING
        late_s = now_s - expected.due_s
        if late_s < LATE_S:
            return None
        before = expected.usage
        cpu_s = usage.cpu_s - before.cpu_s
        idle = cpu_s < IDLE_SHARE * late_s
        waited_s = max(usage.waited_s - before.waited_s, self._slept_s(expected, now_s))
        if usage.collected_s - before.collected_s >= HELD_SHARE * late_s:
            kind = StallKind.COLLECTION
        elif idle and waited_s >= HELD_SHARE * late_s:
            kind = StallKind.NOT_RUN
        else:
            kind = StallKind.CODE
        stall = Stall(kind, self._place(expected), late_s, cpu_s)
        self._count(stall)
        return stall

    # ----------------------------------------------------------- the watchdog

    def look(self, now_s: float, place: Callable[[], Place]) -> Looked:
        """See whether the beat is overdue, and if so where the loop stands."""
        expected = self._expected
        look_at_s = expected.due_s + LOOK_AFTER_S
        if now_s < look_at_s:
            return Looked(min(look_at_s, now_s + IDLE_LOOK_S))
        if self._first_look[0] is not expected:
            self._first_look = (expected, now_s)
        here = place()
        self._looks.append((expected, now_s, here))
        stuck = now_s - expected.due_s >= STUCK_S and self._stuck_told is not expected
        if stuck:
            self._stuck_told = expected
        return Looked(now_s + LOOK_EVERY_S, here if stuck else None)

    # --------------------------------------------------------------- details

    def _slept_s(self, expected: _Expected, now_s: float) -> float:
        """How much too late the watchdog's first look came."""
        if not self.watched:
            return 0.0
        seen, looked_at_s = self._first_look
        return (looked_at_s if seen is expected else now_s) - (expected.due_s + LOOK_AFTER_S)

    def _place(self, expected: _Expected) -> Place:
        """Where the loop stood most often; of two alike, where it stood first."""
        seen = Counter(place for beat, _, place in tuple(self._looks) if beat is expected)
        self._looks.clear()
        return seen.most_common(1)[0][0] if seen else UNSEEN

    def _count(self, stall: Stall) -> None:
        key = (stall.kind, stall.blamed)
        if key not in self.tallies and len(self.tallies) >= PLACES:
            key = (stall.kind, ELSEWHERE)
        tally = self.tallies.setdefault(key, Tally())
        tally.count += 1
        tally.seconds += stall.late_s
