"""Requests about a call go to the worker that holds it, whichever worker the system gave them to."""

from __future__ import annotations

__all__ = ["answered_by_owner", "passed_on", "private_requests", "routes"]

import asyncio

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware

from .. import http_rules
from ..admission import FORM_WITHIN_S
from ..call_store import StoredCall, StoreUnavailable
from ..http_rules import refuse
from ..registry import CallStatus
from ..rules import Rule
from ..server_state import STATE
from .place import is_private, shows_secret
from .siblings import ANSWER_WITHIN_S, SiblingSilent, Unreachable, forward


def routes() -> list[web.RouteDef]:
    """What workers ask of each other alone."""
    return [web.delete("/worker/streams/{stream}", _cut)]


def private_requests() -> Middleware:
    """A middleware by which a worker's own socket serves nobody but its siblings."""

    @web.middleware
    async def check(request: web.Request, handler: Handler) -> web.StreamResponse:
        if is_private(request):
            place = request.config_dict[STATE].place
            if place is None or not shows_secret(request, place):
                return refuse(request, http_rules.WORKER_SECRET_REQUIRED)
        return await handler(request)

    return check


async def answered_by_owner(
    request: web.Request, call_sid: str, within_s: float = ANSWER_WITHIN_S
) -> web.StreamResponse | None:
    """The answer of the worker that holds the call, or why there is none; None when it is for us to answer.

    Whoever asks must have found the request to be trusted; the owner checks it again.
    """
    answer = await passed_on(request, call_sid, within_s)
    return refuse(request, answer) if isinstance(answer, Rule) else answer


async def passed_on(
    request: web.Request, call_sid: str, within_s: float = ANSWER_WITHIN_S
) -> web.StreamResponse | Rule | None:
    """As `answered_by_owner`, with the rule itself for who knows what to do without the owner."""
    try:
        held = await _held_elsewhere(request, call_sid)
        if held is None:
            return None
        async with asyncio.timeout(FORM_WITHIN_S):
            await request.read()
        return await forward(request, held.owner, within_s)
    except StoreUnavailable:
        return http_rules.OWNER_UNKNOWN
    except TimeoutError:
        return http_rules.SLOW_BODY
    except SiblingSilent:
        return http_rules.OWNER_SILENT
    except Unreachable:
        return http_rules.OWNER_GONE


async def _held_elsewhere(request: web.Request, call_sid: str) -> StoredCall | None:
    """The call, if its newest stream came to another worker. Raises StoreUnavailable."""
    state = request.config_dict[STATE]
    if state.place is None or is_private(request):
        return None
    ours = state.registry.get(call_sid)
    if ours is not None and ours.status is CallStatus.LIVE:
        return None
    stored = await state.store.find(call_sid)
    return None if stored is None or stored.owner == state.address else stored


async def _cut(request: web.Request) -> web.StreamResponse:
    """A newer stream of the call came to another worker: end ours."""
    state = request.config_dict[STATE]
    if not is_private(request):
        return refuse(request, http_rules.NOT_FOUND)
    for entry in state.registry.live():
        if entry.stream == request.match_info["stream"]:
            # The carrier will ask the call's new owner what follows.
            entry.from_webhook = False
            state.registry.replace(entry)
    return web.Response(status=204)
