"""Conversations that are held in writing, until they end or a call goes on with them.

They live in this process: for half an hour after their last text, and a thousand at most.
"""

from __future__ import annotations

__all__ = ["IDLE_S", "SESSION_LIMIT", "TextEntry", "TextSessions"]

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from offhook.config.errors import Refused
from offhook.pipeline.clock import Clock, Timer
from offhook.pipeline.correspondence import WrittenTurn
from offhook.pipeline.text_session import TextSession

from .call_log import CallLog
from .live_call import CallFactory

SESSION_LIMIT = 1_000
IDLE_S = 1_800.0
CLOSE_WITHIN_S = 5.0


@dataclass(slots=True, eq=False)
class TextEntry:
    """One conversation in writing."""

    session_id: str
    assistant: str | None
    """The name that was asked for; None for the default."""
    started_at: float
    """Unix seconds."""
    log: CallLog
    session: TextSession
    task: asyncio.Task[None] | None = None
    idle: Timer | None = None

    def record(self, *, with_events: bool = False) -> dict[str, Any]:
        """The conversation as JSON values, in the form of a call's."""
        record = {
            "id": self.session_id,
            "status": "text",
            "assistant": self.assistant,
            "started_at": self.started_at,
            "outcome": None,
        }
        return record | self.log.record() if with_events else record


class TextSessions:
    """The written conversations of this process."""

    def __init__(self, factory: CallFactory, clock: Clock, wall_time: Callable[[], float]) -> None:
        self._factory, self._clock, self._wall_time = factory, clock, wall_time
        self._entries: dict[str, TextEntry] = {}
        self._calls: OrderedDict[str, str] = OrderedDict()
        """The calls that went on with sessions, by session."""

    def get(self, session_id: str) -> TextEntry | None:
        """Find a conversation that goes on in writing."""
        return self._entries.get(session_id)

    def all(self) -> tuple[TextEntry, ...]:
        """Those that go on, newest first."""
        return tuple(reversed(self._entries.values()))

    def call_of(self, session_id: str) -> str:
        """Give the call that went on with this conversation; else the name itself."""
        return self._calls.get(session_id, session_id)

    def begin(self, session_id: str, assistant: str | None, variables: Mapping[str, str]) -> TextEntry:
        """Begin a conversation.

        Raises Refused for one too many, an assistant that is not there or whose engines are not ready, and
        ConfigError for one that cannot be used.
        """
        if len(self._entries) >= SESSION_LIMIT:
            raise Refused("too_many_sessions", 503)
        log = CallLog()
        session = self._factory.create_text_session(
            session_id=session_id, assistant=assistant, variables=variables, log=log
        )
        entry = TextEntry(session_id, assistant, self._wall_time(), log, session)
        self._entries[session_id] = entry
        entry.task = asyncio.create_task(self._hold(entry), name=f"text session {session_id}")
        self._stay(entry)
        return entry

    def write(self, entry: TextEntry, turn: WrittenTurn) -> None:
        """Have a text answered, which keeps the conversation for another half an hour."""
        self._stay(entry)
        entry.session.write(turn)

    def end(self, entry: TextEntry, reason: str) -> None:
        """End a conversation, and forget it."""
        if self._entries.get(entry.session_id) is entry:
            del self._entries[entry.session_id]
        if entry.idle is not None:
            entry.idle.cancel()
        entry.session.end(reason)

    def became_call(self, entry: TextEntry, call_sid: str) -> None:
        """A call goes on with it: whoever asks for the conversation is given the call."""
        self.end(entry, "a call goes on with it")
        if entry.session_id != call_sid:
            self._calls[entry.session_id] = call_sid
            while len(self._calls) > SESSION_LIMIT:
                self._calls.popitem(last=False)

    async def close(self) -> None:
        """End all of them; returns when nothing of them is left."""
        entries = tuple(self._entries.values())
        for entry in entries:
            self.end(entry, "shutdown")
        if tasks := [entry.task for entry in entries if entry.task is not None]:
            await asyncio.wait(tasks, timeout=CLOSE_WITHIN_S)

    def _stay(self, entry: TextEntry) -> None:
        if entry.idle is not None:
            entry.idle.cancel()
        entry.idle = self._clock.call_at(self._clock.now() + IDLE_S, lambda: self.end(entry, "idle"))

    async def _hold(self, entry: TextEntry) -> None:
        try:
            await entry.session.run()
        finally:
            self.end(entry, "cancelled")
            entry.log.close()
