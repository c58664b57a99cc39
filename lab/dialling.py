"""Dials a webhook as Twilio does and follows the TwiML to the end of the call."""

from __future__ import annotations

__all__ = ["CallLeg", "Ending", "Webhook", "follow", "told_ending"]

import asyncio
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal
from urllib.parse import urlencode, urlsplit

import aiohttp
from yarl import URL

from offhook.pipeline.clock import Clock

from .directory import Directory
from .phone import StreamEnd
from .rest_interface import CallUpdate, Updates
from .signature import sign
from .twilio_error import twilio_error
from .twiml import ConnectStream, Dial, Hangup, Pause, Redirect, Reject, SayText, Verb, parse_twiml

_ANSWER_WITHIN_S = 15.0
"""Twilio waits so long for a webhook (error 11205)."""
_MAX_DOCUMENTS = 20
_MAX_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class CallLeg:
    """Who calls whom, as the webhook is told."""

    call_sid: str
    account_sid: str
    from_number: str = "+15005550006"
    """A number that Twilio reserves for tests."""
    to_number: str = "+15005550001"

    @classmethod
    def new(cls, generator: random.Random, from_number: str, to_number: str) -> CallLeg:
        """A leg with identifiers of Twilio's shape."""
        return cls(new_sid("CA", generator), new_sid("AC", generator), from_number, to_number)

    def form(self, status: str) -> dict[str, str]:
        """The parameters of a voice webhook; Twilio documentation, "TwiML voice request"."""
        return {
            "AccountSid": self.account_sid,
            "ApiVersion": "2010-04-01",
            "CallSid": self.call_sid,
            "CallStatus": status,
            "Called": self.to_number,
            "CalledCountry": "US",
            "Caller": self.from_number,
            "CallerCountry": "US",
            "Direction": "inbound",
            "From": self.from_number,
            "FromCountry": "US",
            "To": self.to_number,
            "ToCountry": "US",
        }


def new_sid(prefix: str, generator: random.Random) -> str:
    """An identifier of Twilio's: two letters and 32 hexadecimal digits."""
    return f"{prefix}{generator.getrandbits(128):032x}"


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

    async def notify(self, url: str, fields: Mapping[str, str]) -> None:
        """Post a status callback, whose answer Twilio ignores. Raises ProtocolError when it fails."""
        await self._request(url, dict(fields), "POST", wants_twiml=False)

    async def _request(
        self, url: str, form: dict[str, str], method: str, *, wants_twiml: bool = True
    ) -> bytes:
        if urlsplit(url).scheme not in ("http", "https"):
            raise twilio_error(11100, f"{url!r} is not an http or https URL")
        # A GET carries its parameters in the URL, and the URL is what is signed.
        fields = form if method == "POST" else {}
        if method == "GET":
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
                body = await answer.content.read(_MAX_BYTES + 1)
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


@dataclass(frozen=True, slots=True)
class Ending:
    """How the whole call ended."""

    by: Literal["caller", "agent", "transfer", "lost", "limit"]
    reason: str = ""
    transferred_to: str | None = None


def told_ending(by: str) -> str:
    """How the call ended as words, from `Ending.by`: "ended by agent", "the line was lost"."""
    return _TOLD_ENDINGS.get(by, f"ended by {by}")


_TOLD_RUNGS = {"completed": "answered", "no-answer": "nobody answered"}
_TOLD_ENDINGS = {"lost": "the line was lost", "limit": "its time was up"}


@dataclass(slots=True)
class _Run:
    webhook: Webhook
    clock: Clock
    stream: Callable[[ConnectStream], Awaitable[StreamEnd]]
    note: Callable[[str], None]
    directory: Directory
    updates: Updates
    take_away: Callable[[], None]
    voice_url: str
    documents: int = 0
    last: StreamEnd | None = None
    legs: int = 0
    """Others that were rung."""
    taken_by: str = ""
    """Who answered when the call was handed over."""


async def follow(
    url: str,
    webhook: Webhook,
    clock: Clock,
    stream: Callable[[ConnectStream], Awaitable[StreamEnd]],
    note: Callable[[str], None],
    directory: Directory | None = None,
    updates: Updates | None = None,
    take_away: Callable[[], None] = lambda: None,
) -> Ending:
    """Dial `url` and do what its TwiML says until the call ends.

    `stream` runs a `<Connect><Stream>`; `note` is told each verb in one line, and what came of it; the
    `directory` says who answers a `<Dial>`. What comes by `updates` is done in place of a stream, which is
    told by `take_away` to end.
    Raises ProtocolError for what Twilio would refuse.
    """
    run = _Run(webhook, clock, stream, note, directory or Directory(), updates or Updates(), take_away, url)
    verbs = await _fetch(run, url, "ringing")
    while True:
        outcome = await _perform(run, verbs)
        if isinstance(outcome, Ending):
            return outcome
        verbs = outcome


async def _perform(run: _Run, verbs: tuple[Verb, ...]) -> tuple[Verb, ...] | Ending:
    """Do the verbs of one document; returns the next document or how the call ended."""
    for verb in verbs:
        if (update := run.updates.take()) is not None:
            return await _updated(run, update)
        if isinstance(verb, Hangup):
            run.note("<Hangup>")
            return _agent_ended(run)
        if isinstance(verb, Reject):
            run.note(f"<Reject> {verb.reason}")
            return Ending("agent", f"the call was not answered: {verb.reason}")
        if isinstance(verb, Dial):
            document = await _dial(run, verb)
            if document is not None:
                return document
        elif isinstance(verb, Redirect):
            run.note(f"<Redirect> {verb.url}")
            return await _fetch(run, verb.url, "in-progress", verb.method)
        elif isinstance(verb, SayText):
            run.note(f"<Say> {verb.text}")
        elif isinstance(verb, Pause):
            run.note(f"<Pause> {verb.length_s:g} s")
            await _wait(run, verb.length_s)
        else:
            after = await _connect(run, verb)
            if after is not None:
                return after
    return _agent_ended(run)


async def _wait(run: _Run, seconds: float) -> None:
    """Let so much time pass, or less: until the call is to do something else."""
    waiting = [
        asyncio.ensure_future(run.clock.sleep_until(run.clock.now() + seconds)),
        asyncio.ensure_future(run.updates.wait()),
    ]
    try:
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def _dial(run: _Run, verb: Dial) -> tuple[Verb, ...] | Ending | None:
    """Ring somebody, let them talk, and ask what is next; Twilio documentation of `<Dial>`, `action`."""
    run.note(f"<Dial> {verb.number}")
    rung = run.directory.of(verb.number).ring(verb.timeout_s)
    await _wait(run, rung.rang_s + rung.talked_s)
    if (update := run.updates.take()) is not None:
        return await _updated(run, update)
    if rung.status == "completed":
        run.taken_by = verb.number
    run.note(f"{verb.number}: {_TOLD_RUNGS.get(rung.status, rung.status)} after {rung.rang_s:g} s")
    if verb.action is None:
        return None
    run.legs += 1
    told: dict[str, str] = {
        "DialCallStatus": rung.status,
        "DialCallSid": f"{run.webhook.leg.call_sid[:-2]}{run.legs:02x}",
        "DialCallDuration": f"{rung.talked_s:.0f}",
        "DialBridged": str(rung.status == "completed").lower(),
    }
    return await _fetch(run, verb.action, "in-progress", verb.method, told)


async def _connect(run: _Run, verb: ConnectStream) -> tuple[Verb, ...] | Ending | None:
    run.note(f"<Connect><Stream> {verb.url}")
    run.taken_by = ""
    end = run.last = await _streamed(run, verb)
    if (update := run.updates.take()) is not None:
        # The bridge closes its socket behind the request; whichever came first, the request counts.
        return await _updated(run, update)
    gone = end.by in ("caller", "limit")
    if verb.action and end.reason != "vanish":
        status = "completed" if gone else "in-progress"
        verbs = await _fetch(run, verb.action, status, verb.method)
        if not gone:
            return verbs
    if end.by == "caller":
        return Ending("caller", end.reason)
    if end.by == "limit":
        return Ending("limit", end.reason)
    return None


async def _streamed(run: _Run, verb: ConnectStream) -> StreamEnd:
    """Run the stream until it ends, or until the call is to do something else."""
    streaming = asyncio.ensure_future(run.stream(verb))
    watching = asyncio.create_task(_first_update(run), name="updates")
    try:
        return await streaming
    finally:
        for task in (streaming, watching):
            task.cancel()
        await asyncio.gather(streaming, watching, return_exceptions=True)


async def _first_update(run: _Run) -> None:
    """End the stream when there is an update, which is left where it is."""
    await run.updates.wait()
    run.take_away()


async def _updated(run: _Run, update: CallUpdate) -> tuple[Verb, ...] | Ending:
    """Do what was asked over the REST interface; the `action` of the stream is not asked then."""
    if update.completed:
        run.note("REST: completed")
        return _agent_ended(run)
    run.note("REST: other TwiML")
    if update.url:
        return await _fetch(run, update.url, "in-progress")
    return parse_twiml(update.twiml.encode(), run.voice_url)


async def _fetch(
    run: _Run,
    url: str,
    status: str,
    method: str = "POST",
    more: Mapping[str, str] = MappingProxyType({}),
) -> tuple[Verb, ...]:
    run.documents += 1
    if run.documents > _MAX_DOCUMENTS:
        raise twilio_error(11200, f"the call was redirected more than {_MAX_DOCUMENTS} times")
    return await run.webhook.fetch(url, status, method, more)


def _agent_ended(run: _Run) -> Ending:
    """The TwiML is over: somebody took the call, or a stream that broke before makes it a lost one."""
    if run.taken_by:
        return Ending("transfer", f"transferred to {run.taken_by}", run.taken_by)
    if run.last is not None and run.last.by == "lost":
        code = f" with code {run.last.close_code}" if run.last.close_code else ""
        return Ending("lost", f"the stream ended{code}: {run.last.reason}".rstrip(": "))
    return Ending("agent", "" if run.last else "the TwiML ended without a stream")
