"""The process under test: the server as it runs in production, with engines that cost next to nothing."""

from __future__ import annotations

__all__ = ["Finish", "Ready", "Served", "serve_calls"]

import asyncio
import gc
import logging
import os
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from functools import partial
from multiprocessing.connection import Connection

import structlog

from offhook.bridge.call_factory import ConversationFactory
from offhook.bridge.pool_workers import PoolWorkers
from offhook.bridge.server import Server
from offhook.codecs.audio_format import MULAW_8K, PCM_16K, PCM_24K
from offhook.config.assistant import Assistant, Model, Transcriber, Voice
from offhook.config.errors import OffhookError
from offhook.config.settings import Settings
from offhook.pipeline.call import Engines
from offhook.pipeline.clock import LoopClock
from offhook.pipeline.line_up import alone
from offhook.pipeline.ports import VoiceActivity

from ..scripted_engines import CueTranscriber, DeafVoiceActivity, TalkativeModel, ToneVoice
from ..trials.engines import trial_engines
from ..vendors.server import account_at
from .plan import INTERRUPTION, BenchPlan, Failed, Window
from .probes import LagProbe, ProbedFactory, ServedFigures, core_busy_s, resident_bytes
from .vendor_probes import VendorFigures, VendorProbes
from .vendor_process import KEY

CALLS_GONE_WITHIN_S = 5.0


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


def serve_calls(plan: BenchPlan, orders: Connection) -> None:
    """The process: ready, then a Window and Finish from `orders`; ends on any further word."""
    if plan.cores is not None:
        os.sched_setaffinity(0, {plan.cores.server})
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr)
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.WARNING),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    try:
        with asyncio.Runner(loop_factory=_loop_factory(plan)) as runner:
            runner.run(_Served(plan, orders).run())
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

    def __init__(self, plan: BenchPlan, orders: Connection) -> None:
        self._plan = plan
        self._orders = orders
        self._figures = ServedFigures()
        self._probes = VendorProbes(lambda: self._figures.measuring)

    async def run(self) -> None:
        """Serve until the other side has nothing more to say."""
        clock = LoopClock(asyncio.get_running_loop())
        async with AsyncExitStack() as stack:
            workers = await stack.enter_async_context(PoolWorkers())
            assistant = _assistant(self._plan)
            engines = await self._engines(stack, workers, clock, assistant)
            conversations = ConversationFactory(
                clock=clock,
                assistants=lambda _: assistant,
                engines=lambda _: engines if self._plan.vendors is None else self._probes.engines(engines),
                is_ready=lambda: True,
            )
            factory = ProbedFactory(conversations, self._figures, self._probes)
            server = Server(_settings(self._plan), factory, clock)
            port = await server.start("127.0.0.1", 0)
            stack.push_async_callback(server.stop)
            LagProbe(clock, self._figures)
            # As `offhook serve` does when it is ready.
            gc.collect()
            gc.freeze()
            self._figures.resident_idle = resident_bytes()
            self._orders.send(Ready(port))
            await self._obey(server, factory, clock)

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
        busy_before_s = self._core_busy_s()
        cpu_s, began_s = time.process_time(), clock.now()
        await clock.sleep_until(window.end_ns / 1e9)
        figures.measuring = False
        figures.cpu_s = time.process_time() - cpu_s
        figures.window_s = clock.now() - began_s
        busy_s = self._core_busy_s()
        if busy_s is not None and busy_before_s is not None:
            figures.core_busy_s = busy_s - busy_before_s
        figures.resident_loaded = resident_bytes()
        figures.calls_at_end = len(server.state.registry.live())

    async def _engines(
        self, stack: AsyncExitStack, workers: PoolWorkers, clock: LoopClock, assistant: Assistant
    ) -> Engines:
        plan = self._plan
        if plan.vendors is not None:
            vendor_engines = trial_engines(
                assistant,
                partial(account_at, plan.vendors, key=KEY),
                clock,
                voice_activity=await _voice_activity(plan, stack, clock),
                workers=workers,
            )
            return await stack.enter_async_context(vendor_engines)
        pcm = plan.engine_audio == "pcm"
        return Engines(
            voice_activity=await _voice_activity(plan, stack, clock),
            transcribers=alone(
                CueTranscriber(PCM_16K if pcm else MULAW_8K, INTERRUPTION if plan.barge_in else ""), clock
            ),
            models=alone(TalkativeModel(), clock),
            voices=alone(ToneVoice(PCM_24K if pcm else MULAW_8K), clock),
            workers=workers,
        )

    def _core_busy_s(self) -> float | None:
        cores = self._plan.cores
        return None if cores is None else core_busy_s(cores.server)

    async def _order(self) -> object:
        """The next order; None when nobody gives any more."""
        try:
            return await asyncio.to_thread(self._orders.recv)
        except EOFError:
            return None


async def _voice_activity(plan: BenchPlan, stack: AsyncExitStack, clock: LoopClock) -> VoiceActivity:
    """Raises ProviderError when Silero's model is not there."""
    if plan.vad == "off":
        return DeafVoiceActivity()
    from offhook.pipeline.providers.embedded.silero import SileroVoiceActivity

    thread = await stack.enter_async_context(PoolWorkers(threads=1))
    silero = SileroVoiceActivity(thread, clock)
    await silero.start()
    stack.push_async_callback(silero.close)
    return silero


async def _calls_gone(server: Server) -> None:
    """A call's own figures come at its end."""
    with suppress(TimeoutError):
        async with asyncio.timeout(CALLS_GONE_WITHIN_S):
            await server.state.registry.wait_idle()


def _assistant(plan: BenchPlan) -> Assistant:
    """One that nobody can hang up on by being silent."""
    barge_in = "partial" if plan.vendors is not None else "pause" if plan.barge_in else "off"
    turn_taking = {"barge_in": barge_in, "silence_prompts": (), "silence_hangup_s": 3600}
    stages = (
        {}
        if plan.vendors is None
        else {
            "transcriber": Transcriber(provider="deepgram"),
            "model": Model(provider="openai"),
            "voice": Voice(provider="elevenlabs", name="bench"),
        }
    )
    return Assistant.model_validate(
        {"name": "bench", "turn_taking": turn_taking, "goodbye": "", "one_moment": "", **stages}
    )


def _settings(plan: BenchPlan) -> Settings:
    return Settings.model_validate({"port": 0, "max_calls": plan.calls})
