"""A process of `offhook serve --workers N`; no command of its own."""

from __future__ import annotations

__all__ = ["work"]

import asyncio
import contextlib
import signal
import sys
from multiprocessing.connection import Connection
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from offhook.bridge.workers.process import WorkerTask


def work(task: WorkerTask, supervisor: Connection) -> None:
    """Be a worker until told to stop; what keeps it from serving is the supervisor's to print."""
    import structlog

    from offhook.bridge.workers.process import Report, run_worker
    from offhook.config.errors import OffhookError

    from .event_loop import loop_factory
    from .logs import configure_logs

    signal.signal(signal.SIGINT, signal.SIG_IGN)
    configure_logs()
    structlog.contextvars.bind_contextvars(worker=task.place.index)
    try:
        with asyncio.Runner(loop_factory=loop_factory()) as runner:
            runner.run(run_worker(task, supervisor))
    except (OffhookError, OSError) as error:
        with contextlib.suppress(OSError):
            supervisor.send(Report(str(error)))
        sys.exit(2)
