"""Asks servers over HTTP and WebSocket: every question has a bound, and every trouble is an answer.

Redirects are not followed and proxy settings not read, as calls do not either. From each answer the
`Date` is kept, by which `wall_clock` judges this machine's own.
"""

from __future__ import annotations

__all__ = ["ASK_WITHIN_S", "Answer", "Asking", "NoAnswer", "SeenDate", "SocketTold"]

import asyncio
import ssl
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from types import SimpleNamespace, TracebackType

import aiohttp
from yarl import URL

ASK_WITHIN_S = 5.0
GOODBYE_WITHIN_S = 2.0
"""A socket that took its goodbye and is still open then, is good."""
_LARGEST_BYTES = 262_144
_MOST_MESSAGES = 4


@dataclass(frozen=True, slots=True)
class Answer:
    """What an HTTP server said, whatever its status."""

    status: int
    body: bytes = field(default=b"", repr=False)
    took_ms: float = 0.0


@dataclass(frozen=True, slots=True)
class SocketTold:
    """What came over a WebSocket that was opened, until it closed."""

    texts: tuple[str, ...] = field(repr=False)
    close_code: int | None
    """None: it was still open when the time was up."""


@dataclass(frozen=True, slots=True)
class NoAnswer:
    """Nobody answered; the reason completes the sentence "the server ..."."""

    reason: str


@dataclass(frozen=True, slots=True)
class SeenDate:
    """How far this machine's clock was ahead of a server's; half a second is the finest that `Date` tells."""

    host: str
    ahead_s: float


class Asking:
    """A client for a few questions; used as a context manager, on one loop."""

    def __init__(
        self,
        wall_time: Callable[[], float] = time.time,
        *,
        certificates: ssl.SSLContext | None = None,
        within_s: float = ASK_WITHIN_S,
    ) -> None:
        """`wall_time` is in Unix seconds; `certificates` replaces the system's idea of who is trusted."""
        self._wall_time, self._certificates, self._within_s = wall_time, certificates, within_s
        self._session: aiohttp.ClientSession | None = None
        self.dates: list[SeenDate] = []

    async def __aenter__(self) -> Asking:
        trace = aiohttp.TraceConfig()
        trace.on_request_headers_sent.append(self._sent)
        trace.on_request_end.append(self._answered)
        connector = aiohttp.TCPConnector(
            ssl=self._certificates or True, resolver=aiohttp.ThreadedResolver(), force_close=True
        )
        self._session = aiohttp.ClientSession(
            connector=connector, trace_configs=[trace], cookie_jar=aiohttp.DummyCookieJar()
        )
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._session is not None:
            await self._session.close()

    async def ask(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        ours: bool = False,
    ) -> Answer | NoAnswer:
        """Send one request and read the answer; the date of a server of `ours` tells nothing."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            async with (
                asyncio.timeout(self._within_s),
                self._open_session().request(
                    method,
                    URL(url, encoded=True),
                    headers=headers,
                    data=form,
                    allow_redirects=False,
                    trace_request_ctx={"ours": ours},
                ) as response,
            ):
                body = await response.content.read(_LARGEST_BYTES)
                while len(body) < _LARGEST_BYTES and (more := await response.content.read(_LARGEST_BYTES)):
                    body += more
                return Answer(response.status, body, (loop.time() - began) * 1000)
        except (aiohttp.ClientError, TimeoutError, ValueError, OSError) as error:
            return NoAnswer(self._reason(error))

    async def open_socket(
        self, url: str, *, headers: Mapping[str, str], goodbye: str
    ) -> SocketTold | Answer | NoAnswer:
        """Open a WebSocket, say goodbye, and read until it closes; an Answer is a refused handshake."""
        texts: list[str] = []
        try:
            async with (
                asyncio.timeout(self._within_s),
                self._open_session().ws_connect(
                    URL(url, encoded=True),
                    headers=headers,
                    timeout=aiohttp.ClientWSTimeout(ws_close=GOODBYE_WITHIN_S),
                    max_msg_size=_LARGEST_BYTES,
                ) as socket,
            ):
                await socket.send_str(goodbye)
                try:
                    async with asyncio.timeout(GOODBYE_WITHIN_S):
                        async for message in socket:
                            if message.type is aiohttp.WSMsgType.TEXT and len(texts) < _MOST_MESSAGES:
                                texts.append(message.data)
                except TimeoutError:
                    return SocketTold(tuple(texts), None)
                return SocketTold(tuple(texts), socket.close_code)
        except aiohttp.WSServerHandshakeError as error:
            return Answer(error.status)
        except (aiohttp.ClientError, TimeoutError, ValueError, OSError) as error:
            return NoAnswer(self._reason(error))

    def _open_session(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("asked outside of the context manager")
        return self._session

    def _reason(self, error: Exception) -> str:
        """Say what happened, without the address and the headers that the exceptions quote."""
        match error:
            case TimeoutError():
                return f"did not answer within {self._within_s:g} s"
            case aiohttp.ClientConnectorDNSError():
                return "has a name that cannot be resolved"
            case aiohttp.ClientConnectorCertificateError():
                return "has no certificate that is valid"
            case aiohttp.ClientConnectorSSLError():
                return "does not speak TLS as it should"
            case aiohttp.ClientConnectorError() if isinstance(error.os_error, ConnectionRefusedError):
                return "is not listening: the connection was refused"
            case aiohttp.ClientConnectorError():
                return "cannot be reached"
        return "broke the connection off"

    async def _sent(
        self,
        session: aiohttp.ClientSession,
        context: SimpleNamespace,
        told: aiohttp.TraceRequestHeadersSentParams,
    ) -> None:
        del session, told
        context.sent_at = self._wall_time()

    async def _answered(
        self, session: aiohttp.ClientSession, context: SimpleNamespace, told: aiohttp.TraceRequestEndParams
    ) -> None:
        del session
        asked = context.trace_request_ctx
        if asked is not None and asked["ours"]:
            return
        try:
            date = parsedate_to_datetime(told.response.headers["Date"]).timestamp()
        except (KeyError, ValueError, TypeError):
            return
        here = (context.sent_at + self._wall_time()) / 2
        # The header leaves the fraction of the second out: half of one is the best guess.
        self.dates.append(SeenDate(told.url.host or "", here - (date + 0.5)))
