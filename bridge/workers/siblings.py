"""How workers reach each other: HTTP over private Unix-domain sockets, each request with a bound."""

from __future__ import annotations

__all__ = [
    "ANSWER_WITHIN_S",
    "SiblingGone",
    "SiblingSilent",
    "Unreachable",
    "answers_of_siblings",
    "forward",
    "order",
]

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, UnixConnector, web
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from offhook.config.errors import OffhookError

from ..call_store import StoreUnavailable
from ..http_rules import WORKER_LEFT_OUT
from ..server_state import STATE, ServerState
from .place import REMOTE_HEADER, SECRET_HEADER, WorkerPlace

ANSWER_WITHIN_S = 2.0
"""A sibling that has not begun to answer by then is silent."""
PIECE_WITHIN_S = 60.0
"""The next piece of an answer that comes bit by bit; a stream of events says something every 15 s."""
WRITE_WITHIN_S = 10.0
GATHER_WITHIN_S = 1.0

_HOP_BY_HOP = frozenset(
    {
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization", "te", "trailer"),
        *("transfer-encoding", "upgrade", "content-length", "date", "server", "expect"),
        *(SECRET_HEADER.lower(), REMOTE_HEADER.lower()),
    }
)
"""Headers of one connection (RFC 9110, section 7.6.1), of one server, and our own."""


class Unreachable(OffhookError):
    """A sibling did not serve a request."""


class SiblingGone(Unreachable):
    """Nobody listens on its socket."""


class SiblingSilent(Unreachable):
    """It did not begin to answer in its time."""


async def forward(
    request: web.Request, address: str, within_s: float = ANSWER_WITHIN_S
) -> web.StreamResponse:
    """Pass a request on to the worker at `address`, and its answer back, piece by piece.

    The worker has `within_s` to begin it. The request's body must have been read. Raises Unreachable as
    long as nothing was answered.
    """
    body = await request.read()
    async with _asked(request, address, within_s, body) as answer:
        response = web.StreamResponse(status=answer.status, headers=_end_to_end(answer.headers))
        response.content_length = answer.content_length
        try:
            await response.prepare(request)
            while piece := await _next_piece(answer):
                async with asyncio.timeout(WRITE_WITHIN_S):
                    await response.write(piece)
            await response.write_eof()
        except (ClientError, ConnectionError, TimeoutError):
            # One of the two ends is gone in the middle: the other must not take it for the whole.
            if request.transport is not None:
                request.transport.abort()
        return response


async def answers_of_siblings(request: web.Request) -> dict[str, bytes]:
    """Ask every other worker the same, and give the bodies by worker's name.

    One that does not answer within 1 s is left out, and counted.
    """
    state = request.config_dict[STATE]
    place = state.place
    if place is None:
        return {}
    try:
        workers = await state.store.workers()
    except StoreUnavailable as error:
        state.apply(WORKER_LEFT_OUT, problem=str(error))
        return {}
    others = {address: name for address, name in workers.items() if address != place.address}
    bodies = await asyncio.gather(*(_body_of(request, state, address) for address in others))
    return {name: body for name, body in zip(others.values(), bodies, strict=True) if body is not None}


async def order(place: WorkerPlace, address: str, method: str, path: str) -> None:
    """Have the worker at `address` do something of the workers' own business. Raises Unreachable."""
    headers = {SECRET_HEADER: place.secret}
    async with _session(address) as http, _answer(http, method, path, ANSWER_WITHIN_S, headers=headers):
        """It was done, or there is nothing to do any more."""


async def _body_of(request: web.Request, state: ServerState, address: str) -> bytes | None:
    try:
        async with asyncio.timeout(GATHER_WITHIN_S), _asked(request, address, GATHER_WITHIN_S) as answer:
            if answer.status == 200:
                return await answer.read()
    except (Unreachable, ClientError, ConnectionError, TimeoutError):
        pass
    state.apply(WORKER_LEFT_OUT, path=request.path)
    return None


@asynccontextmanager
async def _asked(
    request: web.Request, address: str, within_s: float, body: bytes = b""
) -> AsyncIterator[ClientResponse]:
    """Send the request on as it came, with who sent it, and wait for the head of the answer."""
    place = request.config_dict[STATE].place
    if place is None:
        raise SiblingGone("this server is one process")
    headers = _end_to_end(request.headers)
    headers.popall("Content-Encoding", None)  # the body was decoded when it was read
    headers[SECRET_HEADER] = place.secret
    headers[REMOTE_HEADER] = request.remote or ""
    path = request.raw_path if request.raw_path.startswith("/") else request.path_qs
    async with (
        _session(address) as http,
        _answer(http, request.method, path, within_s, headers=headers, body=body) as answer,
    ):
        yield answer


def _session(address: str) -> ClientSession:
    return ClientSession(
        connector=UnixConnector(path=address),
        auto_decompress=False,
        timeout=ClientTimeout(total=None),
        skip_auto_headers=("Accept", "Accept-Encoding", "User-Agent", "Content-Type"),
    )


@asynccontextmanager
async def _answer(
    http: ClientSession,
    method: str,
    path: str,
    within_s: float,
    *,
    headers: Mapping[str, str],
    body: bytes = b"",
) -> AsyncIterator[ClientResponse]:
    try:
        async with asyncio.timeout(within_s):
            answer = await http.request(
                # The path goes on byte for byte: the carrier's signature covers it.
                method,
                URL(f"http://worker{path}", encoded=True),
                headers=headers,
                data=body or None,
                allow_redirects=False,
            )
    except TimeoutError:
        raise SiblingSilent("the worker did not answer in time") from None
    except (ClientError, OSError):
        raise SiblingGone("the worker is gone") from None
    async with answer:
        yield answer


async def _next_piece(answer: ClientResponse) -> bytes:
    async with asyncio.timeout(PIECE_WITHIN_S):
        return await answer.content.readany()


def _end_to_end(headers: CIMultiDict[str] | CIMultiDictProxy[str]) -> CIMultiDict[str]:
    return CIMultiDict((name, value) for name, value in headers.items() if name.lower() not in _HOP_BY_HOP)
