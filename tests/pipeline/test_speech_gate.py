"""Stretches of speech on a line that is quiet, and on one that is not."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from offhook.pipeline.evidence import Activity
from offhook.pipeline.line_noise import WINDOWS, LineNoise
from offhook.pipeline.ports import VoiceWindow
from offhook.pipeline.speech_gate import SpeechGate

WINDOW_S = 0.032
BABBLE = [-34.0, -37.0, -31.0, -35.0, -39.0, -33.0, -30.0, -36.0]
"""Voices in the background: speech to the model, in every window."""


class Heard:
    """A gate and what it said."""

    def __init__(self) -> None:
        self.gate = SpeechGate(0.5, 0.06)
        self.said: list[Activity] = [Activity(0.0, speaking=False, onset_s=0.0, last_speech_s=0.0)]

    def windows(self, levels: list[float], probability: float = 0.95) -> Heard:
        for level in levels:
            media_s = self.said[-1].media_s + WINDOW_S
            self.said.append(self.gate.feed(VoiceWindow(media_s, probability, level)))
        return self

    @property
    def onsets(self) -> int:
        return sum(now.speaking and not before.speaking for before, now in pairwise(self.said))


def test_voices_in_the_background_are_nobody_after_the_first_seconds() -> None:
    heard = Heard().windows(BABBLE * 20)
    before = heard.onsets
    heard.windows(BABBLE * 50)
    assert before <= 1
    assert heard.onsets == before
    assert not heard.said[-1].speaking


def test_a_caller_above_the_background_is_heard_and_ends() -> None:
    heard = Heard().windows(BABBLE * 20)
    before = heard.onsets
    heard.windows([-22.0, -20.0, -24.0, -21.0] * 8)
    assert heard.onsets == before + 1
    assert heard.said[-1].speaking
    heard.windows(BABBLE * 2)
    assert not heard.said[-1].speaking


def test_on_a_quiet_line_a_very_quiet_caller_is_heard() -> None:
    heard = Heard().windows([-68.0] * 60, probability=0.02).windows([-50.0] * 5)
    assert heard.onsets == 1


def test_a_caller_who_speaks_as_the_line_opens_is_heard() -> None:
    assert Heard().windows([-25.0, -22.0, -30.0] * 8).onsets == 1


def test_a_line_that_becomes_loud_is_learned_within_four_seconds() -> None:
    heard = Heard().windows([-68.0] * 200, probability=0.02)
    heard.windows(BABBLE * 16)
    onsets = heard.onsets
    heard.windows(BABBLE * 30)
    assert heard.onsets == onsets


@given(st.lists(st.floats(-100, 0), max_size=3 * WINDOWS))
def test_the_floor_is_a_level_that_was_there_or_that_of_silence(levels: list[float]) -> None:
    noise = LineNoise()
    for level in levels:
        noise.add(level, speech=True)
    assert noise.floor_dbfs == -70.0 or noise.floor_dbfs in levels[-WINDOWS:]
    if levels:
        assert noise.floor_dbfs <= max(-70.0, *levels[-WINDOWS:])
