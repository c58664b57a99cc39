"""An emulated ElevenLabs: the multi-context WebSocket, and speech with timestamps.

Shapes of messages and meanings of fields are those of ElevenLabs' API reference (text-to-speech:
multi-stream-input, with-timestamps, stream/with-timestamps). It speaks mu-law at 8 kHz and nothing else.
Faults: `connect` is the request for a socket; `text` a text that came in, by socket or by HTTP; `audio` a
chunk that goes out.
"""

from __future__ import annotations

__all__ = ["routes"]

import asyncio
import base64
import json
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from typing import Any

from aiohttp import web

from .elevenlabs_socket import MultiContextSocket, SocketGone
from .elevenlabs_speech import SpeechChunk, chunks_of
from .elevenlabs_wire import VENDOR, VendorRefusal, abort, alignment_in_seconds, checked_query, error_of
from .faults import FaultKind, PlannedFault
from .world import VendorWorld

_PATH = "/v1/text-to-speech/{voice_id}"


def routes(world: VendorWorld) -> list[web.RouteDef]:
    """What the vendor answers to."""
    vendor = _Vendor(world)
    return [
        web.get(f"{_PATH}/multi-stream-input", vendor.socket),
        web.post(f"{_PATH}/with-timestamps", vendor.whole),
        web.post(f"{_PATH}/stream/with-timestamps", vendor.stream),
    ]


class _Vendor:
    def __init__(self, world: VendorWorld) -> None:
        self._world = world

    # ----------------------------------------------------------------- socket

    async def socket(self, request: web.Request) -> web.StreamResponse:
        """Serve a multi-context WebSocket until it closes."""
        world = self._world
        self._check_key(request)
        await world.clock.sleep_until(world.clock.now() + world.latency.draw_s("connect"))
        first = await self._connect_fault(request, world.faults.take(VENDOR, "connect"))
        socket = web.WebSocketResponse(max_msg_size=1 << 20)
        await socket.prepare(request)
        sightings = world.sightings
        sightings.note(VENDOR, "connected", voice=request.match_info["voice_id"], **dict(request.query))
        sightings.opened("elevenlabs connection")
        try:
            options = checked_query(request.query)
            await MultiContextSocket(socket, request, world, options).serve(first)
        except VendorRefusal as refusal:
            await _say_goodbye(socket, refusal)
            if refusal.close_code == 1008:
                sightings.note(VENDOR, "refused", error=refusal.code)
        except SocketGone:
            pass
        finally:
            sightings.opened("elevenlabs connection", -1)
            sightings.note(VENDOR, "closed", code=socket.close_code)
        return socket

    def _check_key(self, request: web.Request) -> None:
        if request.headers.get("xi-api-key") != self._world.keys.get(VENDOR):
            self._world.sightings.note(VENDOR, "refused", error="invalid_api_key")
            raise _http_error(web.HTTPUnauthorized, "invalid_api_key")

    async def _connect_fault(self, request: web.Request, fault: PlannedFault | None) -> PlannedFault | None:
        """Let a fault happen before the socket is there; returns one that happens on the open socket."""
        match fault.kind if fault is not None else None:
            case FaultKind.CLOSE | FaultKind.MALFORMED:
                return fault
            case FaultKind.SLOW if fault is not None:
                await self._world.clock.sleep_until(self._world.clock.now() + fault.wait_ms / 1000)
            case _ if fault is not None:
                await self._http_fault(request, fault)
        return None

    # ------------------------------------------------------------------- HTTP

    async def whole(self, request: web.Request) -> web.StreamResponse:
        """Answer with all audio of a text at once."""
        text = await self._text_of(request)
        audio, characters, begins_s = b"", [], 0.0
        async with aclosing(self._chunks(request, text)) as chunks:
            async for chunk, _ in chunks:
                characters += alignment_in_seconds(chunk, begins_s)
                begins_s += chunk.lasts_s
                audio += chunk.audio
        self._world.sightings.note(VENDOR, "finished", text=text)
        return web.json_response(_timestamped(audio, characters))

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """Answer with a line of JSON for each chunk."""
        text = await self._text_of(request)
        response = web.StreamResponse(headers={"content-type": "application/json"})
        await response.prepare(request)
        begins_s = 0.0
        async with aclosing(self._chunks(request, text)) as chunks:
            async for chunk, malformed in chunks:
                if malformed:
                    await response.write(b'{"audio_base64": 7\n')
                line = json.dumps(_timestamped(chunk.audio, alignment_in_seconds(chunk, begins_s)))
                begins_s += chunk.lasts_s
                await response.write(line.encode() + b"\n")
        await response.write_eof()
        self._world.sightings.note(VENDOR, "finished", text=text)
        return response

    async def _text_of(self, request: web.Request) -> str:
        self._check_key(request)
        try:
            checked_query(request.query)
            body = await request.json()
            text = str(body["text"])
        except VendorRefusal as refusal:
            raise _http_error(web.HTTPBadRequest, refusal.code) from None
        except (ValueError, KeyError, TypeError):
            raise _http_error(web.HTTPUnprocessableEntity, "invalid_body") from None
        voice = request.match_info["voice_id"]
        self._world.sightings.note(VENDOR, "request", voice=voice, **dict(request.query), **body)
        if (fault := self._world.faults.take(VENDOR, "text")) is not None:
            await self._http_fault(request, fault)
        return text

    async def _chunks(
        self, request: web.Request, text: str
    ) -> AsyncGenerator[tuple[SpeechChunk, bool], None]:
        """Yield the chunks of a text when they are ready, each with whether it comes malformed."""
        world = self._world
        ready_at = world.clock.now() + world.latency.draw_s("first_audio")
        speed = world.latency.profile.audio_speed
        async with aclosing(chunks_of(text, world.engines.voice)) as chunks:
            async for chunk in chunks:
                await world.clock.sleep_until(ready_at)
                fault = world.faults.take(VENDOR, "audio")
                if fault is not None:
                    await self._http_fault(request, fault)
                yield chunk, fault is not None and fault.kind is FaultKind.MALFORMED
                ready_at += chunk.lasts_s / speed if speed else 0.0

    async def _http_fault(self, request: web.Request, fault: PlannedFault) -> None:
        """Let a fault happen to a request that has no socket; returns if it goes on."""
        match fault.kind:
            case FaultKind.DROP | FaultKind.CLOSE:
                abort(request)
                await asyncio.Event().wait()
            case FaultKind.STALL:
                await asyncio.Event().wait()
            case FaultKind.BUSY:
                error = _http_error(web.HTTPTooManyRequests, "too_many_concurrent_requests")
                if fault.retry_after_s is not None:
                    error.headers["Retry-After"] = f"{fault.retry_after_s:g}"
                raise error
            case FaultKind.ERROR:
                raise _http_error(web.HTTPInternalServerError, "internal_server_error")
            case FaultKind.REFUSE:
                raise _http_error(web.HTTPUnauthorized, "invalid_api_key")
            case FaultKind.SLOW:
                await self._world.clock.sleep_until(self._world.clock.now() + fault.wait_ms / 1000)
            case FaultKind.MALFORMED:
                return


async def _say_goodbye(socket: web.WebSocketResponse, refusal: VendorRefusal) -> None:
    with suppress(ConnectionError):
        if refusal.code:
            await socket.send_str(json.dumps(error_of(refusal.code, refusal.close_code)))
        await socket.close(code=refusal.close_code, message=refusal.code.encode())


def _http_error(kind: type[web.HTTPError], code: str) -> web.HTTPError:
    detail = {"detail": {"status": code, "message": error_of(code, 0)["message"]}}
    return kind(text=json.dumps(detail), content_type="application/json")


def _timestamped(audio: bytes, characters: list[tuple[str, float, float]]) -> dict[str, Any]:
    alignment = {
        "characters": [sign for sign, _, _ in characters],
        "character_start_times_seconds": [start_s for _, start_s, _ in characters],
        "character_end_times_seconds": [end_s for _, _, end_s in characters],
    }
    return {
        "audio_base64": base64.b64encode(audio).decode(),
        "alignment": alignment,
        "normalized_alignment": alignment,
    }
