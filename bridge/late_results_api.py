"""`POST /v1/tool-results/{id}/{token}`: a tool's server gives a result that it took its time for."""

from __future__ import annotations

__all__ = ["routes"]

from aiohttp import web

from offhook.pipeline.providers.web.late_results import PATH

from . import http_rules
from .admission import read_json_body
from .http_rules import refuse
from .rules import Rule
from .server_state import STATE
from .workers.forwarding import answered_by_owner


def routes() -> list[web.RouteDef]:
    """The one route; its address is the permission."""
    return [web.post(PATH + "/{call_sid}/{token}", _take)]


async def _take(request: web.Request) -> web.StreamResponse:
    state, call_sid = request.config_dict[STATE], request.match_info["call_sid"]
    token = request.match_info["token"]
    if not state.late_results.is_ours(call_sid, token):
        return refuse(request, http_rules.NO_TOOL_WAITS)
    expected = state.late_results.find(call_sid, token)
    if expected is None:
        elsewhere = await answered_by_owner(request, call_sid)
        return refuse(request, http_rules.NO_TOOL_WAITS) if elsewhere is None else elsewhere
    body = await read_json_body(request)
    if isinstance(body, Rule):
        return refuse(request, body)
    # It may have come by another request while this one's body was read.
    if expected.given:
        return refuse(request, http_rules.NO_TOOL_WAITS)
    if not expected.take(body):
        return refuse(request, http_rules.NO_RESULT)
    return web.Response(status=204)
