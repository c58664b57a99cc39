"""What Twilio asks over HTTP: what to do with a call, and what became of it."""

from __future__ import annotations

__all__ = ["routes"]

import re
from collections.abc import Awaitable, Callable, Mapping

import structlog
from aiohttp import web

from offhook.config.errors import ProviderError, ToolError
from offhook.pipeline.log_fields import masked_number

from . import http_rules
from .admission import read_form, trust_fault
from .after_stream import FINAL_STATUSES, answer_after
from .apologies import BUSY, TOO_OFTEN, UNAVAILABLE, Apology
from .assistant_request import NOT_CHOSEN, AssistantRequests
from .callers import Turned
from .capacity import Shortage
from .carrier_question import CALL_SID, CarrierQuestion
from .http_rules import refuse
from .rules import Rule
from .server_state import STATE
from .trust import Audience
from .workers.forwarding import passed_on

CHOSEN_WITHIN_S = 12.0
"""For the operator's server to choose an assistant, and its engines to start; the carrier waits for 15 s."""
_ASSISTANT_NAME = re.compile(r"[a-z0-9_-]{1,64}")
_APOLOGIES: Mapping[Shortage, tuple[Rule, Apology]] = {
    Shortage.NOT_READY: (http_rules.SPOKEN_NOT_READY, UNAVAILABLE),
    Shortage.DRAINING: (http_rules.SPOKEN_NOT_READY, UNAVAILABLE),
    Shortage.AT_CAPACITY: (http_rules.SPOKEN_AT_CAPACITY, BUSY),
    Shortage.OVERLOADED: (http_rules.SPOKEN_OVERLOADED, BUSY),
}

_log = structlog.get_logger("offhook.bridge")

Answer = Callable[[CarrierQuestion], Awaitable[web.Response]]


def routes() -> list[web.RouteDef]:
    """The webhooks; each is POSTed as a form."""
    return [
        web.post("/voice/inbound", _webhook(_inbound)),
        web.post("/voice/after", _webhook(answer_after, for_owner=True)),
        web.post("/voice/status", _webhook(_status, for_owner=True)),
        web.post("/voice/stream-status", _webhook(_stream_status)),
    ]


def _webhook(
    answer: Answer, *, for_owner: bool = False
) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
    """Let only trusted and readable forms of a call through, some to the worker that holds the call."""

    async def serve(request: web.Request) -> web.StreamResponse:
        fields = await read_form(request)
        if isinstance(fields, Rule):
            return refuse(request, fields)
        untrusted = trust_fault(request, Audience.CARRIER, fields)
        if untrusted is not None:
            return refuse(request, untrusted)
        form = {name: values[0] for name, values in fields.items()}
        if not CALL_SID.fullmatch(form.get("CallSid", "")):
            return refuse(request, http_rules.BAD_FORM)
        if for_owner:
            elsewhere = await passed_on(request, form["CallSid"])
            if isinstance(elsewhere, Rule):
                # The carrier must be told something: what is known without the owner.
                request.config_dict[STATE].apply(elsewhere, path=request.path, call_sid=form["CallSid"])
            elif elsewhere is not None:
                return elsewhere
        return await answer(CarrierQuestion(request, form))

    return serve


async def _inbound(asked: CarrierQuestion) -> web.Response:
    state, caller, called = asked.state, asked.form.get("From", ""), asked.form.get("To", "")
    _log.info(
        "webhook.inbound",
        call_sid=asked.call_sid,
        caller=masked_number(caller),
        called=masked_number(called),
    )
    assistant = asked.request.query.get("assistant", "") or state.settings.assistant_numbers.get(called, "")
    if assistant and not _ASSISTANT_NAME.fullmatch(assistant):
        return asked.apologise(
            http_rules.SPOKEN_BAD_ASSISTANT, UNAVAILABLE, state.factory.fallback_number(None)
        )
    if shortages := await state.shortages():
        fallback = state.factory.fallback_number(assistant or None)
        return asked.apologise(*_APOLOGIES[shortages[0]], fallback)
    turned = state.callers.judge(caller, state.wall_time())
    if turned is not None:
        return _turn_away(asked, turned)
    if not assistant and state.assistant_requests is not None:
        assistant, words = await _chosen(asked, state.assistant_requests)
        if words:
            return asked.say(words)
    if not asked.session:  # what was written before may fill the greeting otherwise
        state.factory.expect(assistant=assistant or None, variables=asked.variables)
    return asked.connect(assistant)


async def _chosen(asked: CarrierQuestion, requests: AssistantRequests) -> tuple[str, str]:
    """The assistant that the operator's server names, empty for the usual one; or what is said instead."""
    state, form = asked.state, asked.form
    answer_by = state.clock.now() + CHOSEN_WITHIN_S
    try:
        choice = await requests.ask(asked.call_sid, form.get("From", ""), form.get("To", ""))
        if choice.assistant is None:
            return choice.name, choice.words
        if state.place is not None:
            raise ToolError("one of several workers keeps no assistant that is posted")
        return await state.posted.keep(choice.assistant, warm_within_s=answer_by - state.clock.now()), ""
    except (*NOT_CHOSEN, ProviderError) as error:
        state.apply(http_rules.NOT_CHOSEN, warn=True, call_sid=asked.call_sid, problem=str(error))
        return "", ""


def _turn_away(asked: CarrierQuestion, turned: Turned) -> web.Response:
    """Nobody is rung for those who are not wanted: limits are there to bound what calls cost."""
    if turned is Turned.BLOCKED:
        asked.state.apply(http_rules.CALLER_BLOCKED, call_sid=asked.call_sid)
        return asked.reject()
    if turned is Turned.TOO_MANY:
        return asked.apologise(http_rules.CALLER_TOO_OFTEN, TOO_OFTEN)
    return asked.apologise(http_rules.DAY_BUDGET_SPENT, BUSY)


async def _status(asked: CarrierQuestion) -> web.Response:
    """How the call itself goes: ringing, in-progress, completed."""
    state, status = asked.state, _short(asked.form.get("CallStatus"))
    state.counters["call_status"] += 1
    _log.info("webhook.status", call_sid=asked.call_sid, status=status)
    entry = state.registry.get(asked.call_sid)
    if entry is not None and status in FINAL_STATUSES:
        entry.followed_up.set()
    return web.Response(status=204)


async def _stream_status(asked: CarrierQuestion) -> web.Response:
    """How the stream goes; the only place where Twilio tells of a handshake that failed."""
    state, event = asked.state, _short(asked.form.get("StreamEvent"))
    state.counters["stream_status"] += 1
    _log.info("webhook.stream_status", call_sid=asked.call_sid, stream_event=event)
    if event == "stream-error":
        error = _short(asked.form.get("StreamError"))
        state.apply(http_rules.STREAM_ERROR, call_sid=asked.call_sid, error=error)
    return web.Response(status=204)


def _short(value: str | None) -> str:
    return (value or "")[:200]
