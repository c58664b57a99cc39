"""Dialling a webhook and following its TwiML, against a real HTTP server on loopback."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import pytest
from aiohttp import web
from bridge_rig import loop_clock

from offhook.config.errors import ConfigError, ProtocolError
from offhook.lab.phone import StreamEnd
from offhook.lab.twilio.ending import Ending
from offhook.lab.twilio.signature import sign
from offhook.lab.twilio.simulated_twilio import SimulatedTwilio
from offhook.lab.twilio.telephones import Rung, Telephone, telephone_from
from offhook.lab.twilio.verbs import ConnectStream
from offhook.lab.twilio.world import Recorded, Subscriber

TOKEN = "12345"
CONNECT = '<Connect action="/after"><Stream url="ws://127.0.0.1:1/media"/></Connect>'


def test_the_signature_is_the_one_twilio_publishes() -> None:
    fields = {
        "CallSid": "CA1234567890ABCDE",
        "Caller": "+14158675309",
        "Digits": "1234",
        "From": "+14158675309",
        "To": "+18005551212",
    }
    assert (
        sign("https://mycompany.com/myapp.php?foo=1&bar=2", fields, TOKEN) == "RSOYDt4T1cUTdK1PDd93/VVr8B8="
    )


@dataclass
class Site:
    """A site whose pages answer with the given TwiML; notes what it was asked."""

    pages: dict[str, str]
    url: str = ""
    asked: list[tuple[str, str, dict[str, str], str]] = field(default_factory=list)
    """Method, path, form and signature."""

    async def answer(self, request: web.Request) -> web.Response:
        form = {k: str(v) for k, v in (await request.post()).items()} or dict(request.query)
        signature = request.headers.get("X-Twilio-Signature", "")
        self.asked.append((request.method, request.path, form, signature))
        page = self.pages[request.path]
        if page.isdigit():
            return web.Response(status=int(page), text="no such call")
        if page.startswith("plain:"):
            return web.Response(text=page)
        return web.Response(text=f"<Response>{page}</Response>", content_type="text/xml")


@asynccontextmanager
async def site(**pages: str) -> AsyncIterator[Site]:
    served = Site({f"/{name}": page for name, page in pages.items()})
    app = web.Application()
    app.router.add_route("*", "/{page}", served.answer)
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
        self.says = Recorded(b"\x20" * 16_000)

    async def stream(self, verb: ConnectStream, stream_sid: str, started: Callable[[], None]) -> StreamEnd:
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
    served: Site,
    end: StreamEnd | None = None,
    *,
    page: str = "voice",
    patience_s: float = math.inf,
    lost_stream_ends_call: bool = False,
    **telephones: Telephone,
) -> tuple[Ending, list[str]]:
    """Dial the site's page; each stream ends as `end` says."""
    directory = {f"+{number.strip('n')}": phone for number, phone in telephones.items()}
    twilio = SimulatedTwilio(
        loop_clock(),
        auth_token=TOKEN,
        telephones=directory,
        lost_stream_ends_call=lost_stream_ends_call,
        seed=1,
    )
    caller = Caller(end, patience_s)
    leg = twilio.leg("+15550001111", "+15550002222")
    return await twilio.call_in(leg, caller, f"{served.url}/{page}"), caller.notes


BRIDGE_CLOSED = StreamEnd("bridge", 5000, 1000)


async def test_the_webhook_is_asked_as_twilio_asks() -> None:
    async with site(voice="<Hangup/>") as served:
        await dial(served)
    ((method, _, form, signature),) = served.asked
    assert method == "POST"
    assert form["CallSid"].startswith("CA")
    assert len(form["CallSid"]) == 34
    assert form["AccountSid"].startswith("AC")
    assert (form["From"], form["Caller"]) == ("+15550001111", "+15550001111")
    assert (form["To"], form["CallStatus"], form["Direction"]) == ("+15550002222", "ringing", "inbound")
    assert signature == sign(f"{served.url}/voice", form, TOKEN)


async def test_the_action_is_followed_after_the_stream() -> None:
    pages = {"voice": CONNECT, "after": "<Say>Bye</Say><Pause length='30'/><Redirect>/last</Redirect>"}
    async with site(**pages, last="<Dial>+15550003333</Dial>") as served:
        ending, notes = await dial(served, BRIDGE_CLOSED)
    assert ending == Ending("transfer", "transferred to +15550003333", "+15550003333")
    assert [path for _, path, _, _ in served.asked] == ["/voice", "/after", "/last"]
    assert served.asked[1][2]["CallStatus"] == "in-progress"
    assert notes[-2:] == ["<Dial> +15550003333", "+15550003333: answered after 2 s"]


async def test_a_get_redirect_carries_its_form_in_the_signed_url() -> None:
    async with site(voice='<Redirect method="GET">/next?x=a%20b</Redirect>', next="<Hangup/>") as served:
        ending, _ = await dial(served)
    method, _, form, signature = served.asked[1]
    assert (ending.by, method, form["x"]) == ("agent", "GET", "a b")
    assert form["CallStatus"] == "in-progress"
    assert signature


async def test_the_agent_ended_a_call_whose_stream_the_bridge_closed() -> None:
    async with site(voice=CONNECT, after="<Hangup/>") as served:
        assert (await dial(served, BRIDGE_CLOSED))[0] == Ending("agent")


async def test_a_caller_who_hung_up_is_told_to_the_action_and_no_more() -> None:
    async with site(voice=CONNECT, after="<Dial>+15550003333</Dial>") as served:
        ending, _ = await dial(served, StreamEnd("caller", 5000, reason="stop"))
    assert ending == Ending("caller", "stop")
    assert served.asked[1][2]["CallStatus"] == "completed"


async def test_a_broken_stream_makes_a_lost_call_unless_the_twiml_saves_it() -> None:
    broken = StreamEnd("lost", 5000, 1011, "fault")
    async with site(voice=CONNECT, after="<Hangup/>") as served:
        assert (await dial(served, broken))[0] == Ending("lost", "the stream ended with code 1011: fault")
    async with site(voice=CONNECT, after="<Dial>+15550003333</Dial>") as served:
        assert (await dial(served, broken))[0].by == "transfer"


async def test_a_spoken_refusal_ends_the_call() -> None:
    async with site(voice="<Say>All lines are busy.</Say><Hangup/>") as served:
        ending, notes = await dial(served)
    assert ending == Ending("agent", "the TwiML ended without a stream")
    assert notes == ["<Say> All lines are busy.", "<Hangup>"]


@pytest.mark.parametrize(
    ("page", "code"),
    [
        ("403", "11200: .* answered 403: no such call"),
        ("plain: hello", "12300"),
        ("<Stream/>", "12200"),
        ("<Redirect>/voice</Redirect>", "11200: the call was redirected more than 20 times"),
        ("<Redirect>ftp://a.example/</Redirect>", "11100"),
    ],
)
async def test_an_answer_that_twilio_refuses(page: str, code: str) -> None:
    async with site(voice=page) as served:
        with pytest.raises(ProtocolError, match=code):
            await dial(served)


async def test_a_webhook_that_is_not_there() -> None:
    with pytest.raises(ProtocolError, match="11205"):
        await dial(Site({}, url="http://127.0.0.1:1"))


RINGS = '<Dial action="/dialled?n=1" timeout="20" answerOnBridge="true"><Number>+15550003333</Number></Dial>'


async def test_behind_a_call_that_somebody_took_the_action_is_asked_and_the_call_counts_as_handed_over() -> (
    None
):
    async with site(voice=RINGS, dialled="<Hangup/>") as served:
        ending, _ = await dial(served)
    assert ending == Ending("transfer", "transferred to +15550003333", "+15550003333")
    form = served.asked[1][2]
    assert (form["DialCallStatus"], form["DialCallDuration"], form["DialBridged"]) == (
        "completed",
        "3",
        "true",
    )
    assert form["DialCallSid"] != form["CallSid"]
    assert len(form["DialCallSid"]) == 34


@pytest.mark.parametrize("answer", ["busy", "no-answer", "failed"])
async def test_behind_a_call_that_nobody_took_the_action_decides(answer: Any) -> None:
    async with site(voice=RINGS, dialled="<Say>Nobody there.</Say>") as served:
        ending, notes = await dial(served, n15550003333=Telephone(answer))
    assert served.asked[1][2]["DialCallStatus"] == answer
    assert notes[-1] == "<Say> Nobody there."
    assert ending.by == "agent"


async def test_without_an_action_the_document_goes_on_behind_the_other_call() -> None:
    async with site(voice="<Dial>+15550003333</Dial><Say>Back.</Say>") as served:
        _, notes = await dial(served, n15550003333=Telephone("busy"))
    assert notes[-1] == "<Say> Back."


async def test_a_call_that_is_rejected_is_never_answered() -> None:
    async with site(voice='<Reject reason="busy"/>') as served:
        assert (await dial(served))[0] == Ending("agent", "the call was not answered: busy")


def test_a_telephone_rings_no_longer_than_it_may() -> None:
    assert Telephone("answers", after_s=25).ring(20) == Rung("no-answer", 20)
    assert Telephone("busy", after_s=1).ring(20) == Rung("busy", 1)


def test_a_telephone_is_written_as_number_and_answer() -> None:
    assert telephone_from("+14155550101=no-answer") == ("+14155550101", Telephone("no-answer"))
    for wrong in ("+14155550101", "+14155550101=asleep", "sales=busy"):
        with pytest.raises(ConfigError, match="answers, busy, no-answer, failed"):
            telephone_from(wrong)


async def test_a_stream_that_is_lost_behind_an_answered_transfer_is_a_lost_call() -> None:
    back = '<Connect action="/last"><Stream url="ws://127.0.0.1:1/media"/></Connect>'
    async with site(voice=RINGS, dialled=back, last="<Hangup/>") as served:
        ending, _ = await dial(served, StreamEnd("lost", 5000, 1011, "fault"))
    assert ending.by == "lost"
