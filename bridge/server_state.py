"""What the parts of one server share."""

from __future__ import annotations

__all__ = ["STATE", "ServerState"]

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog
from aiohttp import web

from offhook.config.settings import Settings
from offhook.pipeline.clock import Clock

from .live_call import CallFactory
from .loop_lag import LoopLag
from .media_socket import MediaSocket
from .registry import CallRegistry
from .rules import Rule
from .stream_token import StreamTokens, derive_key
from .trust import TrustPolicy, trust_policy
from .twilio.rest import SdkRest, TwilioRest

LAG_LIMIT_MS = 100.0
SPARE_SOCKETS = 20

_log = structlog.get_logger("offhook.bridge")


@dataclass(slots=True)
class ServerState:
    """The server's settings, its calls, and how often each rule was applied."""

    settings: Settings
    factory: CallFactory
    clock: Clock
    policy: TrustPolicy
    registry: CallRegistry
    tokens: StreamTokens
    rest: TwilioRest | None
    lag: LoopLag
    counters: Counter[str] = field(default_factory=Counter)
    sockets: set[MediaSocket] = field(default_factory=set)
    """Every open stream, also of those that have not said whose they are."""
    draining: bool = False

    @classmethod
    def build(
        cls,
        settings: Settings,
        factory: CallFactory,
        clock: Clock,
        *,
        rest: TwilioRest | None = None,
        wall_time: Callable[[], float] = time.time,
    ) -> ServerState:
        """Wire the parts; `rest` replaces what credentials in the settings would make.

        Raises ConfigError for settings that contradict each other.
        """
        token = settings.twilio_auth_token
        if rest is None and token is not None and settings.twilio_account_sid is not None:
            rest = SdkRest(settings.twilio_account_sid, token)
        key = derive_key(None if token is None else token.get_secret_value())
        return cls(
            settings=settings,
            factory=factory,
            clock=clock,
            policy=trust_policy(settings),
            registry=CallRegistry(
                clock,
                max_calls=settings.max_calls,
                max_call_s=settings.max_call_s,
                wall_time=wall_time,
            ),
            tokens=StreamTokens(key, wall_time),
            rest=rest,
            lag=LoopLag(clock),
        )

    def apply(self, rule: Rule, *, warn: bool = False, **fields: object) -> None:
        """Count a rule that was applied, and log it; with a warning where the configuration is to blame."""
        self.counters[rule.name] += 1
        log = _log.warning if warn else _log.info
        log("rule.applied", rule=rule.name, outcome=rule.outcome.value, **fields)

    @property
    def crowded(self) -> bool:
        """More sockets are open than calls could need."""
        return len(self.sockets) >= 2 * self.settings.max_calls + SPARE_SOCKETS

    def not_ready(self) -> list[str]:
        """Why no further call should come here; empty when it may."""
        reasons = []
        if not self.factory.ready:
            reasons.append("the speech models are not loaded yet")
        if self.draining:
            reasons.append("the server is being shut down")
        if self.registry.full:
            reasons.append("as many calls as allowed are live")
        lag = self.lag.reading()
        if lag.p99_ms > LAG_LIMIT_MS:
            reasons.append(f"the event loop is {lag.p99_ms:.0f} ms late (p99 of 5 s)")
        return reasons


STATE = web.AppKey("state", ServerState)
