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
from offhook.pipeline.providers.web.late_results import LateResults

from .assistant_request import AssistantRequests
from .call_store import CallStore, MemoryStore, StoreUnavailable
from .call_totals import CallTotals
from .callers import CallerLimits
from .capacity import Capacity, Shortage
from .live_call import CallFactory
from .loop_lag import LoopLag
from .media_socket import MediaSocket
from .posted_assistants import PostedAssistants
from .recording.recorder import Recorder
from .registry import CallRegistry
from .rules import Rule
from .stream_token import StreamTokens, derive_key
from .text_sessions import TextSessions
from .trust import TrustPolicy, trust_policy
from .twilio.rest import SdkRest, TwilioRest
from .workers.place import WorkerPlace

SPARE_SOCKETS = 20

_log = structlog.get_logger("offhook.bridge")


@dataclass(slots=True)
class ServerState:
    """The server's settings, its calls, and how often each rule was applied."""

    settings: Settings
    factory: CallFactory
    clock: Clock
    policy: TrustPolicy
    callers: CallerLimits
    posted: PostedAssistants
    texts: TextSessions
    wall_time: Callable[[], float]
    """Unix seconds."""
    registry: CallRegistry
    tokens: StreamTokens
    rest: TwilioRest | None
    lag: LoopLag
    totals: CallTotals
    store: CallStore
    place: WorkerPlace | None = None
    """Where this process stands among several; None when it is the only one."""
    capacity: Capacity = field(default_factory=Capacity)
    counters: Counter[str] = field(default_factory=Counter)
    assistant_requests: AssistantRequests | None = None
    """Asks which assistant is to take a call; None: nobody is asked."""
    late_results: LateResults = field(default_factory=LateResults)
    """Results of tools that their servers give later."""
    posts: Counter[str] = field(default_factory=Counter)
    """What became of the messages that are posted of calls."""
    sockets: set[MediaSocket] = field(default_factory=set)
    """Every open stream, also of those that have not said whose they are."""
    draining: bool = False
    recorder: Recorder | None = None
    """Who records calls; None where there is no folder to keep recordings in."""

    @classmethod
    def build(
        cls,
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
    ) -> ServerState:
        """Wire the parts; `rest` replaces what credentials in the settings would make.

        With `watchdog` a thread names what holds the loop up; the clock must be the real one then.
        One of several workers is told its `place`, and the `store` that they share.

        Raises ConfigError for settings that contradict each other.
        """
        token = settings.twilio_auth_token
        if rest is None and token is not None and settings.twilio_account_sid is not None:
            rest = SdkRest(settings.twilio_account_sid, token, settings.twilio_api_base_url)
        totals = CallTotals()
        if token is None and place is not None:
            key = place.token_key
        else:
            key = derive_key(None if token is None else token.get_secret_value())
        return cls(
            posted=posted or PostedAssistants(clock),
            texts=TextSessions(factory, clock, wall_time),
            callers=CallerLimits(
                settings.blocked_callers,
                settings.allowed_callers,
                settings.calls_per_caller,
                settings.calls_per_day,
            ),
            wall_time=wall_time,
            settings=settings,
            factory=factory,
            clock=clock,
            policy=trust_policy(settings),
            registry=CallRegistry(
                clock,
                max_calls=settings.max_calls,
                max_call_s=settings.max_call_s,
                wall_time=wall_time,
                observe=totals.observe,
            ),
            tokens=StreamTokens(key, wall_time),
            rest=rest,
            lag=LoopLag(clock, watchdog=watchdog),
            totals=totals,
            store=store or MemoryStore(settings.max_calls, wall_time),
            place=place,
        )

    def apply(self, rule: Rule, *, warn: bool = False, **fields: object) -> None:
        """Count a rule that was applied, and log it; with a warning where the configuration is to blame."""
        self.counters[rule.name] += 1
        log = _log.warning if warn else _log.info
        log("rule.applied", rule=rule.name, outcome=rule.outcome.value, **fields)

    @property
    def after_address(self) -> str | None:
        """What the carrier asks behind a call that was handed over by its REST interface."""
        return None if self.policy.public_url is None else f"{self.policy.public_url}/voice/after"

    @property
    def crowded(self) -> bool:
        """More sockets are open than calls could need."""
        return len(self.sockets) >= 2 * self.settings.max_calls + SPARE_SOCKETS

    @property
    def address(self) -> str:
        """Where siblings reach this worker; empty when there are none."""
        return "" if self.place is None else self.place.address

    async def full(self) -> bool:
        """No further call is taken, by any worker. Without the store, what is known here counts."""
        if self.registry.full:
            return True
        try:
            return await self.store.live_count() >= self.settings.max_calls
        except StoreUnavailable:
            return False

    async def shortages(self) -> tuple[Shortage, ...]:
        """Why no further call should come here; empty when it may."""
        return self._shortages(full=await self.full())

    def shortages_here(self) -> tuple[Shortage, ...]:
        """The same, but for the calls that other workers hold."""
        return self._shortages(full=self.registry.full)

    def _shortages(self, *, full: bool) -> tuple[Shortage, ...]:
        return self.capacity.shortages(
            self.lag.reading(),
            ready=self.factory.ready,
            draining=self.draining,
            full=full,
            live=bool(self.registry.live()),
        )

    @property
    def overloaded(self) -> bool:
        """The loop is too late for the calls that are live."""
        return self.capacity.overloaded(self.lag.reading(), live=bool(self.registry.live()))


STATE = web.AppKey("state", ServerState)
