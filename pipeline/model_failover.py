"""One call's language model: the models of its line-up, one of which answers each request.

A model that fails before it said anything is asked once more if that may help and there is time, then the
next one is. One that is slower than it usually is gets a rival: the first to speak answers, the other is
cancelled. An answer that breaks off before a whole clause begins anew with the next model (`StartOver`);
behind whole clauses it is over, for they may have been spoken.
"""

from __future__ import annotations

__all__ = ["FailoverModel"]

import asyncio
import random
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing, suppress
from typing import Any, ClassVar, cast

from offhook.config.errors import (
    AllProvidersFailed,
    ProviderBusy,
    ProviderError,
    ProviderRefused,
    ProviderTimeout,
    WorkerDied,
)

from .clock import Clock
from .line_up import Candidate, LineUp, Standing
from .messages import ModelDelta, ModelRequest, StartOver, TextDelta, ToolRequest
from .ports import LanguageModel
from .provider_trouble import as_provider_error
from .segmenter import Segmenter
from .usage import Usage

STAGE = "model"
FIRST_PIECE_S = 2.5
"""Of a model that does not say otherwise (`first_token_s`)."""
ALONE_S = 7.0
"""A model without a stand-in is waited for so long at least; the turn itself is given up after 8 s."""
STALLED_S = 2.5
"""Between two pieces."""
RETRY_WITHIN_S = 1.5
"""Since the request; later a caller is better served by another model."""
RETRY_AFTER_S = (0.05, 0.25)
CLOSE_WITHIN_S = 1.5
"""An answer that nobody wants any more has so long to end."""
RETRY_AFTER_LIMIT_S = 1.0
"""A server that wants to be left alone for longer is not waited for."""


_RANDOM = random.Random()
"""One for all calls: it holds 2.5 KB."""


class FailoverModel:
    """A `LanguageModel` that stands in for those of a line-up."""

    def __init__(
        self,
        models: LineUp[LanguageModel],
        clock: Clock,
        note: Callable[..., Any],
        usage: Usage | None = None,
    ) -> None:
        """What is asked and answered is counted in `usage`."""
        self._clock, self._note = clock, note
        self._usage = usage or Usage()
        self._standing = Standing(STAGE, models, note)

    async def respond(self, request: ModelRequest) -> AsyncGenerator[ModelDelta, None]:
        """Yield text and tool requests as they come.

        Raises ProviderError if an answer broke off behind whole clauses, AllProvidersFailed before them.
        """
        begun_s, attempts = self._clock.now(), Counter[int]()
        self._standing.fresh()
        while True:
            race = _Race(self._standing, request, self._clock, self._note, self._usage)
            said = _Said()
            attempts[id(race.candidate)] += 1
            try:
                async with aclosing(race.deltas()) as deltas:
                    async for delta in deltas:
                        said.take(delta)
                        self._usage.answered(delta)
                        yield delta
                self._standing.worked(race.candidate)
                return
            except ProviderError as error:
                if said.irrevocable:
                    self._standing.failed(race.candidate, error)
                    raise
                if said.text:
                    yield StartOver()
                attempts.update(dict.fromkeys(race.given_up, 2))
                await self._after(error, race.candidate, attempts, begun_s)
            finally:
                race.close()

    async def _after(
        self, error: ProviderError, candidate: Candidate[Any], attempts: Counter[int], begun_s: float
    ) -> None:
        """Wait for another attempt or go on to the next model. Raises AllProvidersFailed."""
        wait_s = _RANDOM.uniform(*RETRY_AFTER_S)
        if isinstance(error, ProviderBusy) and error.retry_after_s is not None:
            wait_s = max(wait_s, error.retry_after_s)
        lasting = isinstance(error, ProviderRefused | ProviderTimeout | WorkerDied)
        in_time = self._clock.now() + wait_s - begun_s <= RETRY_WITHIN_S and wait_s < RETRY_AFTER_LIMIT_S
        if attempts[id(candidate)] < 2 and not lasting and in_time:
            await self._clock.sleep_until(self._clock.now() + wait_s)
            return
        attempts[id(candidate)] = 2  # a rival that failed has had its chance too
        self._standing.failed(candidate, error)
        if attempts[id(self._standing.present)]:
            raise AllProvidersFailed(STAGE, error.reason) from error


class _Said:
    """How much of an answer may have been spoken."""

    def __init__(self) -> None:
        self._segmenter = Segmenter()
        self.text = ""
        self.irrevocable = False
        """A clause of it is whole, or a tool was asked for."""

    def take(self, delta: ModelDelta) -> None:
        if isinstance(delta, TextDelta):
            self.text += delta.text
            self.irrevocable |= bool(self._segmenter.feed(delta.text)) or not delta.interruptible
        elif isinstance(delta, ToolRequest):
            self.irrevocable = True


class _Attempt:
    """One model's answer, of which the first piece is waited for."""

    closing: ClassVar[set[asyncio.Task[None]]] = set()
    """Answers that nobody wants any more, on their way out; each is gone within `CLOSE_WITHIN_S`."""

    def __init__(self, candidate: Candidate[LanguageModel], request: ModelRequest, clock: Clock) -> None:
        self.candidate = candidate
        self.began_s = clock.now()
        self.limit_s: float = getattr(candidate.engine, "first_token_s", FIRST_PIECE_S)
        self._request = request
        self.deltas: AsyncGenerator[ModelDelta, None] | None = None
        self.first = asyncio.create_task(self._next(), name="first-token")

    async def _next(self) -> ModelDelta | None:
        """The first piece, or None where the answer is empty."""
        answer = self.candidate.engine.respond(self._request)
        self.deltas = cast("AsyncGenerator[ModelDelta, None]", answer)
        return await anext(self.deltas, None)

    def close(self) -> None:
        """End it, so that its server sees that; nobody waits for how long that takes."""
        self.first.cancel()
        task = asyncio.create_task(self._end(), name="answer-closing")
        self.closing.add(task)
        task.add_done_callback(self.closing.discard)

    async def _end(self) -> None:
        with suppress(Exception):
            async with asyncio.timeout(CLOSE_WITHIN_S):
                await asyncio.wait([self.first])
                if not self.first.cancelled():
                    self.first.exception()  # seen, and nobody's any more
                if self.deltas is not None:
                    await self.deltas.aclose()


class _Race:
    """One request: the present model's answer, and a rival's if that is slow."""

    def __init__(
        self,
        standing: Standing[LanguageModel],
        request: ModelRequest,
        clock: Clock,
        note: Callable[..., Any],
        usage: Usage,
    ) -> None:
        self._standing, self._request, self._clock, self._note = standing, request, clock, note
        self._usage = usage
        self.candidate = standing.present
        """Whose answer it is, or who failed last."""
        self._attempts = [self._asked(self.candidate)]
        self.given_up: set[int] = set()
        """Who failed beside the one whose failure it is."""

    def _asked(self, candidate: Candidate[LanguageModel]) -> _Attempt:
        self._usage.asked(self._request)
        return _Attempt(candidate, self._request, self._clock)

    async def deltas(self) -> AsyncGenerator[ModelDelta, None]:
        """Yield the pieces of the answer that began first. Raises ProviderError."""
        attempt, first = await self._winner()
        self.candidate = attempt.candidate
        rest = attempt.deltas
        if first is None or rest is None:
            return
        yield first
        while True:
            try:
                async with asyncio.timeout(STALLED_S):
                    delta = await anext(rest)
            except StopAsyncIteration:
                return
            except TimeoutError:
                raise ProviderTimeout(STAGE, f"the answer stopped for {STALLED_S:g} s") from None
            except (Exception, asyncio.CancelledError) as error:
                raise as_provider_error(STAGE, error) from None
            yield delta

    def close(self) -> None:
        """End whatever runs."""
        for attempt in self._attempts:
            attempt.close()
        self._attempts = []

    async def _winner(self) -> tuple[_Attempt, ModelDelta | None]:
        """Wait for a first piece; raises ProviderError when nobody has one in time."""
        failure: ProviderError | None = None
        running = list(self._attempts)
        rival_at_s: float | None = running[0].began_s + running[0].candidate.pace.slow_s
        while running:
            wait_s = self._wait_s(running, rival_at_s)
            done, _ = await asyncio.wait(
                [it.first for it in running], timeout=wait_s, return_when=asyncio.FIRST_COMPLETED
            )
            for attempt in [it for it in running if it.first in done]:
                try:
                    first = attempt.first.result()
                except (Exception, asyncio.CancelledError) as error:
                    running.remove(attempt)
                    failure = self._lost(attempt, as_provider_error(STAGE, error), alone=not running)
                    continue
                attempt.candidate.pace.add(self._clock.now() - attempt.began_s)
                for other in [each for each in self._attempts if each is not attempt]:
                    self._drop(other)
                return attempt, first
            now = self._clock.now()
            for attempt in [it for it in running if now >= it.began_s + self._limit_s(it)]:
                running.remove(attempt)
                error_ = ProviderTimeout(STAGE, f"no answer within {self._limit_s(attempt):g} s")
                failure = self._lost(attempt, error_, alone=not running)
            if running and rival_at_s is not None and now >= rival_at_s:
                rival_at_s = None
                running += self._rival()
        raise failure or ProviderError(STAGE, "no answer")

    def _wait_s(self, running: list[_Attempt], rival_at_s: float | None) -> float:
        ends = [attempt.began_s + self._limit_s(attempt) for attempt in running]
        return max(0.0, min([*ends, *([] if rival_at_s is None else [rival_at_s])]) - self._clock.now())

    def _limit_s(self, attempt: _Attempt) -> float:
        return attempt.limit_s if len(self._standing.line_up) > 1 else max(ALONE_S, attempt.limit_s)

    def _rival(self) -> list[_Attempt]:
        candidate = self._standing.stand_in()
        if candidate is None:
            return []
        self._note("model.hedged", **{"from": self.candidate.name, "to": candidate.name})
        self._attempts.append(self._asked(candidate))
        return [self._attempts[-1]]

    def _lost(self, attempt: _Attempt, error: ProviderError, *, alone: bool) -> ProviderError:
        """One has failed; while another still runs that is all, the last one's failure is the request's."""
        self._drop(attempt)
        if alone:
            self.candidate = attempt.candidate
        else:
            self.given_up.add(id(attempt.candidate))
            self._standing.failed(attempt.candidate, error)
        return error

    def _drop(self, attempt: _Attempt) -> None:
        self._attempts.remove(attempt)
        attempt.close()
