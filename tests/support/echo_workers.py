"""Real worker processes whose calls are echoes: no model is loaded, so they start in a moment.

Run as `python echo_workers.py WORKERS PORT`. What they log goes to standard error, as JSON lines.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from multiprocessing.connection import Connection
from pathlib import Path

from bridge_rig import EchoFactory, settings

from offhook.bridge.app import Membership, RunningServer
from offhook.bridge.server import Server
from offhook.bridge.workers import process as worker_process
from offhook.bridge.workers.process import WorkerTask
from offhook.bridge.workers.supervisor import supervise
from offhook.cli.logs import configure_logs
from offhook.cli.worker import work
from offhook.config.errors import ConfigError, ConfigProblem
from offhook.config.settings import Settings
from offhook.pipeline.clock import LoopClock


@asynccontextmanager
async def serving_echoes(
    settings: Settings, assistant: Path | None, folder: Path | None, membership: Membership
) -> AsyncIterator[RunningServer]:
    """Stands in for `serving`; the "assistants" are the ways in which a worker fails to start."""
    if assistant == Path("refused"):
        raise ConfigError([ConfigProblem("a.yaml", "name", "is not set.")])
    if assistant == Path("crash"):
        os.abort()
    clock = LoopClock(asyncio.get_running_loop())
    server = Server(settings, EchoFactory(), clock, store=membership.store, place=membership.place)
    port = await server.start(settings.host, settings.port)
    try:
        yield RunningServer(server, settings.host, port)
    finally:
        await server.stop()


def work_with_echoes(task: WorkerTask, supervisor: Connection) -> None:
    """A worker's entry."""
    vars(worker_process)["serving"] = serving_echoes
    work(task, supervisor)


if __name__ == "__main__":
    configure_logs()
    chosen = settings(workers=int(sys.argv[1]), port=int(sys.argv[2]), max_calls=4)
    asyncio.run(supervise(chosen, Path(sys.argv[3]) if sys.argv[3:] else None, None, work_with_echoes))
