"""The engines of one server process: built for what the assistants ask, warm before the first call.

Assistants that ask for the same share an engine. It is kept as long as an assistant that is served asks
for it, or a live call uses it, and closed at the first call after that: edits leave nothing behind. A call
is given those engines that are started. One that is not is left out and tried again every 30 s, unless nobody
stands in for it: then it is tried at every call, and calls are refused until it is there.
"""

from __future__ import annotations

__all__ = ["Catalogue", "EngineRoom"]

import asyncio
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any, Protocol

import structlog

from offhook.config.assistant import Assistant, ModelChoice, TranscriberChoice, VoiceChoice
from offhook.config.errors import ConfigError, ConfigProblem, ProviderError, Refused
from offhook.config.vendors import Account
from offhook.pipeline.call import Engines
from offhook.pipeline.clock import Clock
from offhook.pipeline.log_fields import failure_fields
from offhook.pipeline.ports import LanguageModel, Transcriber, Voice, VoiceActivity, Workers
from offhook.pipeline.providers import catalogue as everything
from offhook.pipeline.providers.catalogue import Built, Choice, Making, candidate_name
from offhook.pipeline.providers.web.executors import web_executors
from offhook.pipeline.providers.web.late_results import LateResults
from offhook.pipeline.providers.web.web_client import WebClient
from offhook.pipeline.stock_phrases import StockPhrases

from .served_assistant import ServedAssistant, Stage
from .shared_engine import SharedEngine

EXPECTED_LIMIT = 64
"""Calls that are prepared at a time; one more prepares itself when it is there."""
EXPECTED_WITHIN_S = 10.0

log = structlog.get_logger(__name__)

Build = Callable[[], Built[Any]]


class Catalogue(Protocol):
    """What builds engines; `pipeline.providers.catalogue` has those that there are."""

    def voice_activity(self, thread: Workers, clock: Clock) -> Built[VoiceActivity]:
        """Build what tells speech from silence for all calls."""
        ...

    def transcriber(self, choice: TranscriberChoice, language: str, making: Making) -> Built[Transcriber]:
        """Build a recogniser."""
        ...

    def model(self, choice: ModelChoice, assistant: Assistant, making: Making) -> Built[LanguageModel]:
        """Build a language model."""
        ...

    def voice(self, choice: VoiceChoice, language: str, making: Making) -> Built[Voice]:
        """Build a voice."""
        ...

    def identity(self, choice: Choice, language: str) -> Hashable:
        """Say what an engine is made of: lines of the same identity mean the same one."""
        ...

    def unmet_needs(self, assistant: Assistant, account: Callable[[str], Account]) -> Iterable[ConfigProblem]:
        """Say what the assistant's vendors lack here."""
        ...


class EngineRoom:
    """Holds warm engines by what they are made of."""

    def __init__(
        self,
        clock: Clock,
        workers: Workers,
        voice_activity_thread: Workers,
        *,
        account: Callable[[str], Account],
        served: Callable[[], Iterable[Assistant]],
        catalogue: Catalogue = everything,
        late_results: LateResults | None = None,
    ) -> None:
        """`served` tells, whenever it is asked, which assistants a new call could be given; `late_results`
        takes what the servers of tools give later.

        `voice_activity_thread` is of its own, so that no tool of any call stands before the voice activity
        of all.
        """
        self._clock, self._workers, self._account = clock, workers, account
        self._now_served, self._catalogue = served, catalogue
        self._making = Making(clock, account)
        self._listening = SharedEngine(
            "voice activity", lambda: catalogue.voice_activity(voice_activity_thread, clock), clock
        )
        self._shelf: dict[Hashable, SharedEngine] = {}
        self._names: Counter[str] = Counter()
        self._assistants: dict[int, ServedAssistant] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._expecting: set[asyncio.Task[None]] = set()
        self._stock = StockPhrases()
        self._web, self._late = WebClient(), late_results
        self._closed = False

    @property
    def ready(self) -> bool:
        """At least one assistant can be served: each stage has an engine that takes jobs."""
        return self._listening.candidate is not None and any(
            served.ready for served in self._assistants.values()
        )

    async def warm(self, assistant: Assistant) -> None:
        """Start the engines of this assistant and have its stock phrases spoken; returns when that is tried.

        Raises ConfigError for a key or an extra that is missing, and ProviderError if a stage has no engine.
        """
        served = self._serve(assistant)
        await asyncio.wait((self._warming(served),))
        for stage in (Stage((self._listening,)), *served.stages):
            if not stage.ready:
                first = stage.engines[0]
                raise first.failure or ProviderError(first.name, "it takes no jobs")

    def engines(self, assistant: Assistant) -> Engines:
        """Give a call what it works with; what is missing is being started then, without waiting.

        Raises ConfigError for a key or an extra that is missing, and Refused if a stage has no engine.
        """
        served = self._serve(assistant)
        if served.wants_warmth or self._listening.may_be_started(stood_in_for=False):
            self._warming(served)
        if self._listening.candidate is None or not served.ready:
            raise Refused("engines_not_ready", 503)
        engines = Engines(
            voice_activity=self._listening.candidate.engine,
            transcribers=served.transcribers.line_up,
            models=served.models.line_up,
            voices=served.voices.line_up,
            workers=self._workers,
            stock=self._stock,
            web_tools=served.web_tools,
        )
        served.lent.add(engines)
        self._close_what_nobody_needs()
        return engines

    def expect_call(self, assistant: Assistant, variables: Mapping[str, str]) -> None:
        """A call of this assistant is about to come: begin what its first seconds need; never waits."""
        served = self._assistants.get(id(assistant))
        if self._closed or served is None or not served.ready or len(self._expecting) >= EXPECTED_LIMIT:
            return
        task = asyncio.create_task(self._await_call(served, variables), name="expected call")
        self._expecting.add(task)
        task.add_done_callback(self._expecting.discard)

    async def _await_call(self, served: ServedAssistant, variables: Mapping[str, str]) -> None:
        try:
            async with asyncio.timeout(EXPECTED_WITHIN_S):
                await served.await_call(variables, self._stock)
        except TimeoutError:
            """The call makes what it needs by itself."""
        except Exception as error:
            log.error("call.not-expected", **failure_fields(error, log_words=False))

    async def close(self) -> None:
        """Stop every engine, also those that are being started, and close the connections of the tools."""
        self._closed = True
        warming = [served.warming for served in self._assistants.values() if served.warming is not None]
        for task in self._expecting:
            task.cancel()
        await asyncio.gather(*self._expecting, return_exceptions=True)
        await self._let_go(warming, (self._listening, *self._shelf.values()))
        await asyncio.gather(self._web.close(), *self._closing)

    # -------------------------------------------------------------- what is needed

    def _serve(self, assistant: Assistant) -> ServedAssistant:
        """Find an assistant's engines, or make them; none is started by that."""
        known = self._assistants.get(id(assistant))
        if known is not None:
            return known
        if self._closed:
            raise Refused("engines_closed", 503)
        if unmet := list(self._catalogue.unmet_needs(assistant, self._account)):
            raise ConfigError(unmet)
        language = assistant.language
        served = ServedAssistant(
            assistant,
            transcribers=Stage(self._transcriber(it, language) for it in assistant.transcriber.choices),
            models=Stage(self._models(assistant)),
            voices=Stage(self._voice(it, language) for it in assistant.voice.choices),
            web_tools=web_executors(assistant, self._web, self._clock, late=self._late),
            clock=self._clock,
        )
        self._assistants[id(assistant)] = served
        return served

    def _transcriber(self, choice: TranscriberChoice, language: str) -> SharedEngine:
        def build() -> Built[Transcriber]:
            return self._catalogue.transcriber(choice, language, self._making)

        return self._shared(choice, language, build)

    def _voice(self, choice: VoiceChoice, language: str) -> SharedEngine:
        def build() -> Built[Voice]:
            return self._catalogue.voice(choice, language, self._making)

        return self._shared(choice, language, build)

    def _models(self, assistant: Assistant) -> Iterator[SharedEngine]:
        own = 0
        for choice in assistant.model.choices:
            build = partial(self._catalogue.model, choice, assistant, self._making)
            if choice.provider != "embedded":
                yield self._shared(choice, assistant.language, build)
                continue
            # A part of its assistant, which nobody else can use, and there at once.
            own += 1
            yield SharedEngine(_numbered(candidate_name(choice), own), build, self._clock).there()

    def _shared(self, choice: Choice, language: str, build: Build) -> SharedEngine:
        """Take an engine from the shelf, or put a new one there.

        No two ever have the same name: what one voice has said in advance must not pass for another's.
        """
        key = self._catalogue.identity(choice, language)
        if key not in self._shelf:
            name = candidate_name(choice)
            self._names[name] += 1
            self._shelf[key] = SharedEngine(_numbered(name, self._names[name]), build, self._clock)
        return self._shelf[key]

    # ---------------------------------------------------------------- warming

    def _warming(self, served: ServedAssistant) -> asyncio.Task[None]:
        """Warm what is cold; whoever asks meanwhile waits for the same task."""
        if served.warming is None:
            served.warming = asyncio.create_task(self._warm_up(served), name="engines")
        return served.warming

    async def _warm_up(self, served: ServedAssistant) -> None:
        try:
            cold = [engine for stage in served.stages for engine in stage.to_be_started()]
            await asyncio.gather(self._listening.start(), *(engine.start() for engine in cold))
            if served.ready:
                await served.speak_in_advance(self._stock)
        finally:
            served.warming = None

    # ------------------------------------------------------------- letting go

    def _close_what_nobody_needs(self) -> None:
        """Forget assistants that were edited away and have no call left, and close what was theirs alone."""
        now_served = {id(assistant) for assistant in self._now_served()}
        gone = [key for key, held in self._assistants.items() if key not in now_served and not held.lent]
        if not gone:
            return
        forgotten = [self._assistants.pop(key) for key in gone]
        needed = {
            engine
            for served in self._assistants.values()
            for stage in served.stages
            for engine in stage.engines
        }
        idle = {key: engine for key, engine in self._shelf.items() if engine not in needed}
        for key in idle:
            del self._shelf[key]
        warming = [served.warming for served in forgotten if served.warming is not None]
        closing = asyncio.create_task(self._let_go(warming, idle.values()), name="engines-closing")
        self._closing.add(closing)
        closing.add_done_callback(self._closing.discard)

    async def _let_go(self, warming: Iterable[asyncio.Task[None]], engines: Iterable[SharedEngine]) -> None:
        for task in warming:
            task.cancel()
        await asyncio.gather(*warming, return_exceptions=True)
        await asyncio.gather(*(engine.close() for engine in engines))


def _numbered(name: str, number: int) -> str:
    return name if number == 1 else f"{name} #{number}"
