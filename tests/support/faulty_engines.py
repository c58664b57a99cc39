"""Scripted engines that fail on demand, in every way an engine may."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field
from typing import Any, TypeVar, cast

from fake_engines import ScriptedModel, ScriptedVoice

from offhook.config.errors import ProviderError
from offhook.pipeline.messages import ModelDelta, ModelRequest
from offhook.pipeline.ports import SpokenAudio, Transcript

T = TypeVar("T")
HOURS = 3600.0


class LibraryError(Exception):
    """Stands for a client library's own trouble."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What happens to an engine's answer after so many of its pieces."""

    kind: str
    """"raises", "breaks", "is cancelled", "stalls", "ends" or "is slow"."""
    after: int = 0


KINDS = ("raises", "breaks", "is cancelled", "stalls", "ends", "is slow")


async def disturbed(source: AsyncIterator[T], fault: Fault | None, stage: str) -> AsyncGenerator[T, None]:
    """Pass the pieces on, with the fault among them."""
    given = 0
    async with aclosing(cast("AsyncGenerator[T, None]", source)) as pieces:
        async for piece in pieces:
            if fault is not None and given >= fault.after:
                await _happen(fault, stage)
                if fault.kind == "ends":
                    return
            given += 1
            yield piece
    if fault is not None and given <= fault.after and fault.kind not in ("ends", "is slow"):
        await _happen(fault, stage)


async def _happen(fault: Fault, stage: str) -> None:
    match fault.kind:
        case "raises":
            raise ProviderError(stage, "scripted failure")
        case "breaks":
            raise LibraryError
        case "is cancelled":
            raise asyncio.CancelledError
        case "stalls":
            await asyncio.sleep(HOURS)
        case "is slow":
            await asyncio.sleep(0.6)


class FaultyModel(ScriptedModel):
    """Each waiting fault happens to one answer."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.faults: deque[Fault] = deque()

    async def respond(self, request: ModelRequest) -> AsyncIterator[ModelDelta]:
        fault = self.faults.popleft() if self.faults else None
        async with aclosing(disturbed(super().respond(request), fault, "model")) as deltas:
            async for delta in deltas:
                yield delta


class FaultyVoice(ScriptedVoice):
    """Each waiting fault happens to one clause."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.faults: deque[Fault] = deque()

    async def speak(self, text: str) -> AsyncIterator[SpokenAudio]:
        fault = self.faults.popleft() if self.faults else None
        async with aclosing(disturbed(super().speak(text), fault, "voice")) as pieces:
            async for piece in pieces:
                yield piece


# ------------------------------------------------------ what a recogniser does to its results


def faithful(result: Transcript) -> Iterable[Transcript]:
    """As it should."""
    return (result,)


def twice(result: Transcript) -> Iterable[Transcript]:
    """Each result comes again."""
    return (result, result)


def without_finals(result: Transcript) -> Iterable[Transcript]:
    """No words are ever final."""
    return () if result.final else (result,)


def only_finals(result: Transcript) -> Iterable[Transcript]:
    """No words before they are final."""
    return (result,) if result.final else ()


@dataclass(slots=True)
class WrongOrder:
    """A result that is older comes behind each, also one of an utterance that is over."""

    before: deque[Transcript] = field(default_factory=lambda: deque(maxlen=3))

    def __call__(self, result: Transcript) -> Iterable[Transcript]:
        older = tuple(self.before)
        self.before.append(result)
        return (result, *older)


@dataclass(slots=True)
class ChangingMind:
    """Partials are other words than the final."""

    number: int = 0

    def __call__(self, result: Transcript) -> Iterable[Transcript]:
        self.number += 1
        if result.final or not result.text:
            return (result,)
        text = ("well then", "stop", "yeah", "")[self.number % 4]
        return (
            Transcript(
                result.connection, result.utterance, result.sequence, text, False, result.covers_s, 0.5
            ),
        )


HABITS: dict[str, Callable[[], Callable[[Transcript], Iterable[Transcript]]]] = {
    "faithful": lambda: faithful,
    "twice": lambda: twice,
    "without finals": lambda: without_finals,
    "only finals": lambda: only_finals,
    "wrong order": WrongOrder,
    "changing its mind": ChangingMind,
}
