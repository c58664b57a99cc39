"""What a model's process is asked and what it answers: typed messages in length-prefixed frames.

A frame is its body's length as four bytes (little endian) and then the body, one MessagePack value.
"""

from __future__ import annotations

__all__ = [
    "MAX_FRAME_BYTES",
    "Align",
    "Aligned",
    "Answer",
    "Decode",
    "Decoded",
    "Done",
    "Failed",
    "Finding",
    "HeardWord",
    "Order",
    "Ready",
    "Report",
    "Request",
    "Speak",
    "Spoken",
    "SpokenWord",
    "frame",
    "order_decoder",
    "report_decoder",
]

import msgspec

MAX_FRAME_BYTES = 4 << 20
"""Four minutes of carrier audio or more; a longer frame means that the stream is out of step."""


class Message(msgspec.Struct, frozen=True, array_like=True, tag=True):
    """A value that crosses the pipe."""


# ------------------------------------------------------------------ to the worker


class Decode(Message, frozen=True):
    """Which words are in this audio?"""

    mulaw: bytes
    """At most 25 s, mu-law 8 kHz."""


class Align(Message, frozen=True):
    """When was each word said?"""

    mulaw: bytes
    """At most 25 s, mu-law 8 kHz."""
    text: str
    """The words that were said; empty: those that are recognised."""


class Speak(Message, frozen=True):
    """Make speech of this text."""

    text: str
    speed: float = 1.0
    """0.5 to 2; 1 is the voice's own pace."""


Request = Decode | Align | Speak


class Order(Message, frozen=True):
    """One job."""

    id: int
    request: Request


# ---------------------------------------------------------------- from the worker


class Decoded(Message, frozen=True):
    """The words of one utterance, or none."""

    text: str
    mean_log_probability: float
    """Per token; exp() of it is a confidence from 0 to 1."""
    no_speech_probability: float


class HeardWord(Message, frozen=True):
    """One word of a recording."""

    text: str
    start_s: float
    end_s: float
    probability: float


class Aligned(Message, frozen=True):
    """The words of a recording in order."""

    words: tuple[HeardWord, ...]


class SpokenWord(Message, frozen=True):
    """Where a word of the text lies in the audio of its piece."""

    start_char: int
    end_char: int
    start_s: float
    end_s: float


class Spoken(Message, frozen=True):
    """The next piece of speech."""

    mulaw: bytes
    words: tuple[SpokenWord, ...]
    estimated: bool
    """The words' times are in proportion to their letters, since the model's own could not be mapped."""


Answer = Decoded | Aligned | Spoken


class Ready(Message, frozen=True):
    """The model is loaded and warm."""


class Finding(Message, frozen=True):
    """One answer to a job; more may follow."""

    id: int
    answer: Answer


class Done(Message, frozen=True):
    """The job has no further answer."""

    id: int


class Failed(Message, frozen=True):
    """The job, or with the id 0 the start, went wrong; the reason holds no caller's words."""

    id: int
    reason: str


Report = Ready | Finding | Done | Failed

_encoder = msgspec.msgpack.Encoder()
order_decoder = msgspec.msgpack.Decoder(Order)
report_decoder: msgspec.msgpack.Decoder[Report] = msgspec.msgpack.Decoder(Report)


def frame(message: Order | Report) -> bytes:
    """Encode one message with its length before it."""
    body = _encoder.encode(message)
    return len(body).to_bytes(4, "little") + body
