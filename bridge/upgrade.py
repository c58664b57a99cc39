"""From an HTTP request that aiohttp accepted to a WebSocket that no longer needs it."""

from __future__ import annotations

__all__ = ["UpgradedResponse", "answer_upgrade", "take_over"]

from typing import Any, cast

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter
from websockets.datastructures import Headers
from websockets.http11 import Request, Response
from websockets.server import ServerProtocol

from .media_socket import MediaSocket


class UpgradedResponse(web.StreamResponse):
    """What a handler returns after the connection changed hands: there is nothing left to send."""

    def __init__(self) -> None:
        super().__init__(status=101)
        self.force_close()

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send nothing."""
        del request
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Send nothing."""
        del data


def answer_upgrade(request: web.Request) -> Response:
    """Answer a WebSocket handshake (RFC 6455, section 4.2): 101, or the status that refuses it.

    No extension is negotiated: compressing telephone audio costs half as much again as the rest.
    """
    version = f"HTTP/{request.version.major}.{request.version.minor}"
    headers = Headers(list(request.headers.items()))
    handshake = Request(request.raw_path, headers, request.method, version)
    return ServerProtocol().accept(handshake)


def take_over(request: web.Request, answer: Response, socket: MediaSocket) -> bool:
    """Give the request's connection to `socket`, and tell aiohttp when it is gone.

    aiohttp must hear of the end, or its book of connections would grow with every call. Returns False
    when the connection is lost already. Bytes that the client sent behind its request,
    before it had the answer, are not lost.
    """
    transport = request.transport
    if transport is None or transport.is_closing():
        return False
    early = _EarlyBytes()
    request.protocol.set_parser(cast(Any, early))
    transport.write(answer.serialize())
    socket.attach(transport, when_lost=request.protocol.connection_lost)
    if early.data:
        socket.data_received(bytes(early.data))
    return True


class _EarlyBytes:
    """Takes the place of aiohttp's WebSocket reader, to be given what was read too far."""

    def __init__(self) -> None:
        self.data = bytearray()

    def feed_data(self, data: bytes) -> tuple[bool, bytes]:
        self.data += data
        return False, b""

    def feed_eof(self) -> None:
        """The connection is gone."""
