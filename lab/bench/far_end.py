"""The far end of one simulated call, sans-I/O: what a carrier and a caller do on a media stream.

It sends a frame every 20 ms, plays what it gets from a first-in first-out in real time, echoes marks
when their audio was played, and listens for gaps. A gap counts when the sound before it was cut off:
replies end in silence (`scripted_engines.LAST_WORD`), and what a `clear` cut was meant to be. When
the agent has finished, the caller presses a key, which is answered with another long reply.

Messages: Twilio Media Streams documentation, "WebSocket messages".
"""

from __future__ import annotations

__all__ = ["CallerSound", "FarEnd"]

import json
from binascii import a2b_base64, b2a_base64
from collections import deque
from collections.abc import Mapping, Sequence

from offhook.codecs import g711

from .carrier_frames import CLOSE, PING, TEXT, client_frame, pong_frame
from .load_figures import NS_PER_BYTE, LoadFigures
from .own_sound import Walk
from .own_voice_check import OwnVoiceCheck
from .plan import INTERRUPT_EVERY_NS, STAMPED_EVERY, Window
from .stamp import STAMP_BYTES, read_stamp, stamp

FRAME_NS = 20_000_000
KEY_AFTER_NS = 300_000_000
"""The agent was silent for so long: it has finished."""
AHEAD_NS = 2_000_000_000
GIVE_UP_NS = 5_000_000_000
"""An agent that fell silent in the middle of a reply for so long does not go on."""
KEY_AFTER_CLEAR_NS = 3_000_000_000
"""After an interruption the agent answers by itself; a key is only for when it does not."""
_STAMP_DIGITS = STAMP_BYTES * 4 // 3
_QUIET_TAIL = bytes([g711.SILENCE]) * 4


class CallerSound:
    """The callers' blocks of noise and of speech, base64."""

    def __init__(self, noise: Sequence[bytes], speech: Sequence[bytes]) -> None:
        self.noise = [b2a_base64(block, newline=False) for block in noise]
        self.speech = [b2a_base64(block, newline=False) for block in speech]


class FarEnd:
    """One call. Times are nanoseconds of the system-wide monotonic clock."""

    def __init__(
        self,
        number: int,
        sound: CallerSound,
        figures: LoadFigures,
        *,
        interrupts_at_ns: int | None = None,
        voice: OwnVoiceCheck | None = None,
        parameters: Mapping[str, str] | None = None,
    ) -> None:
        self._number = number
        self._sound = sound
        self._figures = figures
        self._voice = voice
        self._parameters = parameters or {}
        self._walk = Walk.of(number)
        self._window: Window | None = None
        self._stream_sid = f"MZ{number:032x}".encode()
        self._frames = 0
        self._sequence = 1
        self._tail = b'"},"streamSid":"%b"}' % self._stream_sid
        self._spoken_at = 0
        """Index of the next frame of speech; beyond its end the caller is silent."""
        self._next_speech_ns: int | None = None
        self._interrupts_at_ns = interrupts_at_ns
        self._waiting_for_clear_ns: int | None = None
        self._played_until_ns = 0
        self._last_heard = b""
        """The last few bytes of audio, from as many messages as it takes."""
        self._cut_short = False
        self._marks: deque[tuple[int, str]] = deque()
        self._key_ns = 0
        self.heard = False
        """The agent has been heard."""
        self.ended = False
        """The bridge closed the stream."""

    # ------------------------------------------------------------- the caller

    def opening(self) -> bytes:
        """The frames that begin the stream."""
        start = {
            "accountSid": f"AC{0:032x}",
            "callSid": f"CA{self._number:032x}",
            "streamSid": self._stream_sid.decode(),
            "tracks": ["inbound"],
            "customParameters": dict(self._parameters),
            "mediaFormat": {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1},
        }
        self._spoken_at = len(self._sound.speech)
        connected = {"event": "connected", "protocol": "Call", "version": "1.0.0"}
        return client_frame(json.dumps(connected).encode()) + self._message("start", start)

    def measure(self, window: Window) -> None:
        """Figures are wanted of this window; interruptions begin with it, spread over their period."""
        self._window = window
        if self._interrupts_at_ns is not None:
            self._next_speech_ns = window.begin_ns + self._interrupts_at_ns

    def tick(self, now_ns: int) -> bytes:
        """The bytes of the next 20 ms: a frame of the caller's, marks that are due, keys."""
        out = self._caller_frame(now_ns)
        while self._marks and self._marks[0][0] <= now_ns:
            out += self._echo(self._marks.popleft()[1])
        silent_ns = now_ns - self._played_until_ns
        if (
            silent_ns > KEY_AFTER_NS
            and not self._marks
            and now_ns >= self._key_ns
            and self._is_over(silent_ns)
        ):
            self._key_ns = now_ns + KEY_AFTER_CLEAR_NS
            out += self._key("1") + self._key("#")
        return out

    def _caller_frame(self, now_ns: int) -> bytes:
        if self._next_speech_ns is not None and now_ns >= self._next_speech_ns:
            self._begin_speech(now_ns)
        sound = self._sound
        if self._spoken_at < len(sound.speech):
            audio = sound.speech[self._spoken_at]
            self._spoken_at += 1
        else:
            audio = sound.noise[self._walk.block(self._frames) % len(sound.noise)]
        self._frames = frames = self._frames + 1
        self._sequence += 1
        self._figures.frames_sent += 1
        if frames % STAMPED_EVERY == 0:
            audio = b2a_base64(stamp(now_ns), newline=False) + audio[_STAMP_DIGITS:]
        return client_frame(
            b'{"event":"media","sequenceNumber":"%d","media":{"track":"inbound","chunk":"%d",'
            b'"timestamp":"%d","payload":"%b%b' % (self._sequence, frames, frames * 20, audio, self._tail)
        )

    def _begin_speech(self, now_ns: int) -> None:
        window = self._window
        if window is None or now_ns + INTERRUPT_EVERY_NS // 2 > window.end_ns:
            self._next_speech_ns = None
            return
        self._next_speech_ns = now_ns + INTERRUPT_EVERY_NS
        if now_ns < self._played_until_ns:
            self._spoken_at = 0
            self._waiting_for_clear_ns = now_ns
            self._figures.interruptions += 1

    # ------------------------------------------------------------- the carrier

    def received(self, opcode: int, payload: bytes, now_ns: int) -> bytes:
        """Take one frame of the bridge's; returns the bytes that answer it at once."""
        if opcode == TEXT:
            if payload.startswith(b'{"event":"media"'):
                self._play(payload, now_ns)
                return b""
            return self._obey(json.loads(payload), now_ns)
        if opcode == PING:
            return pong_frame(payload)
        if opcode == CLOSE:
            self.ended = True
        return b""

    def _play(self, message: bytes, now_ns: int) -> None:
        begin = message.index(b'"payload":"') + 11
        text = message[begin : message.index(b'"', begin)]
        size = len(text) * 3 // 4 - text[-2:].count(b"=")
        figures = self._figures
        if self._measures(now_ns):
            figures.bytes_in_window += size
            self._note_ahead(now_ns)
            sent_ns = read_stamp(a2b_base64(text[:_STAMP_DIGITS])) if size >= STAMP_BYTES else None
            if sent_ns is not None:
                figures.out_delay.add(now_ns - sent_ns)
        if self._voice is not None:
            self._voice.took(text, size)
        if self._cut_short and self._spoken_at < len(self._sound.speech):
            figures.stale_messages += 1
        if now_ns > self._played_until_ns:
            self._note_gap(now_ns, now_ns)
            self._played_until_ns = now_ns
        self._played_until_ns += size * NS_PER_BYTE
        self._last_heard = (self._last_heard + a2b_base64(text[-8:]))[-len(_QUIET_TAIL) :]
        self._cut_short = False
        self.heard = True

    def _note_ahead(self, now_ns: int) -> None:
        window, ahead_ns = self._window, self._played_until_ns - now_ns
        if window is None or ahead_ns <= 0:
            return
        if now_ns - window.begin_ns < AHEAD_NS:
            self._figures.ahead_first.add(ahead_ns)
        elif window.end_ns - now_ns < AHEAD_NS:
            self._figures.ahead_last.add(ahead_ns)

    def _note_gap(self, until_ns: int, now_ns: int) -> None:
        """The queue ran dry: count it if that was to be heard."""
        if not self.heard or self._cut_short or self._last_heard == _QUIET_TAIL:
            return
        self._figures.last_gap_ns = now_ns
        if not self._measures(now_ns):
            return
        self._figures.underruns += 1
        self._figures.underrun_ns += until_ns - self._played_until_ns

    def _obey(self, message: dict[str, object], now_ns: int) -> bytes:
        if message["event"] == "clear":
            return self._clear(now_ns)
        mark = message.get("mark")
        name = str(mark["name"]) if isinstance(mark, dict) else ""
        if not self._marks and self._played_until_ns <= now_ns:
            return self._echo(name)
        self._marks.append((self._played_until_ns, name))
        return b""

    def _clear(self, now_ns: int) -> bytes:
        if self._waiting_for_clear_ns is not None:
            self._figures.fell_silent.add(now_ns - self._waiting_for_clear_ns)
            self._figures.answered_interruptions += 1
            self._waiting_for_clear_ns = None
        self._played_until_ns = min(self._played_until_ns, now_ns)
        self._cut_short = True
        self._key_ns = now_ns + KEY_AFTER_CLEAR_NS
        echoes = b"".join(self._echo(name) for _, name in self._marks)
        self._marks.clear()
        return echoes

    def finish(self, now_ns: int) -> None:
        """The measurement is over: a reply that fell silent in the middle, for good, is a gap as well."""
        if now_ns > self._played_until_ns and self._window is not None:
            self._note_gap(self._window.end_ns, self._window.end_ns - 1)

    # ------------------------------------------------------------- details

    def _is_over(self, silent_ns: int) -> bool:
        """The agent has finished; one that is only late is left alone."""
        finished = not self.heard or self._cut_short or self._last_heard == _QUIET_TAIL
        return finished or silent_ns > GIVE_UP_NS

    def _measures(self, now_ns: int) -> bool:
        window = self._window
        return window is not None and window.begin_ns <= now_ns < window.end_ns

    def _echo(self, name: str) -> bytes:
        return self._message("mark", {"name": name})

    def _key(self, digit: str) -> bytes:
        return self._message("dtmf", {"track": "inbound_track", "digit": digit})

    def _message(self, event: str, body: Mapping[str, object]) -> bytes:
        self._sequence += 1
        message = {
            "event": event,
            "sequenceNumber": str(self._sequence),
            "streamSid": self._stream_sid.decode(),
            event: body,
        }
        return client_frame(json.dumps(message).encode())
