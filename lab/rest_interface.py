"""Twilio's REST interface over the calls of the lab: a live call is looked up, changed and ended.

Source: Twilio documentation, "Call resource", "Modify a call in progress", and its error dictionary.
"""

from __future__ import annotations

__all__ = ["CallUpdate", "LiveCalls", "RestInterface", "Updates"]

import asyncio
import base64
import hmac
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass

from aiohttp import web

UPDATES_LIMIT = 8
"""Changes of one call that wait; Twilio, too, refuses those that come faster than they are carried out."""
TWIML_LIMIT = 4_000
"""Characters of `Twiml`."""


@dataclass(frozen=True, slots=True)
class CallUpdate:
    """What a live call is to do in place of what it does; one field is set."""

    twiml: str = ""
    url: str = ""
    completed: bool = False


class Updates:
    """What one call is to do, in the order in which it was asked for."""

    def __init__(self) -> None:
        self._waiting: deque[CallUpdate] = deque()
        self._news = asyncio.Event()

    def put(self, update: CallUpdate) -> bool:
        """Take one; False when too many wait."""
        if len(self._waiting) >= UPDATES_LIMIT:
            return False
        self._waiting.append(update)
        self._news.set()
        return True

    def take(self) -> CallUpdate | None:
        """Give the first; None where there is none."""
        if not self._waiting:
            return None
        first = self._waiting.popleft()
        if not self._waiting:
            self._news.clear()
        return first

    async def wait(self) -> None:
        """Return when there is one."""
        await self._news.wait()


class LiveCalls:
    """The calls that can be changed, by CallSid."""

    def __init__(self) -> None:
        self._updates: dict[str, Updates] = {}
        self._ended: set[str] = set()

    @contextmanager
    def entered(self, call_sid: str) -> Iterator[Updates]:
        """Enter a call while the block lasts; gives what is wanted of it."""
        updates = self._updates[call_sid] = Updates()
        try:
            yield updates
        finally:
            del self._updates[call_sid]
            self._ended.add(call_sid)

    def status(self, call_sid: str) -> str | None:
        """Say `in-progress` or `completed`; None for a call that never was."""
        if call_sid in self._updates:
            return "in-progress"
        return "completed" if call_sid in self._ended else None

    def update(self, call_sid: str, update: CallUpdate) -> bool:
        """Change a live call; False for too many changes. Raises KeyError for one that is not live."""
        return self._updates[call_sid].put(update)


class RestInterface:
    """Serves one account's calls over HTTP."""

    def __init__(self, calls: LiveCalls, account_sid: str, auth_token: str) -> None:
        """Requests are let in with HTTP's basic authentication, as at Twilio."""
        self._calls, self._account_sid = calls, account_sid
        self._credentials = base64.b64encode(f"{account_sid}:{auth_token}".encode()).decode()

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Listen on loopback while the block lasts; gives the address that stands for api.twilio.com."""
        app = web.Application()
        app.router.add_route("*", "/2010-04-01/Accounts/{account}/Calls/{call}.json", self._serve)
        runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            yield f"http://127.0.0.1:{runner.addresses[0][1]}"
        finally:
            await runner.cleanup()

    async def _serve(self, request: web.Request) -> web.Response:
        given = request.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), f"Basic {self._credentials}".encode()):
            return _refusal(401, 20003, "Authenticate")
        call_sid = request.match_info["call"]
        status = self._calls.status(call_sid)
        if status is None or request.match_info["account"] != self._account_sid:
            return _refusal(404, 20404, f"The requested resource {request.path} was not found")
        if request.method == "POST":
            form = {name: str(value) for name, value in (await request.post()).items()}
            if refused := self._change(call_sid, form):
                return refused
        return web.json_response({"sid": call_sid, "account_sid": self._account_sid, "status": status})

    def _change(self, call_sid: str, form: dict[str, str]) -> web.Response | None:
        """Carry a change out; returns why not."""
        twiml, url = form.get("Twiml", ""), form.get("Url", "")
        completed = form.get("Status") == "completed"
        if [bool(twiml), bool(url), completed].count(True) != 1:
            return _refusal(400, 21218, "Give one of Twiml, Url and Status=completed")
        if len(twiml) > TWIML_LIMIT:
            return _refusal(400, 21218, f"Twiml is longer than {TWIML_LIMIT} characters")
        if self._calls.status(call_sid) != "in-progress":
            return _refusal(400, 21220, "Call is not in-progress. Cannot redirect.")
        if not self._calls.update(call_sid, CallUpdate(twiml, url, completed)):
            return _refusal(429, 20429, "Too many requests")
        return None


def _refusal(status: int, code: int, message: str) -> web.Response:
    body = {"code": code, "message": message, "status": status}
    return web.json_response(body, status=status)
