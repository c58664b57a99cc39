"""One Twilio media stream, sans-I/O: messages in, events out; audio in, messages out.

Which message may come when is told in `rules`; its types in `messages`. Media is nearly all of the
traffic, so it has the shortest way through.
"""

from __future__ import annotations

__all__ = ["Dialect"]

from binascii import b2a_base64
from collections import Counter

import msgspec

from offhook.codecs.audio_format import MULAW_8K
from offhook.config.errors import ProtocolError

from .. import carrier_dialect as events
from ..carrier_dialect import StreamEvent
from ..rules import Outcome, Rule
from . import rules
from .messages import (
    ENVELOPE,
    KINDS,
    MEDIA_TEXT,
    MESSAGES,
    Connected,
    Dtmf,
    Mark,
    Media,
    MediaFormat,
    Message,
    Start,
    Stop,
)
from .rules import TRANSITIONS, State

_MULAW = MediaFormat("audio/x-mulaw", 8000, 1)
_KEYS = frozenset("0123456789*#ABCD")
_RENUMBERED_BY = 500
_MALFORMED = frozenset({rules.NOT_JSON, rules.MISSING_FIELD, rules.BAD_PAYLOAD})
_STOPPED = events.Stopped()


class Dialect:
    """The bridge's end of one stream; `counters` says how often each rule was applied."""

    input_format = MULAW_8K
    output_format = MULAW_8K
    marks_echo_on_clear = True

    def __init__(self) -> None:
        self.counters: Counter[str] = Counter()
        self.state = State.NEW
        self._stream_sid = ""
        self._chunk = 0
        self._malformed = 0
        self._media_prefix = b""
        self._suffix = b""

    @property
    def streaming(self) -> bool:
        """Audio, marks and clears may be sent."""
        return self.state is State.STREAMING

    # ------------------------------------------------------------ receiving

    def receive(self, text: str | bytes) -> tuple[StreamEvent, ...]:
        """Read one message (bytes are UTF-8). Raises ProtocolError where the stream must end."""
        if len(text) > rules.MAX_MESSAGE_BYTES:
            raise self._end(rules.OVERSIZED)
        try:
            message = MESSAGES.decode(text)
        except (ValueError, RecursionError):
            return self._undecodable(text)
        if type(message) is Media and self.state is State.STREAMING:
            return self._media(message)
        target = TRANSITIONS[self.state][type(message)]
        if isinstance(target, Rule):
            return self._apply(target)
        if isinstance(message, Start):
            return self._start(message)
        if isinstance(message, Connected):
            self.state = target
            return ()
        if self.state is State.STREAMING and message.stream_sid != self._stream_sid:
            return self._apply(rules.WRONG_STREAM_SID)
        self.state = target
        return self._deliver(message)

    def _media(self, message: Media) -> tuple[StreamEvent, ...]:
        media = message.media
        if message.stream_sid != self._stream_sid:
            return self._apply(rules.WRONG_STREAM_SID)
        if media.track != "inbound":
            return self._apply(rules.WRONG_TRACK)
        if media.chunk != self._chunk + 1:
            behind = self._chunk - media.chunk
            if 0 <= behind < _RENUMBERED_BY:
                return self._apply(rules.LATE_CHUNK if behind else rules.DUPLICATE_CHUNK)
            self._note(rules.CHUNK_GAP if behind < 0 else rules.CHUNKS_RENUMBERED)
        self._chunk = media.chunk
        if not media.payload:
            return self._apply(rules.EMPTY_AUDIO)
        return (events.Audio(media.payload, media.timestamp),)

    def _deliver(self, message: Media | Dtmf | Mark | Stop) -> tuple[StreamEvent, ...]:
        if isinstance(message, Mark):
            return (events.MarkReached(message.mark.name),)
        if isinstance(message, Dtmf):
            if message.dtmf.digit not in _KEYS:
                return self._apply(rules.BAD_DIGIT)
            return (events.Dtmf(message.dtmf.digit),)
        return (_STOPPED,)

    def _start(self, message: Start) -> tuple[StreamEvent, ...]:
        body = message.start
        if body.stream_sid not in (None, message.stream_sid):
            raise self._end(rules.STREAM_SID_MISMATCH)
        if body.media_format != _MULAW:
            raise self._end(rules.UNKNOWN_MEDIA_FORMAT)
        if self.state is State.NEW:
            self._note(rules.START_UNANNOUNCED)
        self.state = State.STREAMING
        self._stream_sid = message.stream_sid
        sid = message.stream_sid.encode()
        self._media_prefix = b'{"event":"media","streamSid":"' + sid + b'","media":{"payload":"'
        self._suffix = b'","streamSid":"' + sid + b'"'
        return (events.Started(message.stream_sid, body.call_sid, body.account_sid, body.custom_parameters),)

    def _undecodable(self, text: str | bytes) -> tuple[StreamEvent, ...]:
        """Find out what is wrong; this way is slow, and only faults go it."""
        try:
            kind = KINDS.get(ENVELOPE.decode(text).event)
        except msgspec.ValidationError:
            return self._apply(rules.MISSING_FIELD)
        except (ValueError, RecursionError):
            return self._apply(rules.NOT_JSON)
        if kind is None:
            return self._apply(rules.UNKNOWN_EVENT)
        target = TRANSITIONS[self.state][kind]
        if isinstance(target, Rule):
            return self._apply(target)
        if kind is Start:
            raise self._end(rules.MALFORMED_START)
        return self._apply(rules.BAD_PAYLOAD if _only_payload_is_bad(kind, text) else rules.MISSING_FIELD)

    def _apply(self, rule: Rule) -> tuple[StreamEvent, ...]:
        if rule.outcome is Outcome.CLOSED:
            raise self._end(rule)
        self._note(rule)
        if rule in _MALFORMED:
            self._malformed += 1
            if self._malformed > rules.MALFORMED_LIMIT:
                raise self._end(rules.TOO_MANY_MALFORMED)
        return (events.Ignored(rule),)

    def _note(self, rule: Rule) -> None:
        self.counters[rule.name] += 1

    def _end(self, rule: Rule) -> ProtocolError:
        self._note(rule)
        self.state = State.STOPPED
        return ProtocolError(rule.name, rule.code or 1002)

    # -------------------------------------------------------------- sending

    def audio(self, payload: bytes) -> bytes:
        """The message that plays mu-law `payload`. Raises ProtocolError when not `streaming`."""
        self._check_streaming()
        return self._media_prefix + b2a_base64(payload, newline=False) + b'"}}'

    def mark(self, name: str) -> bytes:
        """The message that asks for an echo of `name`. Raises ProtocolError when not `streaming`."""
        self._check_streaming()
        return b'{"event":"mark' + self._suffix + b',"mark":{"name":' + msgspec.json.encode(name) + b"}}"

    def clear(self) -> bytes:
        """The message that empties Twilio's buffer. Raises ProtocolError when not `streaming`."""
        self._check_streaming()
        return b'{"event":"clear' + self._suffix + b"}"

    def _check_streaming(self) -> None:
        if self.state is not State.STREAMING:
            raise ProtocolError("nothing can be sent before `start` or after `stop`", 1011)


def _only_payload_is_bad(kind: type[Message], text: str | bytes) -> bool:
    if kind is not Media:
        return False
    try:
        MEDIA_TEXT.decode(text)
    except (ValueError, RecursionError):
        return False
    return True
