"""What is measured inside the served process, at as little cost as can be."""

from __future__ import annotations

__all__ = [
    "LagProbe",
    "ProbedCall",
    "ProbedFactory",
    "ProbedLine",
    "ServedFigures",
    "core_busy_s",
    "resident_bytes",
]

import os
import resource
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from offhook.bridge.call_log import CallLog
from offhook.bridge.live_call import CallFactory, LiveCall
from offhook.pipeline.clock import Clock
from offhook.pipeline.conversation import Conversation
from offhook.pipeline.ports import CallControl, Line

from .histogram import DelayHistogram
from .own_sound import SoundCheck
from .parts import PartFigures
from .plan import STAMPED_EVERY
from .runtime_probes import GcFigures
from .setup_process import SETUP_CALLS_FROM
from .stamp import STAMP_BYTES, read_stamp, stamp
from .vendor_probes import VendorProbes

LAG_EVERY_S = 0.01
STAMPED_EVERY_MS = STAMPED_EVERY * 20
SHORTEST_STAMPED = 160
"""Bytes: the rest of a reply may be shorter, and its silence is to be heard as such."""


@dataclass(slots=True)
class ServedFigures:
    """What the served process found out."""

    in_delay: DelayHistogram = field(default_factory=DelayHistogram)
    """From the caller's side to the conversation."""
    loop_lag: DelayHistogram = field(default_factory=DelayHistogram)
    frames_received: int = 0
    """In the whole run."""
    frames_in_window: int = 0
    measuring: bool = False
    cpu_s: float = 0.0
    """Of all threads, in the window."""
    window_s: float = 0.0
    core_busy_s: float | None = None
    """Of the server's core, whoever used it, in the window; None where the system does not tell."""
    resident_idle: int = 0
    """Bytes, before the first call."""
    resident_loaded: int = 0
    """Bytes, with all calls, at the end of the window."""
    resident_at_begin: int = 0
    """Bytes, with all calls, at the beginning of the window."""
    collections: GcFigures = field(default_factory=GcFigures)
    parts: PartFigures = field(default_factory=PartFigures)
    stalls: int = 0
    """Made on purpose."""
    stalls_named: dict[str, int] = field(default_factory=dict)
    """Stalls in the window as the bridge itself counted them: their kind, and the code that it blames."""
    calls_of_workers: list[int] = field(default_factory=list)
    """How many calls each process held at the end of the window."""
    bridge_underruns: int = 0
    """As the bridge itself counted them, over the whole run."""
    sound: SoundCheck = field(default_factory=SoundCheck)
    """Of the callers' audio, where every call has its own."""
    rules: dict[str, int] = field(default_factory=dict)
    """How often the bridge applied which of its rules."""


class ProbedCall:
    """A conversation whose audio is looked at on its way in."""

    def __init__(self, call: LiveCall, figures: ServedFigures) -> None:
        self._call = call
        self._figures = figures
        self.mark = call.mark
        self.dtmf = call.dtmf
        self.line_closed = call.line_closed
        self.hang_up = call.hang_up
        self.say, self.take_text, self.transfer = call.say, call.take_text, call.transfer
        self.write = call.write
        self.conversation, self.run = call.conversation, call.run

    def audio(self, payload: bytes, timestamp_ms: int) -> None:
        """Note how long the frame took, and pass it on."""
        figures = self._figures
        figures.frames_received += 1
        if figures.measuring:
            figures.frames_in_window += 1
            if timestamp_ms % STAMPED_EVERY_MS == 0:
                sent_ns = read_stamp(payload)
                if sent_ns is not None:
                    figures.in_delay.add(time.monotonic_ns() - sent_ns)
        self._call.audio(payload, timestamp_ms)


class ProbedLine:
    """A line that writes the time into the audio it sends."""

    def __init__(self, line: Line, figures: ServedFigures) -> None:
        self._line = line
        self._figures = figures
        self.send_mark = line.send_mark
        self.send_clear = line.send_clear
        self.close = line.close

    @property
    def congested(self) -> bool:
        """As the line says."""
        return self._line.congested

    def send_audio(self, audio: bytes) -> None:
        """Stamp the message's first bytes and send it."""
        if self._figures.measuring and len(audio) >= SHORTEST_STAMPED:
            audio = stamp(time.monotonic_ns()) + audio[STAMP_BYTES:]
        self._line.send_audio(audio)


class ProbedFactory:
    """Makes conversations that are measured."""

    def __init__(self, factory: CallFactory, figures: ServedFigures, vendors: VendorProbes) -> None:
        self._factory = factory
        self._figures = figures
        self._vendors = vendors
        self.create_text_session = factory.create_text_session
        self.expect, self.fallback_number = factory.expect, factory.fallback_number
        self.logs: list[CallLog] = []
        self.call = 0
        """The number of the call that is made."""

    @property
    def ready(self) -> bool:
        """As the real factory says."""
        return self._factory.ready

    def create(
        self,
        *,
        call_sid: str,
        assistant: str | None,
        variables: Mapping[str, str],
        line: Line,
        log: CallLog,
        control: CallControl,
        resumes: Conversation | None = None,
    ) -> LiveCall:
        """Make one. Raises what the real factory raises."""
        self.logs.append(log)
        self.call = int(call_sid.removeprefix("CA"), 16)
        line, log = self._vendors.begin(line, log)
        measured = self.call < SETUP_CALLS_FROM
        call = self._factory.create(
            call_sid=call_sid,
            assistant=assistant,
            variables=variables,
            line=ProbedLine(line, self._figures) if measured else line,
            log=log,
            control=control,
            resumes=resumes,
        )
        return ProbedCall(call, self._figures) if measured else call


class LagProbe:
    """How late the loop runs a timer, a hundred times a second."""

    def __init__(self, clock: Clock, figures: ServedFigures) -> None:
        self._clock = clock
        self._figures = figures
        self._due_s = 0.0
        self._schedule()

    def _schedule(self) -> None:
        self._due_s = self._clock.now() + LAG_EVERY_S
        self._clock.call_at(self._due_s, self._measure)

    def _measure(self) -> None:
        if self._figures.measuring:
            self._figures.loop_lag.add(round((self._clock.now() - self._due_s) * 1e9))
        self._schedule()


def resident_bytes() -> int:
    """The memory of this process that is in RAM; where the system does not tell, the most there ever was."""
    statm = Path("/proc/self/statm")
    if statm.exists():
        return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    # getrusage(2): bytes on macOS, KiB elsewhere.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def core_busy_s(core: int) -> float | None:
    """How long a core has been busy since the machine started, time stolen by its host included.

    From /proc/stat (proc_stat(5)); None where there is none.
    """
    statistics = Path("/proc/stat")
    if not statistics.exists():
        return None
    for line in statistics.read_text().splitlines():
        name, *ticks = line.split()
        if name == f"cpu{core}":
            user, nice, system, _idle, _waiting, interrupt, soft_interrupt, stolen = map(int, ticks[:8])
            busy = user + nice + system + interrupt + soft_interrupt + stolen
            return busy / os.sysconf("SC_CLK_TCK")
    return None
