"""The ear's front end over recorded sound, faster than real time: voice activity, echo guard, speech gate."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from offhook.codecs import g711
from offhook.lab.caller_audio import caller_audio, read_wav
from offhook.lab.script import Say, Script
from offhook.pipeline.clock import LoopClock
from offhook.pipeline.echo import ExpectedEcho
from offhook.pipeline.evidence import Activity
from offhook.pipeline.ports import VoiceWindow
from offhook.pipeline.providers.embedded.silero_model import SileroModel, load
from offhook.pipeline.speech_gate import SpeechGate

RATE = 8000
WINDOW = 256
AUDIO = Path(__file__).parent.parent / "audio"
Samples = NDArray[np.float64]

AGENT_TEXTS = (
    "We send every order within one working day, and most parcels arrive two days later.",
    "Standard shipping costs four dollars, and is free for orders above fifty dollars.",
    "Hello, this is Parcel Post. I can look up an order, or tell you about opening hours. How can I help?",
    "If nobody is at home, we leave it with a neighbour, or bring it again on the next day.",
    "You can send anything back within thirty days, free of charge.",
    "I am a machine, and nobody else is on this line. You can write to us at any time.",
)
CALLER_TEXTS = (
    "Wait, I have another question.", "Stop, please.", "Actually, what are your opening hours?",
    "No, that is not what I asked.", "Hold on a second.", "Where is my order?", "Thank you, that is enough.",
    "Let me talk to a person.", "How much is it for two parcels?", "Yes, please.",
)  # fmt: skip


def samples(mulaw: bytes) -> Samples:
    return g711.decode(mulaw).astype(np.float64) / 32768


def mulaw(sound: Samples) -> bytes:
    return g711.encode(np.clip(np.rint(sound * 32768), -32768, 32767).astype(np.int16))


def spoken(texts: Sequence[str]) -> list[Samples]:
    """The embedded voice."""
    script = Script(tuple(Say(text) for text in texts))

    async def make() -> dict[int, bytes]:
        return await caller_audio(script, LoopClock(asyncio.get_running_loop()))

    return [samples(audio) for _, audio in sorted(asyncio.run(make()).items())]


def recorded() -> dict[str, Samples]:
    """Real callers."""
    return {path.name.split(".")[0]: samples(read_wav(path)) for path in sorted(AUDIO.glob("*.wav"))}


def hiss(count: int, dbfs: float = -65.0, seed: int = 1) -> Samples:
    return np.random.default_rng(seed).normal(0, 10 ** (dbfs / 20), count)


def gain(sound: Samples, db: float) -> Samples:
    return sound * 10 ** (db / 20)


def first_sound_s(sound: Samples) -> float:
    """Where a listener would say that it begins: 10 ms that are within 30 dB of the loudest."""
    blocks = np.sqrt(np.square(sound[: len(sound) // 80 * 80]).reshape(-1, 80).mean(axis=1))
    return float(np.flatnonzero(blocks > blocks.max() * 10 ** (-30 / 20))[0]) * 0.01


@dataclass(frozen=True)
class Window:
    said: VoiceWindow
    played: bytes
    """What the agent played in these 32 ms."""


_MODEL: list[SileroModel] = []


def windows(heard: Samples, played: Samples | None = None) -> list[Window]:
    """Judge a caller's channel; `played` is what the agent sent at the same times."""
    if not _MODEL:
        _MODEL.append(load(WINDOW))
    model = _MODEL[0]
    row = model.acquire()
    line = mulaw(heard)
    sent = mulaw(played) if played is not None else b""
    found = []
    for start in range(0, len(line) - WINDOW + 1, WINDOW):
        probabilities, levels = model.run([row], line[start : start + WINDOW])
        media_s = (start + WINDOW) / RATE
        said = VoiceWindow(media_s, probabilities[0], levels[0])
        found.append(Window(said, sent[start : start + WINDOW]))
    model.release(row)
    return found


def activities(
    found: Sequence[Window], *, guard: bool = True, gate: SpeechGate | None = None
) -> list[Activity]:
    """What the ear would say."""
    gate = gate or SpeechGate(0.5, 0.06)
    echo = ExpectedEcho()
    out = []
    for window in found:
        said = window.said
        if window.played and any(byte not in (0xFF, 0x7F, 0xFE, 0x7E) for byte in window.played):
            echo.play(window.played, said.media_s - WINDOW / RATE)
        echo.hear(said.level_dbfs, said.media_s, said.media_s)
        if guard and echo.explains:
            said = VoiceWindow(said.media_s, 0.0, said.level_dbfs)
        out.append(gate.feed(said))
    return out


def onsets(found: Sequence[Activity]) -> list[float]:
    """When the ear noticed that somebody began to speak."""
    return [now.media_s for before, now in pairwise(found) if now.speaking and not before.speaking]
