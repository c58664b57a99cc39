"""Speech that was made in advance: whose it is, how much of it is kept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from fake_engines import ScriptedVoice

from offhook.config.errors import ProviderError
from offhook.pipeline.ports import SpokenAudio
from offhook.pipeline.stock_phrases import KEPT_BYTES, KEPT_TEXTS, StockPhrases


async def test_a_phrase_is_spoken_once_and_is_the_voices_own() -> None:
    stock, voice = StockPhrases(), ScriptedVoice()
    for _ in range(2):
        await stock.prepare("anna", voice, "One moment.")
    assert voice.spoken == ["One moment."]
    assert stock.get("anna", "One moment.")
    assert stock.get("bert", "One moment.") is None
    assert stock.by_any("One moment.") == stock.get("anna", "One moment.")
    assert stock.by_any("Another one.") is None


async def test_memory_is_bounded_and_what_is_used_stays() -> None:
    stock, voice = StockPhrases(), ScriptedVoice()
    await stock.prepare("anna", voice, "greeting")
    for number in range(KEPT_TEXTS + 20):
        await stock.prepare("anna", voice, f"phrase {number}")
        assert stock.get("anna", "greeting")
    assert stock.get("anna", "phrase 0") is None
    assert stock.get("anna", f"phrase {KEPT_TEXTS + 19}")


async def test_long_phrases_give_way_before_there_are_many() -> None:
    stock, voice = StockPhrases(), ScriptedVoice()
    text = "word " * 1000
    for number in range(10):
        await stock.prepare("anna", voice, f"{text}{number}")
    kept = [number for number in range(10) if stock.get("anna", f"{text}{number}")]
    assert kept == list(range(10 - len(kept), 10))
    assert len(kept) <= KEPT_BYTES // (1000 * 2400)


async def test_a_voice_that_fails_leaves_nothing_half_made() -> None:
    stock, voice = StockPhrases(), ScriptedVoice()
    voice.fails = 1
    with pytest.raises(ProviderError):
        await stock.prepare("anna", voice, "One moment.")
    assert stock.get("anna", "One moment.") is None


class SlowVoice(ScriptedVoice):
    """Breaks off behind so many words, if it is told to; a word takes 0.1 s to be made."""

    breaks_behind: int | None = None

    async def speak(self, text: str) -> AsyncIterator[SpokenAudio]:
        number = 0
        async for piece in super().speak(text):
            await asyncio.sleep(0.1)
            if number == self.breaks_behind:
                raise ProviderError("voice", "scripted failure")
            number += 1
            yield piece


async def test_who_needs_a_phrase_while_it_is_made_gets_it_piece_by_piece() -> None:
    stock, voice = StockPhrases(), SlowVoice()
    making = asyncio.create_task(stock.prepare("anna", voice, "one two three four"))
    await asyncio.sleep(0.2)
    came: list[float] = []
    begun_s = asyncio.get_running_loop().time()
    audio = b""
    async for piece in stock.follow("anna", "one two three four"):
        audio += piece.audio
        came.append(round(asyncio.get_running_loop().time() - begun_s, 2))
    await making
    kept = stock.get("anna", "one two three four")
    assert kept is not None
    assert audio == b"".join(piece.audio for piece in kept)
    assert came[0] == 0.0, "what is there already is given at once"
    assert came[-1] == pytest.approx(0.25, abs=0.02)
    assert voice.spoken == ["one two three four"]


async def test_nothing_is_followed_that_is_not_being_made() -> None:
    stock = StockPhrases()
    assert [piece async for piece in stock.follow("anna", "one")] == []


async def test_who_follows_a_phrase_that_breaks_off_is_told() -> None:
    stock, voice = StockPhrases(), SlowVoice()
    voice.breaks_behind = 2
    making = asyncio.create_task(stock.prepare("anna", voice, "one two three"))
    await asyncio.sleep(0.1)
    followed = stock.follow("anna", "one two three")
    for _ in range(2):
        await anext(followed)
    with pytest.raises(ProviderError, match="broke off"):
        await anext(followed)
    assert isinstance((await asyncio.gather(making, return_exceptions=True))[0], ProviderError)


async def test_first_words_of_calls_push_no_stock_phrase_out_and_stand_in_for_no_other_voice() -> None:
    stock, voice = StockPhrases(), ScriptedVoice()
    await stock.prepare("anna", voice, "Goodbye.")
    for number in range(KEPT_TEXTS + 20):
        await stock.prepare("anna", voice, f"Hello caller {number}", lasting=False)
    assert stock.get("anna", "Goodbye.")
    assert stock.get("anna", "Hello caller 0") is None
    newest = f"Hello caller {KEPT_TEXTS + 19}"
    assert stock.get("anna", newest)
    assert stock.by_any(newest) is None
