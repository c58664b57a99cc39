"""The engines inside the emulated vendors: those of this machine, or ones that follow a script."""

from __future__ import annotations

__all__ = ["embedded_inside", "intents_of", "scripted_inside", "spelled_inside"]

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from offhook.bridge.pool_workers import PoolWorkers
from offhook.config.assistant import Assistant, ModelChoice
from offhook.config.errors import OffhookError
from offhook.config.speech import TranscriberChoice, VoiceChoice
from offhook.config.vendors import Account
from offhook.pipeline.clock import Clock
from offhook.pipeline.ports import LanguageModel
from offhook.pipeline.providers import catalogue
from offhook.pipeline.providers.catalogue import Lifecycle, Making

from ..scripted_engines import AnsweringModel, Answers, ToneVoice
from ..spelled_speech import LevelVoiceActivity, SpelledVoice, SpellingTranscriber
from ..timed_speech import TimedTranscriber, Utterance
from .world import InsideEngines


@asynccontextmanager
async def embedded_inside(clock: Clock, assistant: Assistant) -> AsyncIterator[InsideEngines]:
    """The recogniser, voice and voice activity of this machine, warm; the model answers from intents.

    Raises OffhookError if the assistant has no intents, and ProviderError if an engine cannot be started.
    """
    choice = intents_of(assistant)
    making = Making(clock, lambda _: Account())
    async with PoolWorkers(threads=1) as thread, AsyncExitStack() as stack:
        activity = catalogue.voice_activity(thread, clock)
        transcriber = catalogue.transcriber(TranscriberChoice(), assistant.language, making)
        voice = catalogue.voice(VoiceChoice(), assistant.language, making)
        model = catalogue.model(choice, assistant, making)
        lifecycles = [activity.lifecycle, transcriber.lifecycle, voice.lifecycle, model.lifecycle]
        for lifecycle in lifecycles:
            stack.push_async_callback(lifecycle.close)
        await _start(lifecycles)
        yield InsideEngines(activity.engine, transcriber.engine, model.engine, voice.engine)


def scripted_inside(said: Sequence[Utterance], answers: Answers) -> InsideEngines:
    """A recogniser that hears this at these times of the audio, a model that answers so, a voice of tones.

    Times count from a connection's first byte, and loud audio counts as speech.
    """
    return InsideEngines(LevelVoiceActivity(), TimedTranscriber(said), AnsweringModel(answers), ToneVoice())


def spelled_inside(model: LanguageModel) -> InsideEngines:
    """Ears and voice for spelled speech: the words are in the audio, on whichever connection it comes."""
    return InsideEngines(LevelVoiceActivity(), SpellingTranscriber(), model, SpelledVoice())


def intents_of(assistant: Assistant) -> ModelChoice:
    """Find an assistant's first embedded model; raises OffhookError if it has none."""
    for choice in assistant.model.choices:
        if choice.provider == "embedded":
            return choice
    raise OffhookError(
        f"the assistant {assistant.name} has no embedded model that could answer in a vendor's place: "
        "give it one, or one behind its vendors in `model.fallbacks`"
    )


async def _start(lifecycles: Sequence[Lifecycle]) -> None:
    """Start all at once; whatever fails, none is in the middle of its start any more when this returns."""
    outcomes = await asyncio.gather(*(each.start() for each in lifecycles), return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
