"""Messages that could not be delivered, kept in a file until somebody has them posted again.

They hold what callers said: the file is its owner's alone. One line of JSON is one message, in the order
in which each call's came.
"""

from __future__ import annotations

__all__ = ["DeadLetter", "DeadLetters", "read_dead_letters"]

import asyncio
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import structlog

from offhook.pipeline.ports import Workers

LARGEST_FILE_BYTES = 100_000_000
"""A file that is larger takes no further message."""
WAITING_LIMIT = 20_000

_log = structlog.get_logger("offhook.bridge")


class DeadLetter(msgspec.Struct, frozen=True):
    """One message that was not delivered."""

    call_sid: str
    url: str
    id: str
    why: str
    body: Mapping[str, Any]


class DeadLetters:
    """Appends to the file in a thread; without a file messages are counted and lost, and the log says so."""

    def __init__(self, file: Path | None, workers: Workers) -> None:
        self._file, self._workers = file, workers
        self._waiting: deque[bytes] = deque()
        self._writer: asyncio.Task[None] | None = None
        self._told = False
        self.lost = 0
        """Messages that no file took."""

    def bury(self, call_sid: str, url: str, letter_id: str, why: str, body: Mapping[str, Any]) -> None:
        """Keep a message; never waits."""
        if self._file is None or len(self._waiting) >= WAITING_LIMIT:
            self._lose("no folder to keep it in; set OFFHOOK_DATA_FOLDER")
            return
        self._waiting.append(msgspec.json.encode(DeadLetter(call_sid, url, letter_id, why, body)) + b"\n")
        if self._writer is None:
            self._writer = asyncio.create_task(self._write(self._file), name="dead letters")

    async def close(self) -> None:
        """Write what waits."""
        if self._writer is not None:
            await asyncio.wait((self._writer,))

    async def _write(self, file: Path) -> None:
        try:
            while self._waiting:
                lines = b"".join(self._waiting)
                count = len(self._waiting)
                self._waiting.clear()
                try:
                    await self._workers.in_thread(_append, file, lines)
                except OSError as error:
                    self._lose(os.strerror(error.errno or 0), count)
        finally:
            self._writer = None

    def _lose(self, why: str, count: int = 1) -> None:
        self.lost += count
        if not self._told:
            self._told = True
            _log.error("webhook.lost", why=why)


def _append(file: Path, lines: bytes) -> None:
    """Raises OSError, also for a file that is full."""
    file.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        if os.fstat(descriptor).st_size > LARGEST_FILE_BYTES:
            raise OSError(27, "the file of dead letters is full")
        # One write: workers that share the file do not mix their lines (POSIX, O_APPEND).
        os.write(descriptor, lines)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read_dead_letters(file: Path, broken: Callable[[int], None]) -> Iterator[DeadLetter]:
    """Yield the messages of a file in order; the number of a line that is none is told to `broken`.

    Raises OSError.
    """
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                yield msgspec.json.decode(line, type=DeadLetter)
            except (msgspec.ValidationError, msgspec.DecodeError):
                broken(number)
