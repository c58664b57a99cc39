"""How a conversation ends its call at Twilio's."""

from __future__ import annotations

__all__ = ["TwilioCallControl"]

import asyncio
from collections.abc import Callable, Mapping
from typing import Any

import structlog

from offhook.pipeline.ports import CallControl

from . import twiml
from .rest import TwilioRest

REST_WITHIN_S = 3.0

_log = structlog.get_logger("offhook.bridge")


class TwilioCallControl(CallControl):
    """Stores a call's outcome; with credentials, also tells Twilio at once.

    Without them, or when Twilio does not answer within 3 s, nothing is lost: the stream is closed
    next, and Twilio asks `/voice/after`, which reads the stored outcome.
    """

    def __init__(
        self,
        call_sid: str,
        store: Callable[[Mapping[str, Any]], None],
        rest: TwilioRest | None,
        after: str | None = None,
    ) -> None:
        """`after` is the address that is asked when somebody who is to take the call over did not."""
        self._call_sid = call_sid
        self._store = store
        self._rest = rest
        self._after = after
        self._ended = False

    async def end(self, outcome: Mapping[str, Any]) -> None:
        """Store the outcome, then hang up (`status` "ended") or hand over ("transfer", `number`).

        A stream that the carrier ended (`by` "carrier") needs nothing: the call may have been handed over.
        Only the first time counts: a call that was handed over loses its stream, and whoever tidies
        up behind it must not end the call itself.
        """
        if self._ended:
            return
        self._ended = True
        self._store(outcome)
        if self._rest is None or outcome.get("by") == "carrier":
            return
        try:
            async with asyncio.timeout(REST_WITHIN_S):
                if outcome.get("status") == "transfer":
                    await self._rest.redirect(
                        self._call_sid, twiml.dial(str(outcome["number"]), action=self._after)
                    )
                else:
                    await self._rest.complete(self._call_sid)
        except Exception as error:
            # The carrier's own errors may quote the request, so only their kind goes into the log.
            _log.warning("call.rest_failed", call_sid=self._call_sid, error=type(error).__name__)
