"""DTMF made, and heard by the rules of ITU-T Q.24."""

from __future__ import annotations

from itertools import pairwise
from math import pi
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from offhook.codecs import g711, wav
from offhook.codecs.tones import DTMF_DIGITS, DtmfDetector, dtmf, dtmf_sequence, power

Pcm = NDArray[np.int16]

AUDIO = Path(__file__).parents[1] / "audio"
SPEECH = sorted(AUDIO.glob("*.ulaw.wav"))
LOW_HZ = dict(zip(DTMF_DIGITS, [697] * 4 + [770] * 4 + [852] * 4 + [941] * 4, strict=True))
HIGH_HZ = dict(zip(DTMF_DIGITS, [1209, 1336, 1477, 1633] * 4, strict=True))

every_digit = pytest.mark.parametrize("digit", DTMF_DIGITS)


def hear(pcm: Pcm, chunk: int = 160) -> str:
    detector = DtmfDetector()
    return "".join(detector.feed(pcm[start : start + chunk]) for start in range(0, pcm.size, chunk))


def over_the_line(pcm: NDArray[np.float64]) -> Pcm:
    return g711.decode(g711.encode(np.rint(pcm).clip(-32_768, 32_767).astype(np.int16)))


def two_tones(
    digit: str, *, off: float = 0, high_over_low_db: float = 0, tone_s: float = 0.06, phase: float = 0
) -> Pcm:
    """A digit without ramps, its frequencies `off` by a fraction, between silences."""
    turns = 2 * pi * (1 + off) * np.arange(round(tone_s * 8000)) / 8000
    high = 10 ** (high_over_low_db / 20)
    tones = np.sin(LOW_HZ[digit] * turns + phase) + high * np.sin(HIGH_HZ[digit] * turns + 2 * phase)
    return over_the_line(np.pad(9000 / max(1, high) * tones, (237, 400)))


@every_digit
def test_a_key_is_its_row_and_its_column_at_the_level_asked_for(digit: str) -> None:
    pcm = dtmf(digit, duration_s=0.5, level_dbfs=-12)[100:-100]
    full_scale = 32_767**2 / 2
    for hz in (697, 770, 852, 941, 1209, 1336, 1477, 1633):
        level_db = 10 * np.log10(power(pcm, hz) / full_scale + 1e-12)
        assert (
            level_db == pytest.approx(-12, abs=0.1)
            if hz in (LOW_HZ[digit], HIGH_HZ[digit])
            else level_db < -35
        )


def test_a_key_begins_and_ends_softly() -> None:
    pcm = np.abs(dtmf("5", 0.1).astype(int))
    assert pcm.size == 800
    assert pcm[0] < 50
    assert pcm[-1] < 50
    assert pcm[:8].max() < 0.1 * pcm.max()


@given(st.floats(0, 0.03))
def test_even_a_very_short_key_has_the_length_asked_for(duration_s: float) -> None:
    assert dtmf("1", duration_s).size == round(duration_s * 8000)


def test_lower_case_letters_are_keys_too() -> None:
    assert np.array_equal(dtmf("a"), dtmf("A"))


@pytest.mark.parametrize("digit", ["", "12", "E", " ", "\n"])
def test_what_is_not_on_the_keypad_is_refused(digit: str) -> None:
    with pytest.raises(ValueError, match="no key"):
        dtmf(digit)


def test_levels_that_would_clip_and_lengths_that_cannot_be_are_refused() -> None:
    with pytest.raises(ValueError, match="clip"):
        dtmf("1", level_dbfs=-6)
    with pytest.raises(ValueError, match="cannot last"):
        dtmf("1", duration_s=-0.1)
    with pytest.raises(ValueError, match="cannot last"):
        dtmf_sequence("1", off_s=-0.1)


def test_a_sequence_is_tone_and_pause_in_turn() -> None:
    pcm = dtmf_sequence("12", on_s=0.08, off_s=0.05)
    assert pcm.size == 2 * (640 + 400)
    assert np.array_equal(pcm[1040:1680], dtmf("2", 0.08))
    assert not pcm[640:1040].any()
    assert dtmf_sequence("").size == 0


@given(st.floats(100, 3900), st.integers(1000, 30_000))
def test_the_power_of_a_sine_is_half_its_amplitude_squared(hz: float, amplitude: int) -> None:
    pcm = np.rint(amplitude * np.sin(2 * pi * hz * np.arange(4000) / 8000)).astype(np.int16)
    assert power(pcm, hz) == pytest.approx(amplitude**2 / 2, rel=0.01)


def test_power_is_what_goertzels_recurrence_gives() -> None:
    pcm, hz = np.random.default_rng(3).integers(-9000, 9000, 205).astype(np.int16), 770.0
    before = last = 0.0
    for sample in pcm.tolist():
        before, last = last, sample + 2 * np.cos(2 * pi * hz / 8000) * last - before
    squared = last**2 + before**2 - 2 * np.cos(2 * pi * hz / 8000) * last * before
    assert power(pcm, hz) == pytest.approx(2 * squared / 205**2)


def test_nothing_has_no_power() -> None:
    assert power(np.empty(0, np.int16), 697) == 0


@pytest.mark.parametrize(("on_s", "off_s"), [(0.1, 0.1), (0.05, 0.05), (0.04, 0.04)])
def test_every_digit_is_heard_through_mulaw(on_s: float, off_s: float) -> None:
    sequence = dtmf_sequence(DTMF_DIGITS, on_s, off_s).astype(np.float64)
    assert hear(over_the_line(sequence)) == DTMF_DIGITS


@pytest.mark.parametrize("seed", range(10))
def test_every_digit_is_heard_in_noise_fifteen_decibels_below_it(seed: int) -> None:
    sequence = dtmf_sequence(DTMF_DIGITS, 0.05, 0.05).astype(np.float64)
    rms = np.sqrt(2 * power(dtmf("1")[80:-80], 697))
    noise = np.random.default_rng(seed).normal(0, rms * 10 ** (-15 / 20), sequence.size)
    assert hear(over_the_line(sequence + noise)) == DTMF_DIGITS


@pytest.mark.parametrize("level_dbfs", [-28, -20, -6.1])
def test_every_digit_is_heard_from_the_faintest_to_the_loudest(level_dbfs: float) -> None:
    pause = np.zeros(400, np.int16)
    parts = [part for digit in DTMF_DIGITS for part in (dtmf(digit, 0.05, level_dbfs), pause)]
    assert hear(over_the_line(np.concatenate(parts).astype(np.float64))) == DTMF_DIGITS


@settings(max_examples=40, deadline=None)
@given(st.text(DTMF_DIGITS, max_size=6), st.lists(st.integers(0, 6000), max_size=20))
def test_digits_are_heard_alike_however_the_stream_is_cut(digits: str, cuts: list[int]) -> None:
    pcm = dtmf_sequence(digits, 0.05, 0.05)
    places = sorted([0, pcm.size, *(min(cut, pcm.size) for cut in cuts)])
    detector = DtmfDetector()
    heard = "".join(detector.feed(pcm[start:end]) for start, end in pairwise(places))
    assert heard == hear(pcm, 160) == digits


def test_a_key_that_is_held_is_told_once_and_soon() -> None:
    detector = DtmfDetector()
    tone = dtmf("7", 2.0)
    told = [detector.feed(tone[start : start + 80]) for start in range(0, tone.size, 80)]
    assert "".join(told) == "7"
    assert told.index("7") < 5


def test_the_same_key_pressed_twice_is_told_twice() -> None:
    assert hear(dtmf_sequence("55", 0.04, 0.04)) == "55"


def test_keys_without_a_pause_between_them_are_both_heard() -> None:
    assert hear(np.concatenate((dtmf("1"), dtmf("9")))) == "19"


@pytest.mark.parametrize(("gap_s", "heard"), [(0.005, "5"), (0.010, "5"), (0.040, "55")])
def test_a_short_break_is_no_new_digit_but_a_pause_is(gap_s: float, heard: str) -> None:
    for shift in range(0, 51, 5):
        pcm = two_tones("5", tone_s=0.2)
        pcm[700 + shift : 700 + shift + round(gap_s * 8000)] = 0
        assert hear(pcm) == heard


@pytest.mark.parametrize(("tone_s", "heard"), [(0.015, ""), (0.023, ""), (0.040, "5")])
def test_a_tone_must_last(tone_s: float, heard: str) -> None:
    for shift in range(0, 51, 5):
        assert hear(two_tones("5", tone_s=tone_s)[shift:]) == heard


@every_digit
@pytest.mark.parametrize("phase", [0, 1, 2.5])
def test_frequencies_may_be_off_by_one_and_a_half_percent_but_not_by_three_and_a_half(
    digit: str, phase: float
) -> None:
    for off in (-0.015, 0.015):
        assert hear(two_tones(digit, off=off, phase=phase)) == digit
    for off in (-0.035, 0.035):
        assert hear(two_tones(digit, off=off, phase=phase)) == ""


@every_digit
@pytest.mark.parametrize("phase", [0, 1, 2.5])
def test_the_high_tone_may_be_four_decibels_louder_or_eight_fainter_but_not_much_more(
    digit: str, phase: float
) -> None:
    for twist_db in (-8, 0, 4):
        assert hear(two_tones(digit, high_over_low_db=twist_db, phase=phase)) == digit
    for twist_db in (-13, 9):
        assert hear(two_tones(digit, high_over_low_db=twist_db, phase=phase)) == ""


@pytest.mark.parametrize("hz", [697, 941, 1209, 1633])
def test_a_single_tone_is_no_digit(hz: float) -> None:
    tone = 9000 * np.sin(2 * pi * hz * np.arange(8000) / 8000)
    assert hear(over_the_line(tone)) == ""


def test_silence_has_no_digits() -> None:
    assert hear(g711.decode(bytes([g711.SILENCE]) * 16_000)) == ""


@pytest.mark.parametrize("amplitude", [300, 3000, 12_000])
def test_white_noise_has_no_digits(amplitude: int) -> None:
    assert hear(over_the_line(np.random.default_rng(amplitude).normal(0, amplitude, 160_000))) == ""


@pytest.mark.parametrize("path", SPEECH, ids=lambda path: str(path.name))
def test_speech_does_not_talk_off(path: Path) -> None:
    with path.open("rb") as source:
        pcm = wav.read(source).pcm[:, 0]
    assert hear(pcm) == ""
    shifted = pcm[37:].astype(np.float64) * 2.5
    assert hear(over_the_line(shifted)) == ""


def test_there_is_speech_to_try() -> None:
    assert len(SPEECH) == 20


def test_a_digit_pressed_after_speech_is_heard() -> None:
    with (AUDIO / "jfk.ulaw.wav").open("rb") as source:
        pcm = wav.read(source).pcm[:, 0]
    assert hear(np.concatenate((pcm, dtmf("#"), pcm))) == "#"
