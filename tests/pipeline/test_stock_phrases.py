"""Speech that was made in advance: whose it is, how much of it is kept."""

from __future__ import annotations

import pytest
from fake_engines import ScriptedVoice

from offhook.config.errors import ProviderError
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
