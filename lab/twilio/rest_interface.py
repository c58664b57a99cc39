"""Twilio's REST interface over the calls of the lab: calls are placed, looked up, changed and ended.

Source: Twilio's API reference, "Call resource", "Recordings resource" and "IncomingPhoneNumber resource", and
its error dictionary.
"""

from __future__ import annotations

__all__ = ["TWIML_LIMIT", "RestInterface"]

import base64
import hmac
import io
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.typedefs import Handler
from multidict import MultiDict

from offhook.codecs import g711, wav
from offhook.codecs.framing import SAMPLE_RATE_HZ

from .calls import Call, CallUpdate
from .world import Recording, Routing

if TYPE_CHECKING:
    from .simulated_twilio import SimulatedTwilio

TWIML_LIMIT = 4_000
"""Characters of `Twiml`."""
_EVENTS = frozenset({"initiated", "ringing", "answered", "completed"})


class _Refused(Exception):
    """Twilio's answer to what it will not do."""

    def __init__(self, status: int, code: int, message: str) -> None:
        self.status = status
        self.answer = {"code": code, "message": message, "status": status}
        super().__init__(message)


class RestInterface:
    """Serves one account over HTTP."""

    def __init__(self, twilio: SimulatedTwilio) -> None:
        """Requests are let in with HTTP's basic authentication, as at Twilio."""
        self._twilio = twilio
        credentials = f"{twilio.account_sid}:{twilio.auth_token or ''}"
        self._credentials = base64.b64encode(credentials.encode()).decode()

    @asynccontextmanager
    async def listening(self, port: int = 0) -> AsyncIterator[str]:
        """Listen on loopback while the block lasts; gives the address."""
        app = web.Application(middlewares=[self._guard])
        account = "/2010-04-01/Accounts/{account}"
        call, number = f"{account}/Calls/{{call}}", f"{account}/IncomingPhoneNumbers"
        for methods, path, serve in (
            ("GET", f"{account}.json", self._account),
            ("POST", f"{account}/Calls.json", self._create),
            ("GET", f"{call}.json", self._call),
            ("POST", f"{call}.json", self._change),
            ("GET POST", f"{call}/Recordings.json", self._recordings),
            ("GET POST", f"{call}/Recordings/{{recording}}.json", self._recording),
            ("GET", f"{account}/Recordings/{{recording}}.json", self._recording),
            ("GET", f"{account}/Recordings/{{recording}}.wav", self._sound),
            ("GET", f"{number}.json", self._numbers),
            ("GET POST", f"{number}/{{number}}.json", self._number),
        ):
            for method in methods.split():
                app.router.add_route(method, path, serve)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", port).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        given = request.headers.get("Authorization", "")
        try:
            if not hmac.compare_digest(given.encode(), f"Basic {self._credentials}".encode()):
                raise _Refused(401, 20003, "Authenticate")
            if request.match_info.get("account") != self._twilio.account_sid:
                raise _not_found(request)
            return await handler(request)
        except _Refused as refused:
            return web.json_response(refused.answer, status=refused.status)

    async def _account(self, _: web.Request) -> web.Response:
        sid = self._twilio.account_sid
        return web.json_response({"sid": sid, "status": "active", "type": "Full"})

    async def _create(self, request: web.Request) -> web.Response:
        """Have somebody called."""
        form = await _form(request)
        to, url, twiml = form.get("To", ""), form.get("Url", ""), form.get("Twiml", "")
        if not to:
            raise _Refused(400, 21201, "No 'To' number is specified")
        if not re.fullmatch(r"\+[1-9]\d{6,14}", to):
            raise _Refused(400, 21211, f"The 'To' number {to} is not a valid phone number.")
        if not form.get("From"):
            raise _Refused(400, 21213, "'From' parameter is required")
        if not url and not twiml:
            raise _Refused(400, 21205, "Url parameter is required.")
        if len(twiml) > TWIML_LIMIT:
            raise _Refused(400, 21218, f"Twiml is longer than {TWIML_LIMIT} characters")
        events = frozenset(form.getall("StatusCallbackEvent", ["completed"]))
        if not events <= _EVENTS:
            raise _Refused(400, 21626, "Invalid StatusCallbackEvent")
        routing = Routing(
            voice_url=url or self._twilio.world.rest_url,
            voice_method=form.get("Method", "POST"),
            fallback_url=form.get("FallbackUrl", ""),
            fallback_method=form.get("FallbackMethod", "POST"),
            status_callback=form.get("StatusCallback", ""),
            status_callback_method=form.get("StatusCallbackMethod", "POST"),
            status_events=events,
            twiml="" if url else twiml,
        )
        timeout = form.get("Timeout", "60")
        if not timeout.isdecimal() or not 1 <= int(timeout) <= 600:
            raise _Refused(400, 21218, "Timeout is a number of seconds from 1 to 600")
        call = self._twilio.place(to, form["From"], routing, float(timeout))
        return web.json_response(call.to_json(), status=201)

    async def _call(self, request: web.Request) -> web.Response:
        return web.json_response(self._called(request).to_json())

    async def _change(self, request: web.Request) -> web.Response:
        """Change a live call."""
        call, form = self._called(request), await _form(request)
        twiml, url = form.get("Twiml", ""), form.get("Url", "")
        status = form.get("Status", "")
        ends = status == "completed" or (status == "canceled" and call.answered_at is None)
        if [bool(twiml), bool(url), ends].count(True) != 1:
            raise _Refused(400, 21218, "Give one of Twiml, Url and Status=completed")
        if len(twiml) > TWIML_LIMIT:
            raise _Refused(400, 21218, f"Twiml is longer than {TWIML_LIMIT} characters")
        ringing = call.leg.direction == "outbound-api" and call.answered_at is None
        if call.is_over or (ringing and not ends):
            raise _Refused(400, 21220, "Call is not in-progress. Cannot redirect.")
        if not call.updates.put(CallUpdate(twiml, url, ends, form.get("Method", "POST"))):
            raise _Refused(429, 20429, "Too many requests")
        return web.json_response(call.to_json())

    async def _recordings(self, request: web.Request) -> web.Response:
        """List a call's recordings, or begin one, of which no sound is kept."""
        call, world = self._called(request), self._twilio.world
        if request.method == "POST":
            if call.status != "in-progress":
                raise _Refused(400, 21220, "Requested resource is not eligible for recording")
            begun = world.keep(call.leg.call_sid, b"", "in-progress")
            return web.json_response(self._told(begun), status=201)
        found = [self._told(each) for each in world.recordings.values() if each.call_sid == call.leg.call_sid]
        return web.json_response({"recordings": found, "next_page_uri": None})

    async def _recording(self, request: web.Request) -> web.Response:
        recording = self._recorded(request)
        if request.method == "POST":
            recording.status = (await _form(request)).get("Status", recording.status)
        return web.json_response(self._told(recording))

    async def _sound(self, request: web.Request) -> web.Response:
        file = io.BytesIO()
        with wav.Writer(file, SAMPLE_RATE_HZ, 1) as writer:
            writer.write(g711.decode(self._recorded(request).audio))
        return web.Response(body=file.getvalue(), content_type="audio/x-wav")

    async def _numbers(self, request: web.Request) -> web.Response:
        part = request.query.get("PhoneNumber", "")
        numbers = self._twilio.numbers.values()
        found = [number.to_json() for number in numbers if part in number.phone_number]
        return web.json_response({"incoming_phone_numbers": found, "next_page_uri": None})

    async def _number(self, request: web.Request) -> web.Response:
        for number in self._twilio.numbers.values():
            if number.sid == request.match_info["number"]:
                wrong = number.change(await _form(request)) if request.method == "POST" else ""
                if wrong:
                    raise _Refused(400, 21502, f"{wrong} is not a valid URL")
                return web.json_response(number.to_json())
        raise _not_found(request)

    def _called(self, request: web.Request) -> Call:
        call = self._twilio.calls.get(request.match_info["call"])
        if call is None:
            raise _not_found(request)
        return call

    def _recorded(self, request: web.Request) -> Recording:
        recording = self._twilio.world.recordings.get(request.match_info["recording"])
        if recording is None:
            raise _not_found(request)
        return recording

    def _told(self, recording: Recording) -> dict[str, object]:
        return {
            "sid": recording.sid,
            "account_sid": self._twilio.account_sid,
            "call_sid": recording.call_sid,
            "status": recording.status,
            "duration": str(recording.duration_s),
            "channels": 1,
        }


async def _form(request: web.Request) -> MultiDict[str]:
    form = await request.post()
    return MultiDict((name, str(value)) for name, value in form.items())


def _not_found(request: web.Request) -> _Refused:
    return _Refused(404, 20404, f"The requested resource {request.path} was not found")
