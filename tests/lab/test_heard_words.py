"""How much of a reply was heard: the counting alone, and with the real recogniser and voice."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator

import pytest

from offhook.codecs.audio_format import MULAW_8K
from offhook.lab.agent_words import listening
from offhook.lab.heard_words import (
    HeardWords,
    Rendition,
    WordSpan,
    count_heard_words,
    heard_words,
    match,
    render,
)
from offhook.pipeline.clock import LoopClock
from offhook.pipeline.ports import SpokenAudio, WordTiming
from offhook.pipeline.providers.embedded.hibari_voice import HibariVoice
from offhook.pipeline.providers.embedded.jobs import HeardWord
from offhook.pipeline.providers.embedded.model_process import ModelProcess
from offhook.pipeline.segmenter import clauses_of
from offhook.pipeline.shared_voice import SharedVoiceStream

TEXT = "We ship every order within one business day. Standard delivery takes three days."
RENDITION = Rendition(TEXT, tuple(WordSpan(0.4 * index, 0.4 * index + 0.3) for index in range(13)))
"""A word every 0.4 s, each 0.3 s long."""


def heard(*words: str, late_s: float = 0.0) -> list[HeardWord]:
    """Words as the recogniser gives them for a recording that begins `late_s` before the reply."""
    starts = [late_s + 0.4 * index for index in range(len(words))]
    return [HeardWord(word, start, start + 0.3, 1.0) for word, start in zip(words, starts, strict=True)]


FRONT = ("We", "ship", "every", "order")


def count(words: list[HeardWord], end_s: float) -> int:
    return count_heard_words(RENDITION, words, end_s).count


def test_nothing_heard_is_nothing() -> None:
    assert count_heard_words(RENDITION, [], 0.0) == HeardWords(0, "")
    assert count([], 0.5) == 0


def test_words_that_were_said_are_counted() -> None:
    assert count_heard_words(RENDITION, heard(*FRONT), 1.5) == HeardWords(4, "We ship every order")


def test_the_first_sound_places_the_end_where_it_agrees_with_the_words() -> None:
    early = heard(*FRONT, late_s=-0.06)
    assert count_heard_words(RENDITION, early, 1.72).count == 5
    assert count_heard_words(RENDITION, early, 1.72, begin_s=0.0).count == 4
    after_a_pause = heard(*FRONT, late_s=1.0)
    assert count_heard_words(RENDITION, after_a_pause, 2.4, begin_s=0.0).count == 4


@pytest.mark.parametrize(("end_s", "words"), [(1.70, 4), (1.74, 4), (1.76, 5), (1.9, 5)])
def test_a_word_counts_when_more_than_half_of_it_sounded(end_s: float, words: int) -> None:
    assert count(heard(*FRONT), end_s) == words


def test_the_recogniser_may_complete_a_word_that_was_cut() -> None:
    assert count(heard(*FRONT, "within"), 1.65) == 4


def test_the_recogniser_may_leave_out_a_word_that_sounded() -> None:
    assert count(heard(*FRONT), 2.0) == 5


def test_silence_before_the_reply_does_no_harm() -> None:
    assert count(heard(*FRONT, late_s=3.0), 4.5) == 4


def test_a_misheard_word_in_the_middle_does_no_harm() -> None:
    assert count(heard("We", "chip", "every", "order"), 1.5) == 4


def test_words_without_length_were_made_up() -> None:
    made_up = [HeardWord(word, 1.5, 1.51, 0.1) for word in ("We", "ship", "every", "order", "within", "one")]
    assert count([*heard(*FRONT), *made_up], 1.5) == 4


def test_a_faster_voice_is_followed() -> None:
    words = [HeardWord(word.text, word.start_s * 0.9, word.end_s * 0.9, 1.0) for word in heard(*TEXT.split())]
    assert count(words[:10], 10 * 0.36 - 0.09) == 10


def test_words_are_paired_at_least_cost() -> None:
    assert match(["a", "x", "c"], ["a", "b", "c", "d"]) == [(0, 0), (1, 1), (2, 2)]
    assert match(["b", "c"], ["a", "b", "c", "d"]) == [(0, 1), (1, 2)]
    assert match([], ["a"]) == []


class SteadyVoice:
    """A voice of 0.1 s a letter that says nothing for a dash."""

    audio_format = MULAW_8K

    def open(self) -> SharedVoiceStream:
        return SharedVoiceStream(self.speak)

    async def speak(self, text: str) -> AsyncIterator[SpokenAudio]:
        words = [
            WordTiming(word.start(), word.end(), word.start() / 10, word.end() / 10)
            for word in re.finditer(r"\w+\S*", text)
        ]
        yield SpokenAudio(b"\x00" * (800 * len(text)), tuple(words))


async def test_a_rendition_has_a_span_for_every_word() -> None:
    rendition = await render(SteadyVoice(), "Well - it is here. Two more.")
    assert len(rendition.words) == 7
    assert rendition.words[1] == WordSpan(0.4, 0.4)
    assert rendition.words[5] == WordSpan(1.8, 2.1)


async def test_a_voice_without_word_times_is_refused() -> None:
    with pytest.raises(ValueError, match="word times"):
        await render(SteadyVoice(), "--- ---")


@pytest.mark.realtime
@pytest.mark.timeout(90)
async def test_random_cuts_are_found_within_one_word() -> None:
    """Against the voice's own word times, which the recogniser does not know."""
    text = (
        "Your order left our warehouse on Tuesday, and it is now on its way to you. It should arrive "
        "on Friday, before noon, unless the weather delays the truck. You will get a message with "
        "the exact hour."
    )
    clock = LoopClock(asyncio.get_running_loop())
    process = ModelProcess("hibari", {}, clock=clock)
    await process.start()
    voice = HibariVoice(process, clock)
    rendition = await render(voice, text)
    clauses = [[piece async for piece in voice.speak(clause)] for clause in clauses_of(text)]
    await process.close()
    audio = b"".join(piece.audio for pieces in clauses for piece in pieces)
    words = rendition.words
    generator, errors = random.Random(3), []
    async with listening(clock) as listener:
        for _ in range(20):
            cut_s = generator.randrange(50, len(audio) // 160 - 20) * 0.02
            true = sum((word.start_s + word.end_s) / 2 < cut_s for word in words)
            recording = b"\xff" * 4000 + audio[: round(cut_s * 8000)] + b"\xff" * 4000
            errors.append(abs((await heard_words(listener, recording, rendition)).count - true))
    assert max(errors) <= 1
    assert errors.count(0) >= 15
