"""`POST /assistant`: a program posts an assistant, and gets the name that `/ws/{id}` knows it by."""

from __future__ import annotations

__all__ = ["routes"]

import asyncio

from aiohttp import web

from offhook.config.errors import ConfigError, ProviderError

from . import http_rules
from .admission import FORM_WITHIN_S, trust_fault
from .http_rules import refuse
from .posted_assistants import read_posted
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
    if request.content_type != "application/json":
        return refuse(request, http_rules.NO_JSON)
    try:
        async with asyncio.timeout(FORM_WITHIN_S):
            body = (await request.read()).decode()
        assistant = read_posted(body)
        name = await state.posted.keep(assistant)
    except TimeoutError:
        return refuse(request, http_rules.SLOW_BODY)
    except (ConfigError, ProviderError, UnicodeDecodeError) as error:
        answer = refuse(request, http_rules.BAD_ASSISTANT)
        answer.text = f"{http_rules.BAD_ASSISTANT.name}: {error}\n"
        return answer
    return web.json_response({"id": name, "notices": assistant.notices}, status=201)
