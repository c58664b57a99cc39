"""What Twilio's REST interface is used for: ending a call, and handing it over."""

from __future__ import annotations

__all__ = ["SdkRest", "TwilioRest"]

import asyncio
import importlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, Protocol

from pydantic import SecretStr


class TwilioRest(Protocol):
    """Changes a call that goes on; both raise what the transport raises."""

    async def complete(self, call_sid: str) -> None:
        """Hang up."""

    async def redirect(self, call_sid: str, twiml: str) -> None:
        """Leave the media stream and go on with `twiml` (at most 4000 characters)."""


class SdkRest:
    """Twilio's REST interface through the `twilio` package, which is loaded when first needed."""

    def __init__(self, account_sid: str, auth_token: SecretStr, base_url: str | None = None) -> None:
        """`base_url` stands in for https://api.twilio.com."""
        self._account_sid = account_sid
        self._auth_token = auth_token
        self._base_url = base_url

    async def load(self) -> None:
        """Import the package in a thread, where its third of a second does not hold up the loop.

        Raises ImportError when it is not installed.
        """
        await asyncio.to_thread(_import_sdk)

    async def complete(self, call_sid: str) -> None:
        """Hang up."""
        await self._update(call_sid, status="completed")

    async def redirect(self, call_sid: str, twiml: str) -> None:
        """Leave the media stream and go on with `twiml` (at most 4000 characters)."""
        await self._update(call_sid, twiml=twiml)

    @asynccontextmanager
    async def client(self) -> AsyncIterator[Any]:
        """Lend the package's client, signed in; raises ImportError when the package is not installed."""
        client_type, http_type = await asyncio.to_thread(_import_sdk)
        async with http_type() as http:
            token = self._auth_token.get_secret_value()
            client = client_type(self._account_sid, token, http_client=http)
            if self._base_url is not None:
                client.api.base_url = self._base_url
            yield client

    async def _update(self, call_sid: str, **fields: str) -> None:
        async with self.client() as client:
            await client.calls(call_sid).update_async(**fields)


def _import_sdk() -> tuple[Any, Any]:
    rest = importlib.import_module("twilio.rest")
    http = importlib.import_module("twilio.http.async_http_client")
    return rest.Client, http.AsyncTwilioHttpClient
