"""Whether a far end hears its own agent, whole and in order: all that `OwnVoice` said, and nothing else."""

from __future__ import annotations

__all__ = ["HeardBlocks", "OwnVoiceCheck"]

from binascii import a2b_base64
from collections.abc import Sequence

from offhook.codecs import g711
from offhook.codecs.audio_format import MULAW_8K, PCM_24K, converter
from offhook.codecs.framing import FRAME_BYTES

from .null_engines import CLAUSE_BLOCKS, SENTENCES, WORD_BLOCKS
from .own_sound import Inside, SoundCheck, Walk
from .stamp import STAMP_BYTES

_INSIDE = Inside.of(MULAW_8K)
_INSIDE_BYTES = _INSIDE.block - _INSIDE.begin


class HeardBlocks:
    """The insides of all blocks as a far end gets them, and which is which."""

    def __init__(self, insides: Sequence[bytes]) -> None:
        self.insides = insides
        self._numbers = {inside: number for number, inside in enumerate(insides)}

    def pairs(self, audio: bytes) -> list[tuple[int, int, int]]:
        """Two blocks in a row, wherever they are: the first one's place in the audio, and which they are."""
        found = []
        for at in range(STAMP_BYTES - _INSIDE.begin, len(audio) - 2 * FRAME_BYTES + 1):
            first = self._number(audio, at)
            second = None if first is None else self._number(audio, at + FRAME_BYTES)
            if first is not None and second is not None:
                found.append((at, first, second))
        return found

    def _number(self, audio: bytes, at: int) -> int | None:
        begin = at + _INSIDE.begin
        return self._numbers.get(audio[begin : begin + _INSIDE_BYTES]) if begin >= 0 else None


class OwnVoiceCheck:
    """Looks at what one far end gets, from the first byte of the call on.

    Two blocks that are the call's own, but not what comes next, are out of place: something was left out,
    came twice, or the agent said other words (an apology). It is looked at from there on. A message without
    two such blocks, as the one in which the break is, counts as wrong.
    """

    def __init__(self, call: int, blocks: HeardBlocks, check: SoundCheck) -> None:
        self._walk, self._blocks, self._check = Walk.of(call), blocks, check
        self._bytes = 0
        self._clause_bytes = CLAUSE_BLOCKS * FRAME_BYTES + _clause_tail_bytes()
        self._quiet = bytes([g711.SILENCE]) * _INSIDE_BYTES

    def took(self, text: bytes, size: int) -> None:
        """Look at a message: its audio in base64, and how many bytes that is."""
        clause, at = divmod(self._bytes, self._clause_bytes)
        self._bytes += size
        number = _INSIDE.number(at + STAMP_BYTES, size - STAMP_BYTES)
        if number is None or number >= CLAUSE_BLOCKS:
            return
        begin = number * FRAME_BYTES - at + _INSIDE.begin
        from_char, skipped = divmod(begin, 3)
        audio = a2b_base64(text[4 * from_char : -(-(begin + _INSIDE_BYTES) // 3) * 4])
        heard = audio[skipped : skipped + _INSIDE_BYTES]
        if self._check.mulaw(heard, self._expected(clause, number)):
            return
        if self._find_place(a2b_base64(text), clause * CLAUSE_BLOCKS + number):
            self._check.out_of_place += 1
        else:
            self._check.wrong += 1

    def _expected(self, clause: int, number: int) -> bytes:
        ends_reply = clause % SENTENCES == SENTENCES - 1
        if ends_reply and number >= CLAUSE_BLOCKS - WORD_BLOCKS:
            return self._quiet
        return self._blocks.insides[self._walk.block(clause * CLAUSE_BLOCKS + number)]

    def _find_place(self, audio: bytes, expected: int) -> bool:
        """Go on from where in the call's own sound this is; False if it is not the call's own."""
        for at, first, second in self._blocks.pairs(audio):
            number = self._walk.number(first, near=expected)
            if self._walk.block(number + 1) == second:
                clause, block = divmod(number, CLAUSE_BLOCKS)
                self._bytes = clause * self._clause_bytes + block * FRAME_BYTES - at + len(audio)
                return True
        return False


def _clause_tail_bytes() -> int:
    """Carrier bytes behind a clause's own, while its last sample leaves the converter."""
    convert = converter(PCM_24K, MULAW_8K)
    convert.feed(bytes(960))
    return len(convert.flush())
