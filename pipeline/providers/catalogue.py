"""Which provider an assistant file's words mean: builds engines, and says what one needs to be built.

An engine serves all calls of the process. Each vendor is one module beside this one; its SDK is imported
when the engine starts and not before.
"""

from __future__ import annotations

__all__ = [
    "Built",
    "Choice",
    "Lifecycle",
    "Making",
    "candidate_name",
    "identity",
    "model",
    "transcriber",
    "unmet_needs",
    "voice",
    "voice_activity",
]

import os
from collections.abc import Callable, Hashable, Iterator
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Generic, Protocol, TypeVar

from offhook.config.assistant import Assistant, ModelChoice, TranscriberChoice, VoiceChoice
from offhook.config.errors import ConfigProblem
from offhook.config.vendors import KEY_VARIABLES, Account

from ..clock import Clock
from ..ports import LanguageModel, Transcriber, Voice, VoiceActivity, Workers
from .deepgram import DeepgramTranscriber
from .elevenlabs import ElevenLabsVoice
from .embedded.agent import IntentsAgent
from .embedded.hibari_voice import HibariVoice
from .embedded.model_pool import ModelPool
from .embedded.model_process import ModelProcess
from .embedded.shared_process import SharedProcesses
from .embedded.silero import SileroVoiceActivity
from .embedded.transcriber import WhisperTranscriber
from .openai import OpenAIModel

T_co = TypeVar("T_co", covariant=True)
Choice = TranscriberChoice | ModelChoice | VoiceChoice

MOST_RECOGNISERS = 4
"""Processes that recognise; each takes 300 MB, and up to a core (docs/performance.md has the calls)."""


class Lifecycle(Protocol):
    """What an engine does before its first call and after its last."""

    @property
    def takes_jobs(self) -> bool:
        """It was started, and answers at once or after a restart that is under way."""
        ...

    async def start(self) -> None:
        """Get ready: load the model, import the SDK. Raises ProviderError.

        A vendor that cannot be reached now is no reason to raise: it may be back when a call needs it.
        """

    async def close(self) -> None:
        """Let go of processes and connections; takes at most a few seconds."""


@dataclass(frozen=True, slots=True)
class Built(Generic[T_co]):
    """An engine, and what starts and stops it."""

    engine: T_co
    lifecycle: Lifecycle


@dataclass(frozen=True, slots=True)
class Making:
    """What engines are made with."""

    clock: Clock
    account: Callable[[str], Account]
    """How a vendor is reached, by its name."""
    processes: SharedProcesses = field(default_factory=SharedProcesses)
    """Models of this machine that several engines use."""


class _AlwaysThere:
    """An engine that is a pure function."""

    takes_jobs = True

    async def start(self) -> None:
        """Nothing is to be loaded."""

    async def close(self) -> None:
        """Nothing is held."""


def voice_activity(thread: Workers, clock: Clock) -> Built[VoiceActivity]:
    """Build what tells speech from silence for all calls; it has the thread to itself."""
    silero = SileroVoiceActivity(thread, clock)
    return Built(silero, silero)


def transcriber(choice: TranscriberChoice, language: str, making: Making) -> Built[Transcriber]:
    """Build the recogniser of a line of an assistant file."""
    if choice.provider == "deepgram":
        deepgram = DeepgramTranscriber(choice, language, making.account("deepgram"), making.clock)
        return Built(deepgram, deepgram)
    options = {"model_dir": str(choice.model_dir or "")}
    pool = ModelPool("whisper", options, _recognisers(), clock=making.clock)
    return Built(WhisperTranscriber(pool, making.clock), pool)


def _recognisers() -> int:
    """One for two cores: the other carries what the calls need besides."""
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    return max(1, min(MOST_RECOGNISERS, cores // 2))


def model(choice: ModelChoice, assistant: Assistant, making: Making) -> Built[LanguageModel]:
    """Build the language model of a line of an assistant file."""
    if choice.provider == "openai":
        openai = OpenAIModel(choice, making.account("openai"))
        return Built(openai, openai)
    return Built(IntentsAgent(assistant, choice), _AlwaysThere())


def voice(choice: VoiceChoice, language: str, making: Making) -> Built[Voice]:
    """Build the voice of a line of an assistant file."""
    if choice.provider == "elevenlabs":
        elevenlabs = ElevenLabsVoice(choice, language, making.account("elevenlabs"), making.clock)
        return Built(elevenlabs, elevenlabs)
    process = making.processes.share(
        ("hibari", choice.name),
        lambda: ModelProcess("hibari", {"voice": choice.name}, clock=making.clock),
    )
    return Built(HibariVoice(process, making.clock, choice.speed), process)


def candidate_name(choice: Choice) -> str:
    """Name a provider for logs and events: "deepgram nova-3"."""
    named = choice.model if isinstance(choice, TranscriberChoice) else choice.name
    return f"{choice.provider} {named}".strip()


def identity(choice: Choice, language: str) -> Hashable:
    """Say what an engine is made of: lines of the same identity mean the same one.

    An embedded model is loaded once for all that it has no options for; it takes seconds and 300 MB.
    """
    if isinstance(choice, ModelChoice):
        return "model", choice
    if choice.provider != "embedded":
        return choice, language
    if isinstance(choice, TranscriberChoice):
        return "recogniser", choice.model_dir
    return "voice", choice.name, choice.speed


def unmet_needs(assistant: Assistant, account: Callable[[str], Account]) -> Iterator[ConfigProblem]:
    """Say what the assistant's vendors lack here: an extra that is not installed, a key that is not set."""
    source = f"assistant {assistant.name}"
    for stage in ("transcriber", "model", "voice"):
        section = getattr(assistant, stage)
        for place, choice in ((stage, section), *_fallbacks(stage, section.fallbacks)):
            if choice.provider in KEY_VARIABLES:
                for message, fix in _needs_of(choice, account(choice.provider)):
                    yield ConfigProblem(source, f"{place}.provider", message, fix)


def _fallbacks(stage: str, choices: tuple[Choice, ...]) -> Iterator[tuple[str, Choice]]:
    for index, choice in enumerate(choices):
        yield f"{stage}.fallbacks.{index}", choice


def _needs_of(choice: Choice, account: Account) -> Iterator[tuple[str, str]]:
    """Yield message and fix."""
    provider, variable = choice.provider, KEY_VARIABLES[choice.provider]
    if find_spec(provider) is None:
        fix = f"Install it: pip install 'offhook[{provider}]'."
        yield f"`{provider}` needs its SDK, which is not installed.", fix
    # A server of one's own is given a key of its own, if it wants one at all.
    served_elsewhere = isinstance(choice, ModelChoice) and (
        choice.api_key is not None or choice.base_url is not None or account.base_url is not None
    )
    if account.key is None and not served_elsewhere:
        fix = f"Set {variable} in the environment or in .env, or {variable}_FILE to a file that holds it."
        yield f"`{provider}` needs a key, and {variable} is not set.", fix
