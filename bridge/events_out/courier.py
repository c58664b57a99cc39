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
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import structlog

from offhook.config.server import Server
from offhook.pipeline.clock import Clock
from offhook.pipeline.log_fields import failure_fields
from offhook.pipeline.ports import CallEvent, Workers
from offhook.pipeline.providers.web.javascript_json import javascript_json
from offhook.pipeline.providers.web.web_client import Exchange

from .call_story import CallStory
from .dead_letters import DeadLetters
from .messages import ConversationUpdate, EndOfCallReport, Message
from .outbox import Letter, Outbox, Room
from .posting import Attempt, envelope, post

FLUSH_S = 3.0
"""At the end so long is what waits still posted."""
_LONG = (ConversationUpdate, EndOfCallReport)
"""Printing them takes milliseconds: a thread does it."""

_log = structlog.get_logger("offhook.bridge")


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where to, and signed with what."""

    server: Server
    call_sid: str


@dataclass(slots=True, eq=False)
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
        workers: Workers,
        exchange: Exchange,
        dead_letters: DeadLetters,
        counters: Counter[str],
        wall_time: Callable[[], float] = time.time,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        """Counted are `delivered`, `failed` (attempts), `refused`, `dropped` and `dead` (messages).

        `wall_time` is Unix time in seconds.
        """
        self._clock, self._workers, self._exchange, self._dead = clock, workers, exchange, dead_letters
        self._wall_time, self._jitter = wall_time, jitter
        self._counters = counters
        self._room = Room()
        self._boxes: dict[_Box, None] = {}
        """Those that have a task, the oldest first."""
        self._closed = False

    def follow(self, receiver: Receiver, story: CallStory) -> Callable[[CallEvent], None]:
        """Give what takes a call's events; it never waits and never raises."""
        box = _Box(receiver, Outbox(self._jitter, self._room))

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
        boxes = list(self._boxes)
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
            self._give_up(box, "the server was stopped")
        await self._dead.close()

    # ---------------------------------------------------------------- posting

    def _post(self, box: _Box, message: Message) -> None:
        dropped_before = box.outbox.dropped
        self._bury(box, box.outbox.add(Letter(message)))
        self._counters["dropped"] += box.outbox.dropped - dropped_before
        if self._closed:
            self._give_up(box, "the server was stopped")
        elif self._room.overfull:
            # The call of which most waits: that of a receiver that is well holds next to nothing.
            fullest = max((*self._boxes, box), key=lambda other: len(other.outbox))
            self._give_up(fullest, "too many waited for all receivers")
        box.news.set()
        if box.task is None and box.outbox.head is not None:
            self._boxes[box] = None
            box.task = asyncio.create_task(self._run(box), name="webhooks")

    async def _run(self, box: _Box) -> None:
        try:
            while not (box.over and box.outbox.head is None):
                if (letter := box.outbox.head) is None:
                    box.news.clear()
                    await box.news.wait()
                    continue
                await self._deliver(box, letter)
        finally:
            self._boxes.pop(box, None)
            box.task = None

    async def _deliver(self, box: _Box, letter: Letter) -> None:
        """Try one letter until it is no longer the first."""
        try:
            body = await self._printed(letter.message)
        except (TypeError, ValueError, RecursionError) as error:
            _log.error("webhook.not-printed", **failure_fields(error, log_words=False))
            if box.outbox.head is letter:
                self._bury(box, [box.outbox.refused()], "it cannot be printed")
            return
        while box.outbox.head is letter:
            await self._clock.sleep_until(box.outbox.due_at)
            if box.outbox.head is letter:
                await self._attempt(box, letter, body)

    async def _printed(self, message: Message) -> bytes:
        if isinstance(message, _LONG):
            return await self._workers.in_thread(_print, message)
        return _print(message)

    async def _attempt(self, box: _Box, letter: Letter, body: bytes) -> None:
        now_s = int(self._wall_time())
        try:
            attempt = await post(self._exchange, box.receiver.server, letter.id, body, now_s)
        except Exception as error:
            _log.error("webhook.fault", **failure_fields(error, log_words=False))
            attempt = Attempt(0, "a fault of the bridge")
        if box.outbox.head is not letter:
            return
        if attempt.taken:
            self._counters["delivered"] += 1
            box.outbox.delivered()
            return
        kind = type(letter.message).__struct_config__.tag
        call_sid = box.receiver.call_sid
        _log.warning("webhook.not-delivered", call_sid=call_sid, message=kind, why=attempt.why)
        if attempt.refused:
            self._counters["refused"] += 1
            self._bury(box, [box.outbox.refused()], attempt.why)
        else:
            self._counters["failed"] += 1
            self._bury(box, box.outbox.failed(self._clock.now(), attempt.retry_after_s))

    def _give_up(self, box: _Box, why: str) -> None:
        self._bury(box, box.outbox.give_up(why))
        box.news.set()

    def _bury(self, box: _Box, letters: Sequence[Letter], why: str = "") -> None:
        self._counters["dead"] += len(letters)
        receiver = box.receiver
        self._dead.bury(receiver.call_sid, receiver.server.url, why or box.outbox.given_up, letters)


def _print(message: Message) -> bytes:
    return javascript_json(envelope(message))
