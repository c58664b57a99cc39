"""The process that places the calls: sockets, and a tick every millisecond."""

from __future__ import annotations

__all__ = ["CallsUp", "Finished", "place_calls"]

import gc
import os
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection

from .caller_sound import speech_frames
from .far_end import FRAME_NS, CallerSound, FarEnd
from .load_figures import LoadFigures
from .load_sockets import Readable, Stream
from .own_sound import caller_carpet, spoken_blocks
from .own_voice_check import HeardBlocks, OwnVoiceCheck
from .plan import BenchPlan, Failed, NotCarried, Window

PHASES = 20
"""The calls' frames are spread evenly over this many ticks of a frame's time."""
TICK_NS = FRAME_NS // PHASES
CONNECT_EVERY_NS = 8_000_000
CALLS_AT_ONCE = 4
"""So many calls may be on their way to the first sound of their agent; then they wait for one another."""
STUMBLE_NS, RECOVERY_NS = 100_000_000, 500_000_000
CALM_WITHIN_NS = 30_000_000_000
HEARD_WITHIN_S = 10.0
DRAIN_NS = 300_000_000
"""After the measurement nothing is sent for so long, so that all that is on its way arrives."""
SPEECH_S = 1.2


@dataclass(frozen=True, slots=True)
class CallsUp:
    """Every call is connected, and its agent speaks."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The measurement is over."""

    figures: LoadFigures


class _Generator:
    """All calls of the process, on an absolute grid of ticks."""

    def __init__(self, plan: BenchPlan, port: int) -> None:
        self._plan = plan
        self._port = port
        self._sound = CallerSound(caller_carpet(), speech_frames(SPEECH_S))
        self._spoken = HeardBlocks(spoken_blocks()[1] if plan.own_sound else ())
        self.figures = LoadFigures()
        self._readable = Readable()
        self._phases: list[list[Stream]] = [[] for _ in range(PHASES)]
        self._streams: list[Stream] = []
        self._unheard: list[Stream] = []
        self._tick = 0
        self._next_ns = time.monotonic_ns()
        self._window: Window | None = None
        self._sending = True

    def connect_all(self) -> None:
        """Place every call, wait until its agent was heard, and warm up. Raises NotCarried or OSError."""
        for number in range(self._plan.calls):
            self._connect(number)
            self._run_for(CONNECT_EVERY_NS)
            self._wait_for_all_but(CALLS_AT_ONCE)
            # A server that stumbles over its newest calls is given time, so that they do not pile up.
            self._wait_for_calm(STUMBLE_NS, RECOVERY_NS)
        self._wait_for_all_but(0)
        began_ns = time.monotonic_ns()
        self._run_until(began_ns + round(self._plan.warm_up_s * 1e9))
        self._wait_for_calm(round(self._plan.warm_up_s * 1e9), CALM_WITHIN_NS)
        self.figures.calm_after_s = (time.monotonic_ns() - began_ns) / 1e9

    def _wait_for_calm(self, calm_ns: int, within_ns: int) -> None:
        """Go on until no far end has run dry for so long, or the time for that is over."""
        until_ns = time.monotonic_ns() + within_ns
        while time.monotonic_ns() - self.figures.last_gap_ns < calm_ns and time.monotonic_ns() < until_ns:
            self._run_for(TICK_NS)

    def _wait_for_all_but(self, count: int) -> None:
        """Go on until no more than so many of the agents have still to be heard. Raises NotCarried."""
        deadline_ns = time.monotonic_ns() + round(HEARD_WITHIN_S * 1e9)
        while len(waiting := [it for it in self._unheard if not it.far_end.heard]) > count:
            if self.figures.lost_calls:
                raise NotCarried("the server refused a call, or ended it")
            if time.monotonic_ns() > deadline_ns:
                raise NotCarried(f"not every agent was heard within {HEARD_WITHIN_S:g} s")
            self._run_for(TICK_NS)
        self._unheard = waiting

    def run_while_nothing_comes(self, orders: Connection) -> object:
        """Go on until the other end of `orders` says something; returns that."""
        while not orders.poll(0):
            self._run_for(FRAME_NS)
        return orders.recv()

    def measure(self, window: Window) -> None:
        """Run through the window, and until all is delivered."""
        self._window = window
        for stream in self._streams:
            stream.far_end.measure(window)
        self._run_until(window.begin_ns)
        cpu_before_s, began_ns = time.process_time(), time.monotonic_ns()
        self._run_until(window.end_ns)
        took_s = (time.monotonic_ns() - began_ns) / 1e9
        self.figures.cpu_share = (time.process_time() - cpu_before_s) / took_s
        for stream in self._streams:
            stream.far_end.finish(time.monotonic_ns())
        self._sending = False
        self._run_until(window.end_ns + DRAIN_NS)

    def _connect(self, number: int) -> None:
        plan, figures = self._plan, self.figures
        voice = OwnVoiceCheck(number, self._spoken, figures.sound) if plan.own_sound else None
        interrupts_at_ns = plan.interrupts_at_ns(number)
        far_end = FarEnd(number, self._sound, figures, interrupts_at_ns=interrupts_at_ns, voice=voice)
        stream = Stream(far_end, self._port)
        self._readable.add(stream)
        self._streams.append(stream)
        self._unheard.append(stream)
        self._phases[number % PHASES].append(stream)

    def _run_for(self, duration_ns: int) -> None:
        self._run_until(time.monotonic_ns() + duration_ns)

    def _run_until(self, end_ns: int) -> None:
        while (now_ns := time.monotonic_ns()) < end_ns:
            while self._next_ns <= now_ns:
                self._serve_phase(now_ns)
            wait_s = max(0, self._next_ns - time.monotonic_ns()) / 1e9
            for stream in self._readable.wait(wait_s):
                self._guarded(stream)

    def _serve_phase(self, now_ns: int) -> None:
        window = self._window
        if window is not None and window.begin_ns <= now_ns < window.end_ns:
            self.figures.lateness.add(now_ns - self._next_ns)
        if self._sending:
            for stream in list(self._phases[self._tick % PHASES]):
                self._guarded(stream, tick=True)
        self._tick += 1
        self._next_ns += TICK_NS

    def _guarded(self, stream: Stream, *, tick: bool = False) -> None:
        try:
            if tick:
                if stream.upgraded:
                    stream.send(stream.far_end.tick(time.monotonic_ns()))
            else:
                stream.receive()
            lost = stream.far_end.ended
        except OSError:
            lost = True
        if lost:
            self._lose(stream)

    def _lose(self, stream: Stream) -> None:
        self.figures.lost_calls += 1
        self._readable.remove(stream)
        stream.connection.close()
        for phase in self._phases:
            if stream in phase:
                phase.remove(stream)

    def close(self) -> None:
        """Hang all calls up."""
        for stream in self._streams:
            stream.connection.close()
        self._readable.close()


def place_calls(plan: BenchPlan, port: int, orders: Connection) -> None:
    """The process: calls up, then a Window from `orders`, then the figures; ends on any further word."""
    if plan.cores is not None:
        os.sched_setaffinity(0, {plan.cores.load})
    generator = _Generator(plan, port)
    # Nothing here is ever part of a cycle, and what is there already stays.
    gc.disable()
    with suppress(EOFError, KeyboardInterrupt):
        try:
            generator.connect_all()
        except (NotCarried, OSError) as error:
            overloaded = isinstance(error, NotCarried)
            orders.send(Failed(f"the calls could not be placed: {error}", overloaded))
            return
        orders.send(CallsUp())
        window = generator.run_while_nothing_comes(orders)
        if isinstance(window, Window):
            generator.measure(window)
            orders.send(Finished(generator.figures))
            generator.run_while_nothing_comes(orders)
    generator.close()
