"""`POST /assistant`: a program posts an assistant, and gets the name that `/ws/{id}` knows it by."""

from __future__ import annotations

__all__ = ["routes"]

import asyncio

from aiohttp import web

from offhook.config.errors import ConfigError, ProviderError

from . import http_rules
from .admission import read_json_body, trust_fault
from .http_rules import refuse
from .posted_assistants import read_posted
from .rules import Rule
from .server_state import STATE
from .trust import Audience


def routes() -> list[web.RouteDef]:
    """The one route."""
    return [web.post("/assistant", _post_assistant)]


async def _post_assistant(request: web.Request) -> web.StreamResponse:
    state = request.config_dict[STATE]
    untrusted = trust_fault(request, Audience.CONTROL)
    if untrusted is not None:
        return refuse(request, untrusted)
    if state.place is not None:
        return refuse(request, http_rules.ONE_WORKER_ONLY)
    body = await read_json_body(request)
    if isinstance(body, Rule):
        return refuse(request, body)
    try:
        # It may be long, and reading it is work: not on the loop.
        assistant = await asyncio.to_thread(read_posted, body.decode())
        name = await state.posted.keep(assistant)
    except (ConfigError, ProviderError, UnicodeDecodeError) as error:
        return refuse(request, http_rules.BAD_ASSISTANT, str(error))
    return web.json_response({"id": name, "notices": assistant.notices}, status=201)
