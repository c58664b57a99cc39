"""The process that places the calls: sockets, and a tick every millisecond."""

from __future__ import annotations

__all__ = ["CallsUp", "Finished", "place_calls"]

import os
import selectors
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection

from websockets.client import ClientProtocol
from websockets.uri import parse_uri

from offhook.config.errors import OffhookError

from .caller_sound import noise_frames, speech_frames
from .carrier_frames import read_frames
from .far_end import FRAME_NS, CallerSound, FarEnd, LoadFigures
from .plan import BenchPlan, Failed, Window

PHASES = 20
"""The calls' frames are spread evenly over this many ticks of a frame's time."""
TICK_NS = FRAME_NS // PHASES
CONNECT_EVERY_NS = 10_000_000
HEARD_WITHIN_S = 10.0
HANDSHAKE_WITHIN_S = 5.0
DRAIN_NS = 300_000_000
"""After the measurement nothing is sent for so long, so that all that is on its way arrives."""
READ_BYTES = 65_536
UNSENT_LIMIT_BYTES = 1_048_576
NOISE_FRAMES = 50
SPEECH_S = 1.2


@dataclass(frozen=True, slots=True)
class CallsUp:
    """Every call is connected, and its agent speaks."""


@dataclass(frozen=True, slots=True)
class Finished:
    """The measurement is over."""

    figures: LoadFigures


class _Stream:
    """A far end and its socket."""

    def __init__(self, far_end: FarEnd, connection: socket.socket) -> None:
        self.far_end = far_end
        self.connection = connection
        self.unsent = b""
        self.buffer = bytearray()

    def send(self, data: bytes) -> None:
        """Write as much as goes; the rest waits. Raises OSError when the server is gone or takes nothing."""
        data = self.unsent + data
        try:
            sent = self.connection.send(data)
        except BlockingIOError:
            sent = 0
        self.unsent = data[sent:]
        if len(self.unsent) > UNSENT_LIMIT_BYTES:
            raise ConnectionAbortedError("the server takes no more")

    def receive(self) -> None:
        """Read what is there and answer it. Raises OSError when the server is gone."""
        data = self.connection.recv(READ_BYTES)
        now_ns = time.monotonic_ns()
        if not data:
            raise ConnectionResetError("the server closed the connection")
        self.buffer += data
        answers = b"".join(
            self.far_end.received(opcode, payload, now_ns) for opcode, payload in read_frames(self.buffer)
        )
        if answers:
            self.send(answers)


class _Generator:
    """All calls of the process, on an absolute grid of ticks."""

    def __init__(self, plan: BenchPlan, port: int) -> None:
        self._plan = plan
        self._port = port
        self._sound = CallerSound(noise_frames(NOISE_FRAMES), speech_frames(SPEECH_S))
        self.figures = LoadFigures()
        self._selector = selectors.DefaultSelector()
        self._phases: list[list[_Stream]] = [[] for _ in range(PHASES)]
        self._streams: list[_Stream] = []
        self._tick = 0
        self._next_ns = time.monotonic_ns()
        self._window: Window | None = None
        self._sending = True

    def connect_all(self) -> None:
        """Place every call and wait until its agent was heard. Raises OffhookError or OSError."""
        for number in range(self._plan.calls):
            self._connect(number)
            self._run_for(CONNECT_EVERY_NS)
        deadline_ns = time.monotonic_ns() + round(HEARD_WITHIN_S * 1e9)
        while not all(stream.far_end.heard for stream in self._streams):
            if time.monotonic_ns() > deadline_ns:
                raise OffhookError(f"not every agent was heard within {HEARD_WITHIN_S:g} s")
            self._run_for(FRAME_NS)

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
        far_end = FarEnd(number, self._sound, self.figures, interrupts=number < self._plan.interrupting_calls)
        stream = _Stream(far_end, _upgraded(self._port))
        self._selector.register(stream.connection, selectors.EVENT_READ, stream)
        self._streams.append(stream)
        self._phases[number % PHASES].append(stream)
        stream.send(far_end.opening())

    def _run_for(self, duration_ns: int) -> None:
        self._run_until(time.monotonic_ns() + duration_ns)

    def _run_until(self, end_ns: int) -> None:
        while (now_ns := time.monotonic_ns()) < end_ns:
            while self._next_ns <= now_ns:
                self._serve_phase(now_ns)
            wait_s = max(0, self._next_ns - time.monotonic_ns()) / 1e9
            for key, _ in self._selector.select(wait_s):
                self._guarded(key.data)

    def _serve_phase(self, now_ns: int) -> None:
        window = self._window
        if window is not None and window.begin_ns <= now_ns < window.end_ns:
            self.figures.lateness.add(now_ns - self._next_ns)
        if self._sending:
            for stream in list(self._phases[self._tick % PHASES]):
                self._guarded(stream, tick=True)
        self._tick += 1
        self._next_ns += TICK_NS

    def _guarded(self, stream: _Stream, *, tick: bool = False) -> None:
        try:
            if tick:
                stream.send(stream.far_end.tick(time.monotonic_ns()))
            else:
                stream.receive()
            lost = stream.far_end.ended
        except OSError:
            lost = True
        if lost:
            self._lose(stream)

    def _lose(self, stream: _Stream) -> None:
        self.figures.lost_calls += 1
        self._selector.unregister(stream.connection)
        stream.connection.close()
        for phase in self._phases:
            if stream in phase:
                phase.remove(stream)

    def close(self) -> None:
        """Hang all calls up."""
        for stream in self._streams:
            stream.connection.close()
        self._selector.close()


def place_calls(plan: BenchPlan, port: int, orders: Connection) -> None:
    """The process: calls up, then a Window from `orders`, then the figures; ends on any further word."""
    if plan.cores is not None:
        os.sched_setaffinity(0, {plan.cores.load})
    generator = _Generator(plan, port)
    with suppress(EOFError, KeyboardInterrupt):
        try:
            generator.connect_all()
        except (OffhookError, OSError) as error:
            orders.send(Failed(f"the calls could not be placed: {error}"))
            return
        orders.send(CallsUp())
        window = generator.run_while_nothing_comes(orders)
        if isinstance(window, Window):
            generator.measure(window)
            orders.send(Finished(generator.figures))
            generator.run_while_nothing_comes(orders)
    generator.close()


def _upgraded(port: int) -> socket.socket:
    """A connection whose upgrade to the media stream was answered. Raises OffhookError or OSError."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=HANDSHAKE_WITHIN_S)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    protocol = ClientProtocol(parse_uri(f"ws://127.0.0.1:{port}/media"))
    protocol.send_request(protocol.connect())
    connection.sendall(b"".join(protocol.data_to_send()))
    while not protocol.events_received() and protocol.handshake_exc is None:
        data = connection.recv(READ_BYTES)
        if not data:
            raise OffhookError("the server closed the connection instead of upgrading it")
        protocol.receive_data(data)
    if protocol.handshake_exc is not None:
        raise OffhookError(f"the server refused the media stream: {protocol.handshake_exc}")
    connection.setblocking(False)
    return connection
