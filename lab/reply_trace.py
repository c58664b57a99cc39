"""How a reply was heard, byte by byte: which parts, when, and what was said twice or never.

Theory. The same reply is spoken once more in full. The embedded voice says the same text in the same way and
the bridge does not touch its bytes, so every stretch of the recording is found in the whole reply. Where the
recording runs along with it the agent spoke on, whatever pauses the reply has of its own; where it falls
behind, the agent was held back; where it never goes on, the agent was stopped.
"""

from __future__ import annotations

__all__ = ["HeldBack", "ReplyTrace", "Stretch", "trace_reply"]

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

BYTES_PER_MS = 8
_SILENCE = 0xFF
_SIGNED_ZERO = bytes.maketrans(b"\x7f", b"\xff")
_PROBE_BYTES = 480
"""60 ms of speech are like nothing else in the reply."""
_STEP_BYTES = 40
_HELD_BACK_MS = 60
"""A network's jitter is no pause."""
_RESTARTED_MS = 1000
"""A resume goes back by a word at most; whoever goes back further begins again."""
_FRONT_MS, _FIRST_WORD_MS = 40, 400
"""Whoever goes back to the front after more than a first word begins again, too."""
_FINISHED_MS = 200


@dataclass(frozen=True, slots=True)
class Stretch:
    """Bytes of a recording that are bytes of the reply; both ends sound."""

    heard_at: int
    reply_at: int
    length: int

    @property
    def heard_end(self) -> int:
        """Where it ends in the recording."""
        return self.heard_at + self.length

    @property
    def reply_end(self) -> int:
        """Where it ends in the reply."""
        return self.reply_at + self.length


@dataclass(frozen=True, slots=True)
class HeldBack:
    """The agent fell silent within a reply, and went on with it."""

    at_ms: int
    """The last sound before, in the recording."""
    until_ms: int
    """The first sound after."""
    repeated_ms: int
    lost_ms: int
    """Sound of the reply that was never heard."""


@dataclass(frozen=True, slots=True)
class ReplyTrace:
    """One reply in a recording; times are milliseconds of the recording."""

    begin_ms: int
    end_ms: int
    """Its last sound."""
    finished: bool
    """It was heard to its end."""
    pauses: tuple[HeldBack, ...]


def trace_reply(recording: bytes, whole: bytes) -> ReplyTrace | None:
    """Find the first reply of a recording (mu-law) that is the front of `whole`; None if it is not there."""
    heard, made = _plain(recording), _plain(whole)
    stretches: list[Stretch] = []
    for stretch in _stretches(heard, made):
        if stretches and _begins_again(stretches, stretch):
            break
        stretches.append(stretch)
    if not stretches:
        return None
    sounding = np.flatnonzero(made != _SILENCE)
    left = int(sounding[-1]) - stretches[-1].reply_end
    pauses = [_between(before, after, made) for before, after in pairwise(stretches)]
    return ReplyTrace(
        begin_ms=stretches[0].heard_at // BYTES_PER_MS,
        end_ms=stretches[-1].heard_end // BYTES_PER_MS,
        finished=left < _FINISHED_MS * BYTES_PER_MS,
        pauses=tuple(pause for pause in pauses if pause is not None),
    )


def _begins_again(before: list[Stretch], stretch: Stretch) -> bool:
    back_ms = (before[-1].reply_end - stretch.reply_at) // BYTES_PER_MS
    at_front = stretch.reply_at - before[0].reply_at <= _FRONT_MS * BYTES_PER_MS
    return back_ms > (_FIRST_WORD_MS if at_front else _RESTARTED_MS)


def _plain(audio: bytes) -> NDArray[np.uint8]:
    """Bytes with one zero instead of mu-law's two."""
    return np.frombuffer(audio.translate(_SIGNED_ZERO), np.uint8)


def _stretches(heard: NDArray[np.uint8], made: NDArray[np.uint8]) -> Iterator[Stretch]:
    """Every stretch of the recording that is one of the reply, in the order of the recording."""
    text, sounding = made.tobytes(), np.flatnonzero(heard != _SILENCE)
    at = 0
    while True:
        ahead = sounding[np.searchsorted(sounding, at) :]
        if not len(ahead):
            return
        at = int(ahead[0])
        probe = heard[at : at + _PROBE_BYTES]
        if len(probe) < _PROBE_BYTES:
            return
        found = text.find(probe.tobytes())
        if found < 0:
            at += _STEP_BYTES
            continue
        length = _common(heard[at:], made[found:])
        sounds = np.flatnonzero(heard[at : at + length] != _SILENCE)
        yield Stretch(at, found, int(sounds[-1]) + 1)
        at += length


def _common(one: NDArray[np.uint8], other: NDArray[np.uint8]) -> int:
    """How far two recordings are the same."""
    size = min(len(one), len(other))
    differ = np.flatnonzero(one[:size] != other[:size])
    return int(differ[0]) if len(differ) else size


def _between(before: Stretch, after: Stretch, made: NDArray[np.uint8]) -> HeldBack | None:
    """What came between two stretches; None if it is the reply's own pause."""
    late = (after.heard_at - before.heard_end) - (after.reply_at - before.reply_end)
    missing = made[before.reply_end : max(before.reply_end, after.reply_at)]
    lost_ms = int(np.count_nonzero(missing != _SILENCE)) // BYTES_PER_MS
    if abs(late) < _HELD_BACK_MS * BYTES_PER_MS and lost_ms < _HELD_BACK_MS:
        return None
    return HeldBack(
        at_ms=before.heard_end // BYTES_PER_MS,
        until_ms=after.heard_at // BYTES_PER_MS,
        repeated_ms=max(0, before.reply_end - after.reply_at) // BYTES_PER_MS,
        lost_ms=lost_ms,
    )
