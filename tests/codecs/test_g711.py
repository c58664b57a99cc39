"""G.711 mu-law against an independent encoder, sample by sample, and against golden values."""

from __future__ import annotations

import hashlib

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from offhook.codecs import g711

ALL_CODES = bytes(range(256))
ALL_SAMPLES = np.arange(-32_768, 32_768).astype(np.int16)


def reference_code(sample: int) -> int:
    """Encode one sample bit by bit, as a hardware compressor does: find the leading one, keep four bits."""
    sign, magnitude = (0x80, -sample - 1) if sample < 0 else (0, sample)
    register = min(magnitude // 4 + 33, 8191)
    segment = 7
    while not register & 0x1000:
        register *= 2
        segment -= 1
    steps = register // 0x100 % 16
    return 255 - (sign + segment * 16 + steps)


def reference_level(code: int) -> int:
    """Decode one code by the sum of its segment's start and its steps (G.711, table 2, 16-bit scale)."""
    inverted = 255 - code
    segment, step = inverted % 128 // 16, inverted % 16
    start = sum(16 * 8 * (1 << below) for below in range(segment))
    # Segment 0 counts in steps of 8 from zero; every later level lies in the middle of its interval.
    level = start + step * (8 << segment) + ((1 << segment) - 1) * 4
    return -level if inverted >= 128 else level


def test_every_one_of_the_65536_samples_gets_the_code_of_the_reference_encoder() -> None:
    assert g711.encode(ALL_SAMPLES) == bytes(reference_code(sample) for sample in ALL_SAMPLES.tolist())


def test_every_one_of_the_256_codes_gets_the_level_of_the_reference_decoder() -> None:
    assert g711.decode(ALL_CODES).tolist() == [reference_level(code) for code in ALL_CODES]


def test_the_tables_have_their_golden_hashes() -> None:
    levels = g711.decode(ALL_CODES).astype("<i2").tobytes()
    assert hashlib.sha256(levels).hexdigest() == (
        "3dab54339e520bb2c924826e3b72a917a2b612e9fd12fc867500f1d983a75827"
    )
    assert hashlib.sha256(g711.encode(ALL_SAMPLES)).hexdigest() == (
        "90c29de505fb68e766118303bd552a16005dcf810873698bee1d8f3b247ce28c"
    )


def test_a_code_survives_decoding_and_encoding_but_for_the_second_zero() -> None:
    assert g711.encode(g711.decode(ALL_CODES)) == ALL_CODES.replace(b"\x7f", b"\xff")


def test_silence_is_a_zero_and_a_zero_is_silence() -> None:
    assert g711.decode(bytes([g711.SILENCE])).tolist() == [0]
    assert g711.encode(np.zeros(3, np.int16)) == bytes([g711.SILENCE] * 3)


def test_idle_noise_of_one_step_below_zero_stays_silent() -> None:
    assert g711.decode(g711.encode(np.array([-4, -3, -2, -1, 0, 1, 2, 3], np.int16))).tolist() == [0] * 8


def test_floats_are_the_samples_on_a_scale_of_one() -> None:
    levels = g711.decode_float(ALL_CODES)
    assert levels.dtype == np.float32
    assert np.array_equal(levels * 32_768, g711.decode(ALL_CODES))
    assert np.abs(levels).max() < 1


def test_nothing_in_gives_nothing_out() -> None:
    assert g711.decode(b"").shape == g711.decode_float(b"").shape == (0,)
    assert g711.encode(np.empty(0, np.int16)) == b""


def test_samples_that_are_not_contiguous_encode_like_a_copy_of_them() -> None:
    assert g711.encode(ALL_SAMPLES[::7]) == g711.encode(ALL_SAMPLES[::7].copy())


@given(st.integers(-32_124, 32_124))
def test_a_round_trip_stays_within_half_a_step_of_the_sample(sample: int) -> None:
    decoded = int(g711.decode(g711.encode(np.array([sample], np.int16)))[0])
    step = 8 << max(0, (abs(sample) // 4 + 33).bit_length() - 6)
    assert abs(decoded - sample) <= step // 2
