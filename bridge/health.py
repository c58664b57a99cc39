"""Is the process alive, and may calls come?"""

from __future__ import annotations

__all__ = ["routes"]

from aiohttp import web

from .server_state import STATE


def routes() -> list[web.RouteDef]:
    """For load balancers and orchestrators; anybody may ask."""
    return [web.get("/livez", _livez), web.get("/readyz", _readyz)]


async def _livez(request: web.Request) -> web.Response:
    del request
    return web.json_response({"alive": True})


async def _readyz(request: web.Request) -> web.Response:
    reasons = [shortage.value for shortage in await request.config_dict[STATE].shortages()]
    return web.json_response({"ready": not reasons, "reasons": reasons}, status=503 if reasons else 200)
