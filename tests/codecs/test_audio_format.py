"""Converting streams of bytes between the formats of the line, the models and the vendors."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offhook.codecs import g711
from offhook.codecs.audio_format import MULAW_8K, PCM_8K, PCM_16K, PCM_24K, AudioFormat, converter
from offhook.codecs.resample import Resampler

FORMATS = [MULAW_8K, PCM_8K, PCM_16K, PCM_24K]


@pytest.mark.parametrize("audio_format", FORMATS, ids=str)
def test_equal_formats_give_the_same_bytes_object_back(audio_format: AudioFormat) -> None:
    unchanged = converter(audio_format, AudioFormat(audio_format.encoding, audio_format.rate_hz))
    data = b"\x01\x02\x03"
    assert unchanged.feed(data) is data
    assert unchanged.flush() == b""
    assert unchanged.delay_s == 0


def test_mulaw_becomes_linear_and_linear_becomes_mulaw() -> None:
    codes = bytes(range(128, 256))
    linear = converter(MULAW_8K, PCM_8K).feed(codes)
    assert linear == g711.decode(codes).astype("<i2").tobytes()
    assert converter(PCM_8K, MULAW_8K).feed(linear) == codes


def test_the_callers_frame_becomes_what_a_recogniser_hears() -> None:
    to_recogniser = converter(MULAW_8K, PCM_16K)
    frame = bytes(range(160))
    expected = Resampler(8000, 16_000).feed(g711.decode(frame))
    assert to_recogniser.feed(frame) == expected.astype("<i2").tobytes()
    assert to_recogniser.delay_s == Resampler(8000, 16_000).delay_s


def test_a_voices_chunk_becomes_carrier_bytes_of_the_same_length_in_time() -> None:
    to_line = converter(PCM_24K, MULAW_8K)
    chunk = bytes(PCM_24K.bytes_per_s // 10)
    assert to_line.feed(chunk) == bytes([g711.SILENCE]) * (MULAW_8K.bytes_per_s // 10)


@pytest.mark.parametrize(("source", "target"), list(product(FORMATS, FORMATS)), ids=str)
@settings(max_examples=15, deadline=None)
@given(data=st.binary(max_size=900), cuts=st.lists(st.integers(0, 900), max_size=8))
def test_chunks_may_be_cut_anywhere_even_within_a_sample(
    source: AudioFormat, target: AudioFormat, data: bytes, cuts: list[int]
) -> None:
    data = data[: len(data) - len(data) % source.bytes_per_sample]
    whole, pieces = converter(source, target), converter(source, target)
    expected = whole.feed(data) + whole.flush()
    places = sorted({0, len(data), *(min(cut, len(data)) for cut in cuts)})
    fed = b"".join(pieces.feed(data[start:end]) for start, end in pairwise(places))
    assert fed + pieces.flush() == expected


def test_half_a_sample_at_the_very_end_is_dropped() -> None:
    to_line = converter(PCM_8K, MULAW_8K)
    assert to_line.feed(b"\0\0\0") == b"\xff"
    assert to_line.flush() == b""
    assert to_line.feed(np.array([1000], "<i2").tobytes()) == g711.encode(np.array([1000], np.int16))


def test_flush_gives_the_resamplers_tail() -> None:
    to_line = converter(PCM_24K, MULAW_8K)
    loud = np.full(480, 9000, "<i2").tobytes()
    fed = to_line.feed(loud)
    tail = to_line.flush()
    assert len(tail) >= round(to_line.delay_s * 8000)
    assert np.abs(g711.decode(tail)).max() > 8000
    assert to_line.feed(loud) == fed


def test_a_format_knows_its_sizes_and_its_name() -> None:
    assert (MULAW_8K.bytes_per_sample, MULAW_8K.bytes_per_s) == (1, 8000)
    assert (PCM_24K.bytes_per_sample, PCM_24K.bytes_per_s) == (2, 48_000)
    assert str(PCM_16K) == "pcm16 16000 Hz"


def test_rates_that_do_not_fit_are_refused_before_any_audio() -> None:
    with pytest.raises(ValueError, match="ratio"):
        converter(AudioFormat("pcm16", 8001), PCM_8K)
