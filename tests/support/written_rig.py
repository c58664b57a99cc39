"""Conversations in writing on virtual time: texts that are posted, and a session without a call."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from call_rig import EventList, assistant_from
from fake_engines import Answerer, ScriptedModel, WritingParts

from offhook.config.assistant import Assistant
from offhook.pipeline.clock import LoopClock
from offhook.pipeline.correspondence import WrittenAnswer, WrittenTurn
from offhook.pipeline.line_up import alone
from offhook.pipeline.text_session import TextSession


class Post:
    """Texts on their way, and what came back."""

    def __init__(self) -> None:
        self.answers: list[WrittenAnswer] = []

    def turn(self, text: str, *, aloud: bool = False) -> WrittenTurn:
        return WrittenTurn(text, self.answers.append, aloud)

    async def came(self, number: int = 1, within_s: float = 30.0) -> list[str]:
        async with asyncio.timeout(within_s):
            while len(self.answers) < number:  # noqa: ASYNC110 - time is virtual
                await asyncio.sleep(0.01)
        return [answer.text for answer in self.answers]


@asynccontextmanager
async def text_session(
    answerer: Answerer, assistant: Assistant | None = None
) -> AsyncIterator[tuple[TextSession, EventList]]:
    """Hold a conversation in writing until the block ends; it must leave no task behind."""
    clock, log = LoopClock(asyncio.get_running_loop()), EventList()
    before = asyncio.all_tasks()
    held = TextSession(
        assistant=assistant or assistant_from(),
        variables={"name": "Mr Hu"},
        engines=WritingParts(alone(ScriptedModel(answerer), clock)),
        events=log,
        clock=clock,
        session_id="chat-1",
    )
    task = asyncio.create_task(held.run())
    await asyncio.sleep(0)
    try:
        yield held, log
    finally:
        held.end("test over")
        await task
    assert asyncio.all_tasks() == before, "the conversation left tasks behind"
