"""The resampler's law of counts, its independence of chunks, and its figures as a filter."""

from __future__ import annotations

from fractions import Fraction
from itertools import pairwise
from math import pi

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from offhook.codecs import resample as resample_module
from offhook.codecs.resample import Resampler, ResamplerRows, resample

Pcm = NDArray[np.int16]

TELEPHONE = [(8000, 16_000), (16_000, 8000), (24_000, 8000), (48_000, 8000), (22_050, 8000), (8000, 24_000)]
WIDE = [(24_000, 16_000), (16_000, 24_000), (48_000, 16_000)]
EVERY = [*TELEPHONE, *WIDE, (16_000, 16_000)]
FRAME_S = Fraction(1, 50)
OFF_GRID_HZ = [313.7, 1013.7, 2221.3, 3037.9, 3391.3]

pairs = pytest.mark.parametrize(("in_hz", "out_hz"), EVERY)
telephone_pairs = pytest.mark.parametrize(("in_hz", "out_hz"), TELEPHONE)


def tone(hz: float, rate_hz: int, length_s: float = 0.5, amplitude: float = 10_000) -> Pcm:
    time_s = np.arange(round(length_s * rate_hz)) / rate_hz
    return np.rint(amplitude * np.sin(2 * pi * hz * time_s)).astype(np.int16)


def loud_noise(samples: int, seed: int = 7) -> Pcm:
    return np.random.default_rng(seed).integers(-32_768, 32_768, samples).astype(np.int16)


def in_frames(pcm: Pcm, in_hz: int, out_hz: int) -> Pcm:
    """The stream's output, fed 20 ms at a time."""
    resampler, size = Resampler(in_hz, out_hz), int(in_hz * FRAME_S)
    return np.concatenate([resampler.feed(pcm[at : at + size]) for at in range(0, pcm.size, size)])


def settled(pcm: Pcm, rate_hz: int) -> Pcm:
    """What comes after the first 20 ms, when the filter is full."""
    return pcm[int(rate_hz * FRAME_S) :]


def fit(pcm: Pcm, rate_hz: int, hz: float, start: int) -> tuple[complex, NDArray[np.float64]]:
    """The amplitude and phase of the tone at `hz` by least squares, and what remains without it."""
    turns = 2 * pi * hz * (start + np.arange(pcm.size)) / rate_hz
    basis = np.stack((np.sin(turns), np.cos(turns)), axis=1)
    (sine, cosine), *_ = np.linalg.lstsq(basis, pcm.astype(np.float64), rcond=None)
    return complex(sine, cosine), pcm - basis @ np.array([sine, cosine])


def decibels(ratio: float) -> float:
    return float(20 * np.log10(ratio))


@st.composite
def cut_streams(draw: st.DrawFn) -> tuple[Pcm, list[int]]:
    """A stream of extreme samples and where it is cut, empty and single-sample chunks among them."""
    size = draw(st.integers(0, 1500))
    pcm = loud_noise(size, draw(st.integers(0, 1000)))
    cuts = draw(st.lists(st.integers(0, size), max_size=12))
    singles = range(min(draw(st.integers(0, 30)), size))
    return pcm, sorted([0, *singles, *cuts, size])


@pairs
@settings(max_examples=40, deadline=None)
@given(stream=cut_streams())
def test_a_stream_cut_anywhere_equals_the_stream_in_one_piece(
    in_hz: int, out_hz: int, stream: tuple[Pcm, list[int]]
) -> None:
    pcm, cuts = stream
    whole, pieces = Resampler(in_hz, out_hz), Resampler(in_hz, out_hz)
    expected = np.concatenate((whole.feed(pcm), whole.flush()))
    fed = [pieces.feed(pcm[start:end]) for start, end in pairwise(cuts)]
    assert np.array_equal(np.concatenate((*fed, pieces.flush())), expected)


@pairs
@settings(max_examples=25, deadline=None)
@given(sizes=st.lists(st.integers(0, 700), max_size=20))
def test_as_many_samples_are_out_as_the_ratio_says_after_every_chunk(
    in_hz: int, out_hz: int, sizes: list[int]
) -> None:
    resampler, taken, made = Resampler(in_hz, out_hz), 0, 0
    for size in sizes:
        out = resampler.feed(np.zeros(size, np.int16))
        taken, made = taken + size, made + out.size
        assert out.dtype == np.int16
        assert made == taken * out_hz // in_hz


@pairs
def test_every_frame_of_twenty_milliseconds_gives_exactly_twenty_milliseconds(
    in_hz: int, out_hz: int
) -> None:
    resampler = Resampler(in_hz, out_hz)
    frame = np.ones(int(in_hz * FRAME_S), np.int16)
    assert {resampler.feed(frame).size for _ in range(10)} == {int(out_hz * FRAME_S)}


@pytest.mark.parametrize(("in_hz", "out_hz"), [(24_000, 8000), (8000, 16_000)])
def test_a_recording_longer_than_a_piece_equals_its_frames(in_hz: int, out_hz: int) -> None:
    pcm = loud_noise(2 * in_hz + 17)
    assert np.array_equal(Resampler(in_hz, out_hz).feed(pcm), in_frames(pcm, in_hz, out_hz))


@pairs
def test_sums_are_exact_in_float64_so_their_order_cannot_matter(in_hz: int, out_hz: int) -> None:
    taps = resample_module._bank(in_hz, out_hz).taps
    steps = taps * 2.0**24
    assert np.array_equal(steps, np.rint(steps))
    assert np.abs(steps).sum(axis=0).max() * 32_768 < 2**42


@pytest.mark.parametrize(("in_hz", "out_hz"), [(8000, 16_000), (24_000, 8000), (24_000, 16_000)])
def test_the_samples_are_those_of_integer_arithmetic(in_hz: int, out_hz: int) -> None:
    bank = resample_module._bank(in_hz, out_hz)
    steps = [[int(tap * 2**24) for tap in phase] for phase in bank.taps.T]
    pcm = loud_noise(bank.down * 64)
    padded = [0] * bank.history + pcm.tolist()
    exact = []
    for first in range(0, 64 * bank.down, bank.span * bank.down):
        window = padded[first : first + len(bank.taps)]
        for phase in steps:
            total = sum(tap * sample for tap, sample in zip(phase, window, strict=True))
            exact.append(min(max(round(Fraction(total, 2**24)), -32_768), 32_767))
    assert Resampler(in_hz, out_hz).feed(pcm).tolist() == exact


@pairs
@pytest.mark.parametrize("level", [-32_768, -1, 0, 12_345, 32_767])
def test_a_constant_passes_unchanged(in_hz: int, out_hz: int, level: int) -> None:
    out = in_frames(np.full(in_hz // 10, level, np.int16), in_hz, out_hz)
    assert set(settled(out, out_hz).tolist()) == {level}


@pairs
def test_the_loudest_signal_saturates_and_does_not_wrap(in_hz: int, out_hz: int) -> None:
    half_cycle = in_hz // 400
    square = np.repeat(np.array([32_767, -32_768] * 20, np.int16), half_cycle)
    out = resample(square, in_hz, out_hz)
    middles = (np.arange(40) + 0.5) * half_cycle * out_hz / in_hz
    assert np.sign(out[middles.astype(int)]).tolist() == [1, -1] * 20
    assert (int(out.max()), int(out.min())) == (32_767, -32_768)


@telephone_pairs
def test_the_delay_is_short_and_what_it_says(in_hz: int, out_hz: int) -> None:
    delay_s = Resampler(in_hz, out_hz).delay_s
    assert 0.001 < delay_s <= 0.0015
    for hz in OFF_GRID_HZ:
        start = int(out_hz * FRAME_S)
        out = settled(in_frames(tone(hz, in_hz), in_hz, out_hz), out_hz)
        phasor, _ = fit(out, out_hz, hz, start)
        behind = phasor * np.exp(2j * pi * hz * delay_s)
        assert abs(np.angle(behind)) / (2 * pi * hz) < 1e-6


@telephone_pairs
def test_an_impulse_comes_out_once_after_the_delay(in_hz: int, out_hz: int) -> None:
    ratio = Fraction(out_hz, in_hz)
    at = ratio.denominator * 10
    impulse = np.zeros(ratio.denominator * 20 + in_hz // 50, np.int16)
    impulse[at] = 30_000
    resampler = Resampler(in_hz, out_hz)
    out = resampler.feed(impulse)
    assert int(np.abs(out).argmax()) == at * ratio + round(resampler.delay_s * out_hz)


@telephone_pairs
@pytest.mark.parametrize("hz", OFF_GRID_HZ)
def test_speech_frequencies_pass_unchanged(in_hz: int, out_hz: int, hz: float) -> None:
    out = settled(in_frames(tone(hz, in_hz), in_hz, out_hz), out_hz)
    phasor, _ = fit(out, out_hz, hz, 0)
    assert abs(decibels(abs(phasor) / 10_000)) < 0.1


@telephone_pairs
@pytest.mark.parametrize("hz", [313.7, 1013.7, 2221.3])
def test_no_frame_edge_clicks(in_hz: int, out_hz: int, hz: float) -> None:
    out = settled(in_frames(tone(hz, in_hz), in_hz, out_hz), out_hz)
    _, residual = fit(out, out_hz, hz, 0)
    # Nothing but rounding and what the filter leaves of the images; a click would be a hundred times that.
    assert decibels(np.abs(residual).max() / 10_000) < -60
    size = int(out_hz * FRAME_S)
    by_place_in_frame = np.abs(residual[: residual.size // size * size]).reshape(-1, size).max(axis=0)
    assert by_place_in_frame[[0, 1, -2, -1]].max() <= 1.5 * np.median(by_place_in_frame) + 1


@pytest.mark.parametrize("in_hz", [16_000, 24_000, 48_000, 22_050])
def test_what_lies_above_the_telephone_band_is_rejected_on_the_way_down(in_hz: int) -> None:
    for hz in np.arange(4603.7, in_hz / 2 - 50, 331.9):
        out = settled(in_frames(tone(float(hz), in_hz, amplitude=30_000), in_hz, 8000), 8000)
        worst = np.sqrt(2 * np.square(out.astype(np.float64)).mean()) / 30_000
        assert decibels(worst + 1e-9) < -58, hz


@pytest.mark.parametrize("out_hz", [16_000, 24_000, 48_000])
def test_no_images_above_the_telephone_band_on_the_way_up(out_hz: int) -> None:
    for hz in np.arange(113.7, 3400, 297.3):
        out = settled(in_frames(tone(float(hz), 8000, amplitude=30_000), 8000, out_hz), out_hz)
        _, residual = fit(out, out_hz, float(hz), 0)
        assert decibels(np.sqrt(2 * np.square(residual).mean()) / 30_000) < -58, hz


@pytest.mark.parametrize(("in_hz", "out_hz"), WIDE)
def test_between_wide_rates_the_band_is_wide_too(in_hz: int, out_hz: int) -> None:
    out = settled(in_frames(tone(6783.7, in_hz), in_hz, out_hz), out_hz)
    phasor, _ = fit(out, out_hz, 6783.7, 0)
    assert abs(decibels(abs(phasor) / 10_000)) < 0.1


@pairs
def test_flush_gives_out_everything_that_is_still_inside(in_hz: int, out_hz: int) -> None:
    resampler = Resampler(in_hz, out_hz)
    pcm = np.zeros(in_hz // 50, np.int16)
    pcm[-1] = 30_000
    response = np.concatenate((resampler.feed(pcm), resampler.flush())).astype(np.int64)
    pcm = np.concatenate((pcm, np.zeros(in_hz // 10, np.int16)))
    endless = Resampler(in_hz, out_hz).feed(pcm)
    assert np.array_equal(response, endless[: response.size])
    assert not endless[response.size :].any()


@pairs
def test_after_a_flush_the_stream_is_a_new_one(in_hz: int, out_hz: int) -> None:
    resampler, pcm = Resampler(in_hz, out_hz), loud_noise(777)
    first = np.concatenate((resampler.feed(pcm), resampler.flush()))
    assert resampler.flush().size == 0
    assert np.array_equal(np.concatenate((resampler.feed(pcm), resampler.flush())), first)


def test_flush_of_a_stream_that_never_began_gives_nothing() -> None:
    resampler = Resampler(24_000, 8000)
    resampler.feed(np.empty(0, np.int16))
    assert resampler.flush().size == 0


@pairs
@settings(max_examples=20, deadline=None)
@given(size=st.integers(0, 2000))
def test_a_whole_recording_keeps_its_length(in_hz: int, out_hz: int, size: int) -> None:
    out = resample(np.zeros(size, np.int16), in_hz, out_hz)
    assert out.shape == (round(Fraction(size * out_hz, in_hz)),)


@pairs
def test_a_whole_recording_stays_in_time(in_hz: int, out_hz: int) -> None:
    out = settled(resample(tone(1013.7, in_hz), in_hz, out_hz), out_hz)[: -out_hz // 50]
    phasor, _ = fit(out, out_hz, 1013.7, int(out_hz * FRAME_S))
    assert abs(np.angle(phasor)) < 1e-3


def test_equal_rates_change_nothing() -> None:
    pcm = loud_noise(500)
    resampler = Resampler(8000, 8000)
    assert resampler.delay_s == 0
    assert np.array_equal(resampler.feed(pcm), pcm)
    assert resampler.flush().size == 0


@settings(max_examples=30, deadline=None)
@given(sizes=st.lists(st.integers(1, 400), min_size=1, max_size=5), data=st.data())
@pytest.mark.parametrize("out_hz", [16_000, 24_000, 8000])
def test_streams_in_rows_sound_as_if_each_had_a_resampler(
    out_hz: int, sizes: list[int], data: st.DataObject
) -> None:
    rows = ResamplerRows(8000, out_hz)
    alone = {rows.acquire(): Resampler(8000, out_hz) for _ in range(20)}
    for turn, size in enumerate(sizes):
        fed = data.draw(st.lists(st.sampled_from(sorted(alone)), min_size=1, unique=True))
        pcm = loud_noise(len(fed) * size, turn).reshape(len(fed), size)
        expected = [alone[row].feed(chunk) for row, chunk in zip(fed, pcm, strict=True)]
        assert np.array_equal(rows.feed(fed, pcm), np.stack(expected))


def test_a_row_that_is_used_again_knows_nothing_of_its_last_stream() -> None:
    rows = ResamplerRows(8000, 16_000)
    first = rows.acquire()
    rows.feed([first], loud_noise(160).reshape(1, -1))
    rows.release(first)
    again = rows.acquire()
    pcm = loud_noise(160, 1)
    assert again == first
    assert np.array_equal(rows.feed([again], pcm.reshape(1, -1))[0], Resampler(8000, 16_000).feed(pcm))


def test_rows_are_for_whole_multiples_of_the_rate() -> None:
    with pytest.raises(ValueError, match="no whole multiple"):
        ResamplerRows(8000, 22_050)


@pytest.mark.parametrize(("in_hz", "out_hz"), [(0, 8000), (8000, -1)])
def test_a_rate_that_is_not_positive_is_refused(in_hz: int, out_hz: int) -> None:
    with pytest.raises(ValueError, match="positive"):
        Resampler(in_hz, out_hz)


def test_a_ratio_of_large_numbers_is_refused() -> None:
    with pytest.raises(ValueError, match="8000:8001"):
        Resampler(8001, 8000)
