"""Calls of a worker that is gone, of which the carrier asks nobody what follows: taken up over REST.

A call that came without our webhook, from a TwiML Bin for instance, has no `action`. It goes on only as long
as its document does: a `<Pause>` behind `<Connect>` gives the time that this takes.
"""

from __future__ import annotations

__all__ = ["take_up"]

import asyncio
from collections.abc import Mapping
from typing import Any

from .. import http_rules
from ..apologies import NOBODY_THERE
from ..call_store import StoreUnavailable
from ..server_state import ServerState
from ..stream_document import stream_document
from ..twilio import twiml
from ..twilio.rest import TwilioRest

REST_WITHIN_S = 3.0
AT_A_TIME = 8


async def take_up(state: ServerState, address: str) -> None:
    """Go on with the calls that the worker at `address` left, where nobody else will."""
    rest, origin = state.rest, state.policy.public_url
    if rest is None or origin is None or state.draining:
        return
    try:
        left = await state.store.left_by(address)
    except StoreUnavailable as error:
        state.apply(http_rules.NOT_TAKEN_UP, problem=str(error))
        return
    room = asyncio.Semaphore(AT_A_TIME)

    async def one(call_sid: str, kept: Mapping[str, Any]) -> None:
        async with room:
            await _take_up(state, rest, origin, call_sid, kept)

    calls = [(call_sid, kept) for call_sid, kept in left.items() if not kept.get("asked_after", True)]
    await asyncio.gather(*(one(*call) for call in calls))


async def _take_up(
    state: ServerState, rest: TwilioRest, origin: str, call_sid: str, kept: Mapping[str, Any]
) -> None:
    said = kept.get("variables", {})
    variables = {name: str(said[name]) for name in ("from", "to") if name in said}
    try:
        if await state.store.may_resume(call_sid):
            assistant = kept["assistant"] or ""
            document = stream_document(state, call_sid, origin, variables, assistant=assistant, resumes=True)
            rule = http_rules.RESUMED
        else:
            rule, document = http_rules.NOT_RESUMED, _handed_over(str(kept["fallback_number"]), origin)
        async with asyncio.timeout(REST_WITHIN_S):
            await rest.redirect(call_sid, document)
    except Exception as error:
        # The carrier's own errors may quote the request, so only their kind goes into the log.
        state.apply(http_rules.NOT_TAKEN_UP, call_sid=call_sid, problem=type(error).__name__)
    else:
        state.apply(rule, call_sid=call_sid)


def _handed_over(fallback: str, origin: str) -> str:
    """Ring the fallback (E.164), as behind a stream whose call may not be resumed again."""
    if fallback:
        return twiml.dial(fallback, action=f"{origin}/voice/after?dialled=1")
    return twiml.say_and_hangup(NOBODY_THERE.whole)
