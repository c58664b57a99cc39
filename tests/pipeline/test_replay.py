"""The ring of what no recogniser has answered for: what it keeps, what it lets go, what it counts."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offhook.codecs.framing import SAMPLE_RATE_HZ as BYTES_PER_S
from offhook.pipeline.audio_tape import BLOCK_BYTES
from offhook.pipeline.evidence import Activity
from offhook.pipeline.ports import Transcript
from offhook.pipeline.replay import KEPT_BYTES, MOST_BYTES, TAIL_S, Replay

FRAME = 160


@dataclass
class Tape:
    """A caller's audio, each frame of it another one, with voice activity that is right."""

    replay: Replay = field(default_factory=Replay)
    audio: bytearray = field(default_factory=bytearray)
    speaking: bool = False
    onset_s: float = 0.0
    last_speech_s: float = 0.0
    numbers: count[int] = field(default_factory=count)

    @property
    def now_s(self) -> float:
        return len(self.audio) / BYTES_PER_S

    def goes_on(self, seconds: float, *, speech: bool = False) -> None:
        for _ in range(round(seconds * BYTES_PER_S / FRAME)):
            if speech and not self.speaking:
                self.onset_s = self.now_s
            frame = next(self.numbers).to_bytes(4, "big") * (FRAME // 4)
            self.audio += frame
            self.replay.push(frame)
            self.speaking = speech
            if speech:
                self.last_speech_s = self.now_s
            self.replay.sound(Activity(self.now_s, self.speaking, self.onset_s, self.last_speech_s))

    def words(self, covers_s: float, *, final: bool = True, text: str = "words") -> None:
        self.replay.answered(Transcript(0, 0, 0, text, final, covers_s))

    @property
    def missed_from_s(self) -> float:
        return self.replay.missed().begins_at_s


def test_of_silence_the_last_three_seconds_are_kept() -> None:
    tape = Tape()
    tape.goes_on(60)
    missed = tape.replay.missed()
    assert missed.begins_at_s == pytest.approx(57.0)
    assert missed.audio == bytes(tape.audio[-KEPT_BYTES:])
    assert missed.speech_from_s is None
    assert tape.replay.kept_bytes <= 2 * KEPT_BYTES


def test_speech_without_an_answer_is_kept_and_what_is_said_in_its_pauses_too() -> None:
    tape = Tape()
    tape.goes_on(10)
    for _ in range(5):
        tape.goes_on(2, speech=True)
        tape.goes_on(2)
    missed = tape.replay.missed()
    assert missed.begins_at_s <= 7.0 + 1e-9
    assert missed.speech_from_s == pytest.approx(10.0)
    assert missed.audio == bytes(tape.audio[round(missed.begins_at_s * BYTES_PER_S) :])


def test_what_a_final_covers_is_not_heard_again() -> None:
    tape = Tape()
    tape.goes_on(4, speech=True)
    tape.words(3.2)
    assert tape.missed_from_s == pytest.approx(3.2)
    assert tape.replay.missed().speech_from_s == pytest.approx(3.2)


def test_words_that_are_not_final_are_no_answer() -> None:
    tape = Tape()
    tape.goes_on(4, speech=True)
    tape.words(4.0, final=False)
    assert tape.missed_from_s == 0.0


def test_silence_behind_a_final_is_heard_again_so_that_the_next_word_is_whole() -> None:
    tape = Tape()
    tape.goes_on(2, speech=True)
    tape.goes_on(0.5)
    tape.words(2.5)
    assert tape.missed_from_s == pytest.approx(2.0 + TAIL_S)
    assert tape.replay.missed().speech_from_s is None


def test_a_final_that_stops_just_before_the_end_of_speech_covers_all_of_it() -> None:
    tape = Tape()
    tape.goes_on(2, speech=True)
    tape.goes_on(0.5)
    tape.words(1.94)
    assert tape.missed_from_s == pytest.approx(2.0 + TAIL_S)


def test_a_final_about_silence_settles_nothing() -> None:
    tape = Tape()
    tape.goes_on(2, speech=True)
    tape.goes_on(0.5)
    tape.words(2.2)
    tape.goes_on(1.0)
    tape.words(3.4, text="")
    assert tape.missed_from_s == pytest.approx(2.0 + TAIL_S)


def test_words_that_voice_activity_did_not_see_are_settled_and_kept_like_any() -> None:
    tape = Tape()
    tape.goes_on(8)
    tape.words(7.5, final=False)
    tape.goes_on(8)
    assert tape.missed_from_s <= 7.0
    tape.words(8.0)
    assert tape.missed_from_s == pytest.approx(16.0 - 3.0)
    tape.goes_on(10)
    assert tape.replay.kept_bytes <= 2 * KEPT_BYTES


def test_what_belongs_to_a_turn_that_is_over_is_not_heard_again() -> None:
    tape = Tape()
    tape.goes_on(2, speech=True)
    tape.goes_on(0.7)
    tape.replay.end_utterance()
    assert tape.missed_from_s == pytest.approx(2.0 + TAIL_S)
    assert tape.replay.missed().speech_from_s is None


def test_a_turn_that_ends_in_the_middle_of_speech_ends_there() -> None:
    tape = Tape()
    tape.goes_on(5, speech=True)
    tape.replay.end_utterance()
    tape.goes_on(1, speech=True)
    assert tape.missed_from_s == pytest.approx(5.0)
    assert tape.replay.missed().speech_from_s == pytest.approx(5.0)


def test_while_voice_activity_is_blind_a_turn_ends_where_the_audio_does() -> None:
    tape = Tape()
    tape.replay.push(bytes(8 * BYTES_PER_S))
    tape.replay.end_utterance()
    assert tape.missed_from_s == pytest.approx(8.0)


def test_beyond_thirty_seconds_the_oldest_goes_and_is_counted() -> None:
    tape = Tape()
    tape.goes_on(3)
    tape.goes_on(40, speech=True)
    assert MOST_BYTES <= tape.replay.kept_bytes <= MOST_BYTES + BLOCK_BYTES
    assert tape.replay.lost_s == pytest.approx(10.0)
    assert tape.missed_from_s == pytest.approx(13.0)
    assert tape.replay.missed().speech_from_s == pytest.approx(13.0)


def test_after_its_answer_a_long_speech_is_let_go() -> None:
    tape = Tape()
    tape.goes_on(25, speech=True)
    tape.goes_on(0.5)
    tape.words(25.5)
    tape.goes_on(0.02)
    assert tape.replay.kept_bytes <= 2 * KEPT_BYTES
    assert tape.replay.lost_s == 0


STEPS = st.one_of(
    st.tuples(st.just("silence"), st.floats(0.02, 8.0)),
    st.tuples(st.just("speech"), st.floats(0.06, 12.0)),
    st.tuples(st.sampled_from(["final", "empty final", "partial"]), st.floats(0.0, 1.0)),
    st.tuples(st.just("turn ends"), st.just(0.0)),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(STEPS, max_size=25))
def test_nothing_that_was_said_is_left_out(steps: list[tuple[str, float]]) -> None:
    """All speech behind the last answer is kept, unless it was counted as lost; memory stays bounded."""
    tape, answered_s = Tape(), 0.0
    spoken: list[tuple[float, float]] = []
    for kind, amount in steps:
        before_s = tape.now_s
        if kind == "speech":
            tape.goes_on(amount, speech=True)
            spoken.append((before_s, tape.now_s))
        elif kind == "silence":
            tape.goes_on(amount)
        elif kind == "turn ends":
            tape.replay.end_utterance()
            answered_s = tape.now_s
        else:
            covers_s = answered_s + (tape.now_s - answered_s) * amount
            tape.words(covers_s, final="final" in kind, text="" if kind == "empty final" else "words")
            answered_s = covers_s if "final" in kind else answered_s
        missed = tape.replay.missed()
        assert tape.replay.kept_bytes <= MOST_BYTES + BLOCK_BYTES
        assert missed.audio == bytes(tape.audio[round(missed.begins_at_s * BYTES_PER_S) :])
        due = [max(begins_s, answered_s) for begins_s, ends_s in spoken if ends_s > answered_s + 0.1 + 1e-6]
        if due:
            lost_s = max(0.0, missed.begins_at_s - due[0])
            assert lost_s <= tape.replay.lost_s + 0.02
            assert missed.speech_from_s is not None
