"""Our ElevenLabs voice against the emulated vendor: real sockets on virtual time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from elevenlabs_rig import (
    LONG,
    audio_of,
    begin_and_leave,
    emulated,
    made_by,
    now,
    spoken,
    words_of,
)
from fake_engines import BYTES_PER_S, WORD_S

from offhook.config.errors import ProviderBusy
from offhook.lab.vendors.latency import Delay, LatencyProfile

# ------------------------------------------------------------------- speaking


async def test_a_clause_is_exactly_what_the_engine_made_with_a_time_for_each_word() -> None:
    text = "Your table, for seven, is booked."
    async with emulated() as vendor, vendor.stream() as stream:
        pieces = await spoken(stream, text)
        assert audio_of(pieces) == await made_by(vendor.world.engines.voice, text)
        assert words_of(text, pieces) == text.split()
        words = [word for piece in pieces for word in piece.words]
        for number, word in enumerate(words):
            assert word.start_s == pytest.approx(number * WORD_S, abs=0.002)
            assert word.end_s == pytest.approx((number + 1) * WORD_S, abs=0.002)


async def test_the_clauses_of_a_reply_share_one_context_in_order() -> None:
    async with emulated("tutorial") as vendor, vendor.stream() as stream:
        clauses = ["First of all, hello.", "Then this.", "And good bye!"]
        heard = [audio_of(await spoken(stream, clause)) for clause in clauses]
        assert heard == [await made_by(vendor.world.engines.voice, clause) for clause in clauses]
        assert len(vendor.seen("context-opened")) == 1
        assert [text["text"] for text in vendor.seen("text")] == [f"{clause} " for clause in clauses]
        assert all(text["flush"] for text in vendor.seen("text"))
        assert not vendor.seen("text-without-space")
        assert not vendor.seen("late-settings")


async def test_each_reply_has_a_context_of_its_own_and_leaves_none_open() -> None:
    async with emulated() as vendor, vendor.stream() as stream:
        for reply in range(1, 12):
            await spoken(stream, "Fine.", reply)
            stream.reply_over(reply)
        await asyncio.sleep(0.05)
        opened = [context["context"] for context in vendor.seen("context-opened")]
        assert len(set(opened)) == 11
        assert vendor.world.sightings.open["elevenlabs context"] == 0
        assert [context["left_ms"] for context in vendor.seen("context-closed")] == [0] * 11


async def test_a_reply_that_is_over_while_it_speaks_is_spoken_to_its_end() -> None:
    async with emulated("tutorial") as vendor, vendor.stream() as stream:
        text = "This is still to be heard in full."
        pieces = []
        async for piece in stream.speak(text, reply=4):
            stream.reply_over(4)
            pieces.append(piece)
        assert words_of(text, pieces) == text.split()
        await asyncio.sleep(0.05)
        assert vendor.world.sightings.open["elevenlabs context"] == 0
        assert not vendor.seen("cancelled")


async def test_replies_that_speak_at_the_same_time_do_not_mix() -> None:
    texts = {reply: f"Reply {reply} says {reply} and {reply}." for reply in (11, 12, 13)}
    async with emulated("tutorial") as vendor, vendor.stream() as stream:
        made = await asyncio.gather(*(spoken(stream, text, reply) for reply, text in texts.items()))
        for text, pieces in zip(texts.values(), made, strict=True):
            assert audio_of(pieces) == await made_by(vendor.world.engines.voice, text)


async def test_what_has_no_letter_and_no_figure_is_not_sent() -> None:
    async with emulated() as vendor, vendor.stream() as stream:
        assert await spoken(stream, " … ") == []
        assert vendor.seen("text") == []


async def test_the_socket_is_open_before_the_first_word() -> None:
    async with emulated() as vendor, vendor.stream():
        assert len(vendor.seen("connected")) == 1


# ------------------------------------------------------------------- barge-in


async def test_a_barge_in_is_seen_by_the_vendor_at_once_and_its_audio_is_dropped() -> None:
    async with emulated("tutorial") as vendor, vendor.stream() as stream:
        await begin_and_leave(stream, LONG, reply=1)
        left_at = now()
        await asyncio.sleep(0.05)
        [cancelled] = vendor.world.sightings.of("elevenlabs", "cancelled")
        assert cancelled.at_s - left_at < 0.05
        other = "Something else."
        assert audio_of(await spoken(stream, other, 2)) == await made_by(vendor.world.engines.voice, other)


async def test_a_barge_in_before_the_first_audio_cancels_too() -> None:
    async with emulated("tutorial") as vendor, vendor.stream() as stream:
        task = asyncio.create_task(begin_and_leave(stream, LONG, reply=1))
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asyncio.sleep(0.02)
        assert len(vendor.seen("cancelled")) == 1


@pytest.mark.parametrize("pieces", [0, 1, 3])
async def test_two_hundred_rapid_barge_ins_never_reach_the_limit(pieces: int) -> None:
    async with emulated("tutorial") as vendor, vendor.stream() as stream:
        for reply in range(1, 201):
            if pieces:
                await begin_and_leave(stream, "One two three four five six seven.", reply, pieces)
            else:
                task = asyncio.create_task(spoken(stream, "One two three four.", reply))
                await asyncio.sleep(0.04)
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)
        assert vendor.world.sightings.most_open["elevenlabs context"] <= 5
        assert len(vendor.seen("connected")) == 1
        assert not vendor.seen("refused")


async def test_with_no_room_for_a_context_a_clause_fails_in_a_second() -> None:
    slow = LatencyProfile(first_audio=Delay(30_000, 30_000))
    async with emulated(slow) as vendor, vendor.stream() as stream:
        for reply in range(4):
            task = asyncio.create_task(spoken(stream, LONG, reply))
            await asyncio.sleep(0.01)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        began = now()
        with pytest.raises(ProviderBusy, match="too many contexts"):
            await spoken(stream, "Hello.", 9)
        assert 0.9 < now() - began <= 1.01
        await asyncio.sleep(2.5)
        task = asyncio.create_task(spoken(stream, "Hello.", 10))
        await asyncio.sleep(0.1)
        assert len(vendor.seen("context-opened")) == 5
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_idle_contexts_of_replies_that_nobody_ended_make_room() -> None:
    async with emulated() as vendor, vendor.stream() as stream:
        for reply in range(30):
            await spoken(stream, "Hello there.", reply)
        assert vendor.world.sightings.most_open["elevenlabs context"] <= 5
        assert len(vendor.seen("connected")) == 1


# -------------------------------------------------------------- back-pressure


async def test_at_most_ten_seconds_wait_in_memory_and_nothing_is_lost() -> None:
    minute = " ".join(f"w{number}" for number in range(1, 201))
    async with emulated() as vendor, vendor.stream() as stream:
        heard = bytearray()
        most = 0
        async for piece in stream.speak(minute, reply=1):
            heard += piece.audio
            await asyncio.sleep(0.2)
            clauses: Any = getattr(stream, "_clauses")  # noqa: B009
            most = max(most, *(clause.waiting_bytes for clause in clauses))
        assert bytes(heard) == await made_by(vendor.world.engines.voice, minute)
        assert 9 * BYTES_PER_S < most <= 11 * BYTES_PER_S


async def test_a_clause_that_nobody_takes_holds_no_other_up_once_it_is_left() -> None:
    minute = " ".join(f"w{number}" for number in range(1, 401))
    async with emulated() as vendor, vendor.stream() as stream:
        await begin_and_leave(stream, minute, reply=1)
        text = "Something else."
        began = now()
        assert words_of(text, await spoken(stream, text, 2)) == text.split()
        assert now() - began < 0.5


# -------------------------------------------------------------- configuration


@pytest.mark.parametrize(
    ("choice", "language", "name", "value"),
    [
        ({}, "en", "model_id", "eleven_flash_v2_5"),
        ({"model": "eleven_turbo_v2_5"}, "en", "model_id", "eleven_turbo_v2_5"),
        ({"name": "someone else"}, "en", "voice", "someone else"),
        ({"optimize_streaming_latency": 3}, "en", "optimize_streaming_latency", "3"),
        ({}, "de-AT", "language_code", "de"),
        ({}, "en-GB", "language_code", None),
        ({"model": "eleven_multilingual_v2"}, "fr", "language_code", None),
        ({}, "en", "output_format", "ulaw_8000"),
        ({}, "en", "auto_mode", "true"),
        ({}, "en", "sync_alignment", "true"),
        ({}, "en", "inactivity_timeout", "180"),
    ],
)
async def test_the_vendor_is_asked_for_what_the_assistant_file_says(
    choice: dict[str, Any], language: str, name: str, value: str | None
) -> None:
    async with emulated() as vendor, vendor.stream(language=language, **choice):
        [connected] = vendor.seen("connected")
        assert connected.get(name) == value


@pytest.mark.parametrize(
    "settings",
    [{}, {"stability": 0.25}, {"similarity_boost": 0.75}, {"speed": 1.1}, {"stability": 0.0, "speed": 0.7}],
)
async def test_only_the_settings_that_are_set_reach_the_context(settings: dict[str, float]) -> None:
    async with emulated() as vendor, vendor.stream(**settings) as stream:
        await spoken(stream, "Hello.")
        [context] = vendor.seen("context-opened")
        assert context["settings"] == (settings or None)
