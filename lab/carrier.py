"""Twilio's media server, sans-I/O: messages of the bridge in, messages to the bridge out.

Theory. One `tick` is one 20 ms period that has just ended. The caller's frame of that period goes
out as `media`; the frame that sounded in it is what the caller heard; then the next frame of the
playout buffer begins to sound. So what the caller said and heard in a tick happened at the same
time, and a latency read from the two is what a person on the phone would measure.

The dialect is that of the Twilio Media Streams documentation ("WebSocket messages"), with what
captures of real calls show: numbers are strings, the first media timestamp is near 155 ms and
later ones wobble by milliseconds.
"""

from __future__ import annotations

__all__ = ["CarrierCounts", "Gap", "SimulatedCarrier", "Tick", "telephone_silence"]

import base64
import json
import random
from collections.abc import Mapping
from dataclasses import dataclass

from offhook.codecs.framing import FRAME_BYTES

from .carrier_rules import AudioSent, MarkSent, Refusal, read_message
from .line import Microphone
from .playout_buffer import PlayoutBuffer

FRAME_MS = 20
SILENCE_BYTE = b"\xff"
_FIRST_TIMESTAMP_MS = 155
_SILENCE_CODES = b"\x7e\x7f\xfe\xff"
_REMEMBERED_REFUSALS = 20


@dataclass(frozen=True, slots=True)
class Gap:
    """The playout buffer ran empty between two pieces of agent audio, with no `clear` between."""

    at_ms: int
    """Caller media time at which the silence began."""
    length_ms: int


@dataclass(frozen=True, slots=True)
class Tick:
    """What one 20 ms period brought."""

    messages: tuple[str, ...]
    """To send to the bridge, in order; the caller's audio first."""
    said: bytes
    """160 bytes of mu-law: what the caller did, telephone silence included."""
    sent: bytes
    """160 bytes of mu-law: the same as the bridge gets it, with all that the microphone picked up."""
    heard: bytes
    """160 bytes of mu-law: what the caller heard in this period, silence included."""
    audible: bool
    """Some of it was agent audio."""


@dataclass(frozen=True, slots=True)
class CarrierCounts:
    """What went over the stream so far."""

    caller_frames: int
    media_messages: int
    agent_frames: int
    """20 ms frames that held audio of the agent's."""
    agent_bytes: int
    cleared_bytes: int
    dropped_bytes: int
    """Sent beyond ten minutes of queued audio (warning 31931)."""
    marks: int
    marks_echoed: int
    clears: int
    refused: int
    """Messages that Twilio would not take (31950, 31951)."""


def telephone_silence(generator: random.Random, frames: int = 64) -> tuple[bytes, ...]:
    """Frames of an idle telephone line: the four codes next to zero, mixed."""
    return tuple(bytes(generator.choices(_SILENCE_CODES, k=FRAME_BYTES)) for _ in range(frames))


class SimulatedCarrier:
    """The far end of one bidirectional stream; all times are caller media time (ticks of 20 ms)."""

    def __init__(
        self,
        *,
        account_sid: str,
        call_sid: str,
        stream_sid: str,
        parameters: Mapping[str, str],
        generator: random.Random,
        microphone: Microphone | None = None,
    ) -> None:
        self.account_sid, self.call_sid, self.stream_sid = account_sid, call_sid, stream_sid
        self._parameters = dict(parameters)
        self._generator = generator
        self._microphone = microphone or Microphone()
        self._silence = telephone_silence(generator)
        self._buffer = PlayoutBuffer()
        self._started = False
        self._sequence = 0
        self._sounding = b""
        self._ticks = 0
        self._idle_since: int | None = None
        self._cleared = False
        self._media = self._marks = self._echoed = self._agent_frames = self._refused = 0
        self.refusals: list[Refusal] = []
        self.gaps: list[Gap] = []
        self.clears_ms: list[int] = []

    @property
    def now_ms(self) -> int:
        """Caller media time: how much of the caller's audio was sent."""
        return self._ticks * FRAME_MS

    @property
    def playing(self) -> bool:
        """Agent audio sounds or waits to be played."""
        return bool(self._sounding or self._buffer.queued_bytes)

    def counts(self) -> CarrierCounts:
        """The figures of the stream so far."""
        return CarrierCounts(
            caller_frames=self._ticks,
            media_messages=self._media,
            agent_frames=self._agent_frames,
            agent_bytes=self._buffer.played_bytes,
            cleared_bytes=self._buffer.cleared_bytes,
            dropped_bytes=self._buffer.dropped_bytes,
            marks=self._marks,
            marks_echoed=self._echoed,
            clears=len(self.clears_ms),
            refused=self._refused,
        )

    def open(self) -> tuple[str, str]:
        """The two messages that begin the stream: `connected` and `start`."""
        self._started = True
        connected = _text({"event": "connected", "protocol": "Call", "version": "1.0.0"})
        start = {
            "accountSid": self.account_sid,
            "streamSid": self.stream_sid,
            "callSid": self.call_sid,
            "tracks": ["inbound"],
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
            "customParameters": self._parameters,
        }
        return connected, self._message("start", start)

    def receive(self, message: str | bytes) -> tuple[str, ...]:
        """Take a message of the bridge's; returns what to answer at once (mark echoes)."""
        sent = read_message(message, self.stream_sid if self._started else None)
        if isinstance(sent, Refusal):
            return self._refuse(sent)
        if isinstance(sent, AudioSent):
            self._media += 1
            if not self._buffer.add_audio(sent.payload):
                self._warn(Refusal(31931, "more than ten minutes of audio are queued"))
            return ()
        if isinstance(sent, MarkSent):
            self._marks += 1
            return self._echo(self._buffer.add_mark(sent.name))
        self.clears_ms.append(self.now_ms)
        self._cleared = True
        return self._echo(self._buffer.clear())

    def tick(self, caller_frame: bytes | None = None) -> Tick:
        """End one 20 ms period in which the caller said `caller_frame` (mu-law; None: nothing)."""
        caller_frame = caller_frame or self._silence[self._ticks % len(self._silence)]
        heard, sounds = self._sounding.ljust(FRAME_BYTES, SILENCE_BYTE), bool(self._sounding)
        sent = self._microphone.pick_up(caller_frame, heard)
        self._ticks += 1
        media = self._media_message(sent)
        frame, marks = self._buffer.play_frame()
        self._note_gap(sounds, bool(frame))
        self._sounding = frame
        self._agent_frames += bool(frame)
        return Tick(
            messages=(media, *self._echo(marks)),
            said=caller_frame,
            sent=sent,
            heard=heard,
            audible=sounds,
        )

    def digit(self, digit: str) -> str:
        """The message for a key the caller pressed."""
        return self._message("dtmf", {"track": "inbound_track", "digit": digit})

    def stop(self) -> str:
        """The message that ends the stream."""
        return self._message("stop", {"accountSid": self.account_sid, "callSid": self.call_sid})

    def _media_message(self, payload: bytes) -> str:
        wobble = self._generator.choice((-1, 0, 0, 1, 2)) if self._ticks > 1 else 0
        timestamp = _FIRST_TIMESTAMP_MS + (self._ticks - 1) * FRAME_MS + wobble
        media = {
            "track": "inbound",
            "chunk": str(self._ticks),
            "timestamp": str(timestamp),
            "payload": base64.b64encode(payload).decode(),
        }
        return self._message("media", media)

    def _echo(self, names: tuple[str, ...]) -> tuple[str, ...]:
        self._echoed += len(names)
        return tuple(self._message("mark", {"name": name}) for name in names)

    def _message(self, event: str, body: Mapping[str, object]) -> str:
        self._sequence += 1
        return _text(
            {
                "event": event,
                "sequenceNumber": str(self._sequence),
                "streamSid": self.stream_sid,
                event: body,
            }
        )

    def _note_gap(self, was_sounding: bool, sounds: bool) -> None:
        if was_sounding and not sounds:
            self._idle_since = self.now_ms
        elif sounds:
            if self._idle_since is not None and not self._cleared:
                self.gaps.append(Gap(self._idle_since, self.now_ms - self._idle_since))
            self._idle_since, self._cleared = None, False

    def _refuse(self, refusal: Refusal) -> tuple[str, ...]:
        self._refused += 1
        self._warn(refusal)
        return ()

    def _warn(self, refusal: Refusal) -> None:
        if len(self.refusals) < _REMEMBERED_REFUSALS:
            self.refusals.append(refusal)


def _text(fields: Mapping[str, object]) -> str:
    return json.dumps(fields, separators=(",", ":"))
