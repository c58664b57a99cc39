"""The log of one call: bounded for the call, bounded for each listener."""

from __future__ import annotations

import asyncio

from offhook.bridge.call_log import EVENT_LIMIT, LISTENER_LIMIT, SUBSCRIPTION_LIMIT, CallLog, LogSubscription
from offhook.pipeline.ports import CallEvent


def event(number: int) -> CallEvent:
    return CallEvent("x", number)


def subscribe(log: CallLog) -> LogSubscription:
    subscription = log.subscribe()
    assert subscription is not None
    return subscription


async def rest(subscription: LogSubscription) -> list[int]:
    return [event.at_ms async for event in subscription]


async def test_a_listener_hears_what_was_and_what_comes() -> None:
    log = CallLog()
    log.emit(event(1))
    heard = asyncio.create_task(rest(subscribe(log)))
    await asyncio.sleep(0)
    log.emit(event(2))
    await asyncio.sleep(0)
    log.emit(event(3))
    log.close()
    assert await heard == [1, 2, 3]


async def test_a_listener_of_an_ended_call_hears_it_all() -> None:
    log = CallLog()
    log.emit(event(1))
    log.close()
    assert await rest(subscribe(log)) == [1]


async def test_a_slow_listener_loses_the_newest_and_only_its_own() -> None:
    log = CallLog()
    slow = subscribe(log)
    for number in range(SUBSCRIPTION_LIMIT + 5):
        log.emit(event(number))
    log.close()
    assert slow.dropped == 5
    assert await rest(slow) == list(range(SUBSCRIPTION_LIMIT))
    assert len(log.events) == SUBSCRIPTION_LIMIT + 5


def test_the_log_of_a_call_is_bounded() -> None:
    log = CallLog()
    for number in range(EVENT_LIMIT + 7):
        log.emit(event(number))
    assert (len(log.events), log.events[-1].at_ms, log.dropped) == (EVENT_LIMIT, EVENT_LIMIT - 1, 7)


async def test_the_number_of_listeners_is_bounded() -> None:
    log = CallLog()
    first = subscribe(log)
    for _ in range(LISTENER_LIMIT - 1):
        subscribe(log)
    assert log.subscribe() is None
    log.unsubscribe(first)
    log.unsubscribe(first)
    assert log.subscribe() is not None
