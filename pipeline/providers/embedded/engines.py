"""The embedded speech engines of one server process: built, warmed and closed together."""

from __future__ import annotations

__all__ = ["EmbeddedEngines", "EmbeddedSpeech"]

import asyncio
from dataclasses import dataclass
from types import TracebackType

from ...clock import Clock
from ...ports import Workers
from .hibari_voice import HibariVoice
from .model_pool import ModelPool
from .model_process import ModelProcess
from .silero import SileroVoiceActivity
from .transcriber import WhisperTranscriber


@dataclass(frozen=True, slots=True)
class EmbeddedSpeech:
    """Which embedded models to use."""

    recognisers: int = 1
    """Processes that recognise; each carries about ten callers who speak at once, and takes a core."""
    model_dir: str = ""
    """A Whisper model in CTranslate2's format; empty: the packaged tiny.en."""
    voice: str = "heart"
    """A hibari voice that is on this machine; "heart" is in its package."""
    speed: float = 1.0
    """Of the voice: 0.5 slow to 2.0 fast."""
    prepared: tuple[str, ...] = ()
    """Stock phrases whose speech is made before the engines are ready."""


class EmbeddedEngines:
    """Owns the recogniser's and the voice's processes and the voice-activity batcher.

    `workers` should have a thread that nobody else uses: all calls' voice activity waits for it.

    async with EmbeddedEngines(EmbeddedSpeech(), clock=clock, workers=workers) as engines:
        stream = engines.transcriber.open(...)
    """

    def __init__(self, speech: EmbeddedSpeech, *, clock: Clock, workers: Workers) -> None:
        self._speech = speech
        self.recogniser = ModelPool(
            [
                ModelProcess("whisper", {"model_dir": speech.model_dir}, clock=clock)
                for _ in range(max(1, speech.recognisers))
            ]
        )
        self.voice_process = ModelProcess(
            "hibari", {"voice": speech.voice, "speed": speech.speed}, clock=clock
        )
        self.transcriber = WhisperTranscriber(self.recogniser, clock)
        self.voice = HibariVoice(self.voice_process)
        self.voice_activity = SileroVoiceActivity(workers, clock)

    @property
    def ready(self) -> bool:
        """Every engine is loaded and warm; false while one of them restarts."""
        return self.recogniser.ready and self.voice_process.ready and self.voice_activity.ready

    @property
    def takes_jobs(self) -> bool:
        """A call can begin: what restarts now will answer what waits for it."""
        return self.recogniser.takes_jobs and self.voice_process.takes_jobs and self.voice_activity.ready

    async def start(self) -> None:
        """Warm all engines at the same time; raises ProviderError, and then nothing is left running."""
        parts = (self.recogniser.start(), self._start_voice(), self.voice_activity.start())
        try:
            results = await asyncio.gather(*parts, return_exceptions=True)
            for result in results:
                if isinstance(result, BaseException):
                    raise result
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Stop them all; takes at most a few seconds and leaves no process."""
        parts = (self.recogniser.close(), self.voice_process.close(), self.voice_activity.close())
        await asyncio.gather(*parts)

    async def __aenter__(self) -> EmbeddedEngines:
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _start_voice(self) -> None:
        await self.voice_process.start()
        for text in self._speech.prepared:
            await self.voice.prepare(text)
