"""Control of running emulators over HTTP, on their own port: what they saw, what is to go wrong.

GET    /lab/sightings?vendor=&what=&newest=   what was seen, as JSON
GET    /lab/open                              what is open now, and the most that was
GET    /lab/faults                            what is planned, and what has happened
POST   /lab/faults                            plan one (JSON)
DELETE /lab/faults                            plan nothing more
POST   /lab/drop?vendor=                      reset that vendor's connections now
"""

from __future__ import annotations

__all__ = ["routes"]

import json
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

from aiohttp import web

from offhook.config.errors import OffhookError

from .fault_words import fault_as_json, fault_from_json
from .faults import MOMENTS
from .sightings import Sighting
from .world import VendorWorld

MOST_ANSWERED = 1000
"""Sightings in an answer, unless `newest` says otherwise: writing more would hold up the emulators."""

_dumps = partial(json.dumps, default=str)
Answer = Callable[[web.Request], Awaitable[web.Response]]


def routes(world: VendorWorld) -> list[web.RouteDef]:
    """What is answered under `/lab`; anything that is wrong with a request is told in `error`."""
    control = _Control(world)
    return [
        web.get("/lab/sightings", _told(control.sightings)),
        web.get("/lab/open", _told(control.open)),
        web.get("/lab/faults", _told(control.faults)),
        web.post("/lab/faults", _told(control.plan)),
        web.delete("/lab/faults", _told(control.clear)),
        web.post("/lab/drop", _told(control.drop)),
    ]


class _Control:
    def __init__(self, world: VendorWorld) -> None:
        self._world = world

    async def sightings(self, request: web.Request) -> web.Response:
        vendor, what = request.query.get("vendor"), request.query.get("what")
        if vendor is not None:
            _known(vendor)
        newest = _whole_number(request.query.get("newest", str(MOST_ANSWERED)))
        found = [
            sighting
            for sighting in self._world.sightings.all
            if vendor in (None, sighting.vendor) and what in (None, sighting.what)
        ]
        told = found[max(0, len(found) - newest) :]
        return _json({"count": len(found), "sightings": [_sighting_as_json(sighting) for sighting in told]})

    async def open(self, request: web.Request) -> web.Response:
        del request
        sightings, connections = self._world.sightings, self._world.connections
        return _json(
            {
                "connections": {vendor: len(connections.live(vendor)) for vendor in MOMENTS},
                "open": sightings.open,
                "most_open": sightings.most_open,
            }
        )

    async def faults(self, request: web.Request) -> web.Response:
        del request
        plan = self._world.faults
        happened = plan.happened[-MOST_ANSWERED:]
        return _json(
            {
                "planned": [fault_as_json(fault) for fault in plan.planned],
                "happened": [fault_as_json(fault) for fault in happened],
            }
        )

    async def plan(self, request: web.Request) -> web.Response:
        try:
            fields = await request.json()
        except ValueError:
            raise OffhookError("the body is no JSON") from None
        fault = fault_from_json(fields)
        self._world.faults.plan(fault)
        return _json(fault_as_json(fault), status=201)

    async def clear(self, request: web.Request) -> web.Response:
        del request
        cleared = len(self._world.faults.planned)
        self._world.faults.clear()
        return _json({"cleared": cleared})

    async def drop(self, request: web.Request) -> web.Response:
        vendor = _known(request.query.get("vendor", ""))
        return _json({"dropped": self._world.connections.drop(vendor)})


def _told(answer: Answer) -> Answer:
    async def tell(request: web.Request) -> web.Response:
        try:
            return await answer(request)
        except OffhookError as error:
            return _json({"error": str(error)}, status=400)

    return tell


def _sighting_as_json(sighting: Sighting) -> dict[str, Any]:
    return {
        "at_s": sighting.at_s,
        "vendor": sighting.vendor,
        "what": sighting.what,
        "data": dict(sighting.data),
    }


def _known(vendor: str) -> str:
    if vendor not in MOMENTS:
        raise OffhookError(f"`vendor` is one of {', '.join(MOMENTS)}, not `{vendor}`")
    return vendor


def _whole_number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 10):
        raise OffhookError(f"`newest` is a whole number, not `{text}`")
    return int(text)


def _json(data: Any, status: int = 200) -> web.Response:
    return web.json_response(data, status=status, dumps=_dumps)
