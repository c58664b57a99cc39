"""A tape gives back what was put on it, as long as that was not forgotten."""

from __future__ import annotations

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from offhook.pipeline.audio_tape import BLOCK_BYTES, AudioTape


class AnyTape(RuleBasedStateMachine):
    """Beside the tape stands everything that was ever put on it."""

    def __init__(self) -> None:
        super().__init__()
        self.tape = AudioTape()
        self.whole = b""
        self.wanted_from = 0
        self.put = 0

    @rule(size=st.integers(0, 3 * BLOCK_BYTES))
    def audio_comes(self, size: int) -> None:
        self.put += 1
        audio = bytes((self.put + number) % 251 for number in range(size))
        self.tape.append(audio)
        self.whole += audio

    @precondition(lambda self: self.wanted_from < len(self.whole))
    @rule(data=st.data())
    def a_part_is_read(self, data: st.DataObject) -> None:
        begin = data.draw(st.integers(self.wanted_from, len(self.whole)))
        end = data.draw(st.integers(begin, len(self.whole) + 100))
        assert self.tape.read(begin, end) == self.whole[begin:end]

    @rule(data=st.data())
    def the_oldest_is_forgotten(self, data: st.DataObject) -> None:
        self.wanted_from = data.draw(st.integers(self.wanted_from, len(self.whole)))
        self.tape.forget(self.wanted_from)

    @rule(data=st.data())
    def it_is_cut(self, data: st.DataObject) -> None:
        at = data.draw(st.integers(self.wanted_from, len(self.whole)))
        self.tape.cut(at)
        self.whole = self.whole[:at]

    @invariant()
    def it_holds_little_more_than_is_wanted(self) -> None:
        assert len(self.tape) == len(self.whole)
        assert self.tape.begins_at <= self.wanted_from
        assert self.tape.kept_bytes <= len(self.whole) - self.wanted_from + BLOCK_BYTES


TestAnyTape = AnyTape.TestCase


def test_cuts_and_additions_in_turn_make_no_block_that_cannot_be_forgotten() -> None:
    tape = AudioTape()
    for _ in range(50):
        tape.append(bytes(BLOCK_BYTES))
        tape.cut(len(tape) - 1)
    tape.forget(len(tape))
    assert tape.kept_bytes < BLOCK_BYTES


def test_what_was_forgotten_cannot_be_read() -> None:
    tape = AudioTape()
    for _ in range(3):
        tape.append(bytes(BLOCK_BYTES))
    tape.forget(BLOCK_BYTES + 10)
    assert tape.begins_at == BLOCK_BYTES
    with pytest.raises(IndexError, match=f"begins at {BLOCK_BYTES}"):
        tape.read(BLOCK_BYTES - 1, BLOCK_BYTES + 1)
