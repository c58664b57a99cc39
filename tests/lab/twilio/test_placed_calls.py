"""Calls that the REST interface places, asked for with Twilio's own package, and the account's numbers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from bridge_rig import settings
from pydantic import SecretStr
from telephone_rig import CALLED, CALLER, SID, TOKEN, Caller, Site, simulated, site

from offhook.bridge.twilio.account import account_of
from offhook.bridge.twilio.number_routing import routing_to
from offhook.bridge.twilio.rest import SdkRest
from offhook.config.errors import ProtocolError
from offhook.lab.twilio.calls import CallLeg
from offhook.lab.twilio.ending import Ending
from offhook.lab.twilio.signature import sign
from offhook.lab.twilio.simulated_twilio import SimulatedTwilio
from offhook.lab.twilio.telephones import Telephone

# Twilio's package signs in by what aiohttp is about to give up.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

EVENTS = ["initiated", "ringing", "answered", "completed"]


@asynccontextmanager
async def sdk(twilio: SimulatedTwilio) -> AsyncIterator[Any]:
    """Twilio's package, signed in at the simulated interface."""
    async with twilio.listening() as url, SdkRest(SID, SecretStr(TOKEN), url).client() as client:
        yield client


async def place(client: Any, served: Site, **fields: Any) -> Any:
    callback = {"status_callback": f"{served.url}/status", "status_callback_event": EVENTS}
    return await client.calls.create_async(
        to=CALLER, from_=CALLED, **({"url": f"{served.url}/voice"} | callback | fields)
    )


async def over(twilio: SimulatedTwilio, sid: str) -> str:
    """Wait for a call's end, and for what is told of it; returns its status."""
    async with asyncio.timeout(200):
        while not twilio.calls[sid].is_over:  # noqa: ASYNC110  time is virtual
            await asyncio.sleep(0.5)
    await asyncio.sleep(1)
    return twilio.calls[sid].status


def told(served: Site) -> list[tuple[str, str, str | None]]:
    """Status, sequence number and duration of each status callback, all of them signed."""
    asked = [(form, given) for _, path, form, given in served.asked if path == "/status"]
    assert all(given == sign(f"{served.url}/status", form, TOKEN) for form, given in asked)
    return [(form["CallStatus"], form["SequenceNumber"], form.get("CallDuration")) for form, _ in asked]


async def test_a_call_is_placed_answered_and_told_of() -> None:
    twilio, caller = simulated(telephones={CALLER: Telephone(after_s=4)}), Caller(None)
    legs: list[CallLeg] = []

    def take(leg: CallLeg) -> Caller:
        legs.append(leg)
        return caller

    async with sdk(twilio) as client, site(voice="<Pause length='9'/><Hangup/>", status="") as served:
        answering = asyncio.create_task(twilio.answer(CALLER, take))
        await asyncio.sleep(0)
        call = await place(client, served)
        assert (call.status, call.direction) == ("queued", "outbound-api")
        assert await answering == Ending("agent", "the TwiML ended without a stream")
        assert await over(twilio, call.sid) == "completed"
        assert told(served) == [
            ("initiated", "0", None),
            ("ringing", "1", None),
            ("in-progress", "2", None),
            ("completed", "3", "9"),
        ]
        asked = next(form for _, path, form, _ in served.asked if path == "/voice")
        fetched = await client.calls(call.sid).fetch_async()
    assert (asked["Direction"], asked["CallStatus"]) == ("outbound-api", "in-progress")
    assert (asked["To"], asked["From"], legs[0].call_sid) == (CALLER, CALLED, call.sid)
    assert (fetched.status, fetched.duration) == ("completed", "9")
    assert caller.notes == ["<Pause> 9 s", "<Hangup>"]


@pytest.mark.parametrize("answer", ["busy", "no-answer", "failed"])
async def test_a_call_that_nobody_takes_ends_as_it_rang(answer: Any) -> None:
    twilio = simulated(telephones={CALLER: Telephone(answer)})
    async with sdk(twilio) as client, site(status="") as served:
        call = await place(client, served, status_callback_event=["answered", "completed"], timeout=20)
        assert await over(twilio, call.sid) == answer
        assert told(served) == [(answer, "0", "0")]


async def test_a_telephone_that_nobody_sits_at_rings_out() -> None:
    twilio = simulated()
    async with sdk(twilio) as client, site(status="") as served:
        call = await place(client, served, timeout=30)
        assert await over(twilio, call.sid) == "no-answer"


async def test_a_call_that_rings_is_taken_back() -> None:
    twilio = simulated(telephones={CALLER: Telephone("no-answer")})
    async with sdk(twilio) as client, site(status="") as served:
        call = await place(client, served)
        await asyncio.sleep(3)
        with pytest.raises(Exception, match="not in-progress"):
            await client.calls(call.sid).update_async(twiml="<Response/>")
        await client.calls(call.sid).update_async(status="canceled")
        assert await over(twilio, call.sid) == "canceled"


async def test_a_placed_call_may_bring_its_document() -> None:
    twilio, caller = simulated(), Caller(None)
    async with sdk(twilio) as client:
        answering = asyncio.create_task(twilio.answer(CALLER, lambda _: caller))
        await asyncio.sleep(0)
        twiml = "<Response><Say>Your order is ready.</Say></Response>"
        await client.calls.create_async(to=CALLER, from_=CALLED, twiml=twiml)
        await answering
    assert caller.notes == ["<Say> Your order is ready."]


async def test_who_sits_at_a_telephone_is_told_when_nobody_will_ring_it_any_more() -> None:
    twilio = simulated()
    async with twilio.listening():
        answering = asyncio.create_task(twilio.answer(CALLER, lambda _: Caller(None)))
        await asyncio.sleep(1)
    with pytest.raises(ProtocolError, match="closed"):
        await answering


async def test_what_placed_a_call_and_goes_away_leaves_nothing_behind() -> None:
    twilio = simulated(telephones={CALLER: Telephone("no-answer")})
    async with sdk(twilio) as client, site(status="") as served:
        await place(client, served)
    assert [task for task in asyncio.all_tasks() if task is not asyncio.current_task()] == []


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"to": "sales"}, 21211),
        ({"from_": ""}, 21213),
        ({"url": ""}, 21205),
        ({"url": "", "twiml": "x" * 4001}, 21218),
        ({"timeout": 900}, 21218),
        ({"status_callback_event": ["sneezed"]}, 21626),
    ],
)
async def test_a_call_that_twilio_would_not_place(fields: dict[str, Any], code: int) -> None:
    twilio = simulated()
    async with sdk(twilio) as client:
        with pytest.raises(Exception, match="HTTP 400") as refused:
            await client.calls.create_async(
                **({"to": CALLER, "from_": CALLED, "url": "http://127.0.0.1:1/"} | fields)
            )
    assert getattr(refused.value, "code", None) == code
    assert twilio.calls == {}


async def test_a_recording_of_a_live_call_is_begun_paused_and_listed() -> None:
    twilio, caller = simulated(), Caller(None)
    async with sdk(twilio) as client:
        answering = asyncio.create_task(twilio.answer(CALLER, lambda _: caller))
        await asyncio.sleep(0)
        twiml = "<Response><Pause length='60'/></Response>"
        call = await client.calls.create_async(to=CALLER, from_=CALLED, twiml=twiml)
        await asyncio.sleep(5)
        begun = await client.calls(call.sid).recordings.create_async(recording_channels="dual")
        await client.calls(call.sid).recordings(begun.sid).update_async(status="paused")
        listed = await client.calls(call.sid).recordings.list_async()
        assert [(each.sid, each.status) for each in listed] == [(begun.sid, "paused")]
        await answering
        with pytest.raises(Exception, match="not eligible"):
            await client.calls(call.sid).recordings.create_async()


async def test_a_number_is_linked_to_a_server_and_calls_to_it_go_there() -> None:
    twilio, caller = simulated(numbers=[CALLED]), Caller(None)
    async with twilio.listening() as url, site(**{"voice/inbound": "", "voice/status": ""}) as served:
        own = settings(twilio_account_sid=SID, twilio_auth_token=SecretStr(TOKEN), twilio_api_base_url=url)
        account = account_of(own)
        assert (await account.standing()).status == "active"
        number = await account.number(CALLED)
        linked = await account.route(number, routing_to(served.url, number.routing))
        assert linked.routing.voice_url == f"{served.url}/voice/inbound"
        await twilio.call_in(twilio.leg(CALLER, CALLED), caller)
        assert [path for _, path, _, _ in served.asked] == ["/voice/inbound", "/voice/status"]
