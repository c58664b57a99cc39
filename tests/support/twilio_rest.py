"""Twilio's REST interface as far as setting up needs it: an account, and its telephone numbers."""

from __future__ import annotations

import asyncio
import base64
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

SID, TOKEN = "AC" + "0" * 32, "t0ken-of-the-account"
NUMBER, NUMBER_SID = "+15550100999", "PN" + "1" * 32


@dataclass
class FakeTwilio:
    """An account with one number; `requests` holds the method, path and form of each request."""

    number: dict[str, Any] = field(default_factory=dict)
    account: dict[str, Any] = field(default_factory=lambda: {"status": "active", "type": "Full"})
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    answers: list[tuple[str, web.Response]] = field(default_factory=list)
    """Method and answer of requests that are not served as usual, each once."""
    is_deaf_to_changes: bool = False
    stalls: bool = False
    base_url: str = ""

    def __post_init__(self) -> None:
        self.number = {
            "sid": NUMBER_SID,
            "phone_number": NUMBER,
            "capabilities": {"voice": True},
        } | self.number

    @property
    def changes(self) -> list[dict[str, str]]:
        """The forms that changed something."""
        return [form for method, _, form in self.requests if method == "POST"]

    def app(self) -> web.Application:
        """The interface as an application."""
        app = web.Application()
        app.router.add_route("*", "/{tail:.*}", self._serve)
        return app

    async def _serve(self, request: web.Request) -> web.Response:
        form = {name: str(value) for name, value in (await request.post()).items()}
        self.requests.append((request.method, request.path, form))
        if self.stalls:
            await asyncio.Event().wait()
        for index, (method, answer) in enumerate(self.answers):
            if method == request.method:
                del self.answers[index]
                return answer
        expected = base64.b64encode(f"{SID}:{TOKEN}".encode()).decode()
        if request.headers.get("Authorization") != f"Basic {expected}":
            return refusal(401, 20003)
        return self._answer(request.method, request.path, request.query, form)

    def _answer(self, method: str, path: str, query: Mapping[str, str], form: dict[str, str]) -> web.Response:
        account = f"/2010-04-01/Accounts/{SID}"
        if path == f"{account}.json":
            return web.json_response({"sid": SID, **self.account})
        if path == f"{account}/IncomingPhoneNumbers.json":
            fits = query.get("PhoneNumber", "") in self.number["phone_number"]
            found = [self.number] if fits else []
            return web.json_response({"incoming_phone_numbers": found, "next_page_uri": None})
        if path == f"{account}/IncomingPhoneNumbers/{NUMBER_SID}.json":
            if method == "POST" and not self.is_deaf_to_changes:
                self.number |= {_snake(name): value for name, value in form.items()}
            return web.json_response(self.number)
        return refusal(404, 20404)

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[FakeTwilio]:
        """Listen on loopback while the block lasts."""
        runner = web.AppRunner(self.app(), access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
        await runner.setup()
        try:
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self.base_url = f"http://127.0.0.1:{runner.addresses[0][1]}"
            yield self
        finally:
            await runner.cleanup()

    @contextmanager
    def in_thread(self) -> Iterator[FakeTwilio]:
        """Listen on a loop of its own, for a command that runs one itself."""
        loop, ready, over = asyncio.new_event_loop(), threading.Event(), asyncio.Event()

        async def serve() -> None:
            async with self.listening():
                ready.set()
                await over.wait()

        thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
        thread.start()
        try:
            assert ready.wait(5)
            yield self
        finally:
            loop.call_soon_threadsafe(over.set)
            thread.join()
            loop.close()


def refusal(status: int, code: int) -> web.Response:
    """An error as the interface words it."""
    body = {"code": code, "message": f"request with {TOKEN} refused", "status": status}
    return web.json_response(body, status=status)


def _snake(name: str) -> str:
    return "".join(f"_{sign.lower()}" if sign.isupper() else sign for sign in name).lstrip("_")
