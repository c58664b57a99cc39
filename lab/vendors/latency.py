"""How long an emulated vendor takes for what it does: drawn from a seeded distribution per step."""

from __future__ import annotations

__all__ = ["PROFILES", "Delay", "Latency", "LatencyProfile", "parse_latency"]

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace

from offhook.config.errors import OffhookError

P95_SIGMAS = 1.6449
"""The 95th percentile of the normal distribution lies so many standard deviations above its median."""


LARGEST = 600_000
"""Ten minutes in milliseconds: whoever waits longer has given up."""
SPEED = "audio_speed"


@dataclass(frozen=True, slots=True)
class Delay:
    """A log-normal duration, given by two of its percentiles; equal ones make it constant."""

    p50_ms: float
    p95_ms: float

    def draw_s(self, generator: random.Random) -> float:
        """Draw one, in seconds."""
        if self.p50_ms <= 0:
            return 0.0
        sigma = math.log(max(1.0, self.p95_ms / self.p50_ms)) / P95_SIGMAS
        return self.p50_ms / 1000 * math.exp(sigma * generator.gauss(0.0, 1.0))


AT_ONCE = Delay(0, 0)


def _exactly(milliseconds: float) -> Delay:
    return Delay(milliseconds, milliseconds)


@dataclass(frozen=True, slots=True)
class LatencyProfile:
    """How long each step of each vendor takes."""

    connect: Delay = AT_ONCE
    """From a socket's request to its acceptance."""
    partial: Delay = AT_ONCE
    """From the end of a word in the audio received to the result that holds it."""
    final: Delay = AT_ONCE
    """From a `Finalize`, or the end of a turn that the vendor sees, to the final result."""
    first_token: Delay = AT_ONCE
    """From a chat request to its first piece."""
    token: Delay = AT_ONCE
    """From a piece to the next."""
    first_audio: Delay = AT_ONCE
    """From a text to be spoken to its first audio."""
    audio_speed: float = 0.0
    """Seconds of speech made in a second; 0: all at once."""


STEPS = tuple(field.name for field in fields(LatencyProfile) if field.name != SPEED)

PROFILES: Mapping[str, LatencyProfile] = {
    "instant": LatencyProfile(),
    "tutorial": LatencyProfile(
        partial=_exactly(200),
        final=_exactly(200),
        first_token=_exactly(400),
        token=_exactly(15),
        first_audio=_exactly(150),
        audio_speed=10.0,
    ),
    "typical": LatencyProfile(
        connect=Delay(60, 150),
        partial=Delay(250, 450),
        final=Delay(150, 350),
        first_token=Delay(450, 1100),
        token=Delay(15, 40),
        first_audio=Delay(150, 350),
        audio_speed=6.0,
    ),
}
"""By name; "tutorial" has the figures that guides to building voice agents give for each stage."""


class Latency:
    """Draws from a profile; the same seed gives each step the same durations, whatever the others do."""

    def __init__(self, profile: LatencyProfile, seed: int = 1) -> None:
        self.profile = profile
        self._generators = {step: random.Random(f"{seed} {step}") for step in STEPS}

    def draw_s(self, step: str) -> float:
        """Draw the duration of a step, by its name in the profile, in seconds."""
        delay: Delay = getattr(self.profile, step)
        return delay.draw_s(self._generators[step])


def parse_latency(text: str, profile: LatencyProfile) -> LatencyProfile:
    """Change one step of a profile: `first_token=400`, `first_token=400/900` (p50/p95, ms), `audio_speed=6`.

    Raises OffhookError naming what is wrong and what may be written.
    """
    step, equals, value = text.partition("=")
    if not equals or step not in (*STEPS, SPEED):
        raise OffhookError(
            f"`{text}` is no latency: write STEP=P50 or STEP=P50/P95 in milliseconds, or {SPEED}=NUMBER; "
            f"steps are {', '.join(STEPS)}"
        )
    if step == SPEED:
        return replace(profile, audio_speed=_number(text, value))
    p50, slash, p95 = value.partition("/")
    delay = Delay(_number(text, p50), _number(text, p95 if slash else p50))
    if delay.p95_ms < delay.p50_ms:
        raise OffhookError(f"`{text}`: p95 is less than p50; write P50/P95")
    changes: dict[str, Delay] = {step: delay}
    return replace(profile, **changes)  # type: ignore[arg-type]


def _number(text: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if not 0 <= number <= LARGEST:
        raise OffhookError(f"`{text}`: `{value}` is no number from 0 to {LARGEST:,.0f}")
    return number
