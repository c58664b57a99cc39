"""Parts for tests of the simulated Twilio: a site that answers with TwiML, and somebody on the telephone."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web
from bridge_rig import loop_clock

from offhook.lab.phone import StreamEnd
from offhook.lab.twilio.ending import Ending
from offhook.lab.twilio.errors import twilio_error
from offhook.lab.twilio.simulated_twilio import SimulatedTwilio
from offhook.lab.twilio.telephones import Telephone
from offhook.lab.twilio.verbs import ConnectStream
from offhook.lab.twilio.world import Recorded, Subscriber

SID, TOKEN = "AC" + "0" * 32, "12345"
CALLER, CALLED = "+15550001111", "+15550002222"


@dataclass
class Site:
    """A site whose pages answer with the given TwiML; notes what it was asked."""

    pages: dict[str, str | bytes]
    url: str = ""
    asked: list[tuple[str, str, dict[str, str], str]] = field(default_factory=list)
    """Method, path, form and signature."""
    late_s: dict[str, float] = field(default_factory=dict)
    """How late a page is answered."""

    async def answer(self, request: web.Request) -> web.Response:
        form = {k: str(v) for k, v in (await request.post()).items()} or dict(request.query)
        signature = request.headers.get("X-Twilio-Signature", "")
        page = self.pages.get(request.path)
        if page is None:
            return web.Response(status=404)
        self.asked.append((request.method, request.path, form, signature))
        await asyncio.sleep(self.late_s.get(request.path, 0.0))
        if isinstance(page, bytes):
            return web.Response(body=page, content_type="audio/x-wav")
        if page.isdigit():
            return web.Response(status=int(page), text="no such call")
        if page.startswith("plain:"):
            return web.Response(text=page)
        return web.Response(text=f"<Response>{page}</Response>", content_type="text/xml")


@asynccontextmanager
async def site(**pages: str | bytes) -> AsyncIterator[Site]:
    served = Site({f"/{name}": page for name, page in pages.items()})
    app = web.Application()
    app.router.add_route("*", "/{page:.+}", served.answer)
    runner = web.AppRunner(app)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        served.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield served
    finally:
        await runner.cleanup()


class Caller(Subscriber):
    """Holds the line for as long as it takes; each stream ends as `end` says."""

    def __init__(self, end: StreamEnd | None, patience_s: float = math.inf) -> None:
        self.end, self.patience_s = end, patience_s
        self.notes: list[str] = []
        self.warned: list[str] = []
        self.heard = b""
        self.refuses = False
        self.says = Recorded(b"\x20" * 16_000)

    async def stream(self, verb: ConnectStream, stream_sid: str, started: Callable[[], None]) -> StreamEnd:
        if self.refuses:
            raise twilio_error(31902, "no connection")
        assert self.end is not None, "no stream was expected"
        started()
        return self.end

    def take_away(self) -> None:
        raise AssertionError("no stream goes on")

    async def listen(self, audio: bytes) -> bool:
        self.heard += audio
        return await self.wait(len(audio) / 8000)

    async def record(self, longest_s: float, silence_s: float) -> Recorded:
        await asyncio.sleep(min(longest_s, 3.0))
        return self.says

    def warn(self, line: str) -> None:
        self.warned.append(line)

    async def wait(self, seconds: float) -> bool:
        await asyncio.sleep(min(seconds, self.patience_s))
        return seconds <= self.patience_s

    def note(self, line: str) -> None:
        self.notes.append(line)


async def dial(
    served: Site, end: StreamEnd | None = None, *, page: str = "voice", **telephones: Telephone
) -> tuple[Ending, list[str]]:
    """Dial the site's page; each stream ends as `end` says."""
    directory = {f"+{number.strip('n')}": phone for number, phone in telephones.items()}
    twilio = simulated(telephones=directory)
    caller = Caller(end)
    return await twilio.call_in(twilio.leg(CALLER, CALLED), caller, f"{served.url}/{page}"), caller.notes


def simulated(**options: Any) -> SimulatedTwilio:
    """A simulated Twilio that signs what it asks."""
    return SimulatedTwilio(loop_clock(), account_sid=SID, auth_token=TOKEN, seed=1, **options)
