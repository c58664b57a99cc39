"""Sound that no two calls share, and what a listener knows it by.

A carpet of noise is cut into blocks of 20 ms. Every call walks over it in steps of its own, so that two
blocks in a row tell whose they are, and one that is missing, wrong or doubled puts all later ones out of
place. Whoever listens compares a block's inside: its beginning also depends, through the resampler, on the
block before it, and may bear a stamp.
"""

from __future__ import annotations

__all__ = ["BLOCKS", "Inside", "SoundCheck", "Walk", "caller_carpet", "recognised_blocks", "spoken_blocks"]

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from offhook.codecs import g711
from offhook.codecs.audio_format import MULAW_8K, PCM_16K, PCM_24K, AudioFormat, converter
from offhook.codecs.framing import FRAME_BYTES

from .caller_sound import noise_frames

BLOCKS = 1009
"""A prime number: every step leads over the whole carpet."""
INSIDE_FROM = 48
"""Samples at 8 kHz: behind the longest stamp and the longest filter's memory."""
VOICE_RMS = 3000.0
VOICE_BAND_HZ = (300.0, 3000.0)
CLOSE_PCM = 4
"""Conversions that differ in the last bits of their arithmetic are still the same sound."""


@dataclass(frozen=True, slots=True)
class Walk:
    """One call's way over the carpet."""

    start: int
    step: int

    @classmethod
    def of(cls, call: int) -> Walk:
        """Two calls below a million differ in step or in start."""
        return cls(31 * call % BLOCKS, 1 + call % (BLOCKS - 1))

    def block(self, number: int) -> int:
        """Which block of the carpet the call's block of this number is."""
        return (self.start + number * self.step) % BLOCKS

    def number(self, block: int, *, near: int) -> int:
        """The number of the call's block that is this one of the carpet: of all, the nearest to `near`."""
        least = (block - self.start) * pow(self.step, -1, BLOCKS) % BLOCKS
        return max(least, least + round((near - least) / BLOCKS) * BLOCKS)


@dataclass(frozen=True, slots=True)
class Inside:
    """The part of a block that depends on nothing else, in bytes of one format."""

    begin: int
    block: int
    """Where the block ends."""

    @classmethod
    def of(cls, audio_format: AudioFormat) -> Inside:
        """In this format."""
        per_sample = audio_format.bytes_per_s // MULAW_8K.rate_hz
        return cls(INSIDE_FROM * per_sample, FRAME_BYTES * per_sample)

    def number(self, at: int, size: int) -> int | None:
        """The first block whose inside lies in `size` bytes that begin `at` bytes into a stream."""
        number = max(0, -((self.begin - at) // self.block))
        return number if (number + 1) * self.block <= at + size else None


@dataclass(slots=True)
class SoundCheck:
    """How many blocks were looked at, and how many were not what was sent."""

    checked: int = 0
    wrong: int = 0
    out_of_place: int = 0
    """The call's own, but not what comes next: something was left out, came twice, or was said beside it."""

    def pcm(self, got: bytes, expected: bytes) -> bool:
        """Whether 16-bit samples are as expected."""
        self.checked += 1
        return got == expected or _near(np.frombuffer(got, "<i2"), np.frombuffer(expected, "<i2"), 0.0)

    def mulaw(self, got: bytes, expected: bytes) -> bool:
        """Whether mu-law codes are; a neighbour will do: its step is a sixteenth of its level."""
        self.checked += 1
        return got == expected or _near(g711.decode(got), g711.decode(expected), 1 / 16)


def _near(got: NDArray[np.int16], expected: NDArray[np.int16], share: float) -> bool:
    if got.shape != expected.shape:
        return False
    wanted = expected.astype(float)
    return bool((np.abs(got - wanted) <= CLOSE_PCM + 4 * (share > 0) + share * np.abs(wanted)).all())


def caller_carpet() -> list[bytes]:
    """The caller's blocks: mu-law, as quiet as a line's own noise."""
    return noise_frames(BLOCKS)


def recognised_blocks() -> list[bytes]:
    """The insides of the caller's blocks as a recogniser gets them: 16 kHz PCM."""
    return _insides(b"".join(caller_carpet()), MULAW_8K, PCM_16K)


def spoken_blocks() -> tuple[list[bytes], list[bytes]]:
    """A voice's blocks, 24 kHz PCM, and their insides as the far end gets them: mu-law."""
    samples = BLOCKS * PCM_24K.rate_hz // 50
    spectrum = np.fft.rfft(np.random.default_rng(2).normal(size=samples))
    frequency_hz = np.fft.rfftfreq(samples, 1 / PCM_24K.rate_hz)
    low_hz, high_hz = VOICE_BAND_HZ
    spectrum[(frequency_hz < low_hz) | (frequency_hz > high_hz)] = 0
    noise = np.fft.irfft(spectrum, samples)
    pcm = (noise * (VOICE_RMS / noise.std())).astype("<i2").tobytes()
    size = len(pcm) // BLOCKS
    return [pcm[at : at + size] for at in range(0, len(pcm), size)], _insides(pcm, PCM_24K, MULAW_8K)


def _insides(audio: bytes, source: AudioFormat, target: AudioFormat) -> list[bytes]:
    inside = Inside.of(target)
    made = converter(source, target).feed(audio)
    return [
        made[at + inside.begin : at + inside.block] for at in range(0, BLOCKS * inside.block, inside.block)
    ]
