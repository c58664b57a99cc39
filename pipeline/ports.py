"""What a conversation needs from the world. The bridge and the providers implement these.

Audio crosses a port as bytes in the format that the port says it wants; the conversation
converts once, or not at all where the formats are the same.
"""

from __future__ import annotations

__all__ = [
    "CallControl",
    "CallEvent",
    "EventSink",
    "LanguageModel",
    "Line",
    "SpokenAudio",
    "Transcriber",
    "TranscriberStream",
    "Transcript",
    "TurnHint",
    "Voice",
    "VoiceActivity",
    "VoiceActivityStream",
    "VoiceStream",
    "VoiceWindow",
    "WordTiming",
    "Workers",
]

import enum
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ParamSpec, Protocol, TypeVar, runtime_checkable

from offhook.codecs.audio_format import AudioFormat

from .messages import ModelDelta, ModelRequest

P = ParamSpec("P")
T = TypeVar("T")


# ------------------------------------------------------------------ listening


@dataclass(frozen=True, slots=True)
class VoiceWindow:
    """What a voice-activity model thinks of one short window (32 ms) of the caller's audio."""

    media_s: float
    """Where the window ends, in seconds of the caller's audio since the stream began."""
    probability: float
    """That somebody speaks, 0 to 1."""
    level_dbfs: float
    """RMS level relative to a full-scale square wave."""


class VoiceActivityStream(Protocol):
    """One caller's audio on its way to the voice-activity model."""

    def push(self, audio: bytes) -> None:
        """Hand over carrier bytes (mu-law, 8 kHz) of any length; never waits."""

    def close(self) -> None:
        """No further window will be reported."""


class VoiceActivity(Protocol):
    """A voice-activity model that serves all calls of the process in batches."""

    def open(self, on_window: Callable[[VoiceWindow], None]) -> VoiceActivityStream:
        """Start a stream; `on_window` is called on the loop, in order."""


class TurnHint(enum.Enum):
    """What a provider thinks of the caller's turn."""

    NONE = "none"
    """It has no opinion."""
    STARTED = "started"
    """The caller began to speak, though it may have no words yet."""
    EAGER = "eager"
    """It may be over."""
    RESUMED = "resumed"
    """It is not over after all."""
    ENDED = "ended"
    """It is over."""


@dataclass(frozen=True, slots=True)
class Transcript:
    """Words of the caller's, so far or for good.

    A later sequence number of the same utterance replaces the text of an earlier one.
    """

    connection: int
    utterance: int
    sequence: int
    text: str
    """May be empty: sound without words."""
    final: bool
    """The provider expects no change for the audio it covers."""
    covers_s: float
    """The caller's audio was listened to up to here, in seconds since the stream began."""
    confidence: float = 1.0
    """0 to 1; below 0.37 (mean log-probability -1) the words of a short utterance are a guess."""
    turn: TurnHint = TurnHint.NONE
    """The provider's own opinion of the turn, beside its words."""


class TranscriberStream(Protocol):
    """One caller's audio on its way to a recogniser."""

    def push(self, audio: bytes) -> None:
        """Hand over audio in the transcriber's format; never waits, drops the oldest beyond its bound."""

    def speech_started(self, media_s: float) -> None:
        """Voice activity says that somebody began to speak at `media_s`; a hint."""

    def speech_paused(self, media_s: float) -> None:
        """Voice activity says that speech ended at `media_s`: make the words final; a hint."""

    def end_utterance(self) -> None:
        """The turn is over: what is said from now on is another utterance."""

    async def run(self) -> None:
        """Do the work until cancelled.

        Raises ProviderError when the recogniser is lost; the caller opens a new stream then.
        """


class Transcriber(Protocol):
    """A speech recogniser."""

    audio_format: AudioFormat

    def open(
        self, on_transcript: Callable[[Transcript], None], *, connection: int, begins_at_s: float
    ) -> TranscriberStream:
        """Start a stream whose first pushed byte lies at `begins_at_s` of the caller's audio."""


# ------------------------------------------------------------------- thinking


@runtime_checkable
class Connecting(Protocol):
    """An engine whose connection is made for the next call, and lasts for a while."""

    async def connect(self) -> None:
        """Open it if it may be closed by now; what goes wrong shows when it is used."""


class LanguageModel(Protocol):
    """Turns a conversation into the next reply."""

    def respond(self, request: ModelRequest) -> AsyncIterator[ModelDelta]:
        """Yield text and tool requests as they come. Raises ProviderError."""


# ------------------------------------------------------------------- speaking


@dataclass(frozen=True, slots=True)
class WordTiming:
    """Where a word of the spoken text lies in the audio made from it."""

    start_char: int
    """Index of its first character in the text given to `speak`."""
    end_char: int
    """Index behind its last character (punctuation that follows included)."""
    start_s: float
    """Seconds from the first sample that `speak` yielded."""
    end_s: float


@dataclass(frozen=True, slots=True)
class SpokenAudio:
    """A piece of synthesised speech."""

    audio: bytes
    """In the voice's format."""
    words: tuple[WordTiming, ...] = ()
    """The words whose audio begins in this piece, where the voice knows them."""


class VoiceStream(Protocol):
    """One call's use of a voice: its connection, where the voice needs one."""

    def speak(self, text: str, *, reply: int) -> AsyncIterator[SpokenAudio]:
        """Yield the speech of one clause or more of a reply, piece by piece; clauses come in order.

        Closing the iterator early takes the rest back: the voice makes no more of it. Raises ProviderError.
        """

    def reply_over(self, reply: int) -> None:
        """No more text of this reply comes; never waits."""

    async def run(self) -> None:
        """Stay connected until cancelled; what goes wrong is raised by `speak`."""


class Voice(Protocol):
    """Turns text into speech."""

    audio_format: AudioFormat

    def open(self) -> VoiceStream:
        """Start one call's use of it; never waits."""

    def speak(self, text: str) -> AsyncIterator[SpokenAudio]:
        """Yield the speech of a phrase that belongs to no call. Raises ProviderError."""


# ------------------------------------------------------------------- the line


class Line(Protocol):
    """The carrier's side of a call. All writes are synchronous and never wait."""

    def send_audio(self, audio: bytes) -> None:
        """Send carrier bytes (mu-law, 8 kHz) to be played in order."""

    def send_mark(self, name: str) -> None:
        """Ask for an echo of `name` once all audio sent before it was played."""

    def send_clear(self) -> None:
        """Empty the carrier's buffer at once; pending marks come back."""

    @property
    def congested(self) -> bool:
        """The carrier reads slower than it is sent to; audio must wait."""

    def close(self) -> None:
        """End the stream; the carrier goes on with its next instruction."""


class CallControl(Protocol):
    """What can be done to the call itself, beside its audio."""

    async def end(self, outcome: Mapping[str, Any]) -> None:
        """Store the outcome, then hang up or hand over as it says."""


@dataclass(frozen=True, slots=True)
class CallEvent:
    """One line of a call's event log."""

    type: str
    """Dotted or hyphenated name: "transcript.final", "speech-update", "call.started"."""
    at_ms: int
    """Milliseconds since the stream of the call started."""
    data: Mapping[str, Any] = field(default_factory=dict)


class EventSink(Protocol):
    """Where a call's events go; never waits, never raises."""

    def emit(self, event: CallEvent) -> None:
        """Take one event."""


# ----------------------------------------------------------------------- work


class Workers(Protocol):
    """Runs blocking functions beside the loop."""

    async def in_thread(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run it in one of a bounded number of threads."""
        ...

    async def in_process(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run it in a process of its own; for code that holds the interpreter's lock."""
        ...
