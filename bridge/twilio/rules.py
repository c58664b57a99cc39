"""The rules of the Twilio dialect: which message may come when, and what a wrong one does.

Theory. A stream is NEW until `connected`, CONNECTED until `start`, STREAMING until `stop`, then
STOPPED. Only `start` brings the stream's identifier, without which nothing can be sent; so a call
exists in STREAMING alone. A message that is merely odd is counted and ignored, since one bad frame
must not cost a caller the call. The stream ends only where no sense can be made of what follows:
audio before anybody said whose it is, a `start` that cannot be read, audio in a format nobody asked
for, or more rubbish than a fault on the way could explain.
"""

from __future__ import annotations

__all__ = ["MALFORMED_LIMIT", "MAX_MESSAGE_BYTES", "RULES", "TRANSITIONS", "State"]

from collections.abc import Mapping
from enum import Enum
from types import MappingProxyType
from typing import TypeAlias

from ..rules import Outcome, Rule
from .messages import Connected, Dtmf, Mark, Media, Message, Start, Stop

MAX_MESSAGE_BYTES = 65_536
"""Longer messages end the stream; Twilio's are below 500 bytes."""
MALFORMED_LIMIT = 50
"""So many messages that cannot be read are dropped; one more ends the stream."""


class State(Enum):
    """Where a stream is in its life."""

    NEW = "new"
    CONNECTED = "connected"
    STREAMING = "streaming"
    STOPPED = "stopped"


NOT_JSON = Rule("not_json", Outcome.IGNORED, "text that is not JSON")
UNKNOWN_EVENT = Rule("unknown_event", Outcome.IGNORED, "an `event` the dialect does not know")
MISSING_FIELD = Rule("missing_field", Outcome.IGNORED, "a field is absent or of the wrong type")
BAD_PAYLOAD = Rule("bad_payload", Outcome.IGNORED, "`media.payload` is not base64")
EMPTY_AUDIO = Rule("empty_audio", Outcome.IGNORED, "`media.payload` is empty")
WRONG_STREAM_SID = Rule("wrong_stream_sid", Outcome.IGNORED, "`streamSid` is not that of `start`")
WRONG_TRACK = Rule("wrong_track", Outcome.IGNORED, "`media.track` is not `inbound`")
BAD_DIGIT = Rule("bad_digit", Outcome.IGNORED, "`dtmf.digit` is no key of a telephone")
DUPLICATE_CHUNK = Rule("duplicate_chunk", Outcome.IGNORED, "`media.chunk` came twice")
LATE_CHUNK = Rule("late_chunk", Outcome.IGNORED, "`media.chunk` is lower than one that came before")
SECOND_CONNECTED = Rule("second_connected", Outcome.IGNORED, "`connected` came again")
SECOND_START = Rule("second_start", Outcome.IGNORED, "`start` came again")
EARLY_EVENT = Rule("early_event", Outcome.IGNORED, "`dtmf` or `mark` before `start`")
AFTER_STOP = Rule("after_stop", Outcome.IGNORED, "any message after `stop`")

START_UNANNOUNCED = Rule("start_unannounced", Outcome.NOTED, "`start` without `connected`")
CHUNK_GAP = Rule("chunk_gap", Outcome.NOTED, "`media.chunk` jumps ahead: audio was lost on the way")
CHUNKS_RENUMBERED = Rule("chunks_renumbered", Outcome.NOTED, "`media.chunk` falls back by 500 or more")

MEDIA_BEFORE_START = Rule("media_before_start", Outcome.CLOSED, "`media` before `start`", 1002)
MALFORMED_START = Rule("malformed_start", Outcome.CLOSED, "a `start` that cannot be read", 1002)
STREAM_SID_MISMATCH = Rule("stream_sid_mismatch", Outcome.CLOSED, "`start` names two different streams", 1002)
UNKNOWN_MEDIA_FORMAT = Rule(
    "unknown_media_format", Outcome.CLOSED, "`mediaFormat` is not `audio/x-mulaw`, 8000, 1", 1003
)
TOO_MANY_MALFORMED = Rule(
    "too_many_malformed",
    Outcome.CLOSED,
    f"more than {MALFORMED_LIMIT} of `not_json`, `missing_field` and `bad_payload`",
    1008,
)
OVERSIZED = Rule("oversized", Outcome.CLOSED, "a message of more than 64 KiB", 1009)

RULES = (
    *(NOT_JSON, UNKNOWN_EVENT, MISSING_FIELD, BAD_PAYLOAD, EMPTY_AUDIO, WRONG_STREAM_SID, WRONG_TRACK),
    *(BAD_DIGIT, DUPLICATE_CHUNK, LATE_CHUNK, SECOND_CONNECTED, SECOND_START, EARLY_EVENT, AFTER_STOP),
    *(START_UNANNOUNCED, CHUNK_GAP, CHUNKS_RENUMBERED),
    *(MEDIA_BEFORE_START, MALFORMED_START, STREAM_SID_MISMATCH, UNKNOWN_MEDIA_FORMAT),
    *(TOO_MANY_MALFORMED, OVERSIZED),
)
"""Every rule of the dialect, in the order of docs/protocol.md."""

Row: TypeAlias = Mapping[type[Message], State | Rule]

_BEFORE_START: Row = {
    Start: State.STREAMING,
    Media: MEDIA_BEFORE_START,
    Dtmf: EARLY_EVENT,
    Mark: EARLY_EVENT,
    Stop: State.STOPPED,
}

TRANSITIONS: Mapping[State, Row] = MappingProxyType(
    {
        State.NEW: {**_BEFORE_START, Connected: State.CONNECTED},
        State.CONNECTED: {**_BEFORE_START, Connected: SECOND_CONNECTED},
        State.STREAMING: {
            Connected: SECOND_CONNECTED,
            Start: SECOND_START,
            Media: State.STREAMING,
            Dtmf: State.STREAMING,
            Mark: State.STREAMING,
            Stop: State.STOPPED,
        },
        State.STOPPED: dict.fromkeys((Connected, Start, Media, Dtmf, Mark, Stop), AFTER_STOP),
    }
)
"""The state that a message leads to, or the rule that it runs into."""
