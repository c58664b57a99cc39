"""Spelled speech: the words are in the audio, however it is cut."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.lab.spelled_speech import (
    HEARD_BYTES,
    WORD_BYTES,
    WORDS,
    LevelVoiceActivity,
    SpelledVoice,
    SpellingTranscriber,
    read_words,
    spell,
)
from offhook.pipeline.phrases import Meaning, PhraseBook
from offhook.pipeline.ports import Transcript, VoiceWindow

QUIET = b"\xff"
texts = st.lists(st.sampled_from(WORDS), max_size=12).filter(
    lambda words: all(before != after for before, after in pairwise(words))
)


@given(texts)
def test_what_is_spelled_is_read(words: list[str]) -> None:
    assert read_words(spell(" ".join(words))) == words


@given(texts, st.data())
async def test_a_recogniser_reads_every_word_once_however_the_audio_is_cut(
    words: list[str], data: st.DataObject
) -> None:
    audio = spell(" ".join(words)) + QUIET * 400
    given_: list[Transcript] = []
    stream = SpellingTranscriber().open(given_.append, connection=0, begins_at_s=0.0)
    while audio:
        size = data.draw(st.integers(1, 3000))
        stream.push(audio[:size])
        audio = audio[size:]
    stream.speech_paused(0.0)
    await asyncio.sleep(0)
    assert given_[-1].text.split() == words
    assert given_[-1].final
    assert [item.sequence for item in given_] == list(range(1, len(given_) + 1))


def test_a_scrap_of_a_word_is_none_and_half_of_one_is() -> None:
    scrap, half = spell("lemon")[: HEARD_BYTES - 1], spell("olive")[:HEARD_BYTES]
    assert read_words(scrap + QUIET * 10 + half) == ["olive"]


def test_a_word_with_a_gap_in_it_is_one_and_one_that_is_said_twice_is_two() -> None:
    lemon = spell("lemon")
    assert read_words(lemon[:800] + QUIET * 900 + lemon[800:]) == ["lemon"]
    assert read_words(lemon[:800] + QUIET * 900 + lemon) == ["lemon"], "begun, and then said whole"
    assert read_words(lemon + QUIET * 900 + lemon) == ["lemon", "lemon"]


def test_a_word_that_nobody_can_spell_is_an_error() -> None:
    with pytest.raises(KeyError):
        spell("hello")


def test_signs_and_capitals_are_not_spelled() -> None:
    assert read_words(spell("Anchor, basket.")) == ["anchor", "basket"]


async def test_the_voice_says_each_word_at_its_time() -> None:
    pieces = [piece async for piece in SpelledVoice().speak("Anchor, basket candle.")]
    assert read_words(b"".join(piece.audio for piece in pieces)) == ["anchor", "basket", "candle"]
    timings = [timing for piece in pieces for timing in piece.words]
    assert [(timing.start_char, timing.end_char) for timing in timings] == [(0, 7), (8, 14), (15, 22)]
    assert [round(timing.start_s * 8000) for timing in timings] == [0, WORD_BYTES, 2 * WORD_BYTES]


async def test_words_of_an_utterance_that_is_over_do_not_come_again() -> None:
    given_: list[Transcript] = []
    stream = SpellingTranscriber().open(given_.append, connection=3, begins_at_s=2.0)
    stream.push(spell("anchor"))
    stream.end_utterance()
    stream.push(spell("basket"))
    stream.speech_paused(2.6)
    await asyncio.sleep(0)
    assert (given_[-1].text, given_[-1].utterance, given_[-1].connection) == ("basket", 1, 3)
    assert given_[-1].covers_s == pytest.approx(2.6)


async def test_loud_windows_are_speech_and_silence_is_none() -> None:
    windows: list[VoiceWindow] = []
    stream = LevelVoiceActivity().open(windows.append)
    stream.push(spell("anchor")[:512] + QUIET * 512)
    await asyncio.sleep(0)
    assert [window.probability > 0.5 for window in windows] == [True, True, False, False]
    stream.push(QUIET * 512)
    stream.close()
    await asyncio.sleep(0)
    assert len(windows) == 4


def test_every_word_says_something() -> None:
    from offhook.config.turn_taking import TurnTaking

    book = PhraseBook.of(TurnTaking(), "en")
    assert {book.meaning(word) for word in WORDS} == {Meaning.CONTENT}
