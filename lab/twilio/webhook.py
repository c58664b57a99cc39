"""Requests to the bridge as Twilio makes them: for documents, for sounds, and to tell how a call goes."""

from __future__ import annotations

__all__ = ["Webhook"]

import asyncio
from collections.abc import Mapping
from types import MappingProxyType
from urllib.parse import urlencode, urlsplit

import aiohttp
from yarl import URL

from .calls import CallLeg
from .errors import twilio_error
from .signature import sign
from .twiml import parse_twiml
from .verbs import Verb

_ANSWER_WITHIN_S = 15.0
"""Twilio waits so long for a webhook (error 11205)."""
_MAX_BYTES = 64 * 1024
_MAX_SOUND_BYTES = 16 * 1024 * 1024


class Webhook:
    """Requests to the bridge, signed when the auth token is known."""

    def __init__(self, session: aiohttp.ClientSession, leg: CallLeg, auth_token: str | None) -> None:
        self._session, self.leg, self._auth_token = session, leg, auth_token

    async def fetch(
        self, url: str, status: str, method: str = "POST", more: Mapping[str, str] = MappingProxyType({})
    ) -> tuple[Verb, ...]:
        """Request a TwiML document, with `more` fields. Raises ProtocolError with Twilio's error number."""
        form = {**self.leg.form(status), **more}
        body = await self._request(url, form, method)
        return parse_twiml(body, url)

    async def notify(self, url: str, fields: Mapping[str, str], method: str = "POST") -> None:
        """Send a status callback, whose answer Twilio ignores. Raises ProtocolError when it fails."""
        await self._request(url, dict(fields), method, wants_twiml=False)

    async def fetch_sound(self, url: str) -> bytes:
        """Request a file for `<Play>`. Raises ProtocolError."""
        return await self._request(url, {}, "GET", wants_twiml=False, most_bytes=_MAX_SOUND_BYTES)

    async def _request(
        self,
        url: str,
        form: dict[str, str],
        method: str,
        *,
        wants_twiml: bool = True,
        most_bytes: int = _MAX_BYTES,
    ) -> bytes:
        if urlsplit(url).scheme not in ("http", "https"):
            raise twilio_error(11100, f"{url!r} is not an http or https URL")
        # A GET carries its parameters in the URL, and the URL is what is signed.
        fields = form if method == "POST" else {}
        if method == "GET" and form:
            url += ("&" if "?" in url else "?") + urlencode(form)
        headers = {"User-Agent": "TwilioProxy/1.1", "Accept": "*/*"}
        if self._auth_token:
            headers["X-Twilio-Signature"] = sign(url, fields, self._auth_token)
        target = URL(url, encoded=True)
        try:
            async with (
                asyncio.timeout(_ANSWER_WITHIN_S),
                self._session.request(method, target, data=fields or None, headers=headers) as answer,
            ):
                body = await _read(answer, most_bytes)
                return _checked(answer, body, url) if wants_twiml else _accepted(answer, url, body)
        except TimeoutError as error:
            raise twilio_error(11205, f"no answer from {url} within {_ANSWER_WITHIN_S:g} s") from error
        except aiohttp.ClientError as error:
            raise twilio_error(11205, f"no connection to {url}: {error}") from error


def _accepted(answer: aiohttp.ClientResponse, url: str, body: bytes) -> bytes:
    if answer.status >= 400:
        said = body[:200].decode(errors="replace").strip()
        raise twilio_error(11200, f"{url} answered {answer.status}" + (f": {said}" if said else ""))
    return body


def _checked(answer: aiohttp.ClientResponse, body: bytes, url: str) -> bytes:
    _accepted(answer, url, body)
    if answer.content_type not in ("text/xml", "application/xml"):
        raise twilio_error(12300, f"{url} answered {answer.content_type}, not text/xml")
    return body


async def _read(answer: aiohttp.ClientResponse, most_bytes: int) -> bytes:
    """The body, or so much of it that it is seen to be too long."""
    body = bytearray()
    while len(body) <= most_bytes and (piece := await answer.content.read(most_bytes + 1 - len(body))):
        body += piece
    return bytes(body)
