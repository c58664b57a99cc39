"""Our ElevenLabs voice when the emulated vendor fails, refuses or is left."""

from __future__ import annotations

import asyncio
import logging

import pytest
from elevenlabs_rig import (
    KEY,
    LONG,
    audio_of,
    emulated,
    now,
    spoken,
    spoken_until_it_fails,
    voice_at,
    words_of,
)
from fake_engines import BYTES_PER_S

from offhook.config.errors import ProviderBusy, ProviderError, ProviderRefused, ProviderTimeout
from offhook.lab.vendors.faults import FaultKind


@pytest.mark.parametrize("kind", [FaultKind.DROP, FaultKind.CLOSE, FaultKind.ERROR, FaultKind.BUSY])
async def test_what_came_before_a_loss_is_heard_then_the_clause_fails(kind: FaultKind) -> None:
    async with emulated("tutorial") as vendor, vendor.stream() as stream:
        vendor.plan("audio", kind, after=4)
        pieces, last_at, error = await spoken_until_it_fails(stream, LONG)
        assert len(audio_of(pieces)) == BYTES_PER_S  # four chunks of 250 ms
        assert now() - last_at < 0.1
        assert error.stage == "elevenlabs"
        # The next clause finds a new socket.
        text = "And now again."
        assert words_of(text, await spoken(stream, text)) == text.split()
        assert len(vendor.seen("connected")) == 2


async def test_a_vendor_that_falls_silent_in_mid_clause_is_left_for_a_new_socket() -> None:
    async with emulated("tutorial") as vendor, vendor.stream() as stream:
        vendor.plan("audio", FaultKind.STALL, after=4)
        pieces, last_at, error = await spoken_until_it_fails(stream, LONG)
        assert error.reason == "a clause broke off"
        assert len(audio_of(pieces)) == BYTES_PER_S
        assert now() - last_at < 2.6
        await spoken(stream, "And now again.")
        assert len(vendor.seen("connected")) == 2


async def test_a_vendor_that_says_nothing_at_all_is_left_once_the_caller_gives_up() -> None:
    async with emulated("tutorial") as vendor, vendor.stream() as stream:
        vendor.plan("text", FaultKind.STALL)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(3):
                await spoken(stream, LONG)
        await spoken(stream, "And now again.")
        assert len(vendor.seen("connected")) == 2


async def test_a_malformed_message_costs_nothing() -> None:
    async with emulated("tutorial") as vendor, vendor.stream() as stream:
        vendor.plan("audio", FaultKind.MALFORMED, times=0)
        text = "In spite of all that, I speak."
        pieces = await spoken(stream, text)
        assert words_of(text, pieces) == text.split()
        assert len(vendor.seen("connected")) == 1


async def test_a_socket_that_is_lost_between_replies_is_open_again_for_the_next() -> None:
    async with emulated() as vendor, vendor.stream() as stream:
        vendor.plan("text", FaultKind.DROP)
        with pytest.raises(ProviderError, match="closed"):
            await spoken(stream, "Hello.")
        await asyncio.sleep(0.01)
        began = now()
        await spoken(stream, "Hello.", 2)
        assert now() - began < 0.1


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        (FaultKind.REFUSE, ProviderRefused),
        (FaultKind.BUSY, ProviderBusy),
        (FaultKind.ERROR, ProviderBusy),
        (FaultKind.DROP, ProviderTimeout),
        (FaultKind.STALL, ProviderTimeout),
    ],
)
async def test_a_socket_that_never_opens_is_told_within_four_seconds(
    kind: FaultKind, error: type[ProviderError]
) -> None:
    async with emulated() as vendor:
        vendor.plan("connect", kind, times=0)
        async with vendor.stream() as stream:
            began = now()
            with pytest.raises(ProviderError) as failure:
                await spoken(stream, "Hello.")
            assert type(failure.value) is error
            assert now() - began <= 4.1


async def test_a_vendor_that_comes_back_is_used_while_a_clause_waits() -> None:
    async with emulated() as vendor:
        vendor.plan("connect", FaultKind.ERROR, times=3)
        async with vendor.stream() as stream:
            began = now()
            await spoken(stream, "Hello.")
            assert 0.7 < now() - began < 1.1


async def test_a_refused_key_is_told_at_once_and_tried_again_after_ten_seconds() -> None:
    async with emulated() as vendor, vendor.stream(key="wrong") as stream:
        for _ in range(3):
            with pytest.raises(ProviderRefused, match="HTTP 401"):
                await spoken(stream, "Hello.")
        assert len(vendor.seen("refused")) == 1
        await asyncio.sleep(13)
        assert len(vendor.seen("refused")) == 2


async def test_a_model_without_contexts_is_refused_with_the_fix() -> None:
    async with emulated() as vendor:
        voice = voice_at(vendor.base_url, model="eleven_v3")
        with pytest.raises(ProviderRefused, match="write `model: eleven_flash_v2_5`"):
            await voice.start()
        async with vendor.stream(model="eleven_v3") as stream:
            with pytest.raises(ProviderRefused, match="eleven_flash_v2_5"):
                await spoken(stream, "Hello.")
        assert vendor.seen("connected") == []


async def test_a_context_that_the_vendor_closed_for_idleness_is_replaced() -> None:
    async with emulated() as vendor, vendor.stream(stability=0.5) as stream:
        await spoken(stream, "One moment.")
        await asyncio.sleep(200)
        text = "There it is."
        assert words_of(text, await spoken(stream, text)) == text.split()
        settings = [context["settings"] for context in vendor.seen("context-opened")]
        assert settings == [{"stability": 0.5}] * 2


# --------------------------------------------------------------------- hygiene


async def test_the_key_is_in_no_log_no_repr_and_no_error(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with emulated() as vendor:
        voice = voice_at(vendor.base_url)
        await voice.start()
        async with vendor.stream() as stream:
            await spoken(stream, "Hello.")
            vendor.plan("audio", FaultKind.ERROR)
            with pytest.raises(ProviderError) as failure:
                await spoken(stream, "Hello.")
            shown = [repr(stream), repr(vars(stream)), repr(failure.value), str(failure.value)]
        vendor.plan("text", FaultKind.REFUSE)
        with pytest.raises(ProviderRefused) as refused:
            _ = [piece async for piece in voice.speak("Hello.")]
        shown += [repr(voice), repr(vars(voice)), repr(refused.value), repr(refused.value.__cause__)]
        await voice.close()
    assert KEY not in caplog.text
    assert not any(KEY in each for each in shown)


async def test_a_stream_that_is_cancelled_tells_the_vendor_and_leaves_nothing() -> None:
    async with emulated("tutorial") as vendor:
        async with vendor.stream() as stream:
            task = asyncio.create_task(spoken(stream, LONG))
            await asyncio.sleep(0.3)
        with pytest.raises(ProviderError, match="the call is over"):
            await task
        await asyncio.sleep(0.1)
        assert +vendor.world.sightings.open == {}


async def test_a_vendor_that_does_not_answer_the_goodbye_is_left_within_a_second() -> None:
    async with emulated("tutorial") as vendor:
        async with vendor.stream() as stream:
            vendor.plan("text", FaultKind.STALL)
            task = asyncio.create_task(spoken(stream, LONG))
            await asyncio.sleep(0.3)
            left_at = now()
        assert now() - left_at < 1.2
        await asyncio.gather(task, return_exceptions=True)
