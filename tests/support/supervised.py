"""A supervisor and its workers, as processes of their own, with what they log."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any


class House:
    """A supervisor in a process of its own, and what it and its workers log."""

    def __init__(self, process: asyncio.subprocess.Process, temporary: Path) -> None:
        self.process = process
        self.temporary = temporary
        self.lines: list[dict[str, Any]] = []
        self.other: list[str] = []
        self._reading = asyncio.create_task(self._read())
        self._news = asyncio.Event()

    async def _read(self) -> None:
        assert self.process.stderr is not None
        async for line in self.process.stderr:
            with suppress(ValueError):
                self.lines.append(json.loads(line))
                self._news.set()
                continue
            self.other.append(line.decode())

    async def log(self, event: str, count: int = 1) -> dict[str, Any]:
        """Wait for the event to be logged so often; gives the last one."""
        async with asyncio.timeout(45):
            while len(found := [line for line in self.lines if line["event"] == event]) < count:
                self._news.clear()
                await self._news.wait()
        return found[-1]

    async def port(self) -> int:
        return int((await self.log("workers.ready"))["port"])

    def pids(self) -> list[int]:
        """The workers' process ids."""
        found = []
        for status in Path("/proc").glob("[0-9]*/stat"):
            with suppress(OSError, IndexError):
                fields = status.read_text().rpartition(")")[2].split()
                command = (status.parent / "cmdline").read_bytes()
                if int(fields[1]) == self.process.pid and b"spawn_main" in command:
                    found.append(int(status.parent.name))
        return found

    async def ended(self) -> int:
        """Wait for its end, and give its exit status."""
        async with asyncio.timeout(20):
            code = await self.process.wait()
            await self._reading
        return code


@asynccontextmanager
async def supervised(*command: str, ready: bool = True) -> AsyncIterator[House]:
    """Run a command that starts workers, in a session of its own; all of it is killed in the end."""
    with tempfile.TemporaryDirectory() as temporary:
        process = await asyncio.create_subprocess_exec(
            *command,
            stderr=asyncio.subprocess.PIPE,
            env=os.environ | {"TMPDIR": temporary},
            start_new_session=True,
        )
        made = House(process, Path(temporary))
        try:
            if ready:
                await made.log("workers.ready")
            yield made
        finally:
            for pid in left_of(made):
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            await made.ended()


def free_port() -> int:
    """A port that nobody has at the moment."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return int(listening.getsockname()[1])


async def nobody_left(place: House) -> None:
    """Wait until nothing runs any more, in whatever session, that the command or its children started."""
    async with asyncio.timeout(20):
        while left_of(place):  # noqa: ASYNC110  processes of others
            await asyncio.sleep(0.05)


def left_of(place: House) -> list[int]:
    """The processes that inherited the command's environment."""
    mark = f"TMPDIR={place.temporary}".encode()
    found = []
    for environ in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            if mark in environ.read_bytes().split(b"\0"):
                found.append(int(environ.parent.name))
    return found
