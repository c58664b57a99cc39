"""The caller's speech, made before the call begins so that it costs nothing during it."""

from __future__ import annotations

__all__ = [
    "CallerSound",
    "Speak",
    "audio_of",
    "caller_audio",
    "caller_sound",
    "caller_voice",
    "read_wav",
    "table_talk",
]

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from offhook.codecs import g711, wav
from offhook.codecs.framing import SAMPLE_RATE_HZ as RATE_HZ
from offhook.codecs.resample import resample
from offhook.config.errors import ConfigError, ConfigProblem
from offhook.pipeline.clock import Clock

from .line import SPEECH_DBFS, surroundings
from .noises import Samples, at_level, noise
from .script import Say, Script

Speak = Callable[[str], Awaitable[bytes]]
"""From a text to its mu-law, 8 kHz."""

_SILENCE = b"\xff"
_BYTES_PER_S = RATE_HZ
_EDGE_BYTES = _BYTES_PER_S // 100
"""A hundredth of a second is left around a piece whose silence is cut off."""
_SILENT_BELOW = 150
_TABLE_TALK = (
    "And then she told me that they had moved to the other side of town, near the river.",
    "No, I really think we should have taken the earlier train, it was almost empty.",
    "Two coffees and a piece of that cake, please, and could we sit by the window?",
    "He said it would take three weeks, but that was in March, and nothing has happened since.",
)
_TALKERS = (0.8, 0.9, 1.0, 1.15, 1.3)


@dataclass(frozen=True, slots=True)
class CallerSound:
    """All that a caller's telephone picks up, but for the agent."""

    audio: dict[int, bytes]
    """The mu-law (8 kHz) of every `say`, `wav` and `sound`, by the step's index."""
    bed: Samples | None = None
    """The noise around the caller."""


async def caller_audio(script: Script, clock: Clock) -> dict[int, bytes]:
    """The mu-law audio (8 kHz) of every `say`, `wav` and `sound`, by the step's index.

    Raises ConfigError for a file that is no WAV, ProviderError when the embedded voice fails.
    """
    return (await caller_sound(script, clock)).audio


async def caller_sound(script: Script, clock: Clock, seed: int = 0) -> CallerSound:
    """What the caller says, and the noise around them. Raises as `caller_audio`."""
    if script.line.noise != "cafe" and not any(isinstance(s, Say) and s.text for s in script.steps):
        audio = await audio_of(script, _nobody_speaks, seed)
        return CallerSound(audio, surroundings(script.line, audio.values(), seed))
    async with caller_voice(clock) as speak:
        audio = await audio_of(script, speak, seed)
        voices = await table_talk(speak) if script.line.noise == "cafe" else ()
    return CallerSound(audio, surroundings(script.line, audio.values(), seed, voices))


async def audio_of(script: Script, speak: Speak, seed: int = 0) -> dict[int, bytes]:
    """The same as `caller_audio` with a voice that is there already."""
    says = {index: step for index, step in enumerate(script.steps) if isinstance(step, Say)}
    return {index: _in_manner(step, await _plain(step, speak, seed + index)) for index, step in says.items()}


@asynccontextmanager
async def caller_voice(clock: Clock) -> AsyncIterator[Speak]:
    """The embedded voice, in a process of its own. Raises ProviderError."""
    # Imported here: the speech models are an extra, and a script of WAV files needs none.
    from offhook.pipeline.providers.embedded.hibari_voice import HibariVoice
    from offhook.pipeline.providers.embedded.model_process import ModelProcess

    process = ModelProcess("hibari", {}, clock=clock)
    try:
        await process.start()
        voice = HibariVoice(process, clock)

        async def speak(text: str) -> bytes:
            return b"".join([piece.audio async for piece in voice.speak(text)])

        yield speak
    finally:
        await process.close()


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


async def _nobody_speaks(text: str) -> bytes:
    raise AssertionError(f"nobody was there to say {text!r}")


async def _plain(say: Say, speak: Speak, seed: int) -> bytes:
    """What a step sounds like at its own level and speed."""
    if say.sound:
        return g711.encode(noise(say.sound, say.length_s, seed, SPEECH_DBFS))
    if say.wav is not None:
        return read_wav(say.wav)
    if not say.parts:
        return await speak(say.text)
    # Pauses are measured from sound to sound: the silence at the edges of a piece goes.
    pieces = [
        _without_edges(await speak(part)) if isinstance(part, str) else _SILENCE * round(part * _BYTES_PER_S)
        for part in say.parts
    ]
    return b"".join(pieces)


def _in_manner(say: Say, audio: bytes) -> bytes:
    """Faster or slower, louder or quieter."""
    if say.speed == 1.0 and say.level_db == 0.0:
        return audio
    pcm = g711.decode(audio)
    if say.speed != 1.0:
        pcm = resample(pcm, round(RATE_HZ * say.speed), RATE_HZ)
    louder = pcm.astype(np.float64) * 10 ** (say.level_db / 20)
    return g711.encode(np.clip(np.rint(louder), -32768, 32767).astype(np.int16))


def _without_edges(audio: bytes) -> bytes:
    loud = np.flatnonzero(np.abs(g711.decode(audio).astype(np.int32)) > _SILENT_BELOW)
    if not len(loud):
        return b""
    return audio[max(0, int(loud[0]) - _EDGE_BYTES) : int(loud[-1]) + _EDGE_BYTES]


async def table_talk(speak: Speak) -> list[Samples]:
    """The voices of a café: one voice, at several speeds and pitches."""
    spoken = [g711.decode(await speak(text)) for text in _TABLE_TALK]
    fast = [resample(each, round(RATE_HZ * speed), RATE_HZ) for each in spoken for speed in _TALKERS]
    return [at_level(each, SPEECH_DBFS) for each in fast]
