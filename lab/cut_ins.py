"""Judges cut-ins of a measured call: how soon the agent was silent, and what the caller had heard."""

from __future__ import annotations

__all__ = ["CutIn", "cut_ins", "played_bytes", "sounds", "words_until"]

from collections.abc import Sequence
from dataclasses import dataclass

from .bridge_log import BridgeEvent
from .heard_words import HeardWords, Rendition
from .hearing import Utterance
from .measured_call import FRAME_MS, MeasuredCall

BYTES_PER_MS = 8
_SILENCE = b"\x7f\xff"
"""Zero in mu-law."""
_FIRST_BYTES = 800


@dataclass(frozen=True, slots=True)
class CutIn:
    """The caller spoke into a reply of the agent's; times are caller media time."""

    utterance: Utterance
    reply_audio: bytes
    """The agent's channel (mu-law) from the end of the caller's utterance before to the next reply."""
    stop_ms: int | None
    """From the caller's first audible sound to the last agent audio of any loudness; None: it spoke on."""
    frames_after_clear: int
    """Agent frames behind a `clear` and before the next reply or resume."""
    resumes: int
    sent_bytes: int
    """Of this reply: played or cleared, audio sent twice counted twice."""
    bridge_text: str | None
    """What the bridge says was heard; None if it did not commit."""
    bridge_ms: int
    decided: tuple[str, ...]
    """The bridge's own reasons."""


def cut_ins(call: MeasuredCall) -> list[CutIn]:
    """Every utterance of the call but the first as a cut into the reply to the one before it."""
    return [_cut_in(call, index) for index in range(1, len(call.utterances))]


def _cut_in(call: MeasuredCall, index: int) -> CutIn:
    start, onset = call.utterances[index - 1].last_sound_ms, call.utterances[index].first_sound_ms
    following = [utterance.first_sound_ms for utterance in call.utterances[index + 1 :]]
    over = min(following, default=len(call.taken_bytes) * FRAME_MS)
    answered = [e.at_ms for e in call.of_type("playout.first-frame") if onset < e.at_ms < over]
    end = min(answered, default=over) // FRAME_MS * FRAME_MS
    frames = [at for at in range(start, end, FRAME_MS) if sounds(call.agent_frame(at))]
    clears = [at for at in call.clears_ms if onset <= at <= end]
    decided = [e for e in call.of_type("barge-in.decided") if onset <= e.at_ms <= end]
    resumed = [event.at_ms for event in decided if event.data.get("decision") == "resume"]
    cancelled = next((e for e in call.of_type("audio.cancelled") if onset <= e.at_ms <= end), None)
    return CutIn(
        utterance=call.utterances[index],
        reply_audio=bytes(call.heard[start * BYTES_PER_MS : end * BYTES_PER_MS]),
        stop_ms=max((at + FRAME_MS - onset for at in frames if at >= onset), default=0) if clears else None,
        frames_after_clear=sum(_is_stale(at, clears, resumed) for at in frames),
        resumes=len(resumed),
        sent_bytes=_taken(call, end) - _taken(call, start),
        bridge_text=str(cancelled.data["heard_text"]) if cancelled else None,
        bridge_ms=int(cancelled.data["played_ms"]) if cancelled else 0,
        decided=tuple(_reason(event) for event in decided),
    )


def sounds(frame: bytes) -> bool:
    """Some of it is not digital silence."""
    return bool(frame.strip(_SILENCE))


def _is_stale(at_ms: int, clears_ms: Sequence[int], resumed_ms: Sequence[int]) -> bool:
    """A frame that began behind a clear, with no resume between the two; the one that sounds sounds on."""
    behind = [clear for clear in clears_ms if clear + FRAME_MS <= at_ms]
    return bool(behind) and not any(behind[-1] <= resume <= at_ms + FRAME_MS for resume in resumed_ms)


def _taken(call: MeasuredCall, at_ms: int) -> int:
    return call.taken_bytes[min(len(call.taken_bytes), at_ms // FRAME_MS) - 1]


def _reason(event: BridgeEvent) -> str:
    return f"{event.data.get('decision')}: {event.data.get('why')}"


def played_bytes(reply_audio: bytes, whole: bytes) -> int | None:
    """How far the recording goes along with the whole reply's audio, byte by byte; None: it does not.

    The embedded voice says the same text in the same way, and the bridge does not touch its bytes.
    """
    signed_zero = bytes.maketrans(_SILENCE, b"\xff\xff")
    heard, made = reply_audio.translate(signed_zero), whole.translate(signed_zero)
    begin = heard.find(made[:_FIRST_BYTES].rstrip(b"\xff") or made)
    if begin < 0:
        return None
    pairs = enumerate(zip(heard[begin:], made, strict=False))
    return next((length for length, (one, other) in pairs if one != other), len(made))


def words_until(rendition: Rendition, played: int) -> HeardWords:
    """The words of which more than half lies in the first `played` bytes."""
    played_s = played / (BYTES_PER_MS * 1000)
    count = sum((word.start_s + word.end_s) / 2 < played_s for word in rendition.words)
    return HeardWords(count, " ".join(rendition.text.split()[:count]))
