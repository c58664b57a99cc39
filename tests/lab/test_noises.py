"""Noises: as long, as loud and as repeatable as asked for."""

from __future__ import annotations

import numpy as np
import pytest

from offhook.lab.noises import KINDS, active_dbfs, at_level, mixed, noise

SECONDS = 3.0


@pytest.mark.parametrize("kind", KINDS)
def test_a_noise_has_the_length_and_the_active_level_that_were_asked_for(kind: str) -> None:
    sound = noise(kind, SECONDS, seed=1, level_dbfs=-30)
    assert sound.dtype == np.int16
    assert len(sound) == SECONDS * 8000
    assert active_dbfs(sound) == pytest.approx(-30, abs=0.7)


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_is_all_the_chance_there_is(kind: str) -> None:
    assert np.array_equal(noise(kind, 1.0, 5, -30), noise(kind, 1.0, 5, -30))
    if kind != "click":
        assert not np.array_equal(noise(kind, 1.0, 5, -30), noise(kind, 1.0, 6, -30))


@pytest.mark.parametrize("kind", ["click", "beep", "cough", "throat_clearing", "door_slam"])
def test_a_single_event_comes_at_once_and_leaves_silence(kind: str) -> None:
    sound = noise(kind, SECONDS, seed=2, level_dbfs=-20)
    assert np.abs(sound[:400]).max() > 50
    assert not sound[2 * 8000 :].any()


@pytest.mark.parametrize("kind", KINDS)
def test_a_noise_of_no_length_is_empty(kind: str) -> None:
    assert len(noise(kind, 0.0, seed=1, level_dbfs=-30)) == 0


def test_an_unknown_noise_names_the_known_ones() -> None:
    with pytest.raises(ValueError, match="there are breathing, keyboard"):
        noise("whale", 1.0, 1, -30)


def test_a_cafe_is_made_of_the_voices_it_is_given() -> None:
    speech = np.tile(np.array([8000, -8000], np.int16), 4000)
    given = noise("cafe", 2.0, 3, -30, voices=(speech,))
    assert not np.array_equal(given, noise("cafe", 2.0, 3, -30))


def test_noise_lies_below_the_active_speech_by_the_ratio() -> None:
    tone = (10000 * np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)).astype(np.int16)
    speech = np.concatenate([tone, np.zeros(8000, np.int16)])
    fan = noise("fan", 1.0, 1, -10)
    together = mixed(speech, fan, snr_db=10)
    assert len(together) == len(speech)
    behind = together[8000:]
    assert active_dbfs(behind) == pytest.approx(active_dbfs(speech) - 10, abs=0.5)


def test_silence_stays_silent_at_any_level() -> None:
    assert not at_level(np.zeros(1600, np.int16), -10).any()


def test_nothing_cannot_be_mixed_in() -> None:
    with pytest.raises(ValueError, match="no noise"):
        mixed(np.ones(160, np.int16), np.zeros(0, np.int16), 10)
