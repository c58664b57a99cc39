"""The process under test: the server as it runs in production, with engines that cost next to nothing."""

from __future__ import annotations

__all__ = ["Finish", "Ready", "Served", "serve_calls"]

import asyncio
import logging
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection

import structlog

from offhook.bridge.allocator import use_one_arena
from offhook.bridge.call_factory import ConversationFactory
from offhook.bridge.garbage import GarbageRounds
from offhook.bridge.pool_workers import PoolWorkers
from offhook.bridge.server import Server
from offhook.bridge.workers.sqlite_store import SqliteStore
from offhook.config.assistant import Assistant
from offhook.config.errors import OffhookError
from offhook.config.settings import Settings
from offhook.pipeline.call import Engines
from offhook.pipeline.clock import LoopClock

from .bench_engines import bench_assistant, bench_engines
from .parts import PartSampler
from .plan import BenchPlan, Failed, Window
from .probes import LagProbe, ProbedFactory, ServedFigures, core_busy_s, resident_bytes
from .runtime_probes import GcProbe, StallMaker
from .vendor_probes import VendorFigures, VendorProbes
from .workers import Seat

CALLS_GONE_WITHIN_S = 5.0
STALL_EVERY_S = 5.0
SETUP_ROOM_S = 12.0
"""Further calls last no longer."""


@dataclass(frozen=True, slots=True)
class Ready:
    """Calls may come."""

    port: int


@dataclass(frozen=True, slots=True)
class Finish:
    """An order: the callers have hung up; say what was found out."""


@dataclass(frozen=True, slots=True)
class Served:
    """What was found out."""

    figures: ServedFigures
    vendors: VendorFigures


def serve_calls(plan: BenchPlan, seat: Seat | None, orders: Connection) -> None:
    """The process: ready, then a Window and Finish from `orders`; ends on any further word.

    With a `seat` it is one of several workers behind one port.
    """
    core = seat.core if seat is not None else None if plan.cores is None else plan.cores.server
    if core is not None:
        os.sched_setaffinity(0, {core})
    use_one_arena()  # as `offhook serve` does
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    try:
        with asyncio.Runner(loop_factory=_loop_factory(plan)) as runner:
            runner.run(_Served(plan, seat, orders).run())
    except OffhookError as error:
        orders.send(Failed(str(error)))
    except KeyboardInterrupt:
        return


def _loop_factory(plan: BenchPlan) -> Callable[[], asyncio.AbstractEventLoop]:
    if not plan.uvloop:
        return asyncio.new_event_loop
    import uvloop

    return uvloop.new_event_loop


class _Served:
    """The server while it is measured."""

    def __init__(self, plan: BenchPlan, seat: Seat | None, orders: Connection) -> None:
        self._plan, self._seat = plan, seat
        self._orders = orders
        self._figures = ServedFigures()
        self._probes = VendorProbes(lambda: self._figures.measuring)

    async def run(self) -> None:
        """Serve until the other side has nothing more to say."""
        clock = LoopClock(asyncio.get_running_loop())
        async with AsyncExitStack() as stack:
            workers = await stack.enter_async_context(PoolWorkers())
            assistant = bench_assistant(self._plan)
            engines = await bench_engines(self._plan, stack, workers, clock, assistant, self._figures.sound)
            factory: ProbedFactory

            def engines_of_call(_: Assistant) -> Engines:
                made = engines(factory.call)
                # The others' clears are not looked for.
                return self._probes.engines(made) if self._plan.interrupting_calls else made

            conversations = ConversationFactory(
                clock=clock, assistants=lambda _: assistant, engines=engines_of_call, is_ready=lambda: True
            )
            factory = ProbedFactory(conversations, self._figures, self._probes)
            server = await self._server(stack, factory, clock)
            port = await server.start("127.0.0.1", 0 if self._seat is None else self._seat.port)
            stack.push_async_callback(server.stop)
            LagProbe(clock, self._figures)
            # As `offhook serve` does when it is ready.
            garbage = GarbageRounds(clock, lambda: server.state.registry.counts)
            garbage.start()
            stack.callback(garbage.stop)
            self._figures.resident_idle = resident_bytes()
            self._orders.send(Ready(port))
            await self._obey(server, factory, clock)

    async def _server(self, stack: AsyncExitStack, factory: ProbedFactory, clock: LoopClock) -> Server:
        settings, seat = _settings(self._plan), self._seat
        if seat is None:
            return Server(settings, factory, clock, watchdog=True)
        store = await stack.enter_async_context(SqliteStore(seat.place.store_file, settings.max_calls))
        return Server(settings, factory, clock, watchdog=True, store=store, place=seat.place)

    async def _obey(self, server: Server, factory: ProbedFactory, clock: LoopClock) -> None:
        while True:
            match await self._order():
                case Window() as window:
                    await self._measure(window, server, clock)
                case Finish():
                    await _calls_gone(server)
                    self._figures.bridge_underruns = sum(
                        event.data.get("underruns", 0) for log in factory.logs for event in log.events
                    )
                    self._figures.rules = dict(server.state.counters)
                    self._orders.send(Served(self._figures, self._probes.figures))
                case _:
                    return

    async def _measure(self, window: Window, server: Server, clock: LoopClock) -> None:
        figures = self._figures
        await clock.sleep_until(window.begin_ns / 1e9)
        figures.measuring = True
        figures.resident_at_begin = resident_bytes()
        named_before = _named_stalls(server)
        collections, sampler = GcProbe(), PartSampler()
        stalls = StallMaker(clock, stall_s=self._plan.stall_s, every_s=STALL_EVERY_S)
        collections.begin()
        if self._plan.parts:
            sampler.begin()
        if self._plan.stall_s:
            stalls.begin()
        busy_before_s = self._core_busy_s()
        cpu_s, began_s = time.process_time(), clock.now()
        await clock.sleep_until(window.end_ns / 1e9)
        figures.measuring = False
        figures.cpu_s = time.process_time() - cpu_s
        figures.window_s = clock.now() - began_s
        figures.collections = collections.end()
        figures.parts = sampler.end()
        stalls.end()
        figures.stalls = stalls.stalls
        named = _named_stalls(server)
        figures.stalls_named = {place: count for place, count in (named - named_before).items() if count}
        busy_s = self._core_busy_s()
        if busy_s is not None and busy_before_s is not None:
            figures.core_busy_s = busy_s - busy_before_s
        figures.resident_loaded = resident_bytes()
        figures.calls_of_workers = [len(server.state.registry.live())]

    def _core_busy_s(self) -> float | None:
        cores = self._plan.cores
        return None if cores is None else core_busy_s(cores.server)

    async def _order(self) -> object:
        """The next order; None when nobody gives any more."""
        try:
            return await asyncio.to_thread(self._orders.recv)
        except EOFError:
            return None


def _named_stalls(server: Server) -> Counter[str]:
    tallies = server.state.lag.stalls.tallies
    return Counter({f"{kind.value} {blamed}".strip(): each.count for (kind, blamed), each in tallies.items()})


async def _calls_gone(server: Server) -> None:
    """A call's own figures come at its end."""
    with suppress(TimeoutError):
        async with asyncio.timeout(CALLS_GONE_WITHIN_S):
            await server.state.registry.wait_idle()


def _settings(plan: BenchPlan) -> Settings:
    return Settings.model_validate(
        {"port": 0, "max_calls": plan.calls + round(SETUP_ROOM_S * plan.setups_per_s)}
    )
