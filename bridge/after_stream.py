"""What follows a call's stream: the end, somebody else's telephone, or another worker that goes on."""

from __future__ import annotations

__all__ = ["FINAL_STATUSES", "answer_after"]

import re
from collections.abc import Mapping
from typing import Any

import structlog
from aiohttp import web

from offhook.config.phone_numbers import E164

from . import http_rules
from .apologies import FAILED, NOBODY_THERE
from .call_store import StoreUnavailable
from .carrier_question import CarrierQuestion
from .server_state import ServerState

_PHONE_NUMBER = re.compile(E164)
FINAL_STATUSES = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})
"""After these the carrier asks nothing more (Twilio's documentation of `CallStatus`)."""
_TAKEN_OVER = frozenset({"completed", "answered"})
"""`DialCallStatus` of a call that somebody took (Twilio's documentation of `<Dial>`)."""

ASKED_AGAIN_TIMES = 5

_log = structlog.get_logger("offhook.bridge")


async def answer_after(asked: CarrierQuestion) -> web.Response:
    """Answer by the outcome that the conversation stored."""
    state, dialled = asked.state, asked.dialled
    entry = state.registry.get(asked.call_sid)
    if entry is not None:
        entry.followed_up.set()
    try:
        outcome = await _outcome(state, asked.call_sid)
        if not outcome and entry is None and asked.form.get("CallStatus") not in FINAL_STATUSES:
            outcome = await _left_behind(state, asked.call_sid, dialled)
    except StoreUnavailable as error:
        return _asked_again(asked, error)
    status = outcome.get("status", "unknown")
    _log.info("webhook.after", call_sid=asked.call_sid, outcome=status, dialled=dialled)
    if status == "resumes":
        state.apply(http_rules.RESUMED, call_sid=asked.call_sid)
        return asked.connect(outcome["assistant"] or "", resumes=True)
    if status == "transfer":
        return _handed_over(asked, outcome)
    if dialled:
        # Somebody else was rung behind an apology.
        return asked.hang_up() if dialled in _TAKEN_OVER else asked.say(NOBODY_THERE.whole)
    if status == "failed":
        fallback = state.factory.fallback_number(None if entry is None else entry.assistant)
        return asked.apologise(http_rules.SPOKEN_FAILED, FAILED, fallback)
    return asked.hang_up()


def _asked_again(asked: CarrierQuestion, error: StoreUnavailable) -> web.Response:
    """Nobody knows yet what follows: somebody may wait to be put through."""
    asked.state.apply(http_rules.ASKED_AGAIN, call_sid=asked.call_sid, problem=str(error))
    over = asked.form.get("CallStatus") in FINAL_STATUSES or asked.times_asked >= ASKED_AGAIN_TIMES
    return asked.hang_up() if over else asked.ask_again()


def _handed_over(asked: CarrierQuestion, outcome: Mapping[str, Any]) -> web.Response:
    """Ring whoever takes the call over, and if nobody does, the fallback.

    Twilio asks again behind each `<Dial>` (documentation of its `action` and `DialCallStatus`).
    """
    dialled = asked.dialled
    if dialled in _TAKEN_OVER:
        return asked.hang_up()
    numbers = [str(outcome.get(name, "")) for name in ("number", "fallback")]
    place = _dialled_so_far(asked.request) if dialled else 0
    if dialled:
        asked.state.apply(http_rules.NOT_TAKEN_OVER, call_status=dialled)
    for tried, number in enumerate(numbers[place:], place + 1):
        if _PHONE_NUMBER.fullmatch(number):
            return asked.dial(number, tried)
    return asked.say(NOBODY_THERE.whole)


def _dialled_so_far(request: web.Request) -> int:
    """How many numbers rang; one that was dialled by the carrier's REST interface has no count."""
    given = request.query.get("dialled", "1")
    return int(given) if given in ("1", "2") else 1


async def _outcome(state: ServerState, call_sid: str) -> Mapping[str, Any]:
    """How the call ended; the store knows it of calls whose worker is gone. Raises StoreUnavailable."""
    entry = state.registry.get(call_sid)
    outcome = None if entry is None else entry.outcome
    if state.place is not None:
        stored = await state.store.find(call_sid)
        if stored is not None and stored.owner != state.address:
            outcome = stored.outcome
    return outcome or {}


async def _left_behind(state: ServerState, call_sid: str, dialled: str) -> Mapping[str, Any]:
    """What becomes of a call whose worker is gone: another one goes on with it, or its fallback rings.

    Three times within a minute; a call that brings every worker down must come to an end. Raises
    StoreUnavailable.
    """
    kept = await state.store.conversation(call_sid)
    if kept is None:
        return {}
    if not dialled and not state.draining and await state.store.may_resume(call_sid):
        return {"status": "resumes", "assistant": kept["assistant"]}
    state.apply(http_rules.NOT_RESUMED, call_sid=call_sid)
    return {"status": "transfer", "number": kept["fallback_number"]}
