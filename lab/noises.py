"""Sounds of telephone lines that are not speech meant for the agent: 8 kHz samples, made from a seed.

Each is a rough physical picture of its source (a burst, a resonance, a decay, breath as filtered noise)
so that a voice-activity detector and a recogniser are tempted as they would be by the real one.
"""

from __future__ import annotations

__all__ = ["KINDS", "RATE_HZ", "active_dbfs", "at_level", "mixed", "noise"]

import math
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.int16]
_Sound = NDArray[np.float64]
_Maker = Callable[[np.random.Generator, int, Sequence[Samples]], _Sound]

RATE_HZ = 8000
FULL_SCALE = 32768.0
_FRAME = 160
_ACTIVE_RANGE_DB = 25.0
"""Frames this far below the loudest one are pauses."""
_CAFE_VOICES = 8


def noise(kind: str, seconds: float, seed: int, level_dbfs: float, voices: Sequence[Samples] = ()) -> Samples:
    """`seconds` of a sound of KINDS whose active level is `level_dbfs`; single events come at once, once.

    `cafe` overlaps eight of `voices` (8 kHz speech; used again from another place when there are fewer),
    or babbles in formants when there are none. Raises ValueError for an unknown kind.
    """
    maker = _MAKERS.get(kind)
    if maker is None:
        raise ValueError(f"{kind!r} is no noise; there are {', '.join(KINDS)}")
    generator = np.random.default_rng([seed, KINDS.index(kind)])
    return at_level(maker(generator, round(seconds * RATE_HZ), voices), level_dbfs)


def mixed(speech: Samples, noise: Samples, snr_db: float) -> Samples:
    """Speech over noise, whose level is `snr_db` below the speech's active level; as long as the speech.

    A shorter noise is repeated. Raises ValueError for noise without samples.
    """
    if not len(noise):
        raise ValueError("there is no noise to mix in")
    bed = at_level(np.resize(noise, speech.shape), active_dbfs(speech) - snr_db)
    return _clipped(speech.astype(np.float64) + bed)


def active_dbfs(samples: NDArray[np.generic]) -> float:
    """RMS level of the 20 ms frames that hold sound, relative to full scale; -inf for silence."""
    power = _frame_powers(samples.astype(np.float64))
    loudest = float(power.max(initial=0.0))
    if loudest <= 0:
        return -math.inf
    active = power[power >= loudest * 10 ** (-_ACTIVE_RANGE_DB / 10)]
    return 10 * math.log10(float(active.mean()) / FULL_SCALE**2)


def at_level(samples: NDArray[np.generic], level_dbfs: float) -> Samples:
    """The same sound at another active level, limited to 16 bits; silence stays silent."""
    present = active_dbfs(samples)
    gain = 10 ** ((level_dbfs - present) / 20) if present > -math.inf else 0.0
    return _clipped(samples.astype(np.float64) * gain)


def _frame_powers(samples: _Sound) -> _Sound:
    whole = np.pad(samples, (0, -len(samples) % _FRAME)).reshape(-1, _FRAME)
    power: _Sound = np.square(whole).mean(axis=1)
    return power


def _clipped(samples: _Sound) -> Samples:
    return np.clip(np.rint(samples), -32768, 32767).astype(np.int16)


def _coloured(generator: np.random.Generator, length: int, *bands: tuple[float, float, float]) -> _Sound:
    """Noise with the given (centre Hz, width Hz, weight) humps in its spectrum, at an RMS of one."""
    if length < 2:
        return np.zeros(length)
    spectrum = np.fft.rfft(generator.standard_normal(length))
    hz = np.fft.rfftfreq(length, 1 / RATE_HZ)
    shape = sum((w * np.exp(-0.5 * ((hz - c) / b) ** 2) for c, b, w in bands), np.zeros_like(hz))
    sound: _Sound = np.fft.irfft(spectrum * shape, length)
    return sound / max(1e-9, _rms(sound))


def _rms(sound: _Sound) -> float:
    return math.sqrt(float(np.square(sound).sum()) / max(1, len(sound)))


def _times(seconds: float) -> _Sound:
    return np.arange(round(seconds * RATE_HZ)) / RATE_HZ


def _swell(seconds: float, attack_s: float, release_s: float) -> _Sound:
    """A smooth envelope from silence to one and back."""
    at = _times(seconds)
    rise = np.clip(at / attack_s, 0, 1)
    fall = np.clip((seconds - at) / release_s, 0, 1)
    envelope: _Sound = np.square(np.sin(0.5 * math.pi * np.minimum(rise, fall)))
    return envelope


def _decay(seconds: float, time_s: float, attack_s: float = 0.002) -> _Sound:
    at = _times(seconds)
    envelope: _Sound = np.clip(at / attack_s, 0, 1) * np.exp(-at / time_s)
    return envelope


def _place(sound: _Sound, at: int, piece: _Sound) -> None:
    end = min(len(sound), at + len(piece))
    if 0 <= at < end:
        sound[at:end] += piece[: end - at]


def _single(event: _Sound, length: int) -> _Sound:
    sound = np.zeros(length)
    _place(sound, 0, event)
    return sound


def _buzz(
    generator: np.random.Generator, pitch_hz: _Sound, formants: Sequence[tuple[float, float]]
) -> _Sound:
    """Voiced sound: pulses of a wandering pitch through resonances of (Hz, bandwidth Hz)."""
    phase = np.cumsum(pitch_hz * (1 + 0.03 * generator.standard_normal(len(pitch_hz)))) / RATE_HZ
    pulses = np.diff(np.floor(phase), prepend=0.0)
    spectrum, hz = np.fft.rfft(pulses), np.fft.rfftfreq(len(pulses), 1 / RATE_HZ)
    response = np.zeros(len(hz), dtype=np.complex128)
    for centre, width in formants:
        response += 1 / (1 + 1j * (hz - centre) / (width / 2))
    sound: _Sound = np.fft.irfft(spectrum * response, len(pulses))
    return sound / max(1e-9, float(np.abs(sound).max(initial=0.0)))


def _breathing(generator: np.random.Generator, length: int, _: Sequence[Samples]) -> _Sound:
    """In through the mouth, out over the microphone, every three to four seconds."""
    sound, at = np.zeros(length), 0
    while at < length:
        for centre, loudness in ((1400.0, 0.6), (700.0, 1.0)):
            seconds = generator.uniform(0.7, 1.3)
            envelope = _swell(seconds, 0.4 * seconds, 0.5 * seconds)
            breath = _coloured(generator, len(envelope), (centre, 500, 1.0), (2600, 700, 0.3))
            _place(sound, at, loudness * envelope * breath)
            at += len(envelope) + round(generator.uniform(0.2, 0.6) * RATE_HZ)
    return sound


def _keyboard(generator: np.random.Generator, length: int, _: Sequence[Samples]) -> _Sound:
    """Keys go down and up, in words with pauses between them."""
    sound, at = np.zeros(length), 0
    while at < length:
        for _key in range(generator.integers(3, 9)):
            for delay, loudness in ((0, 1.0), (round(generator.uniform(0.06, 0.09) * RATE_HZ), 0.5)):
                _place(sound, at + delay, loudness * generator.uniform(0.5, 1.0) * _key_stroke(generator))
            at += round(generator.uniform(0.09, 0.22) * RATE_HZ)
        at += round(generator.uniform(0.3, 1.0) * RATE_HZ)
    return sound


def _key_stroke(generator: np.random.Generator) -> _Sound:
    body = _decay(0.03, 0.004, attack_s=0.0005)
    return body * _coloured(generator, len(body), (generator.uniform(1800, 3200), 600, 1.0), (400, 200, 0.6))


def _click(generator: np.random.Generator, length: int, _: Sequence[Samples]) -> _Sound:
    """A contact that closes: under 10 ms."""
    body = _decay(0.008, 0.0015, attack_s=0.0003)
    return _single(body * _coloured(generator, len(body), (2200, 1500, 1.0)), length)


def _beep(generator: np.random.Generator, length: int, _: Sequence[Samples]) -> _Sound:
    """One tone of a machine: 200 to 400 ms, 700 to 1500 Hz."""
    seconds = generator.uniform(0.2, 0.4)
    tone = np.sin(2 * math.pi * generator.uniform(700, 1500) * _times(seconds))
    return _single(_swell(seconds, 0.005, 0.005) * tone, length)


def _cough(generator: np.random.Generator, length: int, _: Sequence[Samples]) -> _Sound:
    """One to three explosions of breath, each with a voiced decay and a hiss behind."""
    sound, at = np.zeros(length), 0
    for number in range(generator.integers(1, 4)):
        piece = _one_cough(generator) * (1.0 if number == 0 else generator.uniform(0.5, 0.9))
        _place(sound, at, piece)
        at += round(generator.uniform(0.3, 0.45) * RATE_HZ)
    return sound


def _one_cough(generator: np.random.Generator) -> _Sound:
    burst = _decay(0.4, 0.035, attack_s=0.004)
    explosion = (
        1.6 * burst * _coloured(generator, len(burst), (600, 300, 1.0), (1500, 600, 0.8), (2800, 600, 0.4))
    )
    pitch = generator.uniform(150, 280) * np.exp(-_times(0.4) / 0.9)
    voiced = 2.0 * _swell(0.4, 0.05, 0.3) * _buzz(generator, pitch, ((650, 120), (1200, 160), (2500, 250)))
    breath = 0.25 * _swell(0.4, 0.15, 0.2) * _coloured(generator, len(burst), (1200, 700, 1.0))
    return explosion + voiced + breath


def _throat_clearing(generator: np.random.Generator, length: int, _: Sequence[Samples]) -> _Sound:
    """A rough low voice with a closed mouth, in two pushes."""
    sound, at = np.zeros(length), 0
    for loudness in (1.0, 0.8):
        seconds = generator.uniform(0.25, 0.45)
        pitch = np.full(round(seconds * RATE_HZ), generator.uniform(80, 120))
        voiced = _buzz(generator, pitch, ((350, 150), (1000, 250)))
        rough = 0.15 * _coloured(generator, len(voiced), (500, 300, 1.0))
        tremor = 1 + 0.6 * np.sin(2 * math.pi * generator.uniform(22, 32) * _times(seconds))
        _place(sound, at, loudness * tremor * _swell(seconds, 0.06, 0.12) * (voiced + rough))
        at += round((seconds + generator.uniform(0.05, 0.15)) * RATE_HZ)
    return sound


def _door_slam(generator: np.random.Generator, length: int, _: Sequence[Samples]) -> _Sound:
    """A thump, a rattle, and the room."""
    body = _decay(0.8, 0.05)
    thump = 2 * body * _coloured(generator, len(body), (180, 100, 1.0), (450, 150, 0.4))
    rattle = 0.5 * _decay(0.8, 0.02) * _coloured(generator, len(body), (1600, 800, 1.0))
    room = 0.15 * _decay(0.8, 0.25) * _coloured(generator, len(body), (500, 400, 1.0))
    return _single(thump + rattle + room, length)


def _cafe(generator: np.random.Generator, length: int, voices: Sequence[Samples]) -> _Sound:
    """Eight people talk at once, cups clink, and the room hums."""
    sound = np.zeros(length)
    for number in range(_CAFE_VOICES):
        speech = at_level(voices[number % len(voices)] if voices else _babble(generator, length), -26)
        start = int(generator.integers(max(1, len(speech))))
        looped = np.resize(np.roll(speech, start), length).astype(np.float64)
        sound += looped * 10 ** (generator.uniform(-6, 0) / 20)
    room = _coloured(generator, length, (200, 250, 1.0), (800, 800, 0.3))
    sound += room * 0.15 * _rms(sound)
    for _cup in range(round(length / RATE_HZ / 2.5)):
        loudness = 3 * _rms(sound) * generator.uniform(0.3, 1.0)
        _place(sound, int(generator.integers(length)), loudness * _clink(generator))
    return sound


def _clink(generator: np.random.Generator) -> _Sound:
    at = _times(0.25)
    partials = generator.uniform(1700, 3600, 3)
    tones = sum((np.sin(2 * math.pi * hz * at) for hz in partials), np.zeros_like(at))
    return _decay(0.25, generator.uniform(0.03, 0.07)) * tones / 3


def _babble(generator: np.random.Generator, length: int) -> _Sound:
    """Syllables of a voice without words."""
    sound, at = np.zeros(length), 0
    base_hz = generator.uniform(95, 230)
    while at < length:
        seconds = generator.uniform(0.1, 0.28)
        pitch = base_hz * (
            1 + 0.15 * np.sin(np.linspace(0, generator.uniform(1, 4), round(seconds * RATE_HZ)))
        )
        formants = ((generator.uniform(300, 800), 90), (generator.uniform(900, 2200), 130), (2600, 200))
        syllable = 3000 * _swell(seconds, 0.03, 0.06) * _buzz(generator, pitch, formants)
        _place(sound, at, syllable)
        pause_s = generator.uniform(0.2, 0.7) if generator.random() < 0.15 else generator.uniform(0, 0.05)
        at += len(syllable) + round(pause_s * RATE_HZ)
    return sound


def _street(generator: np.random.Generator, length: int, _: Sequence[Samples]) -> _Sound:
    """Traffic far away, and now and then a car that passes."""
    sound = _coloured(generator, length, (150, 200, 1.0), (700, 600, 0.4))
    at = 0
    while at < length:
        seconds = generator.uniform(2.5, 5.0)
        swell = _swell(seconds, 0.5 * seconds, 0.5 * seconds)
        passing = _coloured(generator, len(swell), (300, 250, 1.0), (1100, 500, 0.6))
        _place(sound, at, 2.5 * swell * passing)
        at += round(generator.uniform(3, 7) * RATE_HZ)
    return sound


def _fan(generator: np.random.Generator, length: int, _: Sequence[Samples]) -> _Sound:
    """Steady air with a blade's beat in it."""
    beat = 1 + 0.1 * np.sin(2 * math.pi * 27 * np.arange(length) / RATE_HZ)
    return beat * _coloured(generator, length, (400, 400, 1.0), (1500, 1200, 0.35))


def _hum(generator: np.random.Generator, length: int, _: Sequence[Samples]) -> _Sound:
    """Mains, 50 Hz: what a telephone passes of it is its harmonics."""
    at = np.arange(length) / RATE_HZ
    tones = ((150, 0.5), (250, 1.0), (350, 0.6), (450, 0.3), (550, 0.2))
    phases = generator.uniform(0, 2 * math.pi, len(tones))
    return sum(
        (w * np.sin(2 * math.pi * hz * at + p) for (hz, w), p in zip(tones, phases, strict=True)),
        np.zeros(length),
    )


_MAKERS: dict[str, _Maker] = {
    "breathing": _breathing,
    "keyboard": _keyboard,
    "click": _click,
    "beep": _beep,
    "cough": _cough,
    "throat_clearing": _throat_clearing,
    "door_slam": _door_slam,
    "cafe": _cafe,
    "street": _street,
    "fan": _fan,
    "hum": _hum,
}
KINDS = tuple(_MAKERS)
"""The names of the sounds."""
