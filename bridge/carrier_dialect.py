"""The seam between the bridge and a carrier: what its stream says, and what may be said to it."""

from __future__ import annotations

__all__ = [
    "Audio",
    "CarrierDialect",
    "Dtmf",
    "Ignored",
    "MarkReached",
    "Started",
    "Stopped",
    "StreamEvent",
]

from collections import Counter
from collections.abc import Mapping
from typing import Protocol, TypeAlias

from msgspec import Struct

from offhook.codecs.audio_format import AudioFormat

from .rules import Rule


# Structs, since one of them is made for every frame of every call: at a quarter of a dataclass's price.
class Started(Struct, frozen=True):
    """The stream of a call begins; from now on audio may be sent."""

    stream_sid: str
    call_sid: str
    account_sid: str
    parameters: Mapping[str, str]


class Audio(Struct, frozen=True, gc=False):
    """A piece of the caller's audio, of any length."""

    payload: bytes
    """In the dialect's input format."""
    timestamp_ms: int
    """Presentation time since the stream began."""


class Dtmf(Struct, frozen=True):
    """The caller pressed a key: one of 0-9, *, #, A-D."""

    digit: str


class MarkReached(Struct, frozen=True):
    """The audio sent before the mark was played, or was cleared."""

    name: str


class Stopped(Struct, frozen=True):
    """The carrier ends the stream."""


class Ignored(Struct, frozen=True):
    """A message was not taken, by this rule; already counted."""

    rule: Rule


StreamEvent: TypeAlias = Started | Audio | Dtmf | MarkReached | Stopped | Ignored


class CarrierDialect(Protocol):
    """One stream in the language of one carrier, sans-I/O."""

    input_format: AudioFormat
    """What `Audio.payload` holds."""
    output_format: AudioFormat
    """What `audio` takes."""
    marks_echo_on_clear: bool
    """A mark also comes back when the audio before it was cleared, not played."""
    counters: Counter[str]
    """How often each rule was applied."""

    @property
    def streaming(self) -> bool:
        """Audio, marks and clears may be sent."""

    def receive(self, text: str | bytes) -> tuple[StreamEvent, ...]:
        """Read one message (bytes are UTF-8). Raises ProtocolError where the stream must end."""

    def audio(self, payload: bytes) -> bytes:
        """The message that plays `payload`. Raises ProtocolError when not `streaming`."""

    def mark(self, name: str) -> bytes:
        """The message that asks for an echo of `name`. Raises ProtocolError when not `streaming`."""

    def clear(self) -> bytes:
        """The message that empties the carrier's buffer. Raises ProtocolError when not `streaming`."""
