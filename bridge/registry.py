"""Which calls are live, and what is remembered of those that ended.

A call is known by its CallSid. It has a longest time, after which it is asked to hang up, and a bit
more, after which its stream is cut; so nothing that was forgotten stays. Of ended calls a bounded
number is remembered for a bounded time, since the carrier asks afterwards what to do next.
"""

from __future__ import annotations

__all__ = ["CallEntry", "CallRegistry", "CallStatus", "Order"]

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from offhook.config.errors import Refused
from offhook.pipeline.clock import Clock, Timer
from offhook.pipeline.ports import CallEvent

from .call_log import CallLog
from .live_call import LiveCall

FINISHED_LIMIT = 1_000
FINISHED_EVENTS_LIMIT = 100_000
"""Events of all ended calls together."""
FINISHED_FOR_S = 3_600.0
HANG_UP_GRACE_S = 15.0
"""A call that was asked to end has so long for its goodbye; then its stream is cut."""


Order = Callable[[LiveCall], None]


class CallStatus(Enum):
    """Where a call is in its life."""

    LIVE = "live"
    ENDED = "ended"


class CallEntry:
    """One call: its log, its outcome, and how to end it."""

    def __init__(
        self,
        *,
        call_sid: str,
        assistant: str | None,
        hang_up: Callable[[str], None],
        cut: Callable[[str], None],
        started_at: float,
        log: CallLog | None = None,
    ) -> None:
        self.call_sid = call_sid
        self.assistant = assistant
        """The name that the stream asked for; None for the default."""
        self.hang_up = hang_up
        """Ask the conversation to end; takes a reason."""
        self.cut = cut
        """End the stream at once; takes a reason."""
        self.tell: Callable[[Order], None] = _tell_nobody
        """Give the live conversation an order; whatever goes wrong with it is the call's own trouble."""
        self.started_at = started_at
        """Unix seconds."""
        self.status = CallStatus.LIVE
        self.log = log or CallLog()
        self.outcome: Mapping[str, Any] | None = None
        """What the conversation decided at its end."""
        self.stream = ""
        """The name of its stream among the workers."""
        self.from_webhook = False
        """Our webhook answered the call, so the carrier asks what follows its stream."""
        self.followed_up = asyncio.Event()
        """The carrier has asked that, or never will."""
        self.ended_monotonic_s = 0.0
        self.events_at_end = 0
        self.timers: list[Timer] = []

    def record(self, *, with_events: bool = False) -> dict[str, Any]:
        """The call as JSON values."""
        record: dict[str, Any] = {
            "id": self.call_sid,
            "status": self.status.value,
            "assistant": self.assistant,
            "started_at": self.started_at,
            "outcome": None if self.outcome is None else dict(self.outcome),
        }
        return record | self.log.record() if with_events else record


class CallRegistry:
    """The calls of this process."""

    def __init__(
        self,
        clock: Clock,
        *,
        max_calls: int,
        max_call_s: float,
        wall_time: Callable[[], float] = time.time,
        observe: Callable[[CallEvent], None] | None = None,
    ) -> None:
        """`observe` is told every event of every call."""
        self._clock = clock
        self._wall_time = wall_time
        self._max_calls = max_calls
        self._max_call_s = max_call_s
        self._observe = observe
        self.admitted = 0
        """Streams that were taken in, since the start."""
        self._live: dict[str, CallEntry] = {}
        self._finished: OrderedDict[str, CallEntry] = OrderedDict()
        self._finished_events = 0
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def counts(self) -> tuple[int, int]:
        """How many calls are live, and how many have ended in all."""
        return len(self._live), self.admitted - len(self._live)

    @property
    def full(self) -> bool:
        """No further call is taken."""
        return len(self._live) >= self._max_calls

    async def wait_idle(self) -> None:
        """Return when no call is live."""
        await self._idle.wait()

    async def wait_followed_up(self, ended_within_s: float) -> None:
        """Return when the carrier has asked what follows each call that our webhook answered.

        Meant are the calls that are live and those that ended in the last `ended_within_s`; of an older one
        nobody will ask any more.
        """
        since = self._clock.now() - ended_within_s
        ended = (
            entry
            for entry in self._finished.values()
            if entry.ended_monotonic_s >= since and entry.call_sid not in self._live
        )
        for entry in [entry for entry in (*self._live.values(), *ended) if entry.from_webhook]:
            await entry.followed_up.wait()

    def live(self) -> tuple[CallEntry, ...]:
        """The calls that go on now, oldest first."""
        return tuple(self._live.values())

    def all(self) -> tuple[CallEntry, ...]:
        """Live calls, then those that are remembered, newest first."""
        self._forget_old()
        return (*reversed(self._live.values()), *reversed(self._finished.values()))

    def get(self, call_sid: str) -> CallEntry | None:
        """The call, live or remembered."""
        self._forget_old()
        return self._live.get(call_sid) or self._finished.get(call_sid)

    def admit(
        self,
        call_sid: str,
        *,
        assistant: str | None,
        may_replace: bool,
        hang_up: Callable[[str], None],
        cut: Callable[[str], None],
    ) -> CallEntry:
        """Take a new stream of a call in.

        The newest stream of a call wins if it `may_replace` (it brought a token that nobody used
        before); the old one is cut. Raises Refused for a duplicate that may not, or when full.
        """
        before = self._live.get(call_sid)
        if before is not None and not may_replace:
            raise Refused("duplicate_call", 409)
        if before is None and self.full:
            raise Refused("at_capacity", 503)
        if before is not None:
            self.replace(before)
        entry = CallEntry(
            call_sid=call_sid,
            assistant=assistant,
            hang_up=hang_up,
            cut=cut,
            started_at=self._wall_time(),
            log=CallLog(self._observe),
        )
        self.admitted += 1
        self._live[call_sid] = entry
        self._idle.clear()
        self._limit_time(entry)
        return entry

    def replace(self, entry: CallEntry) -> None:
        """A newer stream of the call came, here or elsewhere: cut this one."""
        cut = entry.cut
        self.finish(entry)
        cut("replaced")

    def finish(self, entry: CallEntry) -> None:
        """The call is over; harmless when it was so before."""
        if entry.status is CallStatus.ENDED:
            return
        entry.status = CallStatus.ENDED
        entry.ended_monotonic_s = self._clock.now()
        for timer in entry.timers:
            timer.cancel()
        entry.timers.clear()
        # What is remembered of a call must not keep its socket and its conversation.
        entry.hang_up = entry.cut = _nothing_to_end
        entry.tell = _tell_nobody
        entry.log.close()
        if self._live.get(entry.call_sid) is entry:
            del self._live[entry.call_sid]
        if not self._live:
            self._idle.set()
        self._forget(entry.call_sid)
        self._finished[entry.call_sid] = entry
        entry.events_at_end = len(entry.log.events)
        self._finished_events += entry.events_at_end
        self._forget_old()

    def _limit_time(self, entry: CallEntry) -> None:
        end = self._clock.now() + self._max_call_s
        entry.timers += [
            self._clock.call_at(end, lambda: entry.hang_up("max-duration")),
            self._clock.call_at(end + HANG_UP_GRACE_S, lambda: entry.cut("max-duration")),
        ]

    def _forget_old(self) -> None:
        oldest = self._clock.now() - FINISHED_FOR_S
        while self._finished:
            entry = next(iter(self._finished.values()))
            few = len(self._finished) <= FINISHED_LIMIT and self._finished_events <= FINISHED_EVENTS_LIMIT
            if few and entry.ended_monotonic_s >= oldest:
                return
            self._forget(entry.call_sid)

    def _forget(self, call_sid: str) -> None:
        entry = self._finished.pop(call_sid, None)
        if entry is not None:
            self._finished_events -= entry.events_at_end


def _nothing_to_end(reason: str) -> None:
    """Stands for a call that is over."""


def _tell_nobody(order: Order) -> None:
    """Stands for a conversation that is not there."""
