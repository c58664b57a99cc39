"""What a listener perceives, on synthetic audio with known onsets."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.codecs import g711
from offhook.lab.hearing import (
    BargeIn,
    Sound,
    SoundDetector,
    Utterance,
    judge_barge_in,
    level_dbfs,
    response_ms,
)

QUIET = b"\xff" * 160


def tone(level_dbfs: float = -20.0) -> bytes:
    amplitude = 32768 * 10 ** (level_dbfs / 20) * np.sqrt(2)
    return g711.encode((amplitude * np.sin(2 * np.pi * 437 * np.arange(160) / 8000)).astype(np.int16))


def listen(pattern: str) -> SoundDetector:
    """Feed a picture of the line: `#` is a loud frame of 20 ms, `.` a silent one."""
    detector = SoundDetector()
    for sign in pattern:
        detector.feed(tone() if sign == "#" else QUIET)
    return detector


def test_level_is_relative_to_a_full_scale_square_wave() -> None:
    assert level_dbfs(tone(-20)) == pytest.approx(-20, abs=0.3)
    assert level_dbfs(QUIET) == -np.inf


def test_telephone_hiss_is_not_heard() -> None:
    detector = SoundDetector()
    for _ in range(50):
        detector.feed(bytes([0x7E, 0x7F, 0xFE, 0xFF] * 40))
    assert detector.sounds == ()
    assert detector.last_audible_ms is None


def test_onset_and_end_are_exact_to_the_frame() -> None:
    assert listen("." * 10 + "#" * 30 + "." * 20).sounds == (Sound(200, 800),)


def test_a_click_of_one_frame_is_no_sound() -> None:
    assert listen(".....#.....").sounds == ()


def test_a_pause_between_words_does_not_end_a_sound() -> None:
    assert listen("#" * 10 + "." * 15 + "#" * 10 + "." * 16).sounds == (Sound(0, 700),)


def test_a_longer_pause_does() -> None:
    assert listen("#" * 10 + "." * 16 + "#" * 10).sounds == (Sound(0, 200), Sound(520, 720))


def test_sound_that_goes_on_is_reported_as_it_is() -> None:
    detector = listen("..###")
    assert detector.sounds == (Sound(40, 100),)
    assert detector.last_audible_ms == 100


def test_first_audible_after_looks_into_a_sound_that_goes_on() -> None:
    detector = listen("..####" + "." * 20 + "##")
    assert detector.first_audible_after(0) == 40
    assert detector.first_audible_after(60) == 60
    assert detector.first_audible_after(200) == 520
    assert detector.first_audible_after(560) is None


@given(st.lists(st.booleans(), max_size=120))
def test_sounds_are_ordered_apart_and_inside_the_call(loud: list[bool]) -> None:
    detector = listen("".join("#" if frame else "." for frame in loud))
    sounds = detector.sounds
    assert all(sound.start_ms < sound.end_ms <= len(loud) * 20 for sound in sounds)
    assert all(after.start_ms - before.end_ms > 300 for before, after in itertools.pairwise(sounds))


def test_response_is_timed_from_the_last_sound_to_the_first_answer() -> None:
    utterances = [Utterance("a", 1000, 2000), Utterance("b", 5000, 6000)]
    agent = [Sound(0, 900), Sound(2600, 4000), Sound(6700, 8000)]
    assert response_ms(utterances, 0, agent) == 600
    assert response_ms(utterances, 1, agent) == 700


def test_an_answer_to_the_next_utterance_is_not_taken_for_this_one() -> None:
    utterances = [Utterance("a", 1000, 2000), Utterance("b", 3000, 4000)]
    assert response_ms(utterances, 0, [Sound(4500, 5000)]) is None


def test_barge_in_is_timed_from_the_callers_onset_to_the_agents_last_sound() -> None:
    utterance = Utterance("stop", 4000, 5000)
    agent = [Sound(1000, 4180), Sound(5600, 6000)]
    assert judge_barge_in(1, utterance, agent, [4160]) == BargeIn(1, 4000, 180, True, 0)


def test_audio_behind_a_clear_is_counted_as_stale() -> None:
    cut_in = judge_barge_in(0, Utterance("stop", 4000, 5000), [Sound(1000, 4300)], [4100])
    assert cut_in is not None
    assert cut_in.frames_after_clear == 9  # 4120 to 4300: the frame that sounded at the clear is not counted


def test_an_agent_that_speaks_on_has_no_stop_time() -> None:
    cut_in = judge_barge_in(0, Utterance("yeah", 4000, 4300), [Sound(1000, 9000)], [])
    assert cut_in == BargeIn(0, 4000, None, False, 0)


def test_an_utterance_into_silence_is_no_barge_in() -> None:
    assert judge_barge_in(0, Utterance("hello", 4000, 4300), [Sound(1000, 3900)], []) is None
