"""What one worker process does: serve on the common port until its supervisor says otherwise, or is gone."""

from __future__ import annotations

__all__ = ["BEAT_S", "Order", "Report", "Sign", "TakeUp", "WorkerTask", "run_worker"]

import asyncio
import select
import shutil
import signal
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from multiprocessing.connection import Connection
from pathlib import Path

import structlog

from offhook.config.settings import Settings

from ..app import Membership, drain, serving
from ..server_state import ServerState
from .place import WorkerPlace
from .sqlite_store import SqliteStore
from .taking_up import take_up

BEAT_S = 1.0
"""A worker says so often that its loop turns."""
ORDER_WITHIN_S = 1.0
"""A signal that the supervisor has heard, too, is followed by its order."""

LEFT_LIMIT = 64
"""Workers that died while the calls of another one are taken up, which takes seconds."""

_log = structlog.get_logger("offhook.bridge")


class Order(Enum):
    """What a supervisor tells a worker."""

    DRAIN = "drain"
    """Take no new calls, and let live ones end."""
    END = "end"
    """End live calls now."""


@dataclass(frozen=True, slots=True)
class TakeUp:
    """Another order: go on with the calls that the worker at this address left."""

    address: str


class Sign(Enum):
    """What a worker tells its supervisor while it serves."""

    ALIVE = "alive"
    """Its loop turns."""
    LEAVING = "leaving"
    """Somebody told it alone to stop: it takes no new calls, and lets its live ones end."""


@dataclass(frozen=True, slots=True)
class Report:
    """What a worker tells its supervisor, once."""

    problem: str = ""
    """Why it cannot serve; empty when it does."""


@dataclass(frozen=True, slots=True)
class WorkerTask:
    """All that a worker is told at its start."""

    settings: Settings
    """With the port that all workers share."""
    assistant: Path | None
    folder: Path | None
    """Of the assistants that calls may name."""
    place: WorkerPlace
    replaces: bool
    """Others take calls already, so it listens only when its models are warm."""


async def run_worker(task: WorkerTask, supervisor: Connection) -> None:
    """Serve until told to stop, drain as a single process does, and end.

    A supervisor that is gone counts as an order to drain. So does a signal to this process alone, which then
    leaves the common port to the others. Raises OffhookError for what keeps it from serving.
    """
    stop, now, ordered = asyncio.Event(), asyncio.Event(), asyncio.Event()
    left: asyncio.Queue[str] = asyncio.Queue(LEFT_LIMIT)
    """Workers whose calls are to be taken up; those of more end as their TwiML says."""
    loop = asyncio.get_running_loop()
    # A terminal, or a service manager, sends its signal to every process of the group. The supervisor hears
    # it as well and passes it on, so nothing but its word may count as the second one.
    loop.add_signal_handler(signal.SIGTERM, stop.set)
    orphaned = False

    def listen() -> None:
        nonlocal orphaned
        try:
            order = supervisor.recv()
        except (EOFError, OSError):
            orphaned = True
            loop.remove_reader(supervisor.fileno())
            _log.warning("worker.orphaned", meaning="the supervisor is gone; live calls may end")
            order = Order.DRAIN
        if isinstance(order, TakeUp):
            with suppress(asyncio.QueueFull):
                left.put_nowait(order.address)
            return
        ordered.set()
        stop.set()
        if order is Order.END:
            now.set()

    loop.add_reader(supervisor.fileno(), listen)
    try:
        async with SqliteStore(task.place.store_file, task.settings.max_calls) as store:
            membership = Membership(task.place, store, listen_when_warm=task.replaces)
            async with serving(task.settings, task.assistant, task.folder, membership) as running:
                if not orphaned:
                    supervisor.send(Report())
                beating = asyncio.create_task(_beat(supervisor), name="beats")
                taking_up = asyncio.create_task(_take_up_all(running.server.state, left), name="taking up")
                try:
                    await stop.wait()
                    if not await _comes(ordered, ORDER_WITHIN_S):
                        _tell(supervisor, Sign.LEAVING)
                        await running.server.leave_port()
                    await drain(running.server, now)
                finally:
                    beating.cancel()
                    taking_up.cancel()
                    await asyncio.wait((beating, taking_up))
    finally:
        loop.remove_reader(supervisor.fileno())
    if orphaned:
        await asyncio.to_thread(_tidy_up, task.place)


async def _beat(supervisor: Connection) -> None:
    while True:
        _tell(supervisor, Sign.ALIVE)
        await asyncio.sleep(BEAT_S)


async def _take_up_all(state: ServerState, left: asyncio.Queue[str]) -> None:
    while True:
        await take_up(state, await left.get())


async def _comes(event: asyncio.Event, within_s: float) -> bool:
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await event.wait()
    return event.is_set()


def _tell(supervisor: Connection, sign: Sign) -> None:
    """Say it, unless the supervisor is gone, or reads nothing: a full pipe must not hold up the loop."""
    with suppress(OSError, ValueError):
        if select.select((), (supervisor,), (), 0)[1]:
            supervisor.send(sign)


def _tidy_up(place: WorkerPlace) -> None:
    """The last worker of a supervisor that was killed removes what that left behind."""
    place.remove_socket()
    if not any(place.folder.glob("*.sock")):
        shutil.rmtree(place.folder, ignore_errors=True)
