"""The process's one HTTP client: connections are kept, answers are bounded, addresses are guarded.

There are two pools of connections, and a pool has one rule for addresses. With a single pool a tool
that may ask a private host would leave a connection behind that another tool, which may not, finds
ready. Neither pool keeps cookies, follows redirects or reads proxy settings: a redirect would take the
headers' secrets to a place that nobody wrote down, and the caller of one call is not that of the next.
"""

from __future__ import annotations

__all__ = ["Exchange", "WebAnswer", "WebClient", "WebRequest"]

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Protocol

import aiohttp
from aiohttp.abc import AbstractResolver
from yarl import URL

from offhook.config.errors import ToolError, ToolUnreachable

from .address_guard import REFUSED, AddressRule, any_but_metadata, public_only, refuse_connections

LARGEST_ANSWER_BYTES = 262_144
"""Far more than the model is told."""
CONNECTIONS = 256
CONNECTIONS_PER_HOST = 64
KEPT_S = 30.0
"""So long an idle connection is kept for the next tool."""
RESOLVED_FOR_S = 10
NO_WAIT_S = 0.0


@dataclass(frozen=True, slots=True)
class WebRequest:
    """What is asked."""

    method: str
    url: str
    """Percent-encoded; it is sent as it stands."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """May hold secrets."""
    body: bytes | None = field(default=None, repr=False)
    within_s: float = 5.0
    reads_answer: bool = True
    """False where the status says all; then neither the answer's size nor its end matters."""


@dataclass(frozen=True, slots=True)
class WebAnswer:
    """What came back."""

    status: int
    body: bytes = field(repr=False)
    retry_after_s: float = NO_WAIT_S
    """How long the server asks to be left alone."""

    @property
    def ok(self) -> bool:
        """The server did what it was asked."""
        return 200 <= self.status < 300


class Exchange(Protocol):
    """Sends a request and reads the answer."""

    async def __call__(self, request: WebRequest, *, named: bool = False) -> WebAnswer:
        """Return the answer, whatever its status; `named` says that the operator named the host.

        Raises ToolUnreachable if nothing was sent, ToolError for an answer that is lost.
        """


class WebClient:
    """Asks servers; made without a running loop, used on one, closed once."""

    def __init__(
        self,
        *,
        resolver: AbstractResolver | None = None,
        public: AddressRule = public_only,
        named: AddressRule = any_but_metadata,
    ) -> None:
        """`public` is the rule for hosts in general, `named` the one for hosts that the operator named."""
        self._resolver = resolver
        self._rules = {False: public, True: named}
        self._sessions: dict[bool, aiohttp.ClientSession] = {}
        self._closed = False

    async def exchange(self, request: WebRequest, *, named: bool = False) -> WebAnswer:
        """Send a request and read the answer, whatever its status.

        Raises ToolUnreachable if nothing was sent, and ToolError if the answer was lost, too large, or not
        there within the request's time. No error quotes the request.
        """
        try:
            async with (
                asyncio.timeout(request.within_s),
                self._session(named).request(
                    request.method,
                    URL(request.url, encoded=True),
                    headers=request.headers,
                    data=request.body,
                    allow_redirects=False,
                ) as response,
            ):
                body = await _read(response) if request.reads_answer else b""
                return WebAnswer(response.status, body, _seconds(response.headers.get("Retry-After", "")))
        except aiohttp.InvalidURL:
            raise ToolUnreachable("the address is not valid") from None
        except aiohttp.ClientConnectorCertificateError:
            raise ToolUnreachable("the server's certificate is not valid") from None
        except aiohttp.ClientConnectorError as error:
            refused = REFUSED in str(error.os_error)
            raise ToolUnreachable(REFUSED if refused else "the server cannot be reached") from None
        except TimeoutError:
            raise ToolError(f"the server did not answer within {request.within_s:g} s") from None
        except (aiohttp.ClientError, ValueError):
            # From None: these exceptions carry the request's headers.
            raise ToolError("the server broke the connection off") from None

    async def close(self) -> None:
        """Close every connection; nothing is asked any more."""
        self._closed = True
        sessions = list(self._sessions.values())
        self._sessions.clear()
        await asyncio.gather(*(session.close() for session in sessions))

    def _session(self, named: bool) -> aiohttp.ClientSession:
        if self._closed:
            raise ToolUnreachable("the bridge is shutting down")
        if named not in self._sessions:
            connector = aiohttp.TCPConnector(
                resolver=self._resolver or aiohttp.ThreadedResolver(),
                socket_factory=refuse_connections(self._rules[named]),
                limit=CONNECTIONS,
                limit_per_host=CONNECTIONS_PER_HOST,
                keepalive_timeout=KEPT_S,
                ttl_dns_cache=RESOLVED_FOR_S,
            )
            self._sessions[named] = aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                # An answer that unpacks to a thousand times its size would stall every call.
                auto_decompress=False,
                headers={"User-Agent": "offhook", "Accept-Encoding": "identity"},
                timeout=aiohttp.ClientTimeout(total=None),
                trust_env=False,
            )
        return self._sessions[named]


async def _read(response: aiohttp.ClientResponse) -> bytes:
    """Raises ToolError for a body that is too large or packed."""
    body = bytearray()
    async for chunk in response.content.iter_any():
        body += chunk
        if len(body) > LARGEST_ANSWER_BYTES:
            response.close()
            raise ToolError(f"the answer is larger than {LARGEST_ANSWER_BYTES} bytes")
    if body and response.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise ToolError("the answer is compressed, though it was asked for plain")
    return bytes(body)


def _seconds(retry_after: str) -> float:
    """Read a Retry-After header that counts seconds (RFC 9110, section 10.2.3); a date counts as none."""
    return float(retry_after) if retry_after.isdigit() and len(retry_after) < 7 else NO_WAIT_S
