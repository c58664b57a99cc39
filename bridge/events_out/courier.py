"""Posts what is told of calls: one task for each call and receiver, none of them on the audio's way.

A call only appends to a queue in memory. The receiver's answers are bounded in size and time, whatever it
is that answers.
"""

from __future__ import annotations

__all__ = ["Courier", "Receiver"]

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import msgspec
import structlog

from offhook.config.server import Server
from offhook.pipeline.clock import Clock
from offhook.pipeline.log_fields import failure_fields
from offhook.pipeline.ports import CallEvent
from offhook.pipeline.providers.web.web_client import Exchange

from .call_story import CallStory
from .dead_letters import DeadLetters
from .messages import Envelope, Message
from .outbox import Letter, Outbox
from .posting import post

FLUSH_S = 3.0
"""At the end so long is what waits still posted."""
BOXES_LIMIT = 2_000
"""Calls whose messages wait at a time; beyond, the oldest one's are dead."""
_TRY_AGAIN = frozenset({408, 409, 425, 429})

_log = structlog.get_logger("offhook.bridge")


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where to, and signed with what."""

    server: Server
    call_sid: str


@dataclass(slots=True)
class _Box:
    receiver: Receiver
    outbox: Outbox
    news: asyncio.Event = field(default_factory=asyncio.Event)
    over: bool = False
    task: asyncio.Task[None] | None = None


class Courier:
    """Owns all boxes; `follow` gives what a call's log is told to, `close` ends everything."""

    def __init__(
        self,
        *,
        clock: Clock,
        exchange: Exchange,
        dead_letters: DeadLetters,
        wall_time: Callable[[], float] = time.time,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """`wall_time` is Unix time in seconds."""
        self._clock, self._exchange, self._dead = clock, exchange, dead_letters
        self._wall_time, self._jitter = wall_time, jitter
        self._boxes: dict[int, _Box] = {}
        self._numbers = 0
        self._closed = False
        self.counters: Counter[str] = Counter()
        """`delivered`, `failed` (attempts), `refused` and `dead` (messages)."""

    def follow(self, receiver: Receiver, story: CallStory) -> Callable[[CallEvent], None]:
        """Give what takes a call's events; it never waits and never raises."""
        box = _Box(receiver, Outbox(self._jitter))

        def observe(event: CallEvent) -> None:
            try:
                for message in story.tell(event):
                    self._post(box, message)
                if event.type == "call.ended":
                    box.over = True
                    box.news.set()
            except Exception as error:
                _log.error("webhook.not-told", **failure_fields(error, log_words=False))

        return observe

    async def close(self) -> None:
        """Post what waits, for 3 s at most; the rest goes to the dead letters."""
        self._closed = True
        boxes = list(self._boxes.values())
        for box in boxes:
            box.over = True
            box.news.set()
        tasks = [box.task for box in boxes if box.task is not None]
        if tasks:
            await asyncio.wait(tasks, timeout=FLUSH_S)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for box in boxes:
            self._bury(box, box.outbox.give_up("the server was stopped"))
        await self._dead.close()

    # ---------------------------------------------------------------- posting

    def _post(self, box: _Box, message: Message) -> None:
        dead = box.outbox.add(Letter(message))
        if dead:
            self._bury(box, dead)
            return
        if self._closed:
            self._bury(box, box.outbox.give_up("the server was stopped"))
            return
        box.news.set()
        if box.task is None:
            self._start(box)

    def _start(self, box: _Box) -> None:
        if len(self._boxes) >= BOXES_LIMIT:
            oldest = next(iter(self._boxes.values()))
            self._bury(oldest, oldest.outbox.give_up("too many calls waited"))
            oldest.over = True
            oldest.news.set()
        self._numbers += 1
        number = self._numbers
        self._boxes[number] = box
        box.task = asyncio.create_task(self._run(number, box), name="webhooks")

    async def _run(self, number: int, box: _Box) -> None:
        try:
            while True:
                letter = box.outbox.head
                if letter is None:
                    if box.over:
                        return
                    box.news.clear()
                    await box.news.wait()
                    continue
                await self._clock.sleep_until(box.outbox.due_at)
                if box.outbox.head is letter:
                    await self._attempt(box, letter)
        finally:
            self._boxes.pop(number, None)
            box.task = None

    async def _attempt(self, box: _Box, letter: Letter) -> None:
        server, now_s = box.receiver.server, int(self._wall_time())
        attempt = await post(self._exchange, server, letter.id, _envelope(letter), now_s)
        if box.outbox.head is not letter:
            return
        if attempt.taken:
            self.counters["delivered"] += 1
            box.outbox.delivered()
            return
        self._log_failure(box, letter, attempt.why)
        if 300 <= attempt.status < 500 and attempt.status not in _TRY_AGAIN:
            self.counters["refused"] += 1
            self._bury(box, [box.outbox.refused()], attempt.why)
        else:
            self.counters["failed"] += 1
            self._bury(box, box.outbox.failed(self._clock.now(), attempt.retry_after_s))

    def _log_failure(self, box: _Box, letter: Letter, why: str) -> None:
        kind = type(letter.message).__struct_config__.tag
        _log.warning("webhook.not-delivered", call_sid=box.receiver.call_sid, message=kind, why=why)

    def _bury(self, box: _Box, letters: Iterable[Letter], why: str = "") -> None:
        for letter in letters:
            self.counters["dead"] += 1
            receiver = box.receiver
            why_dead = why or box.outbox.given_up
            self._dead.bury(receiver.call_sid, receiver.server.url, letter.id, why_dead, _envelope(letter))


def _envelope(letter: Letter) -> dict[str, Any]:
    built: dict[str, Any] = msgspec.to_builtins(Envelope(letter.message))
    return built
