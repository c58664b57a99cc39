"""The engines of one server process: built for what the assistants ask, warm before the first call."""

from __future__ import annotations

__all__ = ["EngineRoom"]

import asyncio
from collections import OrderedDict

import structlog

from offhook.config.assistant import Assistant
from offhook.config.errors import ProviderError, Refused
from offhook.pipeline.call import Engines
from offhook.pipeline.clock import Clock
from offhook.pipeline.ports import LanguageModel, Workers
from offhook.pipeline.providers.embedded.agent import IntentsAgent
from offhook.pipeline.providers.embedded.engines import EmbeddedEngines, EmbeddedSpeech
from offhook.pipeline.providers.web.executors import web_executors
from offhook.pipeline.providers.web.web_client import WebClient
from offhook.pipeline.segmenter import clauses_of

log = structlog.get_logger(__name__)

MODELS_KEPT = 32


class EngineRoom:
    """Holds warm engines by what they are made of; assistants that want the same share them."""

    def __init__(self, clock: Clock, workers: Workers, voice_activity_thread: Workers) -> None:
        self._clock = clock
        self._workers = workers
        self._voice_activity_thread = voice_activity_thread
        """Its own, so that no tool of any call stands before the voice activity of all."""
        self._speech: dict[tuple[str, str, float], EmbeddedEngines] = {}
        self._models: OrderedDict[int, tuple[Assistant, LanguageModel]] = OrderedDict()
        self._warming: dict[tuple[str, str, float], asyncio.Task[None]] = {}
        self._web = WebClient()

    @property
    def ready(self) -> bool:
        """All engines that were asked for were warmed; one that restarts refuses no call meanwhile."""
        return bool(self._speech) and all(engines.takes_jobs for engines in self._speech.values())

    async def warm(self, assistant: Assistant) -> None:
        """Make the engines of this assistant ready, and its stock phrases spoken. Raises ProviderError."""
        key = _speech_key(assistant)
        if key not in self._speech:
            model_dir, voice, speed = key
            engines = EmbeddedEngines(
                EmbeddedSpeech(model_dir=model_dir, voice=voice, speed=speed),
                clock=self._clock,
                workers=self._voice_activity_thread,
            )
            await engines.start()
            self._speech[key] = engines
        for phrase in _stock_phrases(assistant):
            await self._speech[key].voice.prepare(phrase)

    def engines(self, assistant: Assistant) -> Engines:
        """The engines of a call. Raises Refused while they are not warm; they are being warmed then."""
        key = _speech_key(assistant)
        speech = self._speech.get(key)
        if speech is None:
            self._warm_in_background(key, assistant)
            raise Refused("engines_not_ready", 503)
        return Engines(
            voice_activity=speech.voice_activity,
            transcriber=speech.transcriber,
            model=self._model(assistant),
            voice=speech.voice,
            workers=self._workers,
            web_tools=web_executors(assistant, self._web, self._clock),
        )

    async def close(self) -> None:
        """Stop every engine, and close the connections of the tools."""
        for task in self._warming.values():
            task.cancel()
        await asyncio.gather(*self._warming.values(), return_exceptions=True)
        await asyncio.gather(self._web.close(), *(engines.close() for engines in self._speech.values()))

    def _model(self, assistant: Assistant) -> LanguageModel:
        kept = self._models.get(id(assistant))
        if kept is None:
            kept = (assistant, IntentsAgent(assistant))
            self._models[id(assistant)] = kept
            # New or edited while we serve: its stock phrases are spoken in advance from the next call on.
            self._warm_in_background(_speech_key(assistant), assistant)
            if len(self._models) > MODELS_KEPT:
                self._models.popitem(last=False)
        return kept[1]

    def _warm_in_background(self, key: tuple[str, str, float], assistant: Assistant) -> None:
        if key in self._warming:
            return

        async def warm() -> None:
            try:
                await self.warm(assistant)
            except ProviderError as error:
                log.error("engines.not-started", assistant=assistant.name, reason=str(error))
            finally:
                self._warming.pop(key, None)

        self._warming[key] = asyncio.create_task(warm(), name="engines")


def _speech_key(assistant: Assistant) -> tuple[str, str, float]:
    model_dir = assistant.transcriber.model_dir
    return (str(model_dir) if model_dir else "", assistant.voice.name, assistant.voice.speed)


def _stock_phrases(assistant: Assistant) -> list[str]:
    """Clauses that are said again and again; texts with variables differ from call to call."""
    texts = [assistant.first_message, assistant.goodbye, assistant.apology]
    texts += [prompt.text for prompt in assistant.turn_taking.silence_prompts]
    texts += [stage.text for tool in assistant.tools for stage in tool.stages]
    texts += [tool.failed for tool in assistant.tools]
    texts += [str(tool.arguments["prompt"]) for tool in assistant.tools if "prompt" in tool.arguments]
    return [clause for text in texts if "{{" not in text for clause in clauses_of(text)]
