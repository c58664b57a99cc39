"""An engine that assistants share: started once however many ask for it, built anew when that failed."""

from __future__ import annotations

__all__ = ["RETRY_S", "SharedEngine"]

import asyncio
import math
from collections.abc import Callable
from typing import Any

import structlog

from offhook.config.errors import ProviderError, ProviderTimeout
from offhook.pipeline.breaker import CircuitBreaker
from offhook.pipeline.clock import Clock
from offhook.pipeline.line_up import Candidate
from offhook.pipeline.log_fields import failure_fields
from offhook.pipeline.providers.catalogue import Built

RETRY_S = 30.0
"""An engine that others stand in for is tried again so long after it failed to start."""
START_WITHIN_S = 90.0
"""More than a model's process takes at the most."""
CLOSE_WITHIN_S = 10.0

log = structlog.get_logger(__name__)


class SharedEngine:
    """One provider of a stage, before, while and after it can be used."""

    def __init__(self, name: str, build: Callable[[], Built[Any]], clock: Clock) -> None:
        self.name = name
        self.failure: ProviderError | None = None
        """Why it did not start; None as long as nobody knows better."""
        self._build, self._clock = build, clock
        self._breaker = CircuitBreaker(clock)
        self._built: Built[Any] | None = None
        self._candidate: Candidate[Any] | None = None
        self._starting: asyncio.Task[None] | None = None
        self._failed_at = -math.inf
        self._closed = False

    @property
    def candidate(self) -> Candidate[Any] | None:
        """What calls are given; None while it is not started, or takes no jobs."""
        usable = self._built is not None and self._built.lifecycle.takes_jobs
        return self._candidate if usable else None

    def there(self) -> SharedEngine:
        """Have it at once: it is an engine that needs no start."""
        self._use(self._build())
        return self

    def may_be_started(self, *, stood_in_for: bool) -> bool:
        """Whether an attempt is due; one that nobody stands in for is tried whenever it is asked for."""
        if self._built is not None or self._closed:
            return False
        return not stood_in_for or self._clock.now() >= self._failed_at + RETRY_S

    async def start(self) -> None:
        """Wait until it is started or has failed to, which `failure` tells; raises nothing of its own."""
        if self._built is not None or self._closed:
            return
        if self._starting is None:
            self._starting = asyncio.create_task(self._attempt(), name=f"engine {self.name}")
        # Others may wait too: neither does one that gives up take the attempt along, nor the other way round.
        await asyncio.wait((self._starting,))

    async def close(self) -> None:
        """Let go of it, also in the middle of its start; it is never started again."""
        self._closed = True
        if self._starting is not None:
            self._starting.cancel()
            await asyncio.wait((self._starting,))
        built, self._built = self._built, None
        if built is not None:
            await self._let_go(built)

    async def _attempt(self) -> None:
        try:
            built = self._build()
            try:
                await self._begin(built)
            finally:
                if self._built is not built:
                    await self._let_go(built)
        finally:
            self._starting = None

    async def _begin(self, built: Built[Any]) -> None:
        try:
            async with asyncio.timeout(START_WITHIN_S):
                await built.lifecycle.start()
        except ProviderError as error:
            self._failed(error)
        except TimeoutError:
            self._failed(ProviderTimeout(self.name, f"it was not started within {START_WITHIN_S:g} s"))
        except Exception as error:
            log.error("engine.broke", engine=self.name, **failure_fields(error, log_words=False))
            self._failed(ProviderError(self.name, type(error).__name__))
        else:
            self._use(built)
            log.info("engine.started", engine=self.name)

    def _failed(self, error: ProviderError) -> None:
        self.failure, self._failed_at = error, self._clock.now()
        log.error("engine.not-started", engine=self.name, reason=error.reason)

    def _use(self, built: Built[Any]) -> None:
        self._built, self.failure = built, None
        self._candidate = Candidate(self.name, built.engine, self._breaker)

    async def _let_go(self, built: Built[Any]) -> None:
        try:
            async with asyncio.timeout(CLOSE_WITHIN_S):
                await built.lifecycle.close()
        except Exception as error:
            log.error("engine.not-closed", engine=self.name, **failure_fields(error, log_words=False))
