"""Many calls begun and ended on virtual time: what of them stays in memory, and what is still running.

The calls are whole conversations on in-process lines (`MemoryCall`): no socket, everything else as in
production. Callers say nothing; the agent greets, and is hung up on in the middle of it or behind it.
"""

from __future__ import annotations

__all__ = ["SoakPlan", "SoakResult", "soak"]

import asyncio
import gc
import random
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import Any

from offhook.bridge.pool_workers import PoolWorkers
from offhook.codecs.g711 import SILENCE
from offhook.config.assistant import Assistant
from offhook.pipeline.call import Engines
from offhook.pipeline.clock import LoopClock
from offhook.pipeline.line_up import alone
from offhook.pipeline.pacing import PacingWheel

from ..memory_call import MemoryCall
from ..scripted_engines import CueTranscriber, QuietVoiceActivity, TalkativeModel, ToneVoice
from ..virtual_loop import VirtualLoop
from .probes import resident_bytes

GROWTH_LIMIT = 0.02
"""Resident memory at the end, against that after the first tenth of the calls."""
SHORTEST_S, LONGEST_S = 1.0, 4.0
"""How long calls last where only their number is given."""
SETTLED_S = 60.0
"""Of virtual time, behind the last call: whatever was to end by itself has ended."""
HEARD_WITHIN_BYTES = 8000
REPORT_EVERY = 1000
ASSISTANT = Assistant.model_validate(
    {"name": "soak", "first_message": "Good day, you have reached us, how can I help you? " * 8}
)


@dataclass(frozen=True, slots=True)
class SoakPlan:
    """What is to be held."""

    calls: int = 10
    """At a time."""
    calls_in_all: int = 10_000
    hours: float | None = None
    """Virtual time, over which the calls are spread; None: they are as short as they can be."""

    @property
    def call_s(self) -> tuple[float, float]:
        """The shortest and the longest call."""
        if self.hours is None:
            return SHORTEST_S, LONGEST_S
        mean_s = 3600 * self.hours * self.calls / self.calls_in_all
        return 0.5 * mean_s, 1.5 * mean_s


@dataclass(frozen=True, slots=True)
class SoakResult:
    """What stayed."""

    calls: int
    virtual_s: float
    real_s: float
    resident_early: int
    """Bytes, after a tenth of the calls."""
    resident_late: int
    tasks_left: int
    timers_left: int
    unspoken: int
    """Calls in which the agent was not heard."""

    @property
    def growth(self) -> float:
        """Of the resident memory, as a share."""
        return self.resident_late / self.resident_early - 1

    @property
    def faults(self) -> tuple[str, ...]:
        """What was promised and not kept, in sentences."""
        checks = (
            (self.growth <= GROWTH_LIMIT, f"memory grew by {self.growth:.1%}"),
            (not self.tasks_left, f"{self.tasks_left} tasks were left"),
            (not self.timers_left, f"{self.timers_left} timers were left"),
            (not self.unspoken, f"{self.unspoken} calls had no agent"),
        )
        return tuple(fault for kept, fault in checks if not kept)

    def to_json(self) -> dict[str, Any]:
        """Everything, as JSON values."""
        return {**asdict(self), "growth": self.growth, "faults": list(self.faults), "passed": not self.faults}

    def lines(self) -> list[str]:
        """For people to read."""
        early, late = self.resident_early / 1048576, self.resident_late / 1048576
        return [
            f"soak: {self.calls} calls on in-process lines",
            f"time                        {self.virtual_s / 3600:.2f} h, in {self.real_s:.0f} s",
            f"resident memory             {early:.1f} MiB after a tenth, {late:.1f} MiB ({self.growth:+.1%})",
            f"left behind                 {self.tasks_left} tasks, {self.timers_left} timers",
            f"{'MISSED' if self.faults else 'met'}: memory grows by {GROWTH_LIMIT:.0%} at most, nothing left",
            *(f"  {fault}" for fault in self.faults),
        ]


def soak(plan: SoakPlan, *, say: Callable[[str], None] = lambda _: None) -> SoakResult:
    """Hold the calls, on a loop of their own."""
    loop = VirtualLoop()
    with asyncio.Runner(loop_factory=lambda: loop) as runner:
        return runner.run(_Soak(plan, loop, say).run())


class _Soak:
    def __init__(self, plan: SoakPlan, loop: VirtualLoop, say: Callable[[str], None]) -> None:
        self._plan, self._loop, self._say = plan, loop, say
        self._clock = LoopClock(loop, loop.time)
        self._begun = self._ended = self._unspoken = self._early = 0
        self._random = random.Random(1)

    async def run(self) -> SoakResult:
        """Hold all of them, so many at a time."""
        began_s = time.monotonic()
        tasks_before, timers_before = len(asyncio.all_tasks()), self._loop.timers
        async with PoolWorkers() as workers:
            engines = Engines(
                voice_activity=QuietVoiceActivity(),
                transcribers=alone(CueTranscriber(), self._clock),
                models=alone(TalkativeModel(), self._clock),
                voices=alone(ToneVoice(), self._clock),
                workers=workers,
            )
            async with asyncio.TaskGroup() as group:
                for number in range(min(self._plan.calls, self._plan.calls_in_all)):
                    group.create_task(self._hold_calls(engines), name=f"line-{number}")
        await asyncio.sleep(SETTLED_S)
        late = _resident()
        return SoakResult(
            calls=self._ended,
            virtual_s=self._loop.time(),
            real_s=time.monotonic() - began_s,
            resident_early=self._early or late,
            resident_late=late,
            tasks_left=len(asyncio.all_tasks()) - tasks_before,
            timers_left=self._loop.timers - timers_before,
            unspoken=self._unspoken,
        )

    async def _hold_calls(self, engines: Engines) -> None:
        """One line: a call, and when it is over the next."""
        wheel = PacingWheel(self._clock)
        while self._begun < self._plan.calls_in_all:
            self._begun += 1
            call = MemoryCall(ASSISTANT, engines, self._clock, wheel, call_id=f"CA{self._begun:032x}")
            async with call:
                await asyncio.sleep(self._random.uniform(*self._plan.call_s))
            self._unspoken += not any(byte != SILENCE for byte in call.line.heard[:HEARD_WITHIN_BYTES])
            self._ended += 1
            if self._ended == max(1, self._plan.calls_in_all // 10):
                self._early = _resident()
            if self._ended % REPORT_EVERY == 0:
                self._say(f"{self._ended} calls, {_resident() / 1048576:.1f} MiB")


def _resident() -> int:
    gc.collect()
    return resident_bytes()
