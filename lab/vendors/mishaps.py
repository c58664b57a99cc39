"""Carries out a planned fault on a WebSocket of an emulated vendor, before the upgrade and after it."""

from __future__ import annotations

__all__ = ["MALFORMED", "befall_request", "befall_socket"]

from collections.abc import Awaitable, Callable

from aiohttp import web

from offhook.pipeline.clock import Clock

from .connections import reset
from .faults import FaultKind, PlannedFault

STALLED_S = 3600.0
STATUS = {FaultKind.BUSY: 429, FaultKind.ERROR: 500, FaultKind.REFUSE: 401}
MALFORMED = '{"type": '

Refusing = Callable[[int], web.Response]
"""Makes the vendor's answer of an HTTP status."""


async def befall_request(
    fault: PlannedFault, request: web.Request, clock: Clock, refusing: Refusing
) -> web.Response | None:
    """Let a fault happen to a request; None: the request goes on.

    A socket that is to be closed, or to say something malformed, is opened first: `befall_socket` does it.
    """
    match fault.kind:
        case FaultKind.DROP:
            if request.transport is not None:
                reset(request.transport)
            return web.Response()
        case FaultKind.STALL:
            await clock.sleep_until(clock.now() + STALLED_S)
            return refusing(500)
        case FaultKind.BUSY | FaultKind.ERROR | FaultKind.REFUSE:
            answer = refusing(STATUS[fault.kind])
            if fault.retry_after_s is not None:
                answer.headers["Retry-After"] = f"{fault.retry_after_s:g}"
            return answer
        case FaultKind.SLOW:
            await clock.sleep_until(clock.now() + fault.wait_ms / 1000)
    return None


async def befall_socket(
    fault: PlannedFault,
    request: web.Request,
    socket: web.WebSocketResponse,
    clock: Clock,
    say_error: Callable[[FaultKind], Awaitable[None]],
) -> bool:
    """Let a fault happen to an open socket; True if nothing more is to be sent on it from now on."""
    match fault.kind:
        case FaultKind.DROP:
            if request.transport is not None:
                reset(request.transport)
        case FaultKind.CLOSE:
            await socket.close(code=1011)
        case FaultKind.BUSY | FaultKind.ERROR | FaultKind.REFUSE:
            await say_error(fault.kind)
            await socket.close(code=1011)
        case FaultKind.MALFORMED:
            await socket.send_str(MALFORMED)
            return False
        case FaultKind.SLOW:
            await clock.sleep_until(clock.now() + fault.wait_ms / 1000)
            return False
    return True
