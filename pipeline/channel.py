"""A bounded, closable channel between two tasks, as a pair of ends.

What happens when it is full is part of its type: the producer waits, the oldest item is
dropped, or the newest is. Every drop is counted.
"""

from __future__ import annotations

__all__ = ["ChannelStatistics", "Overflow", "Receiver", "Sender", "open_channel"]

import asyncio
import enum
from collections import deque
from typing import Generic, NamedTuple, TypeVar

from offhook.config.errors import ChannelClosed

T = TypeVar("T")


class Overflow(enum.Enum):
    """What a full channel does with one more item."""

    WAIT = "producer waits"
    DROP_OLDEST = "oldest is dropped"
    DROP_NEWEST = "newest is dropped"


class ChannelStatistics(NamedTuple):
    """How a channel fares."""

    depth: int
    limit: int
    sent: int
    dropped: int
    closed: bool


class _Core(Generic[T]):
    def __init__(self, limit: int, overflow: Overflow) -> None:
        if limit < 1:
            raise ValueError(f"a channel holds at least one item, not {limit}")
        self.items: deque[T] = deque()
        self.limit = limit
        self.overflow = overflow
        self.closed = False
        self.sent = 0
        self.dropped = 0
        self.changed = asyncio.Event()

    def statistics(self) -> ChannelStatistics:
        return ChannelStatistics(len(self.items), self.limit, self.sent, self.dropped, self.closed)


class Sender(Generic[T]):
    """The end that puts items in."""

    def __init__(self, core: _Core[T]) -> None:
        self._core = core

    def send_now(self, item: T) -> bool:
        """Put an item in without waiting; False if an item was dropped for it.

        Raises ChannelClosed after `close`, and asyncio.QueueFull if the channel is full and its
        policy is to wait.
        """
        core = self._core
        if core.closed:
            raise ChannelClosed("this channel takes nothing more")
        kept = True
        if len(core.items) >= core.limit:
            if core.overflow is Overflow.WAIT:
                raise asyncio.QueueFull
            core.dropped += 1
            kept = False
            if core.overflow is Overflow.DROP_NEWEST:
                return False
            core.items.popleft()
        core.items.append(item)
        core.sent += 1
        core.changed.set()
        return kept

    async def send(self, item: T) -> None:
        """Put an item in, waiting for room if that is the policy. Raises ChannelClosed."""
        core = self._core
        while core.overflow is Overflow.WAIT and len(core.items) >= core.limit and not core.closed:
            core.changed.clear()
            await core.changed.wait()
        self.send_now(item)

    def close(self) -> None:
        """Say that nothing more comes; what is inside can still be received."""
        self._core.closed = True
        self._core.changed.set()

    def statistics(self) -> ChannelStatistics:
        """Depth, limit, items sent and dropped."""
        return self._core.statistics()


class Receiver(Generic[T]):
    """The end that takes items out; iterate over it until the sender closes."""

    def __init__(self, core: _Core[T]) -> None:
        self._core = core

    async def receive(self) -> T:
        """Take the oldest item. Raises ChannelClosed when none is left and the sender closed."""
        core = self._core
        while not core.items:
            if core.closed:
                raise ChannelClosed("nothing more comes from this channel")
            core.changed.clear()
            await core.changed.wait()
        item = core.items.popleft()
        core.changed.set()
        return item

    def __aiter__(self) -> Receiver[T]:
        return self

    async def __anext__(self) -> T:
        try:
            return await self.receive()
        except ChannelClosed:
            raise StopAsyncIteration from None

    def statistics(self) -> ChannelStatistics:
        """Depth, limit, items sent and dropped."""
        return self._core.statistics()


def open_channel(limit: int, overflow: Overflow) -> tuple[Sender[T], Receiver[T]]:
    """Make a channel for one producer and one consumer that holds up to `limit` items."""
    core: _Core[T] = _Core(limit, overflow)
    return Sender(core), Receiver(core)
