"""The messages of Twilio Media Streams as types.

Source: Twilio Media Streams documentation, "WebSocket messages". Numbers inside messages are
strings there and real numbers in some emulators: both are read. Unknown fields are skipped.
"""

from __future__ import annotations

__all__ = [
    "ENVELOPE",
    "KINDS",
    "MEDIA_TEXT",
    "MESSAGES",
    "Connected",
    "Dtmf",
    "Mark",
    "Media",
    "MediaFormat",
    "Message",
    "Start",
    "StartBody",
    "Stop",
]

from collections.abc import Mapping
from types import MappingProxyType
from typing import Annotated, TypeAlias

from msgspec import Meta, Struct, field, json

Sid: TypeAlias = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
Count: TypeAlias = Annotated[int, Meta(ge=0)]


class _Message(Struct, tag_field="event", rename="camel", frozen=True, gc=False):
    """A message is told by its `event`."""


class Connected(_Message, tag="connected", frozen=True, gc=False):
    """The socket is up; no stream yet."""


class MediaFormat(Struct, rename="camel", frozen=True, gc=False):
    """What the payloads hold."""

    encoding: str
    sample_rate: int
    channels: int


class StartBody(Struct, rename="camel", frozen=True):
    """Which call the stream belongs to."""

    account_sid: Sid
    call_sid: Sid
    media_format: MediaFormat
    stream_sid: Sid | None = None
    tracks: tuple[str, ...] = ()
    custom_parameters: dict[str, str] = field(default_factory=dict)


class Start(_Message, tag="start", frozen=True):
    """The stream begins."""

    stream_sid: Sid
    start: StartBody


class MediaBody(Struct, frozen=True, gc=False):
    """A piece of the caller's audio."""

    payload: bytes
    """Mu-law; the decoder turns base64 into bytes."""
    chunk: Count
    """Counts from 1."""
    timestamp: Count
    """Milliseconds since the stream began."""
    track: str = "inbound"


class Media(_Message, tag="media", frozen=True, gc=False):
    """The caller's audio."""

    stream_sid: str
    media: MediaBody


class DtmfBody(Struct, frozen=True, gc=False):
    """A key."""

    digit: str


class Dtmf(_Message, tag="dtmf", frozen=True, gc=False):
    """The caller pressed a key."""

    stream_sid: str
    dtmf: DtmfBody


class MarkBody(Struct, frozen=True, gc=False):
    """A mark of ours."""

    name: str


class Mark(_Message, tag="mark", frozen=True, gc=False):
    """The audio before a mark was played, or cleared."""

    stream_sid: str
    mark: MarkBody


class Stop(_Message, tag="stop", frozen=True, gc=False):
    """The stream is over."""

    stream_sid: str


class Envelope(Struct, frozen=True, gc=False):
    """Any JSON object with an `event`: tells unknown events from broken ones."""

    event: str


class _MediaTextBody(Struct, frozen=True, gc=False):
    payload: str
    chunk: Count
    timestamp: Count
    track: str = "inbound"


class MediaText(Struct, frozen=True, gc=False):
    """A media message that is whole but for its base64."""

    media: _MediaTextBody


Message: TypeAlias = Connected | Start | Media | Dtmf | Mark | Stop

KINDS: Mapping[str, type[Message]] = MappingProxyType(
    {"connected": Connected, "start": Start, "media": Media, "dtmf": Dtmf, "mark": Mark, "stop": Stop}
)
"""Message types by `event`."""

MESSAGES: json.Decoder[Message] = json.Decoder(Message, strict=False)
ENVELOPE: json.Decoder[Envelope] = json.Decoder(Envelope)
MEDIA_TEXT: json.Decoder[MediaText] = json.Decoder(MediaText, strict=False)
