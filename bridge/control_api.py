"""`/v1/calls`: what goes on, and what may be done about it."""

from __future__ import annotations

__all__ = ["call_entry", "guarded", "live_entry", "routes"]

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from aiohttp import web

from offhook.pipeline.ports import CallEvent

from . import http_rules
from .admission import read_order, trust_fault
from .call_orders import ORDERS, CallOrder
from .http_rules import refuse
from .registry import CallEntry, CallStatus
from .rules import Rule
from .server_state import STATE
from .text_sessions import TextEntry
from .trust import Audience
from .workers.forwarding import answered_by_owner
from .workers.place import is_private
from .workers.siblings import ANSWER_WITHIN_S, answers_of_siblings

KEEP_ALIVE_S = 15.0
WRITE_WITHIN_S = 10.0

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def routes() -> list[web.RouteDef]:
    """The control interface."""
    one = "/v1/calls/{call_sid}"
    return [
        web.get("/v1/calls", guarded(_list_calls)),
        web.get(one, guarded(_get_call)),
        web.get(f"{one}/events", guarded(_get_events)),
        web.delete(one, guarded(_hang_up)),
        *(web.post(f"{one}/{name}", guarded(_ordered(kind))) for name, kind in ORDERS.items()),
    ]


def guarded(handler: Handler, *, forwarded_within_s: float = ANSWER_WITHIN_S) -> Handler:
    """Let only trusted requests through, and those about a call to the worker that holds it.

    Which has `forwarded_within_s` to begin its answer.
    """

    async def serve(request: web.Request) -> web.StreamResponse:
        untrusted = trust_fault(request, Audience.CONTROL)
        if untrusted is not None:
            return refuse(request, untrusted)
        call_sid = request.match_info.get("call_sid")
        if call_sid is None:
            return await handler(request)
        elsewhere = await answered_by_owner(request, call_sid, forwarded_within_s)
        return await handler(request) if elsewhere is None else elsewhere

    return serve


async def _list_calls(request: web.Request) -> web.StreamResponse:
    state = request.config_dict[STATE]
    calls = [entry.record() for entry in state.registry.all()]
    calls += [entry.record() for entry in state.texts.all()]
    if not is_private(request):
        for body in (await answers_of_siblings(request)).values():
            calls += msgspec.json.decode(body)["calls"]
        # Each worker's own are in order already: the sort is a merge, and changes nothing for one alone.
        calls.sort(key=lambda call: call["status"] != CallStatus.LIVE.value)
    return _json({"calls": calls})


async def _get_call(request: web.Request) -> web.StreamResponse:
    entry, text = call_entry(request), _text_entry(request)
    if text is not None:
        return _json(text.record(with_events=True))
    return refuse(request, http_rules.NOT_FOUND) if entry is None else _json(entry.record(with_events=True))


async def _hang_up(request: web.Request) -> web.StreamResponse:
    if (text := _text_entry(request)) is not None:
        request.config_dict[STATE].texts.end(text, "api")
        return _json({"id": text.session_id, "status": "ending"}, status=202)
    entry = live_entry(request)
    if isinstance(entry, Rule):
        return refuse(request, entry)
    entry.hang_up("api")
    return _json({"id": entry.call_sid, "status": "ending"}, status=202)


def _ordered(kind: type[CallOrder]) -> Handler:
    async def serve(request: web.Request) -> web.StreamResponse:
        """Give a live conversation the order that the body describes."""
        order = await read_order(request, kind)
        if isinstance(order, web.Response):
            return order
        entry = live_entry(request)
        if isinstance(entry, Rule):
            return refuse(request, entry)
        entry.tell(order.give)
        return _json({"id": entry.call_sid, "status": "accepted"}, status=202)

    return serve


async def _get_events(request: web.Request) -> web.StreamResponse:
    """The call's events as server-sent events: those that were, then those that come, then `end`."""
    entry = _text_entry(request) or call_entry(request)
    if entry is None:
        return refuse(request, http_rules.NOT_FOUND)
    subscription = entry.log.subscribe()
    if subscription is None:
        return refuse(request, http_rules.TOO_MANY_LISTENERS)
    headers = {"Content-Type": "text/event-stream", "Cache-Control": "no-store"}
    response = web.StreamResponse(headers=headers)
    try:
        await response.prepare(request)
        number = 0
        while True:
            event: CallEvent | None
            try:
                event = await asyncio.wait_for(anext(subscription), KEEP_ALIVE_S)
            except TimeoutError:
                await _write(response, b": still here\n\n")
                continue
            except StopAsyncIteration:
                break
            number += 1
            await _write(response, _server_sent(number, event))
        await _write(response, b"event: end\ndata: {}\n\n")
    except (ConnectionError, TimeoutError):
        # The listener is gone, or takes nothing.
        if request.transport is not None:
            request.transport.abort()
    finally:
        entry.log.unsubscribe(subscription)
    return response


async def _write(response: web.StreamResponse, data: bytes) -> None:
    async with asyncio.timeout(WRITE_WITHIN_S):
        await response.write(data)


def _server_sent(number: int, event: CallEvent) -> bytes:
    data = _encode({"type": event.type, "at_ms": event.at_ms, "data": event.data})
    return b"id: %d\nevent: %b\ndata: %b\n\n" % (number, event.type.encode(), data)


def call_entry(request: web.Request) -> CallEntry | None:
    """The call of that name, live or remembered; also the one that went on with a conversation of it."""
    state = request.config_dict[STATE]
    return state.registry.get(state.texts.call_of(request.match_info["call_sid"]))


def _text_entry(request: web.Request) -> TextEntry | None:
    return request.config_dict[STATE].texts.get(request.match_info["call_sid"])


def live_entry(request: web.Request) -> CallEntry | Rule:
    """The call, if it takes orders."""
    if _text_entry(request) is not None:
        return http_rules.NO_LINE
    entry = call_entry(request)
    if entry is None:
        return http_rules.NOT_FOUND
    return http_rules.ALREADY_ENDED if entry.status is CallStatus.ENDED else entry


def _json(value: Any, status: int = 200) -> web.Response:
    return web.Response(body=_encode(value), status=status, content_type="application/json")


def _encode(value: Any) -> bytes:
    """JSON; what has no place in it is written as text."""
    return msgspec.json.encode(value, enc_hook=str)
