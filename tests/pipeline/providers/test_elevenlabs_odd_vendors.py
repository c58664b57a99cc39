"""Our ElevenLabs voice against vendors that behave as the emulator does not."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable

import pytest
from elevenlabs_rig import audio_of, now, running, scripted, spoken, voice_at, words_of
from websockets.asyncio.server import ServerConnection, serve
from websockets.http11 import Request, Response

from offhook.config.errors import ProviderBusy, ProviderError, ProviderRefused, ProviderTimeout
from offhook.pipeline.providers.elevenlabs_stream import PING_S


def sound(context: str, size: int = 4000) -> str:
    audio = base64.b64encode(bytes(size)).decode()
    return json.dumps({"audio": audio, "contextId": context, "alignment": None})


Answer = Callable[[ServerConnection, str, str], Awaitable[None]]


def answering(answer: Answer) -> Callable[[ServerConnection], Awaitable[None]]:
    """A vendor that answers to each clause, and says `isFinal` to each close."""

    async def script(socket: ServerConnection) -> None:
        async for message in socket:
            fields = json.loads(message)
            if fields.get("close_context"):
                await socket.send(json.dumps({"isFinal": True, "contextId": fields["context_id"]}))
            elif (fields.get("text") or "").strip():
                await answer(socket, fields["context_id"], fields["text"])

    return script


async def test_audio_without_alignment_ends_half_a_second_after_its_last_piece() -> None:
    async def answer(socket: ServerConnection, context: str, text: str) -> None:
        for _ in range(3):
            await asyncio.sleep(0.3)
            await socket.send(sound(context))

    async with scripted(answering(answer)) as url, running(voice_at(url)) as stream:
        began = now()
        for _ in range(2):
            pieces = await spoken(stream, "Hello there.")
            assert len(audio_of(pieces)) == 12_000
            assert words_of("", pieces) == []
        assert now() - began == pytest.approx(2 * (0.9 + 0.5), abs=0.05)


async def test_a_context_that_never_ends_holds_its_clause_for_two_seconds_and_a_half() -> None:
    async def script(socket: ServerConnection) -> None:
        async for message in socket:
            fields = json.loads(message)
            if (fields.get("text") or "").strip():
                await socket.send(sound(fields["context_id"]))

    async with scripted(script) as url, running(voice_at(url)) as stream:
        began = now()
        assert len(audio_of(await spoken(stream, "Hello there."))) == 4000
        assert now() - began == pytest.approx(2.5, abs=0.1)


async def test_a_vendor_that_shows_its_refusal_on_the_open_socket_is_not_asked_again_soon() -> None:
    sockets = 0

    async def script(socket: ServerConnection) -> None:
        nonlocal sockets
        sockets += 1
        await socket.send(json.dumps({"message": "no", "error": "invalid_api_key", "code": 1008}))
        await socket.close(1008)

    async with scripted(script) as url, running(voice_at(url)) as stream:
        for _ in range(3):
            with pytest.raises(ProviderRefused, match="invalid_api_key"):
                await spoken(stream, "Hello.")
        await asyncio.sleep(9)
        assert sockets == 1


async def test_a_vendor_that_hangs_up_at_once_is_not_stormed() -> None:
    sockets = 0

    async def script(socket: ServerConnection) -> None:
        nonlocal sockets
        sockets += 1
        await socket.close(1011)

    async with scripted(script) as url, running(voice_at(url)) as stream:
        await asyncio.sleep(60)
        assert 20 < sockets < 40
        with pytest.raises(ProviderError):
            await spoken(stream, "Hello.")


async def test_a_vendor_that_is_not_there_is_told_within_four_seconds() -> None:
    async with running(voice_at("http://127.0.0.1:1")) as stream:
        began = now()
        with pytest.raises(ProviderTimeout):
            await spoken(stream, "Hello.")
        assert now() - began <= 4.1


async def test_a_dead_peer_is_found_though_nobody_speaks() -> None:
    sockets = 0

    async def script(socket: ServerConnection) -> None:
        nonlocal sockets
        sockets += 1
        if sockets == 1:
            socket.transport.pause_reading()  # its answers to pings stay away
        await asyncio.sleep(2 * PING_S + 3)

    async with scripted(script) as url, running(voice_at(url)):
        await asyncio.sleep(2 * PING_S + 2)
        assert sockets == 2


async def test_a_quiet_socket_that_answers_pings_is_kept() -> None:
    sockets = 0

    async def script(socket: ServerConnection) -> None:
        nonlocal sockets
        sockets += 1
        await socket.wait_closed()

    async with scripted(script) as url, running(voice_at(url)):
        await asyncio.sleep(10 * PING_S)
        assert sockets == 1


@pytest.mark.parametrize(
    ("status", "error"),
    [(400, ProviderRefused), (403, ProviderRefused), (404, ProviderRefused), (429, ProviderBusy)],
)
async def test_the_status_of_a_refused_handshake_decides(status: int, error: type[ProviderError]) -> None:
    def refuse(socket: ServerConnection, request: Request) -> Response:
        return socket.respond(status, "")

    async with serve(lambda _: asyncio.sleep(0), "127.0.0.1", 0, process_request=refuse) as server:
        url = f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        async with running(voice_at(url)) as stream:
            with pytest.raises(ProviderError, match=f"HTTP {status}") as failure:
                await spoken(stream, "Hello.")
            assert type(failure.value) is error


async def test_a_redirect_is_not_followed_for_the_key_would_go_with_it() -> None:
    went: list[str] = []

    def redirect(socket: ServerConnection, request: Request) -> Response:
        went.append(request.path)
        response = socket.respond(307, "")
        response.headers["Location"] = "ws://127.0.0.1:1/elsewhere"
        return response

    async with serve(lambda _: asyncio.sleep(0), "127.0.0.1", 0, process_request=redirect) as server:
        url = f"http://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}"
        async with running(voice_at(url)) as stream:
            with pytest.raises(ProviderTimeout):
                await spoken(stream, "Hello.")
    assert went
    assert all("multi-stream-input" in path for path in went)
