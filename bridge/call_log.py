"""What happened in one call, kept for whoever asks later and told to whoever listens now."""

from __future__ import annotations

__all__ = ["CallLog", "LogSubscription"]

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from offhook.pipeline.ports import CallEvent

EVENT_LIMIT = 10_000
"""Events kept of a call; later ones are counted only."""
SUBSCRIPTION_LIMIT = 1_000
"""Events that wait for one listener; later ones are counted only."""

LISTENER_LIMIT = 16


class LogSubscription:
    """The events of a call from its beginning, then as they happen, until the call is over."""

    def __init__(self, replayed: Sequence[CallEvent], *, closed: bool) -> None:
        self.dropped = 0
        """Events that this listener was too slow for."""
        self._replayed = deque(replayed)
        self._live: deque[CallEvent] = deque()
        self._closed = closed
        self._news = asyncio.Event()

    def __aiter__(self) -> LogSubscription:
        return self

    async def __anext__(self) -> CallEvent:
        while True:
            for waiting in (self._replayed, self._live):
                if waiting:
                    return waiting.popleft()
            if self._closed:
                raise StopAsyncIteration
            self._news.clear()
            await self._news.wait()

    def push(self, event: CallEvent) -> None:
        """Take an event, or count it when too many wait."""
        if len(self._live) >= SUBSCRIPTION_LIMIT:
            self.dropped += 1
            return
        self._live.append(event)
        self._news.set()

    def close(self) -> None:
        """No more events will come; those that wait are still delivered."""
        self._closed = True
        self._news.set()


class CallLog:
    """The event log of one call; an EventSink that never waits and never raises."""

    def __init__(self, observe: Callable[[CallEvent], None] | None = None) -> None:
        """`observe` is told every event, also those that are not kept."""
        self._observers = [] if observe is None else [observe]
        self.events: list[CallEvent] = []
        self.dropped = 0
        """Events beyond the limit."""
        self._subscriptions: set[LogSubscription] = set()
        self._closed = False

    def emit(self, event: CallEvent) -> None:
        """Keep one event and tell the listeners."""
        if len(self.events) < EVENT_LIMIT:
            self.events.append(event)
        else:
            self.dropped += 1
        for observer in self._observers:
            observer(event)
        for subscription in self._subscriptions:
            subscription.push(event)

    def record(self) -> dict[str, Any]:
        """Give what is kept as JSON values."""
        events = [
            {"type": event.type, "at_ms": event.at_ms, "data": dict(event.data)} for event in self.events
        ]
        return {"events": events, "events_dropped": self.dropped}

    def also_tell(self, observe: Callable[[CallEvent], None]) -> None:
        """Tell somebody else, too, every event from now on; it must not raise."""
        self._observers.append(observe)

    def subscribe(self) -> LogSubscription | None:
        """Listen from the first event kept; give it back with `unsubscribe`. None for one too many."""
        if len(self._subscriptions) >= LISTENER_LIMIT:
            return None
        subscription = LogSubscription(self.events, closed=self._closed)
        self._subscriptions.add(subscription)
        return subscription

    def unsubscribe(self, subscription: LogSubscription) -> None:
        """Stop telling this listener."""
        self._subscriptions.discard(subscription)

    def close(self) -> None:
        """The call is over: listeners come to their end."""
        self._closed = True
        for subscription in self._subscriptions:
            subscription.close()
