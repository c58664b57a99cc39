"""One assistant as the server holds it: the engines of its stages, and what was made for it in advance."""

from __future__ import annotations

__all__ = ["ServedAssistant", "Stage", "first_words", "stock_phrases"]

import asyncio
import math
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any
from weakref import WeakSet

import structlog

from offhook.config.assistant import Assistant
from offhook.config.errors import ProviderError
from offhook.config.templates import fill
from offhook.pipeline.call import Engines
from offhook.pipeline.clock import Clock
from offhook.pipeline.line_up import Candidate, LineUp
from offhook.pipeline.log_fields import failure_fields
from offhook.pipeline.ports import Connecting, Voice
from offhook.pipeline.segmenter import clauses_of
from offhook.pipeline.stock_phrases import StockPhrases
from offhook.pipeline.tools import Executor

from .shared_engine import RETRY_S, SharedEngine

PHRASES_WITHIN_S = 60.0
"""A voice that has not spoken all stock phrases by then makes the rest of them when they are needed."""

log = structlog.get_logger(__name__)


class Stage:
    """The engines of one stage in the order in which they stand in for each other."""

    def __init__(self, engines: Iterable[SharedEngine]) -> None:
        """Take at least one; one that is named twice stands in for nobody the second time."""
        self.engines = tuple(dict.fromkeys(engines))

    @property
    def line_up(self) -> LineUp[Any]:
        """Those that a call can be given now."""
        return tuple(engine.candidate for engine in self.engines if engine.candidate is not None)

    @property
    def ready(self) -> bool:
        """There is one."""
        return any(engine.candidate is not None for engine in self.engines)

    def to_be_started(self) -> list[SharedEngine]:
        """Those for which an attempt is due."""
        stood_in_for = self.ready
        return [engine for engine in self.engines if engine.may_be_started(stood_in_for=stood_in_for)]


class ServedAssistant:
    """An assistant, its engines, and who uses them."""

    def __init__(
        self,
        assistant: Assistant,
        *,
        transcribers: Stage,
        models: Stage,
        voices: Stage,
        web_tools: Mapping[str, Executor],
        clock: Clock,
    ) -> None:
        self.assistant = assistant
        self.transcribers, self.models, self.voices = transcribers, models, voices
        self.web_tools = web_tools
        self.lent: WeakSet[Engines] = WeakSet()
        """What live calls hold."""
        self.warming: asyncio.Task[None] | None = None
        """Starts engines and has phrases spoken; the engine room's."""
        self._clock = clock
        self._phrases_due: dict[str, float] = {}
        """Voice -> when it is asked for the stock phrases again."""

    @property
    def stages(self) -> tuple[Stage, Stage, Stage]:
        """Listening, thinking, speaking."""
        return self.transcribers, self.models, self.voices

    @property
    def ready(self) -> bool:
        """Every stage has an engine."""
        return all(stage.ready for stage in self.stages)

    @property
    def wants_warmth(self) -> bool:
        """There is something to be started or spoken, and nobody is at it."""
        cold = any(stage.to_be_started() for stage in self.stages)
        return self.warming is None and (cold or bool(self._mute_voices()))

    async def speak_in_advance(self, stock: StockPhrases) -> None:
        """Have every voice speak the stock phrases, within 60 s each.

        A vendor that is down has none, which is no reason not to serve; it is asked again later.
        """
        for voice in self._mute_voices():
            self._phrases_due[voice.name] = self._clock.now() + RETRY_S
            try:
                async with asyncio.timeout(PHRASES_WITHIN_S):
                    for phrase in stock_phrases(self.assistant):
                        await stock.prepare(voice.name, voice.engine, phrase)
            except (ProviderError, TimeoutError) as error:
                reason = getattr(error, "reason", "it takes too long")
                log.warning("voice.phrases-not-made", voice=voice.name, reason=reason)
            except Exception as error:
                fields = failure_fields(error, log_words=False)
                log.error("voice.phrases-not-made", voice=voice.name, **fields)
            else:
                self._phrases_due[voice.name] = math.inf

    async def await_call(self, variables: Mapping[str, str], stock: StockPhrases) -> None:
        """Do what the first seconds of a call need: its own first words, and the model's connection.

        What fails here is done again when the call needs it.
        """
        voice, texts = self.voices.line_up[0], first_words(self.assistant, variables)
        models = [model.engine for model in self.models.line_up[:1] if isinstance(model.engine, Connecting)]

        async def speak() -> None:
            with suppress(ProviderError):
                for text in texts:
                    await stock.prepare(voice.name, voice.engine, text, lasting=False)

        async with asyncio.TaskGroup() as group:
            group.create_task(speak())
            for model in models:
                group.create_task(model.connect())

    def _mute_voices(self) -> list[Candidate[Voice]]:
        now = self._clock.now()
        return [voice for voice in self.voices.line_up if self._phrases_due.get(voice.name, now) <= now]


def first_words(assistant: Assistant, variables: Mapping[str, str]) -> list[str]:
    """Clauses that a call begins with, and no other call does: they hold its variables."""
    texts = [assistant.recording.consent_line] if assistant.recording.enabled else []
    texts.append(assistant.first_message)
    return [clause for text in texts if "{{" in text for clause in clauses_of(fill(text, variables).text)]


def stock_phrases(assistant: Assistant) -> list[str]:
    """Clauses that are said again and again; texts with variables differ from call to call."""
    texts = [assistant.first_message, assistant.goodbye, assistant.apology, assistant.one_moment]
    texts.append(assistant.resumed_message)
    texts += [assistant.recording.consent_line] if assistant.recording.enabled else []
    texts += [assistant.handover] if assistant.fallback_number else []
    texts += [prompt.text for prompt in assistant.turn_taking.silence_prompts]
    texts += [stage.text for tool in assistant.tools for stage in tool.stages]
    texts += [tool.failed for tool in assistant.tools]
    texts += [str(tool.arguments["prompt"]) for tool in assistant.tools if "prompt" in tool.arguments]
    return [clause for text in texts if "{{" not in text for clause in clauses_of(text)]
