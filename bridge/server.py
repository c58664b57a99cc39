"""One port for webhooks, media streams, control and health."""

from __future__ import annotations

__all__ = ["Server", "create_app"]

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress

import structlog
from aiohttp import web

from offhook.config.settings import Settings
from offhook.pipeline.clock import Clock

from . import (
    assistant_endpoint,
    control_api,
    health,
    late_results_api,
    media_endpoint,
    messages_api,
    metrics,
    recording_api,
    webhooks,
)
from .call_store import CallStore, StoreUnavailable
from .http_rules import error_answers
from .live_call import CallFactory
from .posted_assistants import PostedAssistants
from .server_state import STATE, ServerState
from .twilio.rest import SdkRest, TwilioRest
from .workers import forwarding
from .workers.place import WorkerPlace

BODY_LIMIT_BYTES = 65_536
REQUEST_WITHIN_S = 5.0
"""A connection that has not sent a whole request header by then is closed; so is an idle one."""
LINGER_S = 1.0
"""So long is the rest of a refused body read, for the client to see the answer."""
GOODBYE_S = 5.0
"""After the grace is over, live calls are asked to hang up and have so long for it."""
FOLLOW_UP_S = 5.0
"""So long after a call's stream the carrier may take to ask `/voice/after`."""

_log = structlog.get_logger("offhook.bridge")


def create_app(
    settings: Settings,
    factory: CallFactory,
    clock: Clock,
    *,
    rest: TwilioRest | None = None,
    wall_time: Callable[[], float] = time.time,
    watchdog: bool = False,
    store: CallStore | None = None,
    place: WorkerPlace | None = None,
    posted: PostedAssistants | None = None,
) -> web.Application:
    """The server as an aiohttp application; its state is at `app[STATE]`.

    With `watchdog` a thread names what holds the loop up; the clock must be the real one then.
    Raises ConfigError for settings that contradict each other.
    """
    state = ServerState.build(
        settings,
        factory,
        clock,
        rest=rest,
        wall_time=wall_time,
        watchdog=watchdog,
        store=store,
        place=place,
        posted=posted,
    )
    middlewares = [error_answers(), forwarding.private_requests()]
    app = web.Application(middlewares=middlewares, client_max_size=BODY_LIMIT_BYTES)
    app[STATE] = state
    of_calls = (control_api, messages_api, recording_api, late_results_api)
    for part in (webhooks, media_endpoint, assistant_endpoint, *of_calls, health, metrics, forwarding):
        app.add_routes(part.routes())
    app.on_startup.append(_start)
    app.on_cleanup.append(_stop)
    return app


async def _start(app: web.Application) -> None:
    state = app[STATE]
    state.lag.start()
    if state.settings.insecure:
        _log.warning("server.insecure", meaning="requests that nobody signed are served")
    elif state.policy.public_url is not None and state.policy.keys is None:
        _log.warning("server.unsigned_public", fix="set TWILIO_AUTH_TOKEN; until then every call is refused")
    if isinstance(state.rest, SdkRest):
        try:
            await state.rest.load()
        except ImportError:
            _log.warning("server.no_twilio_sdk", fix="pip install 'offhook[twilio]'; calls end without it")
            state.rest = None


async def _stop(app: web.Application) -> None:
    app[STATE].lag.stop()


class Server:
    """The bridge on a port."""

    def __init__(
        self,
        settings: Settings,
        factory: CallFactory,
        clock: Clock,
        *,
        rest: TwilioRest | None = None,
        wall_time: Callable[[], float] = time.time,
        watchdog: bool = False,
        store: CallStore | None = None,
        place: WorkerPlace | None = None,
        posted: PostedAssistants | None = None,
    ) -> None:
        """One of several workers is told its `place`, and the `store` that they share.

        Raises ConfigError for settings that contradict each other.
        """
        self.app = create_app(
            settings,
            factory,
            clock,
            rest=rest,
            wall_time=wall_time,
            watchdog=watchdog,
            store=store,
            place=place,
            posted=posted,
        )
        self._runner = web.AppRunner(
            self.app,
            access_log=None,
            handle_signals=False,
            keepalive_timeout=REQUEST_WITHIN_S,
            shutdown_timeout=GOODBYE_S,
            lingering_time=LINGER_S,
        )
        self._site: web.TCPSite | None = None
        self._stopped = False

    @property
    def state(self) -> ServerState:
        """Settings, calls and counters."""
        return self.app[STATE]

    async def start(self, host: str, port: int) -> int:
        """Listen; returns the port, which the system chooses for 0. Raises OSError if it is taken.

        A worker shares the port with its siblings, and also listens on its own socket. It raises
        StoreUnavailable when they cannot be told.
        """
        place = self.state.place
        await self._runner.setup()
        self._site = web.TCPSite(self._runner, host, port, reuse_port=place is not None)
        try:
            await self._site.start()
            bound = int(self._runner.addresses[0][1])
            if place is not None:
                await web.UnixSite(self._runner, place.address).start()
                await self.state.store.join(place.address, str(place.index))
        except (OSError, StoreUnavailable):
            await self._runner.cleanup()
            raise
        self.state.late_results.key = self.state.tokens.key_for(b"tool results")
        self.state.late_results.origin = self.state.policy.public_url or f"http://127.0.0.1:{bound}"
        _log.info("server.listening", host=host, port=bound)
        return bound

    async def leave_port(self) -> None:
        """Take no further connection on the port, which others share; siblings still reach this worker."""
        if self._site is not None:
            await self._site.stop()
            self._site = None

    async def stop(self, grace_s: float = 0.0) -> None:
        """Take no new calls, give the live ones `grace_s` to end, then hang up and close everything.

        The port stays open until the carrier has asked what follows the calls that ended last: a goodbye or
        a transfer would be lost otherwise. A server that was stopped stays so.
        """
        if self._stopped:
            return
        self.state.draining = True
        await self._calls_end(grace_s)
        for entry in self.state.registry.live():
            entry.hang_up("shutdown")
        await self._calls_end(GOODBYE_S)
        for entry in self.state.registry.live():
            entry.cut("shutdown")
        for socket in self.state.sockets:
            socket.close(1001, "shut_down")
        with suppress(TimeoutError):
            async with asyncio.timeout(FOLLOW_UP_S):
                await self.state.registry.wait_followed_up(FOLLOW_UP_S)
        await self.state.texts.close()
        await self._runner.cleanup()
        if self.state.place is not None:
            with suppress(StoreUnavailable):
                await self.state.store.abandon(self.state.place.address)
        self._stopped = True
        _log.info("server.stopped")

    async def _calls_end(self, within_s: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self.state.registry.wait_idle()
