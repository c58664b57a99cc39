"""Messages that could not be delivered, kept until somebody has them posted again.

They hold what callers said: the file is its owner's alone. A call hands them over as they are; they are
printed and written in a thread.
"""

from __future__ import annotations

__all__ = ["DeadLetters"]

import asyncio
import os
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import structlog

from offhook.pipeline.log_fields import failure_fields
from offhook.pipeline.ports import Workers
from offhook.pipeline.providers.web.javascript_json import javascript_json

from .dead_letter_file import append_lines
from .outbox import HELD_LIMIT, Letter
from .posting import envelope

WAITING_LIMIT = 2 * HELD_LIMIT
"""More than all receivers' letters together, so that a stop loses none of them."""
LINES_AT_ONCE = 1_000
CLOSE_S = 10.0
"""A disk that takes longer at the end is not waited for."""

_log = structlog.get_logger("offhook.bridge")


class _Burial(NamedTuple):
    call_sid: str
    url: str
    why: str
    letter: Letter


class DeadLetters:
    """Appends to the file in a thread; without a file messages are counted and lost, and the log says so."""

    def __init__(self, file: Path | None, workers: Workers, counters: Counter[str]) -> None:
        """Messages that no file took are counted as `lost`."""
        self._file, self._workers, self._counters = file, workers, counters
        self._waiting: deque[_Burial] = deque()
        self._writer: asyncio.Task[None] | None = None
        self._told: set[str] = set()

    def bury(self, call_sid: str, url: str, why: str, letters: Iterable[Letter]) -> None:
        """Keep messages; never waits."""
        for letter in letters:
            if self._file is None:
                self._lose("no folder to keep it in; set OFFHOOK_DATA_FOLDER")
            elif len(self._waiting) >= WAITING_LIMIT:
                self._lose("the disk does not keep up")
            else:
                self._waiting.append(_Burial(call_sid, url, why, letter))
        if self._file is not None and self._waiting and self._writer is None:
            self._writer = asyncio.create_task(self._write(self._file), name="dead letters")

    async def close(self) -> None:
        """Write what waits, within 10 s."""
        if self._writer is None:
            return
        _, late = await asyncio.wait((self._writer,), timeout=CLOSE_S)
        for task in late:
            task.cancel()
            await asyncio.wait((task,))
            self._lose("the disk does not keep up", len(self._waiting))

    async def _write(self, file: Path) -> None:
        try:
            while self._waiting:
                some = [self._waiting.popleft() for _ in range(min(LINES_AT_ONCE, len(self._waiting)))]
                try:
                    await self._workers.in_thread(append_lines, file, await self._printed(some))
                except OSError as error:
                    self._lose(os.strerror(error.errno or 0), len(some))
        finally:
            self._writer = None

    async def _printed(self, burials: Sequence[_Burial]) -> bytes:
        lines = await self._workers.in_thread(_lines, burials)
        if lost := len(burials) - len(lines):
            self._lose("it cannot be printed", lost)
        return b"".join(lines)

    def _lose(self, why: str, count: int = 1) -> None:
        self._counters["lost"] += count
        if why not in self._told:
            self._told.add(why)
            _log.error("webhook.lost", why=why)


def _lines(burials: Sequence[_Burial]) -> list[bytes]:
    """Print each that can be; runs in a thread."""
    lines = []
    for call_sid, url, why, letter in burials:
        kept = {
            "call_sid": call_sid,
            "url": url,
            "id": letter.id,
            "why": why,
            "body": envelope(letter.message),
        }
        try:
            lines.append(javascript_json(kept) + b"\n")
        except (TypeError, ValueError, RecursionError) as error:
            _log.error("webhook.not-printed", **failure_fields(error, log_words=False))
    return lines
