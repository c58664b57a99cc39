"""Text to carrier bytes with word times, with the real voice."""

from __future__ import annotations

import numpy as np
import pytest

from offhook.codecs import g711
from offhook.pipeline.providers.embedded import hibari_speech
from offhook.pipeline.providers.embedded.hibari_speech import HibariSpeech
from offhook.pipeline.providers.embedded.jobs import Decode, Speak, Spoken

pytestmark = pytest.mark.realtime


@pytest.fixture(scope="module")
def voice() -> HibariSpeech:
    return HibariSpeech()


def spoken_words(voice: HibariSpeech, text: str) -> list[str]:
    pieces = list(voice.speak(text))
    assert not any(piece.estimated for piece in pieces)
    for piece in pieces:
        times = [time for word in piece.words for time in (word.start_s, word.end_s)]
        assert times == sorted(times)
        assert times[0] >= 0
        assert times[-1] <= len(piece.mulaw) / 8000
    return [text[word.start_char : word.end_char] for piece in pieces for word in piece.words]


@pytest.mark.parametrize(
    "text",
    [
        "Hello there, how can I help you today?",
        "Your order number is 12345.",
        "That comes to $4.99 in total.",
        "We open at 9 a.m. and close at 5:30 pm on Monday.",
        "Please call 555-0192 or (415) 555-2671.",
        "The flight AB123 leaves on 12/05/2024, doesn't it?",
        "Dr. Smith lives at 221B Baker St. Call him.",
        "It costs 50% more & takes 3-4 days.",
        "1. First thing. 2. Second thing.",
        "Email me at bob@example.com (if you can).",
        "+44 20 7946 0958",
    ],
)
def test_every_word_has_its_time(voice: HibariSpeech, text: str) -> None:
    assert spoken_words(voice, text) == text.split()


def test_a_sign_without_sound_belongs_to_a_word_beside_it(voice: HibariSpeech) -> None:
    assert spoken_words(voice, "- yes — and no") == ["- yes —", "and", "no"]


@pytest.mark.parametrize("text", ["", "...", "\U0001f600", "()"])
def test_a_text_without_sound_is_short_and_fails_nobody(voice: HibariSpeech, text: str) -> None:
    assert sum(len(piece.mulaw) for piece in voice.speak(text)) < 4000


def test_a_sentence_without_end_is_cut_and_all_of_it_is_spoken(voice: HibariSpeech) -> None:
    text = "and then we went on, " * 60
    pieces = list(voice.speak(text))
    assert len(pieces) > 2
    assert sum(len(piece.words) for piece in pieces) == 300


def test_sound_begins_within_40_ms_and_is_loud_but_not_clipped(voice: HibariSpeech) -> None:
    for text in ("Good morning.", "STOP RIGHT THERE!"):
        (piece,) = voice.speak(text)
        pcm = g711.decode_float(piece.mulaw)
        loud = np.flatnonzero(np.abs(pcm) > 0.02)
        assert loud[0] < 0.06 * 8000
        assert 0.3 < float(np.abs(pcm).max()) < 0.95


def test_speech_at_twice_the_pace_lasts_about_half_as_long(voice: HibariSpeech) -> None:
    text = "Your parcel will arrive on Tuesday morning"
    lengths = [
        sum(len(answer.mulaw) for answer in voice.answer(Speak(text, speed)) if isinstance(answer, Spoken))
        for speed in (0.5, 1.0, 2.0)
    ]
    slow, plain, fast = lengths
    assert 1.5 < slow / plain < 2.5
    assert 1.4 < plain / fast < 2.5


def test_without_durations_the_times_are_shared_out_by_letters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hibari_speech, "_DURATIONS", "/no_such_tensor")
    (piece,) = HibariSpeech().speak("one three")
    assert piece.estimated
    assert [(word.start_char, word.end_char) for word in piece.words] == [(0, 3), (4, 9)]
    assert piece.words[0].end_s == pytest.approx(piece.words[1].end_s * 3 / 8)


def test_a_voice_does_not_listen(voice: HibariSpeech) -> None:
    with pytest.raises(TypeError):
        list(voice.answer(Decode(b"")))


def test_a_voice_that_is_not_on_this_machine_is_not_fetched() -> None:
    with pytest.raises(FileNotFoundError):
        HibariSpeech("emma")
