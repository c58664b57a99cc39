"""What Twilio asks over HTTP: what to do with a call, and what became of it."""

from __future__ import annotations

__all__ = ["routes"]

import re
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from typing import Any

import structlog
from aiohttp import web

from offhook.config.errors import ProviderError, ToolError
from offhook.config.phone_numbers import E164
from offhook.pipeline.log_fields import masked_number

from . import http_rules
from .admission import read_form, trust_fault
from .assistant_request import NOT_CHOSEN, AssistantRequests
from .call_store import StoreUnavailable
from .callers import Turned
from .capacity import Shortage
from .forwarding import passed_on
from .http_rules import refuse
from .rules import Rule
from .server_state import STATE, ServerState
from .stream_gate import ASSISTANT_PARAMETER, RESUMES_PARAMETER, SESSION_PARAMETER, TOKEN_PARAMETER
from .trust import Audience, stream_origin
from .twilio import twiml

_ASSISTANT_NAME = re.compile(r"[a-z0-9_-]{1,64}")
_CALL_SID = re.compile(r"[A-Za-z0-9_-]{1,64}")
_PHONE_NUMBER = re.compile(E164)
_FINAL_STATUSES = frozenset({"completed", "busy", "failed", "no-answer", "canceled"})
"""After these the carrier asks nothing more (Twilio's documentation of `CallStatus`)."""
_BUSY = "Sorry, all our lines are busy. Please call again in a few minutes. Goodbye."
_UNAVAILABLE = "Sorry, this line cannot take calls right now. Please call again in a minute. Goodbye."
_TOO_OFTEN = "Sorry, there were too many calls from your number. Please call again tomorrow. Goodbye."
_NOBODY_THERE = "Sorry, nobody can take your call right now. Please call again later. Goodbye."
_TAKEN_OVER = frozenset({"completed", "answered"})
"""`DialCallStatus` of a call that somebody took (Twilio's documentation of `<Dial>`)."""
_FAILED = "Sorry, something went wrong on our side. Please call again. Goodbye."
_APOLOGIES: Mapping[Shortage, tuple[Rule, str]] = {
    Shortage.NOT_READY: (http_rules.SPOKEN_NOT_READY, _UNAVAILABLE),
    Shortage.DRAINING: (http_rules.SPOKEN_NOT_READY, _UNAVAILABLE),
    Shortage.AT_CAPACITY: (http_rules.SPOKEN_AT_CAPACITY, _BUSY),
    Shortage.OVERLOADED: (http_rules.SPOKEN_OVERLOADED, _BUSY),
}

_log = structlog.get_logger("offhook.bridge")

Form = Mapping[str, str]
Answer = Callable[[web.Request, ServerState, Form], Awaitable[web.Response]]


def routes() -> list[web.RouteDef]:
    """The webhooks; each is POSTed as a form."""
    return [
        web.post("/voice/inbound", _webhook(_inbound)),
        web.post("/voice/after", _webhook(_after, for_owner=True)),
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
        if not _CALL_SID.fullmatch(form.get("CallSid", "")):
            return refuse(request, http_rules.BAD_FORM)
        if for_owner:
            elsewhere = await passed_on(request, form["CallSid"])
            if isinstance(elsewhere, Rule):
                # The carrier must be told something: what is known without the owner.
                request.config_dict[STATE].apply(elsewhere, path=request.path, call_sid=form["CallSid"])
            elif elsewhere is not None:
                return elsewhere
        return await answer(request, request.config_dict[STATE], form)

    return serve


async def _inbound(request: web.Request, state: ServerState, form: Form) -> web.Response:
    call_sid = form["CallSid"]
    _log.info(
        "webhook.inbound",
        call_sid=call_sid,
        caller=masked_number(form.get("From", "")),
        called=masked_number(form.get("To", "")),
    )
    assistant = request.query.get("assistant", "") or state.settings.assistant_numbers.get(
        form.get("To", ""), ""
    )
    if assistant and not _ASSISTANT_NAME.fullmatch(assistant):
        return _apologise(state, http_rules.SPOKEN_BAD_ASSISTANT, _UNAVAILABLE, call_sid)
    if shortages := await state.shortages():
        return _apologise(state, *_APOLOGIES[shortages[0]], call_sid)
    turned = state.callers.judge(form.get("From", ""), state.wall_time())
    if turned is not None:
        return _turn_away(state, turned, call_sid)
    if not assistant and state.assistant_requests is not None:
        assistant, words = await _chosen(state, state.assistant_requests, form)
        if words:
            return _xml(twiml.say_and_hangup(words))
    return _connect(request, state, form, assistant)


async def _chosen(state: ServerState, requests: AssistantRequests, form: Form) -> tuple[str, str]:
    """The assistant that the operator's server names, empty for the usual one; or what is said instead."""
    call_sid = form["CallSid"]
    try:
        choice = await requests.ask(call_sid, form.get("From", ""), form.get("To", ""))
        if choice.assistant is None:
            return choice.name, choice.words
        if state.place is not None:
            raise ToolError("one of several workers keeps no assistant that is posted")
        return await state.posted.keep(choice.assistant), ""
    except (*NOT_CHOSEN, ProviderError) as error:
        state.apply(http_rules.NOT_CHOSEN, warn=True, call_sid=call_sid, problem=str(error))
        return "", ""


def _connect(
    request: web.Request, state: ServerState, form: Form, assistant: str, *, resumes: bool = False
) -> web.Response:
    """Open a stream for the call, also to go on with it where a worker that is gone left it."""
    stream, pages = _addresses(request, state)
    session = request.query.get("session", "")
    return _xml(
        twiml.connect_stream(
            f"{stream}/media",
            action=f"{pages}/voice/after",
            parameters={
                TOKEN_PARAMETER: state.tokens.mint(form["CallSid"]),
                ASSISTANT_PARAMETER: assistant,
                RESUMES_PARAMETER: "1" if resumes else "",
                SESSION_PARAMETER: session if _CALL_SID.fullmatch(session) else "",
                "from": _parameter(form.get("From", "")),
                "to": _parameter(form.get("To", "")),
            },
            status_callback=f"{pages}/voice/stream-status",
        )
    )


def _turn_away(state: ServerState, turned: Turned, call_sid: str) -> web.Response:
    if turned is Turned.BLOCKED:
        state.apply(http_rules.CALLER_BLOCKED, call_sid=call_sid)
        return _xml(twiml.reject())
    if turned is Turned.TOO_MANY:
        return _apologise(state, http_rules.CALLER_TOO_OFTEN, _TOO_OFTEN, call_sid)
    return _apologise(state, http_rules.DAY_BUDGET_SPENT, _BUSY, call_sid)


async def _after(request: web.Request, state: ServerState, form: Form) -> web.Response:
    """What follows the stream: the outcome that the conversation stored says."""
    entry = state.registry.get(form["CallSid"])
    if entry is not None:
        entry.followed_up.set()
    outcome = await _outcome(state, form["CallSid"])
    dialled = _short(form.get("DialCallStatus"))
    if not outcome and entry is None and form.get("CallStatus") not in _FINAL_STATUSES:
        outcome = await _left_behind(state, form["CallSid"], dialled)
    status = outcome.get("status", "unknown")
    _log.info("webhook.after", call_sid=form["CallSid"], outcome=status, dialled=dialled)
    if status == "resumes":
        state.apply(http_rules.RESUMED, call_sid=form["CallSid"])
        return _connect(request, state, form, outcome["assistant"] or "", resumes=True)
    if status == "transfer":
        return _handed_over(request, state, outcome, dialled)
    if status == "failed":
        return _xml(twiml.say_and_hangup(_FAILED))
    return _xml(twiml.hangup())


def _handed_over(
    request: web.Request, state: ServerState, outcome: Mapping[str, Any], dialled: str
) -> web.Response:
    """Ring whoever takes the call over, and if nobody does, the fallback; `dialled` says how that went.

    Twilio asks again behind each `<Dial>` (documentation of its `action` and `DialCallStatus`).
    """
    if dialled in _TAKEN_OVER:
        return _xml(twiml.hangup())
    numbers = [str(outcome.get(name, "")) for name in ("number", "fallback")]
    place = _dialled_so_far(request) if dialled else 0
    if dialled:
        state.apply(http_rules.NOT_TAKEN_OVER, call_status=dialled)
    for tried, number in enumerate(numbers[place:], place + 1):
        if _PHONE_NUMBER.fullmatch(number):
            pages = _addresses(request, state)[1]
            return _xml(twiml.dial(number, action=f"{pages}/voice/after?dialled={tried}"))
    return _xml(twiml.say_and_hangup(_NOBODY_THERE))


def _dialled_so_far(request: web.Request) -> int:
    """How many numbers rang; one that was dialled by the carrier's REST interface has no count."""
    given = request.query.get("dialled", "1")
    return int(given) if given in ("1", "2") else 1


async def _outcome(state: ServerState, call_sid: str) -> Mapping[str, Any]:
    """How the call ended; the store knows it of calls whose worker is gone."""
    entry = state.registry.get(call_sid)
    outcome = None if entry is None else entry.outcome
    if state.place is not None:
        with suppress(StoreUnavailable):
            stored = await state.store.find(call_sid)
            if stored is not None and stored.owner != state.address:
                outcome = stored.outcome
    return outcome or {}


async def _left_behind(state: ServerState, call_sid: str, dialled: str) -> Mapping[str, Any]:
    """What becomes of a call whose worker is gone: another one goes on with it, or its fallback rings.

    Three times within a minute; a call that brings every worker down must come to an end.
    """
    with suppress(StoreUnavailable):
        kept = await state.store.conversation(call_sid)
        if kept is None:
            return {}
        if not dialled and not state.draining and await state.store.may_resume(call_sid):
            return {"status": "resumes", "assistant": kept["assistant"]}
        state.apply(http_rules.NOT_RESUMED, call_sid=call_sid)
        return {"status": "transfer", "number": kept["fallback_number"]}
    return {}


async def _status(request: web.Request, state: ServerState, form: Form) -> web.Response:
    """How the call itself goes: ringing, in-progress, completed."""
    del request
    state.counters["call_status"] += 1
    status = _short(form.get("CallStatus"))
    _log.info("webhook.status", call_sid=form["CallSid"], status=status)
    entry = state.registry.get(form["CallSid"])
    if entry is not None and status in _FINAL_STATUSES:
        entry.followed_up.set()
    return web.Response(status=204)


async def _stream_status(request: web.Request, state: ServerState, form: Form) -> web.Response:
    """How the stream goes; the only place where Twilio tells of a handshake that failed."""
    del request
    event = _short(form.get("StreamEvent"))
    state.counters["stream_status"] += 1
    _log.info("webhook.stream_status", call_sid=form["CallSid"], stream_event=event)
    if event == "stream-error":
        error = _short(form.get("StreamError"))
        state.apply(http_rules.STREAM_ERROR, call_sid=form["CallSid"], error=error)
    return web.Response(status=204)


def _addresses(request: web.Request, state: ServerState) -> tuple[str, str]:
    """Where the stream and the further webhooks of this server are, as the carrier sees it."""
    if state.policy.public_url is not None:
        return stream_origin(state.policy.public_url), state.policy.public_url
    return f"ws://{request.host}", f"http://{request.host}"


def _apologise(state: ServerState, rule: Rule, text: str, call_sid: str) -> web.Response:
    state.apply(rule, call_sid=call_sid)
    return _xml(twiml.say_and_hangup(text))


def _xml(document: str) -> web.Response:
    return web.Response(text=document, content_type="text/xml", charset="utf-8")


def _parameter(value: str) -> str:
    """A form's value as a stream's parameter: as long as Twilio takes, and fit for XML."""
    return "".join(character for character in value if character.isprintable())[: twiml.PARAMETER_LIMIT - 1]


def _short(value: str | None) -> str:
    return (value or "")[:200]
