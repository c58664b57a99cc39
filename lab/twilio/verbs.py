"""The verbs of TwiML, as Twilio's TwiML reference has them."""

from __future__ import annotations

__all__ = [
    "ConnectStream",
    "Dial",
    "Hangup",
    "Pause",
    "Play",
    "Record",
    "Redirect",
    "Reject",
    "SayText",
    "Verb",
]

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ConnectStream:
    """`<Connect><Stream>`: the call's audio goes both ways over a WebSocket until it closes."""

    url: str
    parameters: Mapping[str, str]
    action: str | None = None
    """Requested when the stream has ended; the call goes on with what it answers."""
    method: str = "POST"
    name: str = ""
    status_callback: str | None = None
    status_callback_method: str = "POST"


@dataclass(frozen=True, slots=True)
class SayText:
    """`<Say>`: Twilio's own voice speaks."""

    text: str


@dataclass(frozen=True, slots=True)
class Pause:
    """`<Pause>`: silence."""

    length_s: float


@dataclass(frozen=True, slots=True)
class Redirect:
    """`<Redirect>`: the call goes on with another document."""

    url: str
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Dial:
    """`<Dial>`: the caller is connected to somebody else."""

    numbers: tuple[str, ...]
    """They ring at the same time, and the first who answers has the call."""
    timeout_s: float = 30.0
    """So long does it ring."""
    time_limit_s: float = 14_400.0
    """So long may they talk."""
    answer_on_bridge: bool = False
    """The call counts as answered when the other one is; without, at once."""
    action: str | None = None
    """Requested when the other call is over, or never came about; the call goes on with what it answers."""
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Hangup:
    """`<Hangup>`: the call ends."""


@dataclass(frozen=True, slots=True)
class Reject:
    """`<Reject>`: the call is not answered at all."""

    reason: str


@dataclass(frozen=True, slots=True)
class Play:
    """`<Play>`: the caller hears a WAV file, or the tones of keys."""

    url: str = ""
    digits: str = ""
    """Keys, and `w` for half a second of silence."""
    loops: int = 1


@dataclass(frozen=True, slots=True)
class Record:
    """`<Record>`: what the caller says is kept."""

    action: str
    """Requested when there is a recording; the document's own address where none is given."""
    method: str = "POST"
    longest_s: float = 3600.0
    silence_s: float = 5.0
    """So long a silence ends it."""
    beep: bool = True


Verb = ConnectStream | SayText | Play | Record | Pause | Redirect | Dial | Hangup | Reject
