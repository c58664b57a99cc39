"""What Twilio tells the bridge of a call while it goes on: status callbacks, in order and beside the call."""

from __future__ import annotations

__all__ = ["Callbacks", "Progress"]

import asyncio
from collections.abc import Callable, Mapping
from email.utils import format_datetime
from typing import Self

from offhook.config.errors import ProtocolError

from .calls import Call
from .webhook import Webhook
from .world import Routing, World

_WAITING_LIMIT = 50
_TOLD_WITHIN_S = 30.0
"""So long after a call what is left is still told."""


class Callbacks:
    """Sends one callback after the other without holding the call up; enter it while the call lasts."""

    def __init__(self, webhook: Webhook, warn: Callable[[str], None]) -> None:
        """`warn` is told of each that was not taken."""
        self._webhook, self._warn = webhook, warn
        self._waiting: asyncio.Queue[tuple[str, str, Mapping[str, str]] | None] = asyncio.Queue()
        self._sending: asyncio.Task[None]

    def send(self, url: str, fields: Mapping[str, str], method: str = "POST") -> None:
        """Have something told to `url`."""
        if self._waiting.qsize() >= _WAITING_LIMIT:
            self._warn(f"status callback: more than {_WAITING_LIMIT} wait, so one was dropped")
            return
        self._waiting.put_nowait((url, method, fields))

    async def __aenter__(self) -> Self:
        self._sending = asyncio.create_task(self._send(), name="status-callbacks")
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and issubclass(kind, asyncio.CancelledError):
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)
            return
        self._waiting.put_nowait(None)
        try:
            async with asyncio.timeout(_TOLD_WITHIN_S):
                await self._sending
        except TimeoutError:
            self._warn(f"status callback: not all were taken within {_TOLD_WITHIN_S:g} s")

    async def _send(self) -> None:
        while (waiting := await self._waiting.get()) is not None:
            url, method, fields = waiting
            try:
                await self._webhook.notify(url, fields, method)
            except ProtocolError as failed:
                self._warn(f"status callback: {failed.reason}")


class Progress:
    """Tells how a call goes, of what its routing wants to know; Twilio documentation, "Status callbacks"."""

    def __init__(self, call: Call, routing: Routing, world: World, callbacks: Callbacks) -> None:
        self._call, self._routing, self._world, self._callbacks = call, routing, world, callbacks
        self._told = 0

    def tell(self, event: str) -> None:
        """Tell of `initiated`, `ringing`, `answered` or `completed`, with the call's status now."""
        routing = self._routing
        if not routing.status_callback or event not in routing.status_events:
            return
        fields = {
            **self._call.leg.form("initiated" if event == "initiated" else self._call.status),
            "SequenceNumber": str(self._told),
            "CallbackSource": "call-progress-events",
            "Timestamp": format_datetime(self._world.now()),
        }
        if event == "completed":
            fields["CallDuration"] = str(self._call.duration_s)
        self._told += 1
        self._callbacks.send(routing.status_callback, fields, routing.status_callback_method)
