"""What a benchmark run is to do, and what it has to reach."""

from __future__ import annotations

__all__ = [
    "INTERRUPTION",
    "INTERRUPT_EVERY_NS",
    "STAMPED_EVERY",
    "BenchPlan",
    "Cores",
    "EngineAudio",
    "Failed",
    "NotCarried",
    "ScenarioName",
    "VadChoice",
    "Window",
    "choose_cores",
]

import os
from dataclasses import dataclass
from typing import Literal

from offhook.config.errors import OffhookError

VadChoice = Literal["silero", "off"]
EngineAudio = Literal["carrier", "pcm"]
ScenarioName = Literal["media", "pipeline", "barge-in", "setup", "stalls"]

INTERRUPTING_SHARE = 0.1
"""Of the calls, with `barge_in`."""
STAMPED_EVERY = 5
"""Frames of a caller's, of which one bears the time."""
INTERRUPT_EVERY_NS = 5_000_000_000
STORM_NS = 100_000_000
"""In the `barge-in` scenario all calls interrupt the agent within this time."""
INTERRUPTION = "wait, stop please"
"""What callers say who interrupt the agent."""


@dataclass(frozen=True, slots=True)
class Cores:
    """The processor core of either process."""

    server: int
    load: int

    @property
    def shared(self) -> bool:
        """There is only one core: the load takes from the server what it is to measure."""
        return self.server == self.load


@dataclass(frozen=True, slots=True)
class BenchPlan:
    """One run."""

    calls: int = 100
    seconds: float = 20.0
    """Length of the measurement."""
    warm_up_s: float = 3.0
    """From the last call's start to the measurement, at least; so long must nobody have heard a gap."""
    vad: VadChoice = "silero"
    engine_audio: EngineAudio = "carrier"
    """`carrier`: the engines take and give mu-law, as those that come with offhook do;
    `pcm`: they take 16 kHz and give 24 kHz, and everything is converted."""
    uvloop: bool = True
    barge_in: bool = False
    """A tenth of the calls interrupts the agent every 5 s; in the `barge-in` scenario all of them do."""
    vendors: int | None = None
    """The port of emulated vendors, through whose clients every call goes; 0: they are to be started.

    Every call interrupts the agent then, and only words stop it.
    """
    cores: Cores | None = None
    """Where the processes are pinned; None leaves it to the system."""
    scenario: ScenarioName = "pipeline"
    workers: int = 1
    """Server processes behind one port."""
    stall_s: float = 0.0
    """So long is the server's loop blocked on purpose, every 5 s."""
    parts: bool = False
    """A pass that samples which part the CPU time goes to; its other figures are disturbed by that."""
    setups_per_s: float = 0.0
    """Further calls that are begun and ended while those of the plan go on."""

    @property
    def own_sound(self) -> bool:
        """Every call has audio of its own, which is checked at both ends."""
        return self.scenario == "media"

    def interrupts_at_ns(self, call: int) -> int | None:
        """When in each period this call interrupts the agent; None if it never does."""
        if call >= self.interrupting_calls:
            return None
        if self.scenario == "barge-in":
            return call * STORM_NS // self.calls
        return call * 97_000_000 % INTERRUPT_EVERY_NS

    @property
    def interrupting_calls(self) -> int:
        """How many calls interrupt the agent."""
        if self.vendors is not None or self.scenario == "barge-in":
            return self.calls
        return max(1, round(self.calls * INTERRUPTING_SHARE)) if self.barge_in else 0


@dataclass(frozen=True, slots=True)
class Window:
    """The time of the measurement, on the system-wide monotonic clock, in nanoseconds."""

    begin_ns: int
    end_ns: int


@dataclass(frozen=True, slots=True)
class Failed:
    """What a process says when it cannot go on."""

    reason: str
    overloaded: bool = False
    """The server did not carry the calls; the measurement as such was sound."""


class NotCarried(OffhookError):
    """The server did not take so many calls, or did not answer all of them in time."""


def choose_cores() -> Cores | None:
    """The cores of the two processes; None where the system cannot pin a process."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    allowed = sorted(os.sched_getaffinity(0))
    # The first core serves most interrupts of the machine; the server gets the one farthest from it.
    return Cores(server=allowed[-1], load=allowed[0])
