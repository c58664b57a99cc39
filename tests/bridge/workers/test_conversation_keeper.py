"""What another worker would need is written whenever it has changed, and at no other time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest

from offhook.bridge.call_store import CallStore, Claim, StoreUnavailable
from offhook.bridge.workers.conversation_keeper import ConversationKeeper
from offhook.pipeline.conversation import Conversation, RecordingSoFar
from offhook.pipeline.ports import CallEvent


class Shelf:
    """Stands for the workers' store."""

    def __init__(self) -> None:
        self.kept: list[Mapping[str, Any]] = []
        self.fails = False
        self.failures: list[StoreUnavailable] = []

    async def keep(self, claim: Claim, kept: Mapping[str, Any]) -> None:
        if self.fails:
            raise StoreUnavailable("the disk is full")
        self.kept.append(kept)


class Talk:
    """A call, as its keeper sees it."""

    def __init__(self) -> None:
        self.conversation = Conversation()
        self.shelf = Shelf()
        self.keeper = ConversationKeeper(
            cast(CallStore, self.shelf),
            cast(Claim, None),
            "desk",
            True,
            lambda: self.conversation,
            self.shelf.failures.append,
        )

    async def happens(self, kind: str) -> None:
        self.keeper.observe(CallEvent(kind, 0, {}))
        await asyncio.sleep(0.1)


@asynccontextmanager
async def kept_talk() -> AsyncIterator[Talk]:
    talk = Talk()
    task = asyncio.create_task(talk.keeper.run())
    try:
        await asyncio.sleep(0.1)
        yield talk
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_it_is_written_at_once_with_what_it_is_asked_by() -> None:
    async with kept_talk() as talk:
        (kept,) = talk.shelf.kept
    assert kept == {"assistant": "desk", "asked_after": True, **Conversation().to_plain()}


@pytest.mark.parametrize("kind", ["turn.ended", "reply.ended", "function-call", "recording.ordered"])
async def test_what_changes_the_conversation_is_written(kind: str) -> None:
    async with kept_talk() as talk:
        talk.conversation = Conversation(recording=RecordingSoFar(paused_by=("order",)))
        await talk.happens(kind)
        assert Conversation.from_plain(talk.shelf.kept[-1]) == talk.conversation
        assert len(talk.shelf.kept) == 2


async def test_what_changes_nothing_is_not_written() -> None:
    async with kept_talk() as talk:
        await talk.happens("transcript.partial")
        assert len(talk.shelf.kept) == 1


async def test_a_store_that_fails_is_told_of_and_tried_again_at_the_next_change() -> None:
    async with kept_talk() as talk:
        talk.shelf.fails = True
        await talk.happens("turn.ended")
        assert len(talk.shelf.failures) == 1
        talk.shelf.fails = False
        await talk.happens("turn.ended")
        assert len(talk.shelf.kept) == 2
