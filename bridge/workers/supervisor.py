"""Keeps several workers behind one port, and owns nothing of a call.

The port is reserved here, without listening, so that `--port 0` is one port for all and nobody takes it
while a worker is replaced. Workers listen on it themselves (SO_REUSEPORT); the system gives each connection
to one of them. What a worker needs to know goes to it over a pipe, whose end tells it that we are gone.
"""

from __future__ import annotations

__all__ = ["supervise"]

import asyncio
import os
import secrets
import shutil
import signal
import socket
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, suppress
from multiprocessing.connection import Connection
from pathlib import Path

import structlog

from offhook.config.errors import ConfigError, ConfigProblem, OffhookError
from offhook.config.settings import Settings
from offhook.pipeline.clock import Clock, LoopClock

from ..app import DRAIN_S, unreachable
from ..call_store import CallStore, StoreUnavailable
from ..server import FOLLOW_UP_S, GOODBYE_S
from .handle import WorkerHandle
from .place import WorkerPlace
from .process import BEAT_S, Order, Report, TakeUp, WorkerTask
from .sqlite_store import SqliteStore

STEADY_S = 60.0
"""A worker that served for so long had no trouble at its start."""
FIRST_PAUSE_S = 0.5
LONGEST_PAUSE_S = 30.0
SILENT_BEATS = 10
"""A worker whose loop has not turned for so long serves nobody, and is killed."""
LONGEST_FOLDER = 80
"""Bytes; the path of a Unix-domain socket has 104 on macOS, and 108 on Linux."""
ENDED_WITHIN_S = 30.0
"""So long after its own bounds a worker may take to end; then it is killed."""

Entry = Callable[[WorkerTask, Connection], None]

_log = structlog.get_logger("offhook.bridge")


async def supervise(settings: Settings, assistant: Path | None, folder: Path | None, entry: Entry) -> None:
    """Run `settings.workers` processes until SIGTERM or SIGINT, and wait until all have drained.

    `entry` is what a process runs. A second signal ends live calls at once. Raises ConfigError for an address
    that cannot be listened on, and OffhookError with a worker's own words when one cannot start.
    """
    stop, now = asyncio.Event(), asyncio.Event()

    def told_to_stop() -> None:
        (now if stop.is_set() else stop).set()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, told_to_stop)
    with ExitStack() as tidy:
        try:
            port = await _reserve(settings.host, settings.port, tidy)
        except OSError as error:
            raise ConfigError([unreachable(settings, error)]) from error
        private = Path(tempfile.mkdtemp(prefix="offhook-"))
        tidy.callback(shutil.rmtree, private, ignore_errors=True)
        if len(os.fsencode(private)) > LONGEST_FOLDER:
            problem = f"is too long for the sockets of workers, which lie in {private}."
            raise ConfigError([ConfigProblem("environment", "TMPDIR", problem, "Name a shorter folder.")])
        shared = settings.model_copy(update={"port": port})
        crew = _Crew(_WorkerTasks(shared, assistant, folder, private), entry, LoopClock(loop), stop, now)
        await crew.run()
    _log.info("workers.stopped")


class _WorkerTasks:
    """Writes the tasks of all workers: the same settings and secrets, and for each its own address."""

    def __init__(
        self, settings: Settings, assistant: Path | None, folder: Path | None, private: Path
    ) -> None:
        self.settings = settings
        self._assistant = assistant
        self._folder = folder
        self._private = private
        self._secret = secrets.token_urlsafe(32)
        self._token_key = secrets.token_bytes(32)
        self._written = 0

    @property
    def store_file(self) -> Path:
        """The workers' common memory."""
        return self._place(0, "none").store_file

    def write(self, index: int, *, replaces: bool) -> WorkerTask:
        """The task of one more process."""
        self._written += 1
        place = self._place(index, f"{index}-{self._written}.sock")
        return WorkerTask(self.settings, self._assistant, self._folder, place, replaces)

    def _place(self, index: int, name: str) -> WorkerPlace:
        return WorkerPlace(index, str(self._private / name), self._secret, self._token_key)


class _Crew:
    """The workers, each with a task that keeps its place filled."""

    def __init__(
        self, tasks: _WorkerTasks, entry: Entry, clock: Clock, stop: asyncio.Event, now: asyncio.Event
    ) -> None:
        self._tasks = tasks
        self._entry = entry
        self._clock = clock
        self._stop = stop
        self._now = now
        self._workers: dict[int, WorkerHandle] = {}
        self._leaving: set[WorkerHandle] = set()
        """Whose place has another worker, while their last calls go on."""
        self._ready: set[int] = set()

    async def run(self) -> None:
        """Keep every place filled until told to stop; raises OffhookError when one cannot be at first."""
        async with SqliteStore(self._tasks.store_file, self._tasks.settings.max_calls) as store:
            ordering = asyncio.create_task(self._pass_orders_on(), name="orders")
            try:
                async with asyncio.TaskGroup() as places:
                    for index in range(self._tasks.settings.workers):
                        places.create_task(self._fill(index, store, places), name=f"place {index}")
            except ExceptionGroup as failed:
                raise failed.exceptions[0] from None
            finally:
                ordering.cancel()
                await asyncio.wait((ordering,))

    # ---------------------------------------------------------- one place

    async def _fill(self, index: int, store: CallStore, places: asyncio.TaskGroup) -> None:
        """Have a worker in this place, and another one when it dies or leaves, until told to stop."""
        early_deaths = 0
        replaces = False
        while not self._stop.is_set():
            worker = WorkerHandle(self._entry, self._tasks.write(index, replaces=replaces))
            self._workers[index] = worker
            try:
                report = await worker.report()
                served_since = self._clock.now()
                self._note(worker, report, replaces=replaces)
                await self._watch(worker)
            finally:
                if worker.leaving.is_set() and worker.is_alive:
                    self._leaving.add(worker)
                    places.create_task(self._let_go(worker, store), name=f"leaving {worker.pid}")
                else:
                    await self._see_off(worker, store)
            if self._stop.is_set():
                return
            replaces = True
            if worker.leaving.is_set():
                _log.warning("worker.leaving", worker=index, pid=worker.pid, meaning="its last calls may end")
                continue
            steady = report == Report() and self._clock.now() - served_since >= STEADY_S
            early_deaths = 0 if steady else early_deaths + 1
            pause_s = min(FIRST_PAUSE_S * 2 ** (early_deaths - 1), LONGEST_PAUSE_S) if early_deaths else 0.0
            _log.error("worker.died", worker=index, how=worker.how_it_ended, again_in_s=pause_s)
            with suppress(TimeoutError):
                async with asyncio.timeout(pause_s):
                    await self._stop.wait()

    async def _watch(self, worker: WorkerHandle) -> None:
        """Return when it is gone, or leaves; one that hangs is killed.

        Beats are counted by our own, so that a pause of this process blames nobody.
        """
        silent, beats = 0, worker.beats
        gone = asyncio.create_task(worker.wait_gone())
        leaves = asyncio.create_task(worker.leaving.wait())
        try:
            while True:
                done, _ = await asyncio.wait(
                    (gone, leaves), timeout=BEAT_S, return_when=asyncio.FIRST_COMPLETED
                )
                if done:
                    return
                silent = silent + 1 if worker.is_ready and worker.beats == beats else 0
                beats = worker.beats
                if silent >= SILENT_BEATS:
                    _log.error("worker.hangs", worker=worker.task.place.index, for_s=silent * BEAT_S)
                    worker.kill()
        finally:
            gone.cancel()
            leaves.cancel()

    async def _let_go(self, worker: WorkerHandle, store: CallStore) -> None:
        """Wait until the last calls of a worker whose place is taken have ended."""
        try:
            await worker.wait_gone()
        finally:
            self._leaving.discard(worker)
            await self._see_off(worker, store)

    def _note(self, worker: WorkerHandle, report: Report | None, *, replaces: bool) -> None:
        """Say what came of a start; at the first one, whatever went wrong ends everything."""
        index = worker.task.place.index
        if report == Report():
            self._ready.add(index)
            if replaces:
                _log.info("worker.replaced", worker=index, pid=worker.pid)
            elif len(self._ready) == self._tasks.settings.workers:
                _log.info("workers.ready", workers=len(self._ready), port=self._tasks.settings.port)
            return
        problem = report.problem if report is not None else ""
        if replaces:
            _log.error("worker.not_started", worker=index, problem=problem)
        elif not self._stop.is_set():
            raise OffhookError(problem or f"Worker {index} died while it started.")

    async def _see_off(self, worker: WorkerHandle, store: CallStore) -> None:
        """Nothing of a worker that is gone, or has to go because another one failed, stays behind."""
        try:
            if worker.is_alive and worker.is_ready:
                worker.order(Order.END)
                with suppress(TimeoutError):
                    async with asyncio.timeout(GOODBYE_S + FOLLOW_UP_S + GOODBYE_S):
                        await worker.wait_gone()
        finally:
            worker.kill()
            if self._workers.get(worker.task.place.index) is worker:
                del self._workers[worker.task.place.index]
            worker.task.place.remove_socket()
        with suppress(StoreUnavailable):
            await store.abandon(worker.task.place.address)
        for other in self._workers.values():
            if other.is_ready and other.is_alive:
                other.order(TakeUp(worker.task.place.address))
                return

    # -------------------------------------------------------------- orders

    async def _pass_orders_on(self) -> None:
        """Tell all workers what we are told, and kill those that do not end in their time."""
        await self._stop.wait()
        self._order_all(Order.DRAIN)
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAIN_S + GOODBYE_S + FOLLOW_UP_S + ENDED_WITHIN_S):
                await self._now.wait()
        self._order_all(Order.END)
        await asyncio.sleep(GOODBYE_S + FOLLOW_UP_S + ENDED_WITHIN_S)
        for worker in self._everybody():
            _log.error("worker.killed", worker=worker.task.place.index, meaning="it did not end in its time")
            worker.kill()

    def _order_all(self, order: Order) -> None:
        for worker in self._everybody():
            worker.order(order)

    def _everybody(self) -> tuple[WorkerHandle, ...]:
        return (*self._workers.values(), *self._leaving)


async def _reserve(host: str, port: int, tidy: ExitStack) -> int:
    """Bind the port on every address of the host, to be given back by `tidy`; returns it. Raises OSError."""
    addresses = await asyncio.get_running_loop().getaddrinfo(
        host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
    )
    for family, kind, protocol, _, address in dict.fromkeys(addresses):
        # Others may share a port with us, as workers do, so first see that nobody has it.
        with _bound(family, kind, protocol, (address[0], port, *address[2:]), socket.SO_REUSEADDR) as alone:
            port = alone.getsockname()[1]
        shared = (address[0], port, *address[2:])
        tidy.enter_context(_bound(family, kind, protocol, shared, socket.SO_REUSEPORT))
    return port


def _bound(family: int, kind: int, protocol: int, address: tuple[object, ...], option: int) -> socket.socket:
    own = socket.socket(family, kind, protocol)
    try:
        own.setsockopt(socket.SOL_SOCKET, option, 1)
        if family == socket.AF_INET6:
            own.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        own.bind(address)
    except OSError:
        own.close()
        raise
    return own
