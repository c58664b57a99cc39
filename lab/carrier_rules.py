"""What Twilio takes from a bridge on a bidirectional stream, and what it refuses.

Source: Twilio Media Streams documentation, "WebSocket messages", and the error dictionary
(31931, 31950, 31951). A field too many is refused like a field too few.
"""

from __future__ import annotations

__all__ = ["AudioSent", "BufferCleared", "MarkSent", "Refusal", "SentMessage", "read_message"]

import base64
import binascii
import json
from dataclasses import dataclass
from typing import Any

from .twilio.errors import numbered

_INVALID_MESSAGE = 31951
_MALFORMED_MESSAGE = 31950
_FIELDS = {
    "media": {"event", "streamSid", "media"},
    "mark": {"event", "streamSid", "mark"},
    "clear": {"event", "streamSid"},
}


@dataclass(frozen=True, slots=True)
class AudioSent:
    """The bridge sent audio: mu-law, 8 kHz, any length above zero."""

    payload: bytes


@dataclass(frozen=True, slots=True)
class MarkSent:
    """The bridge asks for an echo of `name` behind the audio sent so far."""

    name: str


@dataclass(frozen=True, slots=True)
class BufferCleared:
    """The bridge empties the playout buffer."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """The carrier takes no notice of a message and warns."""

    code: int
    """Twilio's warning number."""
    reason: str

    def __str__(self) -> str:
        return numbered(self.code, self.reason)


SentMessage = AudioSent | MarkSent | BufferCleared


def read_message(message: str | bytes, stream_sid: str | None) -> SentMessage | Refusal:
    """Judge one message of the bridge's; `stream_sid` is None before `start` was sent."""
    if not isinstance(message, str):
        return Refusal(_MALFORMED_MESSAGE, "binary frame")
    try:
        fields = json.loads(message)
    except (ValueError, RecursionError):
        return _invalid("not JSON")
    if not isinstance(fields, dict):
        return _invalid("not a JSON object")
    event = fields.get("event")
    if not isinstance(event, str) or event not in _FIELDS:
        return _invalid(f"unknown event {event!r}")
    problem = _field_problem(fields, _FIELDS[event], event)
    if problem:
        return _invalid(problem)
    if stream_sid is None:
        return _invalid(f"{event} before start")
    if fields["streamSid"] != stream_sid:
        return _invalid(f"{event} with the wrong streamSid")
    return _READERS[event](fields)


def _read_media(fields: dict[str, Any]) -> SentMessage | Refusal:
    media = fields["media"]
    problem = _field_problem(media, {"payload"}, "media.media")
    if problem:
        return _invalid(problem)
    if not isinstance(media["payload"], str):
        return _invalid("media.payload is not text")
    try:
        payload = base64.b64decode(media["payload"], validate=True)
    except (binascii.Error, ValueError):
        return _invalid("media.payload is not base64")
    return AudioSent(payload) if payload else _invalid("media.payload is empty")


def _read_mark(fields: dict[str, Any]) -> SentMessage | Refusal:
    mark = fields["mark"]
    problem = _field_problem(mark, {"name"}, "mark.mark")
    if problem:
        return _invalid(problem)
    name = mark["name"]
    return MarkSent(name) if isinstance(name, str) and name else _invalid("mark.name is not a name")


def _read_clear(_: dict[str, Any]) -> SentMessage:
    return BufferCleared()


_READERS = {"media": _read_media, "mark": _read_mark, "clear": _read_clear}


def _field_problem(fields: object, wanted: set[str], place: str) -> str:
    if not isinstance(fields, dict):
        return f"{place} is not an object"
    missing, extra = wanted - fields.keys(), fields.keys() - wanted
    if missing:
        return f"{place} lacks {', '.join(sorted(missing))}"
    return f"{place} has the extra field {', '.join(sorted(map(str, extra)))}" if extra else ""


def _invalid(reason: str) -> Refusal:
    return Refusal(_INVALID_MESSAGE, reason)
