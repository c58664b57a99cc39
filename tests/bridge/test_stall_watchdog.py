"""The watchdog's thread on real loops: it names who blocks, and ends with its server."""

from __future__ import annotations

import asyncio
import gc
import inspect
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from bridge_rig import EchoFactory, settings
from structlog.testing import capture_logs

from offhook.bridge.gc_pauses import GcPauses
from offhook.bridge.loop_lag import LoopLag
from offhook.bridge.server import Server
from offhook.bridge.stall_watch import Place, StallKind
from offhook.bridge.stall_watchdog import ThreadUsage, place_of
from offhook.pipeline.clock import LoopClock

STALL_S = 0.2


def watchdogs() -> list[str]:
    return [thread.name for thread in threading.enumerate() if thread.name == "stall-watchdog"]


@contextmanager
def watched_loop() -> Iterator[LoopLag]:
    lag = LoopLag(LoopClock(asyncio.get_running_loop()), watchdog=True)
    lag.start()
    try:
        yield lag
    finally:
        lag.stop()


def waits_too_long(caller: str = "Rumpelstiltskin") -> None:
    time.sleep(STALL_S)


def computes_too_long(caller: str = "Rumpelstiltskin") -> None:
    until = time.monotonic() + STALL_S
    while time.monotonic() < until:
        pass


@pytest.mark.realtime
@pytest.mark.both_loops
@pytest.mark.parametrize("culprit", [waits_too_long, computes_too_long])
async def test_whoever_blocks_the_loop_is_named_without_values(culprit: Callable[[], None]) -> None:
    with watched_loop() as lag, capture_logs() as logs:
        await asyncio.sleep(0.1)
        culprit()
        await asyncio.sleep(0.1)
    named = [str(log["innermost"]) for log in logs if log["event"] == "loop.stalled"]
    assert any(culprit.__name__ in place for place in named), logs
    assert "Rumpelstiltskin" not in str(logs)
    (blamed,) = [key for key in lag.stalls.tallies if culprit.__name__ in key[1]]
    assert blamed[0] is StallKind.CODE


@pytest.mark.realtime
@pytest.mark.both_loops
async def test_a_process_that_was_stopped_is_told_as_not_run() -> None:
    with watched_loop() as lag:
        await asyncio.sleep(0.1)
        pause = f"kill -STOP {os.getpid()}; sleep 0.4; kill -CONT {os.getpid()}"
        shell = await asyncio.create_subprocess_exec("/bin/sh", "-c", pause)
        await shell.wait()
        await asyncio.sleep(0.1)
    assert StallKind.NOT_RUN in {kind for kind, _ in lag.stalls.tallies}


@pytest.mark.realtime
async def test_a_long_collection_is_told_as_such() -> None:
    links: list[list[object]] = [[] for _ in range(400_000)]
    for link in links:
        link.append(links)
    with watched_loop() as lag:
        await asyncio.sleep(0.1)
        until = time.monotonic() + STALL_S
        while time.monotonic() < until:
            gc.collect()
        await asyncio.sleep(0.1)
    links.clear()
    assert (StallKind.COLLECTION, "") in lag.stalls.tallies
    assert lag.collections.counts[2] >= 1
    assert 0 < lag.collections.longest_s <= lag.collections.total_s


@pytest.mark.realtime
async def test_the_thread_ends_with_its_server() -> None:
    callbacks = list(gc.callbacks)
    server = Server(settings(), EchoFactory(), LoopClock(asyncio.get_running_loop()), watchdog=True)
    await server.start("127.0.0.1", 0)
    assert watchdogs() == ["stall-watchdog"]
    await server.stop()
    assert watchdogs() == []
    assert gc.callbacks == callbacks


async def test_a_loop_on_virtual_time_has_no_thread() -> None:
    loop = asyncio.get_running_loop()
    lag = LoopLag(LoopClock(loop, loop.time))
    lag.start()
    await asyncio.sleep(10)
    assert watchdogs() == []
    lag.stop()


def test_a_place_is_a_name_and_a_line_of_ours_and_of_the_innermost() -> None:
    seen: list[Place] = []

    class Clock:
        """Looks at the stack of whoever asks for the time."""

        def now(self) -> float:
            seen.append(place_of(inspect.currentframe()))
            return 0.0

        def call_at(self, when: float, callback: Callable[[], None]) -> asyncio.TimerHandle:
            raise NotImplementedError

        async def sleep_until(self, when: float) -> None:
            raise NotImplementedError

    from offhook.pipeline.pacing import PacingWheel

    PacingWheel(Clock())
    (place,) = seen
    assert place.ours.startswith("offhook.pipeline.pacing.PacingWheel.__init__:")
    assert place.innermost.startswith(f"{__name__}.") or "Clock.now" in place.innermost
    assert str(place) == place.ours


def test_what_lies_below_the_loop_is_nobodys_fault() -> None:
    seen: list[Place] = []
    namespace = {"__name__": "offhook.cli.serve", "asyncio": asyncio}
    exec("def main(work):\n    asyncio.run(work)\n", namespace)  # noqa: S102 - a module that runs a loop

    async def work() -> None:
        seen.append(place_of(inspect.currentframe()))

    namespace["main"](work())  # type: ignore[operator]
    assert seen[0].ours == ""
    assert "work" in seen[0].innermost


def test_a_thread_that_is_gone_is_nowhere() -> None:
    assert place_of(None) == Place("?")


def test_a_thread_knows_what_it_used() -> None:
    usage = ThreadUsage()
    usage.open()
    before = usage.read(1.0)
    until = time.thread_time() + 0.02
    while time.thread_time() < until:
        pass
    after = usage.read(1.5)
    usage.close()
    assert 0.02 <= after.cpu_s - before.cpu_s < 1.0
    assert after.waited_s >= before.waited_s >= 0.0
    assert after.collected_s == 1.5
    assert usage.read(0.0).waited_s == 0.0, "closed, it still tells what the clock knows"


def test_collections_are_counted_by_generation_from_start_to_stop() -> None:
    times = iter([1.0, 1.25, 2.0, 2.5])
    pauses = GcPauses(lambda: next(times))
    gc.disable()
    try:
        pauses.start()
        pauses.start()
        gc.collect(2)
        gc.collect(0)
        pauses.stop()
        pauses.stop()
        gc.collect(2)
    finally:
        gc.enable()
    assert pauses.counts == [1, 0, 1]
    assert pauses.seconds == [0.5, 0.0, 0.25]
    assert (pauses.longest_s, pauses.total_s) == (0.5, 0.75)
