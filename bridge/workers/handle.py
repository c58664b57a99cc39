"""A worker process, as its supervisor holds it."""

from __future__ import annotations

__all__ = ["WorkerHandle"]

import asyncio
import multiprocessing
import signal
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection

from .process import Order, Report, Sign, TakeUp, WorkerTask

JOINED_WITHIN_S = 5.0


class WorkerHandle:
    """Starts a process for a task; says when it is ready, and when it is gone."""

    def __init__(self, entry: Callable[[WorkerTask, Connection], None], task: WorkerTask) -> None:
        """`entry` must be picklable; secrets go to it over a pipe, and are on no command line."""
        self.task = task
        # Spawned, not forked: a fork would carry the supervisor's sockets and threads along.
        context = multiprocessing.get_context("spawn")
        self._control, theirs = context.Pipe()
        self._process = context.Process(target=entry, args=(task, theirs), name=f"worker {task.place.index}")
        # Ctrl-C goes to every process of a terminal; until the child can ignore it, it must not see it.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            self._process.start()
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
            theirs.close()
        loop = self._loop = asyncio.get_running_loop()
        self._report: asyncio.Future[Report | None] = loop.create_future()
        self._gone = asyncio.Event()
        self.beats = 0
        """How often it has said that its loop turns."""
        self.leaving = asyncio.Event()
        """It was told by somebody else to stop, and its place is free."""
        loop.add_reader(self._control.fileno(), self._take_word)
        loop.add_reader(self._process.sentinel, self._note_end)

    @property
    def pid(self) -> int | None:
        """Its process id."""
        return self._process.pid

    @property
    def is_alive(self) -> bool:
        """It has not ended."""
        return not self._gone.is_set()

    @property
    def is_ready(self) -> bool:
        """It has said that it takes calls."""
        return self._report.done() and self._report.result() == Report()

    @property
    def how_it_ended(self) -> str:
        """Its exit status, or the signal that ended it."""
        code = self._process.exitcode
        if code is None or code >= 0:
            return f"exit {code}"
        with suppress(ValueError):
            return signal.Signals(-code).name
        return f"signal {-code}"

    async def report(self) -> Report | None:
        """What it says of its start; None when it died before it could."""
        return await asyncio.shield(self._report)

    async def wait_gone(self) -> None:
        """Return when the process has ended."""
        await self._gone.wait()

    def order(self, order: Order | TakeUp) -> None:
        """Tell it something; one that is gone needs nothing."""
        with suppress(OSError):
            self._control.send(order)

    def kill(self) -> None:
        """End it at once, if it still runs, and give back what it took here."""
        if self.is_alive:
            self._process.kill()
            self._process.join(JOINED_WITHIN_S)
            self._note_end()
        if not self._control.closed:
            self._loop.remove_reader(self._control.fileno())
            self._control.close()

    def _take_word(self) -> None:
        word: Report | Sign | None = None
        try:
            word = self._control.recv()
        except (EOFError, OSError):
            self._loop.remove_reader(self._control.fileno())
        if word is Sign.ALIVE:
            self.beats += 1
        elif word is Sign.LEAVING:
            self.leaving.set()
        elif not self._report.done():
            self._report.set_result(word)

    def _note_end(self) -> None:
        if self._gone.is_set():
            return
        self._loop.remove_reader(self._process.sentinel)
        # It has let go of its pipes and is as good as gone, so this waits for next to nothing.
        self._process.join(JOINED_WITHIN_S)
        self._gone.set()
        # Its last word may still be in the pipe, and it goes first.
        self._loop.call_soon(self._report_nothing)

    def _report_nothing(self) -> None:
        if not self._report.done():
            if not self._control.closed and self._control.poll():
                self._take_word()
            else:
                self._report.set_result(None)
