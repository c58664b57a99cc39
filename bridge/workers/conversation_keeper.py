"""Writes what a live call would need to go on elsewhere into the workers' store, as it changes.

Never on the way of the audio: an event of the call only wakes the task, which writes the newest state.
"""

from __future__ import annotations

__all__ = ["ConversationKeeper"]

import asyncio
from collections.abc import Callable

import structlog

from offhook.pipeline.conversation import Conversation
from offhook.pipeline.log_fields import failure_fields
from offhook.pipeline.ports import CallEvent

from ..call_store import CallStore, Claim, StoreUnavailable

WORTH_KEEPING = frozenset(
    {
        "turn.ended",
        "reply.started",
        "reply.ended",
        "audio.cancelled",
        "function-call",
        "function-result",
        "recording.ordered",
    }
)
"""After these the conversation is another one."""

_log = structlog.get_logger("offhook.bridge")


class ConversationKeeper:
    """Keeps one call's conversation while `run` runs."""

    def __init__(
        self,
        store: CallStore,
        claim: Claim,
        assistant: str | None,
        asked_after: bool,
        conversation: Callable[[], Conversation],
        failed: Callable[[StoreUnavailable], None],
    ) -> None:
        """`asked_after`: the carrier will ask what follows the call.

        `failed` is told when the store did not take it; the next change is tried again.
        """
        self._store, self._claim = store, claim
        self._about = {"assistant": assistant, "asked_after": asked_after}
        self._conversation, self._failed = conversation, failed
        self._changed = asyncio.Event()
        self._changed.set()

    def observe(self, event: CallEvent) -> None:
        """Look at an event of the call."""
        if event.type in WORTH_KEEPING:
            self._changed.set()

    async def run(self) -> None:
        """Write, until cancelled. At once: a tool that the store has not heard of would be run again."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                kept = {**self._about, **self._conversation().to_plain()}
                await self._store.keep(self._claim, kept)
            except StoreUnavailable as error:
                self._failed(error)
            except Exception as error:
                _log.error("call.not-kept", **failure_fields(error, log_words=False))
