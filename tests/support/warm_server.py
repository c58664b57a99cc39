"""A server for one assistant in this process, and the machine that it runs on."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from offhook.bridge.app import RunningServer, serve_in_process
from offhook.config.settings import Settings


@asynccontextmanager
async def server_of(assistant: Path | None) -> AsyncIterator[RunningServer]:
    """A warm server for this assistant (None: the demo), private to this process."""
    async with serve_in_process(Settings(), assistant) as server:
        yield server


def load_line() -> str:
    """The machine's load, to be printed beside figures."""
    one, five, _ = os.getloadavg()
    return f"load average {one:.2f} (1 min) {five:.2f} (5 min) on {os.cpu_count()} cores"
