"""What the simulated callers send: a line's own noise, and what voice activity takes for speech."""

from __future__ import annotations

__all__ = ["noise_frames", "speech_frames"]

import numpy as np
from numpy.typing import NDArray

from offhook.codecs import g711
from offhook.codecs.framing import SAMPLE_RATE_HZ as RATE_HZ

FRAME_SAMPLES = 160
NOISE_RMS = 60.0
"""-55 dBFS: a quiet telephone line."""
SPEECH_PEAK = 9000.0
PITCH_HZ = 120.0
VOWEL_S = 0.18
VOWELS = ((730, 1090, 2440), (270, 2290, 3010), (570, 840, 2410), (300, 870, 2240), (530, 1840, 2480))
"""The first three formants, in Hz, of five vowels (Peterson and Barney, 1952, male speakers)."""
FORMANT_WIDTH_HZ = 80.0


def noise_frames(count: int, seed: int = 1) -> list[bytes]:
    """Frames of 20 ms of noise, mu-law."""
    samples = np.random.default_rng(seed).normal(0.0, NOISE_RMS, count * FRAME_SAMPLES)
    return _frames(samples)


def speech_frames(seconds: float) -> list[bytes]:
    """Frames of 20 ms of vowels one after another, mu-law; Silero's model takes them for speech."""
    count = int(seconds * RATE_HZ) // FRAME_SAMPLES * FRAME_SAMPLES
    time_s = np.arange(count) / RATE_HZ
    phase = np.cumsum(PITCH_HZ + 15 * np.sin(2 * np.pi * 2.1 * time_s)) / RATE_HZ
    pulses = np.diff(np.floor(phase), prepend=0.0)
    voiced = np.concatenate(
        [
            _resonated(pulses[start : start + int(VOWEL_S * RATE_HZ)], VOWELS[number % len(VOWELS)])
            for number, start in enumerate(range(0, count, int(VOWEL_S * RATE_HZ)))
        ]
    )
    voiced *= 0.6 + 0.4 * np.sin(2 * np.pi * 4 * time_s)
    return _frames(voiced * (SPEECH_PEAK / np.abs(voiced).max()))


def _resonated(pulses: NDArray[np.float64], formants_hz: tuple[int, ...]) -> NDArray[np.float64]:
    """Pulses through a chain of second-order resonators (a formant synthesiser in cascade)."""
    length = pulses.size
    radius = np.exp(-np.pi * FORMANT_WIDTH_HZ / RATE_HZ)
    samples = np.arange(length)
    for formant_hz in formants_hz:
        angle = 2 * np.pi * formant_hz / RATE_HZ
        response = radius**samples * np.sin(angle * (samples + 1)) / np.sin(angle)
        pulses = np.convolve(pulses, response)[:length]
    return pulses


def _frames(samples: NDArray[np.float64]) -> list[bytes]:
    encoded = g711.encode(samples.astype(np.int16))
    return [encoded[at : at + FRAME_SAMPLES] for at in range(0, len(encoded), FRAME_SAMPLES)]
