"""Where a reply's audio goes: to the speaker, or into a rehearsal while nobody may hear it yet.

A reply that is prepared on speculation writes to a `Rehearsal`. It takes one clause, then its producer
waits. `release` hands everything to the speaker within one callback, so the first frame leaves as the turn
ends, and passes on what follows.
"""

from __future__ import annotations

__all__ = ["Rehearsal", "SpeechSink"]

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

from .ports import WordTiming

KEPT_BYTES = 5 * 8000
"""Five seconds of mu-law: more than is played while the rest of a long clause is made."""


class SpeechSink(Protocol):
    """Takes the audio of a reply, clause by clause; each answer is False once the reply was revoked."""

    def begin_clause(self, reply: int, text: str) -> bool:
        """Say whose words the audio that follows holds."""
        ...

    def append(self, reply: int, audio: bytes, words: Sequence[WordTiming] = ()) -> bool:
        """Take carrier bytes (mu-law, 8 kHz)."""
        ...

    def end_clause(self, reply: int) -> None:
        """The clause begun last has all its audio."""

    def finish(self, reply: int) -> bool:
        """The reply has all its audio; also False if that is none."""
        ...

    async def room(self, reply: int) -> bool:
        """Wait until more audio may be made."""
        ...


class Rehearsal:
    """Keeps one clause of a reply, or what is made of a long one, until it is released; a `SpeechSink`."""

    def __init__(self, stage: SpeechSink) -> None:
        self._stage = stage
        self._kept: list[Callable[[], object]] = []
        self._kept_bytes = 0
        self._clause_done = False
        self._released = asyncio.Event()

    def release(self) -> None:
        """Let everything be heard, now and from now on."""
        if self._released.is_set():
            return
        self._released.set()
        for write in self._kept:
            write()
        self._kept.clear()

    async def released(self) -> None:
        """Wait until the reply may be heard; its task is cancelled if that never comes."""
        await self._released.wait()

    def begin_clause(self, reply: int, text: str) -> bool:
        """Say whose words the audio that follows holds."""
        if self._released.is_set():
            return self._stage.begin_clause(reply, text)
        self._kept.append(partial(self._stage.begin_clause, reply, text))
        return True

    def append(self, reply: int, audio: bytes, words: Sequence[WordTiming] = ()) -> bool:
        """Take carrier bytes of the clause begun last."""
        if self._released.is_set():
            return self._stage.append(reply, audio, words)
        self._kept.append(partial(self._stage.append, reply, audio, words))
        self._kept_bytes += len(audio)
        return True

    def end_clause(self, reply: int) -> None:
        """The clause begun last has all its audio."""
        self._clause_done = True
        if self._released.is_set():
            self._stage.end_clause(reply)
        else:
            self._kept.append(partial(self._stage.end_clause, reply))

    def finish(self, reply: int) -> bool:
        """The reply has all its audio; asked after the release."""
        return self._stage.finish(reply)

    async def room(self, reply: int) -> bool:
        """Wait, after the first clause for the release, then for room at the speaker."""
        if not self._released.is_set():
            if not self._clause_done and self._kept_bytes < KEPT_BYTES:
                return True
            await self._released.wait()
        return await self._stage.room(reply)
