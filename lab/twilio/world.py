"""What all calls of the simulated Twilio share, and what it needs of whoever is on the telephone."""

from __future__ import annotations

__all__ = ["Recorded", "Recording", "Routing", "Subscriber", "World"]

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Protocol

from offhook.pipeline.clock import Clock

from ..phone import StreamEnd
from .calls import new_sid
from .telephones import Telephone
from .verbs import ConnectStream

_BYTES_PER_S = 8000


@dataclass(frozen=True, slots=True)
class Recorded:
    """What a subscriber said behind the beep."""

    audio: bytes
    """mu-law at 8 kHz, without the silence at its end."""
    hung_up: bool = False


class Subscriber(Protocol):
    """Whoever is on the telephone: what Twilio does to a caller, and how the caller takes it."""

    async def stream(self, verb: ConnectStream, stream_sid: str, started: Callable[[], None]) -> StreamEnd:
        """Be on a media stream until it ends; `started` is called once it is open. Raises ProtocolError."""

    def take_away(self) -> None:
        """Let the stream end, with `stop`: the call goes on elsewhere."""

    async def wait(self, seconds: float) -> bool:
        """Hold a line on which nothing is heard; False when the caller has hung up meanwhile."""

    async def listen(self, audio: bytes) -> bool:
        """Hear mu-law (8 kHz) out; False when the caller has hung up meanwhile."""

    async def record(self, longest_s: float, silence_s: float) -> Recorded:
        """Speak for so long at most, and until so long a silence."""

    def note(self, line: str) -> None:
        """Be told what the call does, in one line."""

    def warn(self, line: str) -> None:
        """Be told what Twilio would log."""


@dataclass(frozen=True, slots=True)
class Routing:
    """Whom Twilio asks about a call, and whom it tells; an empty text is nobody."""

    voice_url: str
    voice_method: str = "POST"
    fallback_url: str = ""
    """Asked when a document could not be had, or not be understood."""
    fallback_method: str = "POST"
    status_callback: str = ""
    status_callback_method: str = "POST"
    status_events: frozenset[str] = frozenset({"completed"})
    """Of initiated, ringing, answered and completed."""
    twiml: str = ""
    """A document in place of `voice_url`."""


@dataclass(slots=True)
class Recording:
    """A recording of a call, as the REST interface tells of it."""

    sid: str
    call_sid: str
    status: str = "completed"
    audio: bytes = b""
    """mu-law at 8 kHz."""

    @property
    def duration_s(self) -> int:
        """In whole seconds, as Twilio tells it."""
        return round(len(self.audio) / _BYTES_PER_S)


@dataclass(slots=True)
class World:
    """The clock, the telephones, and what is kept."""

    clock: Clock
    account_sid: str
    generator: random.Random
    telephones: dict[str, Telephone] = field(default_factory=dict)
    """By number (E.164); whoever is not among them answers."""
    lost_stream_ends_call: bool = False
    """Twilio's documentation is at odds: a stream that breaks ends the call, or the document goes on."""
    recordings: dict[str, Recording] = field(default_factory=dict)
    rest_url: str = "https://api.twilio.com"
    zero_s: float = field(init=False)
    """Unix seconds when the clock stood at zero."""

    def __post_init__(self) -> None:
        self.zero_s = time.time() - self.clock.now()

    def telephone(self, number: str) -> Telephone:
        """Find a telephone."""
        return self.telephones.get(number, Telephone())

    def now(self) -> datetime:
        """The time of day, by the clock."""
        return datetime.fromtimestamp(self.zero_s + self.clock.now(), UTC)

    def sid(self, prefix: str) -> str:
        """A new identifier."""
        return new_sid(prefix, self.generator)

    def keep(self, call_sid: str, audio: bytes, status: str = "completed") -> Recording:
        """Keep a recording."""
        recording = Recording(self.sid("RE"), call_sid, status, audio)
        self.recordings[recording.sid] = recording
        return recording

    def recording_url(self, recording: Recording) -> str:
        """Where a recording is found; with `.wav` behind it, its sound."""
        return f"{self.rest_url}/2010-04-01/Accounts/{self.account_sid}/Recordings/{recording.sid}"
