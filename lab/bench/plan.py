"""What a benchmark run is to do, and what it has to reach."""

from __future__ import annotations

__all__ = [
    "INTERRUPTION",
    "BenchPlan",
    "Cores",
    "EngineAudio",
    "Failed",
    "VadChoice",
    "Window",
    "choose_cores",
]

import os
from dataclasses import dataclass
from typing import Literal

VadChoice = Literal["silero", "off"]
EngineAudio = Literal["carrier", "pcm"]

INTERRUPTING_SHARE = 0.1
"""Of the calls, with `barge_in`."""
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
    """From the last call's start to the measurement."""
    vad: VadChoice = "silero"
    engine_audio: EngineAudio = "carrier"
    """`carrier`: the engines take and give mu-law, as those that come with offhook do;
    `pcm`: they take 16 kHz and give 24 kHz, and everything is converted."""
    uvloop: bool = True
    barge_in: bool = False
    """A tenth of the calls interrupts the agent every 5 s."""
    vendors: int | None = None
    """The port of emulated vendors, through whose clients every call goes; 0: they are to be started.

    Every call interrupts the agent then, and only words stop it.
    """
    cores: Cores | None = None
    """Where the processes are pinned; None leaves it to the system."""

    @property
    def interrupting_calls(self) -> int:
        """How many calls interrupt the agent."""
        if self.vendors is not None:
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


def choose_cores() -> Cores | None:
    """The cores of the two processes; None where the system cannot pin a process."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    allowed = sorted(os.sched_getaffinity(0))
    # The first core serves most interrupts of the machine; the server gets the one farthest from it.
    return Cores(server=allowed[-1], load=allowed[0])
