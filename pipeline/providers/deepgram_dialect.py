"""What Deepgram's two ways to listen have in common; no I/O."""

from __future__ import annotations

__all__ = [
    "EARLY_S",
    "MOST_BYTES",
    "VENDOR",
    "Control",
    "Dialect",
    "SaidBefore",
    "confidence_of",
    "vendor_error",
]

import enum
import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from offhook.config.errors import ProviderError

from ..ports import Transcript
from .deepgram_audio import CallerAudio

VENDOR = "deepgram"
MOST_BYTES = 7680
"""The longest message of audio, 0.96 s: what waits goes out in few messages, and none is long."""
GUESS = 0.37
"""Below it the words of a short utterance are taken for a guess (see `Transcript.confidence`)."""
UNLIKELY = 0.5
"""Below it the vendor thinks that a word is rather wrong than right."""
SLACK_S = 0.02
"""By so much the vendor's word times move from one result to the next."""
EARLY_S = 1e-6
"""A timer may fire so much before its time, for sums of seconds are rounded."""
_CODE = re.compile(r"[A-Za-z0-9_-]{1,40}")


class Control(enum.Enum):
    """A message beside the audio, by the name of the SDK's method that sends it."""

    KEEP_ALIVE = "send_keep_alive"
    FINALIZE = "send_finalize"
    FORCE_END_TURN = "send_force_end_turn"


class Dialect(Protocol):
    """One way to listen: what is sent when, and what the answers mean."""

    version: str
    """The SDK's name of the endpoint."""
    query: Mapping[str, Any]
    """What the connection is asked for."""
    audio: CallerAudio

    def push(self, audio: bytes, now: float) -> bool:
        """Take the caller's next bytes; True if `next` or `next_deadline` may now say something else."""

    def speech_paused(self, media_s: float) -> None:
        """Speech ended here, in seconds of the caller's audio."""

    def end_utterance(self) -> None:
        """What was said up to now is not to be reported again."""

    def next(self, now: float) -> bytes | Control | None:
        """Say what is to be sent now; asked again and again until it is nothing."""

    def next_deadline(self) -> float:
        """Say when there will be something to send if nothing happens before."""

    def read(self, message: Any) -> Transcript | None:
        """Say what a message of the vendor's means.

        Raises ProviderError for the vendor's own error message, and what comes of using an object that
        does not have the form it should have.
        """


class SaidBefore:
    """Which words belong to an utterance that is over, by where they lie in the caller's audio."""

    def __init__(self) -> None:
        self._over_until_s = -math.inf
        self._reported_until_s = -math.inf
        self._told_until_s = -math.inf

    def tell(self, end_s: float) -> None:
        """Words up to here were reported."""
        self._told_until_s = max(self._told_until_s, end_s)

    def end(self, at_s: float) -> None:
        """The utterance is over at this point of the caller's audio."""
        self._over_until_s = max(self._over_until_s, at_s)
        self._reported_until_s = self._told_until_s

    def holds(self, start_s: float, end_s: float) -> bool:
        """Whether a word lies before that point by its middle, or was reported when it was half spoken."""
        began_before = start_s < self._reported_until_s - SLACK_S
        return began_before or (start_s + end_s) / 2 < self._over_until_s


def confidence_of(words: Sequence[Any]) -> float:
    """Bring the mean of the words' confidences to the scale of `Transcript`; 1 without any words.

    The vendor's figure is that of a word's being right, so a half is where it becomes a guess; the port puts
    that border at 0.37, for its figure is a mean over the pieces of words.
    """
    if not words:
        return 1.0
    mean = sum(float(word.confidence) for word in words) / len(words)
    bounded = min(1.0, max(0.0, mean))
    return float(bounded ** (math.log(GUESS) / math.log(UNLIKELY)))


def vendor_error(code: Any) -> ProviderError:
    """Make an error of the vendor's error message; only its code, for the rest may quote what was sent."""
    named = isinstance(code, str) and _CODE.fullmatch(code)
    return ProviderError(
        VENDOR, f"the vendor reports an error ({code})" if named else "the vendor reports an error"
    )
