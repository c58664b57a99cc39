"""`GET /media` and `GET /ws/{id}`, the same for a posted assistant: the upgrade to a media stream."""

from __future__ import annotations

__all__ = ["routes"]

from aiohttp import web

from . import http_rules
from .admission import trust_fault
from .http_rules import refuse
from .media_session import MediaSession
from .media_socket import MediaSocket
from .server_state import STATE
from .trust import Audience
from .twilio.dialect import Dialect
from .twilio.line import TwilioLine
from .upgrade import UpgradedResponse, answer_upgrade, take_over


def routes() -> list[web.RouteDef]:
    """The media stream."""
    return [
        web.get("/media", _media, allow_head=False),
        web.get("/ws/{assistant}", _media, allow_head=False),
    ]


async def _media(request: web.Request) -> web.StreamResponse:
    state = request.config_dict[STATE]
    untrusted = trust_fault(request, Audience.STREAM)
    if untrusted is not None:
        return refuse(request, untrusted)
    assistant = request.match_info.get("assistant")
    if assistant is not None and state.posted.find(assistant) is None:
        return refuse(request, http_rules.UNKNOWN_ASSISTANT)
    if state.draining:
        return refuse(request, http_rules.DRAINING)
    if state.crowded:
        return refuse(request, http_rules.TOO_MANY_SOCKETS)
    answer = answer_upgrade(request)
    if answer.status_code != 101:
        state.apply(http_rules.BAD_UPGRADE, status=answer.status_code)
        text = f"{http_rules.BAD_UPGRADE.name}: {answer.body.decode()}" if answer.body else ""
        return web.Response(status=answer.status_code, text=text, headers={"Upgrade": "websocket"})
    dialect = Dialect()
    session = MediaSession(state, dialect, assistant)
    socket = MediaSocket(state.clock, session)
    session.attach(socket, lambda: TwilioLine(socket, dialect))
    if take_over(request, answer, socket):
        state.sockets.add(socket)
        try:
            await session.run()
            socket.close()
            await socket.wait_gone()
        finally:
            state.sockets.discard(socket)
            socket.abort()
    return UpgradedResponse()
