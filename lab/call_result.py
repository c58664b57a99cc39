"""What is known of a simulated call once it is over, as plain values."""

from __future__ import annotations

__all__ = ["CallPlan", "CallResult", "LiveLine", "TranscriptLine"]

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from .caller import StepFailure
from .carrier import CarrierCounts
from .expectations import Verdict
from .figures import TurnFigures, Underrun
from .hearing import BargeIn
from .script import Script


@dataclass(frozen=True, slots=True)
class CallPlan:
    """A call to place: to `webhook`, to `url`, or to `to_number` as the simulated Twilio routes it."""

    script: Script
    webhook: str | None = None
    """The voice webhook, dialled as Twilio does."""
    url: str | None = None
    """The stream itself, as a TwiML Bin would name it: ws://HOST:PORT/media."""
    parameters: Mapping[str, str] = field(default_factory=dict)
    """The stream's `<Parameter>`s, with `url` only."""
    from_number: str = "+15005550006"
    to_number: str = "+15005550001"
    auth_token: str | None = field(default=None, repr=False)
    """Twilio's auth token, to sign requests with and to read the bridge's log."""
    record: Path | None = None
    """Where the stereo recording goes."""
    recognise: bool = True
    """Put what the agent was heard to say into words after the call."""
    patience_s: float | None = None
    """So long does the caller hold a line on which nothing is heard; None: however long it takes."""
    answers: bool = False
    """The caller of the script does not call, but sits at `to_number` until the REST interface rings it."""
    vanish_hold_s: float = 12.0
    """How long a vanished caller's socket is left open."""
    seed: int | None = None


@dataclass(frozen=True, slots=True)
class LiveLine:
    """One line to show while the call goes on."""

    at_ms: int
    who: Literal["caller", "agent", "bridge", "line"]
    text: str


@dataclass(frozen=True, slots=True)
class TranscriptLine:
    """Something that was said."""

    who: Literal["caller", "agent"]
    at_ms: int
    """When its first sound was on the line, caller media time."""
    text: str
    source: Literal["script", "recogniser", "bridge"]


@dataclass(frozen=True, slots=True)
class CallResult:
    """The whole call; `to_json` gives plain types."""

    call_sid: str
    passed: bool
    ended_by: Literal["caller", "agent", "transfer", "lost", "limit"]
    end_reason: str
    duration_ms: int
    transcript: tuple[TranscriptLine, ...]
    turns: tuple[TurnFigures, ...]
    barge_ins: tuple[BargeIn, ...]
    underruns: tuple[Underrun, ...]
    expectations: tuple[Verdict, ...]
    failures: tuple[StepFailure, ...]
    """Steps of the script that could not be done as written."""
    warnings: tuple[str, ...]
    """What Twilio would have warned of, and what disturbed the measurement."""
    twiml: tuple[str, ...]
    """The verbs that were followed."""
    counts: CarrierCounts
    events: tuple[Mapping[str, Any], ...]
    """The bridge's log; empty for a bridge that gives none."""
    recording: str | None
    """The WAV file."""

    def to_json(self) -> dict[str, Any]:
        """The same as JSON types."""
        return asdict(self)
