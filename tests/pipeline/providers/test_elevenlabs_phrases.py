"""Phrases that belong to no call: spoken through the vendor's SDK over HTTP."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from aiohttp import web
from elevenlabs_rig import VOICE_ID, audio_of, emulated, made_by, voice_at, words_of
from fake_engines import ScriptedVoice

from offhook.config.errors import ProviderBusy, ProviderError, ProviderRefused, ProviderTimeout
from offhook.lab.vendors.faults import FaultKind


async def test_a_phrase_of_no_call_comes_through_the_sdk_with_the_times_of_its_words() -> None:
    text = "One moment, please."
    async with emulated("tutorial") as vendor:
        voice = voice_at(
            vendor.base_url, language="de", stability=0.5, speed=1.1, optimize_streaming_latency=2
        )
        takes_jobs = [voice.takes_jobs]
        await voice.start()
        takes_jobs.append(voice.takes_jobs)
        pieces = [piece async for piece in voice.speak(text)]
        assert audio_of(pieces) == await made_by(ScriptedVoice(0), text)
        assert words_of(text, pieces) == text.split()
        [request] = vendor.seen("request")
        assert request == {
            "voice": VOICE_ID,
            "text": text,
            "model_id": "eleven_flash_v2_5",
            "language_code": "de",
            "output_format": "ulaw_8000",
            "optimize_streaming_latency": "2",
            "voice_settings": {"stability": 0.5, "speed": 1.1},
        }
        await voice.close()
        assert [*takes_jobs, voice.takes_jobs] == [False, True, False]


@pytest.mark.parametrize(
    ("at", "kind", "error"),
    [
        ("text", FaultKind.REFUSE, ProviderRefused),
        ("text", FaultKind.BUSY, ProviderBusy),
        ("text", FaultKind.ERROR, ProviderBusy),
        ("text", FaultKind.DROP, ProviderError),
        ("audio", FaultKind.DROP, ProviderError),
        ("text", FaultKind.STALL, ProviderTimeout),
    ],
)
async def test_a_phrase_that_fails_says_why(at: str, kind: FaultKind, error: type[ProviderError]) -> None:
    async with emulated("tutorial") as vendor:
        voice = voice_at(vendor.base_url)
        await voice.start()
        vendor.plan(at, kind)
        with pytest.raises(ProviderError) as failure:
            _ = [piece async for piece in voice.speak("Hello there.")]
        assert type(failure.value) is error
        await voice.close()


@pytest.mark.realtime
def test_importing_the_voice_imports_neither_sdk_nor_socket_library() -> None:
    check = (
        "import sys, offhook.pipeline.providers.elevenlabs\n"
        "assert not {'elevenlabs', 'httpx', 'websockets.asyncio.client'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", check], check=True, timeout=15)


@pytest.mark.parametrize(
    "answer",
    [
        "{",
        "[]",
        json.dumps({"alignment": None}),
        json.dumps({"audio_base64": "????"}),
        json.dumps({"audio_base64": "////", "alignment": {"characters": ["a"]}}),
        json.dumps({"audio_base64": "////", "alignment": 7}),
    ],
)
async def test_an_answer_that_cannot_be_read_is_an_error_and_no_crash(answer: str) -> None:
    async def speech(request: web.Request) -> web.Response:
        return web.Response(text=answer, content_type="application/json")

    with pytest.raises(ProviderError):
        await _phrase_from(speech)


async def test_a_redirect_is_not_followed_for_the_key_would_go_with_it() -> None:
    went: list[str] = []

    async def speech(request: web.Request) -> web.Response:
        went.append(request.path)
        raise web.HTTPTemporaryRedirect("/elsewhere")

    with pytest.raises(ProviderError, match="HTTP 307"):
        await _phrase_from(speech)
    assert len(went) == 1


async def test_a_busy_vendor_says_when_it_may_be_asked_again() -> None:
    async with emulated() as vendor:
        voice = voice_at(vendor.base_url)
        await voice.start()
        vendor.plan("text", FaultKind.BUSY, retry_after_s=7)
        with pytest.raises(ProviderBusy) as busy:
            _ = [piece async for piece in voice.speak("Hello.")]
        assert busy.value.retry_after_s == 7
        await voice.close()


async def test_a_voice_that_was_not_started_says_so() -> None:
    with pytest.raises(ProviderError, match="not started"):
        _ = [piece async for piece in voice_at("http://127.0.0.1:1").speak("Hello.")]


async def _phrase_from(speech: Any) -> None:
    app = web.Application()
    app.router.add_post("/{path:.*}", speech)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    voice = voice_at(f"http://127.0.0.1:{runner.addresses[0][1]}")
    await voice.start()
    try:
        _ = [piece async for piece in voice.speak("Hello.")]
    finally:
        await voice.close()
        await runner.cleanup()
