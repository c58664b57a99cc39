"""How a caller's steps become sound, with a voice that is a tone."""

from __future__ import annotations

import numpy as np
import pytest

from offhook.codecs import g711
from offhook.lab.caller_audio import audio_of
from offhook.lab.hearing import level_dbfs
from offhook.lab.script import Say, Script, Silence

TONE = g711.encode((8000 * np.sin(2 * np.pi * 400 * np.arange(4000) / 8000)).astype(np.int16))


async def speak(text: str) -> bytes:
    """Half a second of a tone between two silences, whatever the text."""
    return b"\xff" * 1600 + TONE + b"\xff" * 1600


async def said(say: Say) -> bytes:
    return (await audio_of(Script((Silence(1), say)), speak))[1]


async def test_a_pause_is_measured_from_sound_to_sound() -> None:
    audio = await said(Say("one two", parts=("one", 0.9, "two")))
    loud = np.flatnonzero(np.abs(g711.decode(audio).astype(int)) > 150)
    longest_gap_s = np.diff(loud).max() / 8000
    assert longest_gap_s == pytest.approx(0.9, abs=0.03)


async def test_a_quieter_word_is_quieter_by_so_much() -> None:
    plain, quiet = await said(Say("one")), await said(Say("one", level_db=-12))
    assert level_dbfs(quiet) - level_dbfs(plain) == pytest.approx(-12, abs=0.3)


async def test_a_faster_word_is_shorter_and_higher() -> None:
    fast = g711.decode(await said(Say("one", speed=1.25)))
    assert len(fast) == round(7200 / 1.25)
    spectrum = np.abs(np.fft.rfft(fast.astype(float)))
    assert spectrum.argmax() * 8000 / len(fast) == pytest.approx(500, abs=3)


async def test_a_noise_is_a_sound_of_the_callers() -> None:
    say = Say(sound="cough", length_s=1.5)
    assert len(await said(say)) == 12_000
    assert say.label == "(cough)"
