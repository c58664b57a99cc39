"""Whisper's features."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from offhook.pipeline.providers.embedded.log_mel import RATE_HZ, log_mel


def tone(hz: float, seconds: float = 0.5) -> NDArray[np.float32]:
    return (0.3 * np.sin(2 * np.pi * hz * np.arange(int(seconds * RATE_HZ)) / RATE_HZ)).astype(np.float32)


def test_filled_in_silence_equals_computed_silence() -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, 5000).astype(np.float32)
    padded = np.concatenate([noise, np.zeros(16000, np.float32)])
    np.testing.assert_allclose(log_mel(noise, 120), log_mel(padded, 120), atol=1e-5)


@pytest.mark.parametrize(("hz", "band"), [(200, 4.4), (1000, 25.9), (3000, 54.5)])
def test_a_tone_lights_its_own_band(hz: float, band: float) -> None:
    features = log_mel(tone(hz), 50)
    assert features.shape == (80, 50)
    assert abs(int(features[:, 25].argmax()) - band) <= 1


def test_values_span_two_at_most() -> None:
    features = log_mel(tone(440), 300)
    assert features.dtype == np.float32
    assert float(features.max() - features.min()) == pytest.approx(2.0)


def test_digital_silence_and_no_audio_at_all_are_the_floor() -> None:
    for samples in (np.zeros(1000, np.float32), np.zeros(0, np.float32)):
        assert set(np.unique(log_mel(samples, 40))) == {-1.5}
