"""What the emulated vendors share: time, latencies, faults, engines inside, and what they saw."""

from __future__ import annotations

__all__ = ["InsideEngines", "VendorWorld"]

from collections.abc import Mapping
from dataclasses import dataclass, field

from offhook.pipeline.clock import Clock
from offhook.pipeline.ports import LanguageModel, Transcriber, Voice, VoiceActivity

from .connections import Connections
from .faults import FaultPlan
from .latency import Latency
from .sightings import Sightings


@dataclass(frozen=True, slots=True)
class InsideEngines:
    """What really hears, thinks and speaks behind the protocols: the embedded engines, or scripted ones."""

    voice_activity: VoiceActivity
    transcriber: Transcriber
    model: LanguageModel
    voice: Voice


@dataclass(slots=True)
class VendorWorld:
    """One set of emulated vendors."""

    clock: Clock
    engines: InsideEngines
    latency: Latency
    sightings: Sightings
    faults: FaultPlan = field(default_factory=FaultPlan)
    keys: Mapping[str, str] = field(default_factory=dict)
    """Vendor -> the key that is right; any other is refused, as is none."""
    connections: Connections = field(default_factory=Connections)
    """Kept by the server; emulators need not know of it."""
