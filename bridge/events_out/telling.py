"""Who is told of which call: the assistant's own server, else the one that the settings name."""

from __future__ import annotations

__all__ = ["DEAD_LETTERS", "telling"]

import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from offhook.config.assistant import Assistant
from offhook.config.server import Server
from offhook.config.settings import Settings
from offhook.pipeline.clock import Clock
from offhook.pipeline.ports import Workers
from offhook.pipeline.providers.web.web_client import WebClient

from ..call_factory import Announce
from ..call_log import CallLog
from .call_story import CallStory
from .courier import Courier, Receiver
from .dead_letters import DeadLetters
from .messages import CallFacts, Number

DEAD_LETTERS = "webhooks.jsonl"
"""The file's name in the data folder."""


@asynccontextmanager
async def telling(
    settings: Settings,
    clock: Clock,
    workers: Workers,
    counters: Counter[str],
    *,
    wall_time: Callable[[], float] = time.time,
) -> AsyncIterator[Announce]:
    """Give what is told of every new call; on leaving, what waits is posted, or kept.

    `counters` are those of `Courier` and `DeadLetters`.
    """
    client = WebClient()
    folder = settings.data_folder
    file = None if folder is None else folder / DEAD_LETTERS
    courier = Courier(
        clock=clock,
        workers=workers,
        exchange=client.exchange,
        dead_letters=DeadLetters(file, workers, counters),
        counters=counters,
        wall_time=wall_time,
    )
    default = None
    if settings.webhook_url is not None:
        default = Server(url=settings.webhook_url, secret=settings.webhook_secret)

    def announce(assistant: Assistant, call_sid: str, variables: Mapping[str, str], log: CallLog) -> None:
        server = assistant.server or default
        if server is None:
            return
        facts = CallFacts(
            call_sid,
            assistant.name,
            Number(variables.get("from", "")),
            Number(variables.get("to", "")),
        )
        story = CallStory(facts, round(wall_time() * 1000), assistant.prices)
        log.also_tell(courier.follow(Receiver(server, call_sid), story))

    try:
        yield announce
    finally:
        await courier.close()
        await client.close()
