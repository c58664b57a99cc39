"""The emulated ElevenLabs, as a client of another make and the vendor's own SDK see it."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import httpx
import pytest
from elevenlabs.client import AsyncElevenLabs
from elevenlabs.core.api_error import ApiError
from elevenlabs.types import Alignment, AudioOutputMulti, FinalOutputMulti, VoiceSettings
from elevenlabs_rig import KEY, VOICE_ID, VendorRig, emulated, made_by, now
from fake_engines import ScriptedVoice
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from websockets.exceptions import ConnectionClosed, InvalidStatus

from offhook.lab.vendors.elevenlabs_speech import Chunker, chunks_of
from offhook.lab.vendors.faults import FaultKind
from offhook.pipeline.ports import WordTiming

TEXT = "One two three four five. "


def sdk_of(vendor: VendorRig, key: str = KEY) -> tuple[httpx.AsyncClient, AsyncElevenLabs]:
    http = httpx.AsyncClient(trust_env=False)
    return http, AsyncElevenLabs(api_key=key, base_url=vendor.base_url, httpx_client=http)


# --------------------------------------------------------------------- chunks


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.text(st.characters(categories=["L", "P"]), min_size=1, max_size=9), min_size=1, max_size=20),
    st.data(),
)
def test_every_character_is_in_one_chunk_and_every_byte_too(words: list[str], data: st.DataObject) -> None:
    text = " ".join(words) + " "
    chunker, chunks, made, at, char = Chunker(text), [], bytearray(), 0.0, 0
    for word in words:
        lasts = data.draw(st.integers(200, 6000))
        audio = data.draw(st.binary(min_size=lasts, max_size=lasts)) if lasts < 400 else bytes(lasts)
        timing = WordTiming(char, char + len(word), at, at + 0.9 * lasts / 8000)
        char, at = char + len(word) + 1, at + lasts / 8000
        made += audio
        chunks += chunker.feed(audio, (timing,) if data.draw(st.integers(0, 9)) else ())
    chunks += chunker.finish(b"")
    assert b"".join(chunk.audio for chunk in chunks) == bytes(made)
    assert "".join(each.character for chunk in chunks for each in chunk.characters) == text
    assert all(0 <= each.start_s <= each.end_s for chunk in chunks for each in chunk.characters)
    assert any(not each.character.isspace() for each in chunks[-1].characters)


async def test_characters_share_the_time_of_their_word() -> None:
    chunks = [chunk async for chunk in chunks_of("abc de", ScriptedVoice(0))]
    times, begins = {}, 0.0
    for chunk in chunks:
        for each in chunk.characters:
            times[each.character] = round(begins + each.start_s, 3)
        begins += chunk.lasts_s
    assert times == {"a": 0.0, "b": 0.1, "c": 0.2, " ": 0.3, "d": 0.3, "e": 0.45}


# --------------------------------------------------------------------- socket


async def test_the_messages_are_those_that_the_vendors_sdk_knows() -> None:
    async with emulated() as vendor, vendor.raw() as socket:
        await socket.send(text=" ", context_id="a")
        await socket.send(text=TEXT, context_id="a", flush=True)
        await socket.send(context_id="a", close_context=True)
        *spoken, last = await socket.until_final("a")
        assert FinalOutputMulti.model_validate(last).context_id == "a"
        heard, said = b"", ""
        for message in spoken:
            output = AudioOutputMulti.model_validate(message)
            assert not output.model_extra
            assert isinstance(output.alignment, Alignment)
            assert output.alignment.chars is not None
            assert output.alignment.char_start_times_ms is not None
            heard += base64.b64decode(output.audio)
            said += "".join(output.alignment.chars)
        assert heard == await made_by(vendor.world.engines.voice, TEXT)
        assert said == TEXT


async def test_text_without_flush_waits_and_is_dropped_by_a_close() -> None:
    async with emulated() as vendor, vendor.raw() as socket:
        await socket.send(text=TEXT, context_id="a")
        await socket.send(context_id="a", close_context=True)
        assert await socket.until_final("a") == [{"isFinal": True, "contextId": "a"}]
        assert vendor.seen("cancelled") == []


async def test_auto_mode_speaks_text_as_it_comes() -> None:
    query = "model_id=eleven_flash_v2_5&output_format=ulaw_8000&auto_mode=true&sync_alignment=true"
    async with emulated() as vendor, vendor.raw(query) as socket:
        await socket.send(text=TEXT, context_id="a")
        assert (await socket.receive())["audio"]


async def test_a_close_in_mid_speech_is_noted_with_what_was_left() -> None:
    async with emulated("tutorial") as vendor, vendor.raw() as socket:
        await socket.send(text=TEXT, context_id="a", flush=True)
        await socket.receive()
        await socket.send(context_id="a", close_context=True)
        await socket.until_final("a")
        await asyncio.sleep(0.01)
        assert vendor.seen("cancelled") == [{"context": "a"}]
        assert vendor.seen("context-closed") == [{"context": "a", "left_ms": 1250}]


async def test_the_sixth_context_closes_the_socket() -> None:
    async with emulated("tutorial") as vendor, vendor.raw() as socket:
        for number in range(6):
            await socket.send(text=TEXT, context_id=f"c{number}", flush=True)
        message = await socket.receive()
        assert message["error"] == "max_active_conversations"
        with pytest.raises(ConnectionClosed) as closed:
            await socket.receive()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1008


async def test_an_idle_context_is_closed_after_its_time_but_a_kept_one_is_not() -> None:
    query = "model_id=eleven_flash_v2_5&output_format=ulaw_8000&inactivity_timeout=10"
    async with emulated() as vendor, vendor.raw(query) as socket:
        await socket.send(text=" ", context_id="idle")
        await socket.send(text=" ", context_id="kept")
        await asyncio.sleep(8)
        await socket.send(text="", context_id="kept")
        began = now()
        assert (await socket.receive())["contextId"] == "idle"
        assert now() - began == pytest.approx(2, abs=0.1)
        assert (await socket.receive())["contextId"] == "kept"
        assert now() - began == pytest.approx(10, abs=0.1)


async def test_text_without_a_space_and_late_settings_are_seen() -> None:
    async with emulated() as vendor, vendor.raw() as socket:
        await socket.send(text="Hello.", context_id="a", flush=True)
        await socket.send(text="More. ", context_id="a", voice_settings={"speed": 1.1}, flush=True)
        await socket.send(close_socket=True)
        with pytest.raises(ConnectionClosed):
            await socket.until_final("none")
        assert len(vendor.seen("text-without-space")) == 1
        assert len(vendor.seen("late-settings")) == 1


async def test_close_socket_finishes_what_was_flushed() -> None:
    async with emulated("tutorial") as vendor, vendor.raw() as socket:
        await socket.send(text=TEXT, context_id="a", flush=True)
        await socket.send(close_socket=True)
        messages = await socket.until_final("a")
        heard = b"".join(base64.b64decode(message["audio"]) for message in messages[:-1])
        assert heard == await made_by(vendor.world.engines.voice, TEXT)
        with pytest.raises(ConnectionClosed) as closed:
            await socket.receive()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1000


async def test_audio_comes_at_the_profiles_pace() -> None:
    async with emulated("tutorial") as vendor, vendor.raw() as socket:
        began = now()
        await socket.send(text=TEXT, context_id="a", flush=True)
        await socket.receive()
        assert now() - began == pytest.approx(0.15, abs=0.01)
        await socket.send(context_id="a", close_context=True)
        await socket.until_final("a")
        assert now() - began == pytest.approx(0.15 + 1.25 / 10, abs=0.01)


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ("model_id=eleven_v3&output_format=ulaw_8000", "unsupported_model"),
        ("model_id=gpt&output_format=ulaw_8000", "unsupported_model"),
        ("model_id=eleven_flash_v2_5&output_format=mp3_44100_128", "invalid_output_format"),
        ("model_id=eleven_flash_v2_5", "invalid_output_format"),
        ("output_format=ulaw_8000&inactivity_timeout=181", "invalid_inactivity_timeout"),
        ("output_format=ulaw_8000&optimize_streaming_latency=5", "invalid_optimize_streaming_latency"),
        ("output_format=ulaw_8000&auto_mode=yes", "invalid_query"),
    ],
)
async def test_a_query_of_unknown_values_is_refused_on_the_socket(query: str, error: str) -> None:
    async with emulated() as vendor, vendor.raw(query) as socket:
        assert (await socket.receive())["error"] == error
        with pytest.raises(ConnectionClosed):
            await socket.receive()
        assert vendor.seen("refused") == [{"error": error}]


@pytest.mark.parametrize("message", ["{", "[]", "7", b"\x00"])
async def test_a_message_that_is_not_of_the_protocol_closes_the_socket(message: str | bytes) -> None:
    async with emulated() as vendor, vendor.raw() as socket:
        await socket.socket.send(message)
        assert (await socket.receive())["error"] == "invalid_input_message"


async def test_a_wrong_key_is_refused_before_there_is_a_socket() -> None:
    async with emulated() as vendor:
        with pytest.raises(InvalidStatus) as refused:
            async with vendor.raw(key="wrong"):
                pass
        assert refused.value.response.status_code == 401


# --------------------------------------------------------------------- faults


@pytest.mark.parametrize(
    ("at", "kind", "error", "code"),
    [
        ("text", FaultKind.BUSY, "too_many_concurrent_requests", 1008),
        ("text", FaultKind.REFUSE, "invalid_api_key", 1008),
        ("audio", FaultKind.ERROR, "internal_server_error", 1011),
        ("audio", FaultKind.CLOSE, None, 1011),
        ("connect", FaultKind.CLOSE, None, 1011),
        ("text", FaultKind.DROP, None, None),
    ],
)
async def test_a_fault_on_the_open_socket(
    at: str, kind: FaultKind, error: str | None, code: int | None
) -> None:
    async with emulated() as vendor:
        vendor.plan(at, kind)
        async with vendor.raw() as socket:
            messages: list[dict[str, Any]] = []
            with pytest.raises(ConnectionClosed) as closed:  # noqa: PT012
                await socket.send(text=TEXT, context_id="a", flush=True)
                while True:
                    messages.append(await socket.receive())
            assert [message["error"] for message in messages] == ([error] if error else [])
            assert (closed.value.rcvd and closed.value.rcvd.code) == code


@pytest.mark.parametrize(
    ("kind", "status"), [(FaultKind.BUSY, 429), (FaultKind.ERROR, 500), (FaultKind.REFUSE, 401)]
)
async def test_a_fault_before_the_socket_is_a_status(kind: FaultKind, status: int) -> None:
    async with emulated() as vendor:
        vendor.plan("connect", kind, retry_after_s=3)
        with pytest.raises(InvalidStatus) as refused:
            async with vendor.raw():
                pass
        assert refused.value.response.status_code == status
        async with vendor.raw() as socket:
            await socket.send(text=TEXT, context_id="a", flush=True)
            assert (await socket.receive())["audio"]


async def test_a_slow_moment_passes() -> None:
    async with emulated() as vendor:
        vendor.plan("audio", FaultKind.SLOW, wait_ms=700)
        async with vendor.raw() as socket:
            began = now()
            await socket.send(text=TEXT, context_id="a", flush=True)
            await socket.receive()
            assert now() - began == pytest.approx(0.7, abs=0.01)


# ----------------------------------------------------------------------- HTTP


async def test_the_sdk_gets_speech_with_timestamps_whole_and_streamed() -> None:
    async with emulated("tutorial") as vendor:
        http, sdk = sdk_of(vendor)
        expected = await made_by(vendor.world.engines.voice, TEXT)
        asked: dict[str, Any] = {
            "text": TEXT,
            "output_format": "ulaw_8000",
            "voice_settings": VoiceSettings(speed=1.1),
        }
        whole = await sdk.text_to_speech.convert_with_timestamps(VOICE_ID, **asked)
        assert base64.b64decode(whole.audio_base_64) == expected
        assert whole.alignment is not None
        assert "".join(whole.alignment.characters) == TEXT
        heard, starts = b"", []
        async for chunk in sdk.text_to_speech.stream_with_timestamps(VOICE_ID, **asked):
            assert chunk.alignment is not None
            heard += base64.b64decode(chunk.audio_base_64)
            starts += chunk.alignment.character_start_times_seconds
        assert heard == expected
        assert starts == sorted(starts)
        assert vendor.seen("request")[0]["voice_settings"] == {"speed": 1.1}
        await http.aclose()


@pytest.mark.parametrize(
    ("key", "output_format", "status"), [("wrong", "ulaw_8000", 401), (KEY, "mp3_44100_128", 400)]
)
async def test_the_sdk_is_refused(key: str, output_format: Any, status: int) -> None:
    async with emulated() as vendor:
        http, sdk = sdk_of(vendor, key)
        with pytest.raises(ApiError) as refused:
            await sdk.text_to_speech.convert_with_timestamps(VOICE_ID, text=TEXT, output_format=output_format)
        assert refused.value.status_code == status
        await http.aclose()
