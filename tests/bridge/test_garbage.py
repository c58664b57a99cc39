"""Full garbage collections run when nobody hears them, or when there is much to find."""

from __future__ import annotations

import asyncio
import gc

import pytest

from offhook.bridge.garbage import AT_LATEST_S, LEAST_ENDED, NEVER, GarbageRounds
from offhook.pipeline.clock import LoopClock


class FakeCollector:
    def __init__(self) -> None:
        self.rounds = 0
        self.steps: list[str] = []
        self.thresholds = (700, 10, 10)

    def collect(self) -> int:
        self.rounds += 1
        return 0

    def freeze(self) -> None:
        self.steps.append("frozen")

    def unfreeze(self) -> None:
        self.steps.append("unfrozen")

    def get_threshold(self) -> tuple[int, int, int]:
        return self.thresholds

    def set_threshold(self, young: int, middle: int, full: int, /) -> None:
        self.thresholds = (young, middle, full)


class Server:
    """Calls that come and go, and a collector that counts."""

    def __init__(self) -> None:
        self.live = self.ended = 0
        self.collector = FakeCollector()
        loop = asyncio.get_running_loop()
        self.rounds = GarbageRounds(
            LoopClock(loop, loop.time), lambda: (self.live, self.ended), self.collector
        )
        self.rounds.start()

    async def collections_within(self, seconds: float) -> int:
        before = self.collector.rounds
        await asyncio.sleep(seconds)
        return self.collector.rounds - before


async def test_what_is_there_before_the_first_call_is_collected_and_never_looked_at_again() -> None:
    server = Server()
    assert server.collector.rounds == 1
    assert server.collector.steps == ["frozen"]
    assert server.collector.thresholds[2] == NEVER
    server.rounds.stop()
    assert server.collector.steps == ["frozen", "unfrozen"]
    assert server.collector.thresholds == (700, 10, 10)


async def test_calls_that_go_on_hear_no_collection() -> None:
    server = Server()
    server.live, server.ended = 500, LEAST_ENDED
    assert await server.collections_within(AT_LATEST_S - 10) == 0
    server.rounds.stop()


@pytest.mark.parametrize(("live", "ended"), [(1, LEAST_ENDED), (500, 500)])
async def test_many_calls_that_ended_are_collected_among_live_ones(live: int, ended: int) -> None:
    server = Server()
    server.live, server.ended = live, ended
    assert await server.collections_within(30) == 1
    server.ended += ended - 1
    assert await server.collections_within(30) == 0
    server.ended += 1
    assert await server.collections_within(30) == 1
    server.rounds.stop()


async def test_one_call_that_ended_is_collected_when_no_call_is_left() -> None:
    server = Server()
    server.live, server.ended = 1, 1
    assert await server.collections_within(30) == 0
    server.live, server.ended = 0, 2
    assert await server.collections_within(30) == 1
    server.rounds.stop()


async def test_at_the_latest_there_is_a_collection_every_ten_minutes() -> None:
    server = Server()
    server.live = 3
    assert await server.collections_within(3 * AT_LATEST_S + 10) == 3
    server.rounds.stop()
    assert await server.collections_within(2 * AT_LATEST_S) == 0


async def test_pythons_own_collector_is_as_before_when_the_server_has_stopped() -> None:
    before, frozen = gc.get_threshold(), gc.get_freeze_count()
    loop = asyncio.get_running_loop()
    rounds = GarbageRounds(LoopClock(loop, loop.time), lambda: (0, 0))
    rounds.start()
    rounds.start()
    assert gc.get_threshold() != before
    assert gc.get_freeze_count() > frozen
    rounds.stop()
    rounds.stop()
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0
