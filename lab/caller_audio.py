"""The caller's speech, made before the call begins so that it costs nothing during it."""

from __future__ import annotations

__all__ = ["caller_audio", "read_wav"]

from pathlib import Path

import numpy as np

from offhook.codecs import g711, wav
from offhook.codecs.framing import SAMPLE_RATE_HZ as RATE_HZ
from offhook.codecs.resample import resample
from offhook.config.errors import ConfigError, ConfigProblem
from offhook.pipeline.clock import Clock

from .script import Say, Script


async def caller_audio(script: Script, clock: Clock) -> dict[int, bytes]:
    """The mu-law audio (8 kHz) of every `say` and `wav`, by the step's index.

    Raises ConfigError for a file that is no WAV, ProviderError when the embedded voice fails.
    """
    says = {index: step for index, step in enumerate(script.steps) if isinstance(step, Say)}
    audio = {index: read_wav(step.wav) for index, step in says.items() if step.wav is not None}
    texts = {index: step.text for index, step in says.items() if step.wav is None}
    if texts:
        audio |= await _speak(texts, clock)
    return audio


def read_wav(path: Path) -> bytes:
    """Any WAV file as mu-law at 8 kHz, its channels mixed to one. Raises ConfigError."""
    try:
        with path.open("rb") as source:
            sound = wav.read(source)
        mono = np.rint(sound.pcm.mean(axis=1)).astype(np.int16)
        return g711.encode(resample(mono, sound.rate_hz, RATE_HZ))
    except OSError as error:
        raise ConfigError([ConfigProblem(str(path), "", f"cannot be read: {error.strerror}.")]) from error
    except ValueError as error:
        raise ConfigError([ConfigProblem(str(path), "", f"cannot be used as audio: {error}.")]) from error


async def _speak(texts: dict[int, str], clock: Clock) -> dict[int, bytes]:
    # Imported here: the speech models are an extra, and a script of WAV files needs none.
    from offhook.pipeline.providers.embedded.hibari_voice import HibariVoice
    from offhook.pipeline.providers.embedded.model_process import ModelProcess

    process = ModelProcess("hibari", {}, clock=clock)
    try:
        await process.start()
        voice = HibariVoice(process)
        return {
            index: b"".join([piece.audio async for piece in voice.speak(text)])
            for index, text in texts.items()
        }
    finally:
        await process.close()
