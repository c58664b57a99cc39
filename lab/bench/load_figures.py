"""What the far ends of all calls found out."""

from __future__ import annotations

__all__ = ["NS_PER_BYTE", "LoadFigures"]

from dataclasses import dataclass, field

from .histogram import DelayHistogram
from .own_sound import SoundCheck

NS_PER_BYTE = 125_000


@dataclass(slots=True)
class LoadFigures:
    """What the far ends of all calls found out; one value is shared by all of them."""

    out_delay: DelayHistogram = field(default_factory=DelayHistogram)
    """From the bridge's write to the far end."""
    fell_silent: DelayHistogram = field(default_factory=DelayHistogram)
    """From a caller's first sound to the `clear` at the far end."""
    lateness: DelayHistogram = field(default_factory=DelayHistogram)
    """How late the generator itself was."""
    last_gap_ns: int = 0
    """When any far end last ran dry, in the window or not."""
    calm_after_s: float = 0.0
    """From the first sound of the last call until no far end had run dry for the warm-up's length."""
    frames_sent: int = 0
    """In the whole run."""
    bytes_in_window: int = 0
    underruns: int = 0
    underrun_ns: int = 0
    interruptions: int = 0
    answered_interruptions: int = 0
    ahead_first: DelayHistogram = field(default_factory=DelayHistogram)
    """How much audio the far end still had when more came, in the window's first 2 s."""
    ahead_last: DelayHistogram = field(default_factory=DelayHistogram)
    """The same in its last 2 s: a schedule that drifts has less, or more."""
    stale_messages: int = 0
    """Audio behind a `clear`, while the caller who interrupted still speaks."""
    lost_calls: int = 0
    sound: SoundCheck = field(default_factory=SoundCheck)
    """Of the agents' audio, where every call has its own."""
    cpu_share: float = 0.0
    """Of one core, of the generator."""
