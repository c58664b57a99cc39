"""The WebSocket under Deepgram's SDK, which lets its user bring one (`transport_factory`).

The SDK's own is the `websockets` library's deprecated client: it offers compression, which costs memory and
time and gains nothing on mu-law, hides the headers of a refusal (`Retry-After`), loads the certificates
anew for each call on the event loop, and takes up to a minute to close.
"""

from __future__ import annotations

__all__ = ["Socket"]

import asyncio
import functools
import ssl
from collections.abc import Mapping
from contextlib import suppress

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus, WebSocketException

from offhook.config.errors import ProviderBusy, ProviderError, ProviderRefused, ProviderTimeout

from .deepgram_dialect import VENDOR

OPEN_WITHIN_S = 4.0
SEND_WITHIN_S = 4.0
CLOSE_WITHIN_S = 0.3
MOST_RECEIVED_BYTES = 1 << 20


class Socket:
    """Connects when it is first used, and says what goes wrong as a ProviderError."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        self._url, self._headers = url, headers
        self._opening = asyncio.Lock()
        self._connection: ClientConnection | None = None
        self._failure: ProviderError | None = None

    async def send(self, data: str | bytes) -> None:
        """Send a message; raises ProviderTimeout if the vendor takes no more."""
        connection = await self._opened()
        try:
            async with asyncio.timeout(SEND_WITHIN_S):
                await connection.send(data)
        except TimeoutError:
            raise ProviderTimeout(VENDOR, f"nothing was read for {SEND_WITHIN_S:g} s") from None
        except ConnectionClosed as closed:
            raise _lost(closed) from None

    async def recv(self) -> str | bytes:
        """Return the next message; raises ProviderError once the socket is closed, by whomever."""
        connection = await self._opened()
        try:
            return await connection.recv()
        except ConnectionClosed as closed:
            raise _lost(closed) from None

    def __aiter__(self) -> Socket:
        return self

    async def __anext__(self) -> str | bytes:
        return await self.recv()

    async def close(self) -> None:
        """Close it; the vendor has 0.3 s to read what was sent and to agree."""
        connection = self._connection
        if connection is None:
            return
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_WITHIN_S):
                    await connection.close()
        finally:
            connection.transport.abort()
        await connection.wait_closed()

    async def _opened(self) -> ClientConnection:
        if self._connection is not None:
            return self._connection
        async with self._opening:
            if self._failure is not None:
                raise self._failure
            if self._connection is None:
                try:
                    self._connection = await _connected(self._url, self._headers)
                except ProviderError as failure:
                    self._failure = failure
                    raise
            return self._connection


@functools.cache
def certificates() -> ssl.SSLContext:
    """Whom to trust; loading it takes tens of milliseconds."""
    return ssl.create_default_context()


async def _connected(url: str, headers: Mapping[str, str]) -> ClientConnection:
    try:
        return await connect(
            url,
            additional_headers=headers,
            user_agent_header=None,  # the SDK's headers hold one
            compression=None,
            open_timeout=OPEN_WITHIN_S,
            max_size=MOST_RECEIVED_BYTES,
            ssl=certificates() if url.startswith("wss:") else None,
        )
    except TimeoutError:
        raise ProviderTimeout(VENDOR, f"no connection within {OPEN_WITHIN_S:g} s") from None
    except InvalidStatus as refused:
        response = refused.response
        raise _refusal(response.status_code, response.headers.get("Retry-After")) from None
    except OSError as error:
        raise ProviderError(VENDOR, f"cannot be reached ({type(error).__name__})") from None
    except WebSocketException as error:
        raise ProviderError(VENDOR, f"the handshake failed ({type(error).__name__})") from None


def _refusal(status: int, retry_after: str | None) -> ProviderError:
    if status == 429 or status >= 500:
        return ProviderBusy(VENDOR, f"HTTP {status}", _seconds(retry_after))
    return ProviderRefused(VENDOR, f"HTTP {status}")


def _seconds(retry_after: str | None) -> float | None:
    """Read `Retry-After`; a date, which it may hold too, tells nothing to a caller who waits."""
    return float(retry_after) if retry_after and retry_after.isdecimal() else None


def _lost(closed: ConnectionClosed) -> ProviderError:
    if closed.rcvd is None:
        return ProviderError(VENDOR, "the connection was lost")
    return ProviderError(VENDOR, f"the socket closed ({closed.rcvd.code})")
