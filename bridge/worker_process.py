"""What one worker process does: serve on the common port until its supervisor says otherwise, or is gone."""

from __future__ import annotations

__all__ = ["Order", "Report", "WorkerTask", "run_worker"]

import asyncio
import shutil
import signal
from dataclasses import dataclass
from enum import Enum
from multiprocessing.connection import Connection
from pathlib import Path

import structlog

from offhook.config.settings import Settings

from .app import Membership, drain, serving
from .sqlite_store import SqliteStore
from .worker_place import WorkerPlace

_log = structlog.get_logger("offhook.bridge")


class Order(Enum):
    """What a supervisor tells a worker."""

    DRAIN = "drain"
    """Take no new calls, and let live ones end."""
    END = "end"
    """End live calls now."""


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

    A supervisor that is gone counts as an order to drain. Raises OffhookError for what keeps it from serving.
    """
    stop, now = asyncio.Event(), asyncio.Event()
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
                await stop.wait()
                await drain(running.server, now)
    finally:
        loop.remove_reader(supervisor.fileno())
    if orphaned:
        await asyncio.to_thread(_tidy_up, task.place)


def _tidy_up(place: WorkerPlace) -> None:
    """The last worker of a supervisor that was killed removes what that left behind."""
    place.remove_socket()
    if not any(place.folder.glob("*.sock")):
        shutil.rmtree(place.folder, ignore_errors=True)
