"""The embedded engines, built by the catalogue as a server builds them, with their real models."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

from offhook.config.speech import TranscriberChoice, VoiceChoice
from offhook.config.vendors import Account
from offhook.pipeline.clock import LoopClock
from offhook.pipeline.ports import VoiceActivity
from offhook.pipeline.providers import catalogue
from offhook.pipeline.providers.catalogue import Built, Making
from offhook.pipeline.providers.embedded.hibari_voice import HibariVoice
from offhook.pipeline.providers.embedded.model_pool import ModelPool
from offhook.pipeline.providers.embedded.model_process import ModelProcess
from offhook.pipeline.providers.embedded.shared_process import ProcessShare
from offhook.pipeline.providers.embedded.transcriber import WhisperTranscriber


class OneThread:
    """One thread for blocking work."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1)

    async def in_thread(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(
            self._executor, lambda: function(*args, **kwargs)
        )

    async def in_process(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError

    def close(self) -> None:
        self._executor.shutdown()


@dataclass
class EmbeddedEngines:
    """What hears and speaks on this machine, and the processes behind it."""

    transcriber: WhisperTranscriber
    voice: HibariVoice
    voice_activity: VoiceActivity
    recogniser: ModelPool
    voice_process: ModelProcess


def making() -> Making:
    """On the running loop's clock, with no account anywhere."""
    return Making(LoopClock(asyncio.get_running_loop()), lambda vendor: Account())


@asynccontextmanager
async def embedded_engines() -> AsyncIterator[EmbeddedEngines]:
    """Warm engines, which are closed in the end."""
    thread, made = OneThread(), making()
    parts: tuple[Built[Any], ...] = (
        catalogue.voice_activity(thread, made.clock),
        catalogue.transcriber(TranscriberChoice(), "en", made),
        catalogue.voice(VoiceChoice(), "en", made),
    )
    async with AsyncExitStack() as stack:
        stack.callback(thread.close)
        for part in parts:
            stack.push_async_callback(part.lifecycle.close)
        await asyncio.gather(*(part.lifecycle.start() for part in parts))
        activity, listening, speaking = parts
        assert isinstance(listening.engine, WhisperTranscriber)
        assert isinstance(listening.lifecycle, ModelPool)
        assert isinstance(speaking.engine, HibariVoice)
        assert isinstance(speaking.lifecycle, ProcessShare)
        process = speaking.lifecycle.process
        assert isinstance(process, ModelProcess)
        yield EmbeddedEngines(
            listening.engine, speaking.engine, activity.engine, listening.lifecycle, process
        )
