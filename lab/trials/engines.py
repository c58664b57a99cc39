"""The engines of a trial: those of the vendors as the catalogue builds them, pointed at emulators."""

from __future__ import annotations

__all__ = ["trial_engines"]

from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TypeVar

from offhook.config.assistant import Assistant
from offhook.config.vendors import Account
from offhook.pipeline.breaker import CircuitBreaker
from offhook.pipeline.call import Engines
from offhook.pipeline.clock import Clock
from offhook.pipeline.line_up import Candidate, LineUp
from offhook.pipeline.ports import VoiceActivity, Workers
from offhook.pipeline.providers import catalogue
from offhook.pipeline.providers.catalogue import Built, Making, candidate_name

T = TypeVar("T")
Choice = TypeVar("Choice", bound=catalogue.Choice)


@asynccontextmanager
async def trial_engines(
    assistant: Assistant,
    account: Callable[[str], Account],
    clock: Clock,
    *,
    voice_activity: VoiceActivity,
    workers: Workers,
) -> AsyncIterator[Engines]:
    """Build and start every candidate of the assistant's; they are closed with the context."""
    making = Making(clock, account)
    language = assistant.language
    async with AsyncExitStack() as stack:

        async def line_up(choices: Iterable[Choice], build: Callable[[Choice], Built[T]]) -> LineUp[T]:
            candidates = []
            for choice in choices:
                built = build(choice)
                stack.push_async_callback(built.lifecycle.close)
                await built.lifecycle.start()
                candidates.append(Candidate(candidate_name(choice), built.engine, CircuitBreaker(clock)))
            return tuple(candidates)

        yield Engines(
            voice_activity=voice_activity,
            transcribers=await line_up(
                assistant.transcriber.choices, lambda it: catalogue.transcriber(it, language, making)
            ),
            models=await line_up(assistant.model.choices, lambda it: catalogue.model(it, assistant, making)),
            voices=await line_up(assistant.voice.choices, lambda it: catalogue.voice(it, language, making)),
            workers=workers,
        )
