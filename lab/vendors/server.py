"""The emulated vendors on one port of this machine."""

from __future__ import annotations

__all__ = ["VendorServer", "account_at"]

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.typedefs import Handler, Middleware
from pydantic import SecretStr

from offhook.config.vendors import KEY_VARIABLES, Account

from . import control, deepgram, elevenlabs, openai
from .world import VendorWorld

HOST = "127.0.0.1"
STOPPED_WITHIN_S = 1.0
IDLE_CONNECTION_S = 3600.0
"""The vendors' own servers keep a waiting connection of a client's pool for minutes."""
_PATHS = {"openai": "/v1"}
"""Vendor -> what its base URL ends with."""


def account_at(port: int, vendor: str, key: str | None) -> Account:
    """How a vendor is reached that is emulated on this port of this machine."""
    url = _base_url(port) + _PATHS.get(vendor, "")
    return Account(None if key is None else SecretStr(key), url)


def _base_url(port: int) -> str:
    return f"http://{HOST}:{port}"


class VendorServer:
    """All vendors on one port, whose paths do not meet, and their control under `/lab`."""

    def __init__(self, world: VendorWorld) -> None:
        self.world = world
        self._vendors: dict[str, str] = {}
        """Path as the routes name it -> vendor."""
        app = web.Application(middlewares=[self._register()])
        for vendor, module in (("deepgram", deepgram), ("openai", openai), ("elevenlabs", elevenlabs)):
            routes = module.routes(world)
            self._vendors |= {route.path: vendor for route in routes}
            app.add_routes(routes)
        app.add_routes(control.routes(world))
        self._runner = web.AppRunner(
            app,
            access_log=None,
            handler_cancellation=True,
            keepalive_timeout=IDLE_CONNECTION_S,
            shutdown_timeout=STOPPED_WITHIN_S,
        )
        self.port = 0

    @property
    def base_url(self) -> str:
        """Where all of it is reached from this machine."""
        return _base_url(self.port)

    async def start(self, port: int = 0) -> int:
        """Listen on loopback; returns the port. Raises OSError if it is taken."""
        await self._runner.setup()
        try:
            await web.TCPSite(self._runner, HOST, port).start()
        except OSError:
            await self._runner.cleanup()
            raise
        self.port = int(self._runner.addresses[0][1])
        return self.port

    async def stop(self) -> None:
        """Close every connection."""
        await self._runner.cleanup()

    @asynccontextmanager
    async def listening(self, port: int = 0) -> AsyncIterator[VendorServer]:
        """Listen while the block lasts; raises as `start` does."""
        await self.start(port)
        try:
            yield self
        finally:
            await self.stop()

    def account(self, vendor: str) -> Account:
        """How a vendor is reached here, with the key that is right, if any is."""
        return account_at(self.port, vendor, self.world.keys.get(vendor))

    def environment(self) -> Mapping[str, str]:
        """The variables that point offhook here."""
        variables: dict[str, str] = {}
        for vendor, key_variable in KEY_VARIABLES.items():
            account = self.account(vendor)
            if account.key is not None:
                variables[key_variable] = account.key.get_secret_value()
            variables[f"{vendor.upper()}_BASE_URL"] = str(account.base_url)
        return variables

    def _register(self) -> Middleware:
        """Make what keeps `world.connections`, so that no emulator has to."""

        @web.middleware
        async def register(request: web.Request, handler: Handler) -> web.StreamResponse:
            resource = request.match_info.route.resource
            vendor = self._vendors.get(resource.canonical) if resource is not None else None
            if vendor is not None and request.transport is not None:
                self.world.connections.carries(vendor, request.transport)
            return await handler(request)

        return register
