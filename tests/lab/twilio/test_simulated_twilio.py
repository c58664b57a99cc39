"""Whole calls through the simulated Twilio: whom it asks, whom it tells, and what it does when that fails."""

from __future__ import annotations

import asyncio

import pytest
from telephone_rig import CALLED, CALLER, TOKEN, Caller, Site, simulated, site

from offhook.config.errors import ProtocolError
from offhook.lab.phone import StreamEnd
from offhook.lab.twilio.calls import CallUpdate
from offhook.lab.twilio.ending import Ending
from offhook.lab.twilio.signature import sign
from offhook.lab.twilio.simulated_twilio import SimulatedTwilio
from offhook.lab.twilio.telephones import Telephone

STREAM = """<Connect action="/after"><Stream url="ws://127.0.0.1:1/media" name="talk"
    statusCallback="{url}/stream"/></Connect>"""
SALES = "+15550003333"


async def call(twilio: SimulatedTwilio, served: Site, caller: Caller, page: str = "voice") -> Ending:
    return await twilio.call_in(twilio.leg(CALLER, CALLED), caller, f"{served.url}/{page}")


def told(served: Site, path: str) -> list[dict[str, str]]:
    """The forms that were sent to a page, each of them signed."""
    forms = [(form, given) for _, asked, form, given in served.asked if asked == path]
    assert all(given == sign(f"{served.url}{path}", form, TOKEN) for form, given in forms)
    return [form for form, _ in forms]


async def test_a_number_says_whom_to_ask_and_whom_to_tell_of_the_end() -> None:
    twilio = simulated(numbers=[CALLED])
    async with site(voice="<Pause length='7'/><Say>Bye</Say><Pause length='5'/>", status="") as served:
        number = twilio.numbers[CALLED]
        number.voice_url, number.status_callback = f"{served.url}/voice", f"{served.url}/status"
        leg = twilio.leg(CALLER, CALLED)
        await twilio.call_in(leg, Caller(None))
        (form,) = told(served, "/status")
    assert (form["CallSid"], form["CallStatus"], form["CallDuration"]) == (leg.call_sid, "completed", "5")
    assert (form["SequenceNumber"], form["CallbackSource"]) == ("0", "call-progress-events")
    assert twilio.calls[leg.call_sid].status == "completed"


@pytest.mark.parametrize("page", ["503", "plain: hello", "<Gather/>", "<Redirect>/gone</Redirect>"])
async def test_a_document_that_cannot_be_had_is_asked_of_the_fallback(page: str) -> None:
    twilio, caller = simulated(numbers=[CALLED]), Caller(None)
    async with site(voice=page, gone="404", fallback="<Say>Call again later.</Say>") as served:
        number = twilio.numbers[CALLED]
        number.voice_url, number.voice_fallback_url = f"{served.url}/voice", f"{served.url}/fallback"
        ending = await twilio.call_in(twilio.leg(CALLER, CALLED), caller)
        (form,) = told(served, "/fallback")
    assert ending.by == "agent"
    assert caller.notes[-1] == "<Say> Call again later."
    assert form["ErrorCode"] in ("11200", "12300", "12200")
    assert form["ErrorUrl"].startswith(served.url)


async def test_a_document_that_takes_more_than_15_s_is_asked_of_the_fallback() -> None:
    twilio, began = simulated(numbers=[CALLED]), asyncio.get_running_loop().time()
    async with site(voice="<Say>Too late.</Say>", fallback="<Say>In time.</Say>") as served:
        served.late_s["/voice"] = 15.1
        number = twilio.numbers[CALLED]
        number.voice_url, number.voice_fallback_url = f"{served.url}/voice", f"{served.url}/fallback"
        caller = Caller(None)
        await twilio.call_in(twilio.leg(CALLER, CALLED), caller)
        (form,) = told(served, "/fallback")
        assert asyncio.get_running_loop().time() - began == pytest.approx(15, abs=0.01)
    assert (form["ErrorCode"], form["ErrorUrl"]) == ("11205", f"{served.url}/voice")
    assert caller.notes[-1] == "<Say> In time."


async def test_a_fallback_that_fails_as_well_ends_the_call() -> None:
    twilio = simulated(numbers=[CALLED])
    async with site(voice="503", status="") as served:
        number = twilio.numbers[CALLED]
        number.voice_url = number.voice_fallback_url = f"{served.url}/voice"
        number.status_callback = f"{served.url}/status"
        with pytest.raises(ProtocolError, match="11200"):
            await twilio.call_in(twilio.leg(CALLER, CALLED), Caller(None))
        assert [form["CallStatus"] for form in told(served, "/status")] == ["failed"]


@pytest.mark.parametrize(("reason", "status"), [("busy", "busy"), ("rejected", "no-answer")])
async def test_a_call_that_is_rejected_was_never_answered(reason: str, status: str) -> None:
    twilio = simulated()
    async with site(voice=f'<Reject reason="{reason}"/>') as served:
        await call(twilio, served, Caller(None))
    (ended,) = twilio.calls.values()
    assert (ended.status, ended.duration_s) == (status, 0)


async def test_a_stream_is_told_of_from_its_start_to_its_end() -> None:
    twilio = simulated()
    async with site(after="<Hangup/>", stream="") as served:
        served.pages["/voice"] = STREAM.format(url=served.url)
        await call(twilio, served, Caller(StreamEnd("bridge", 5000, 1000)))
        forms = told(served, "/stream")
    assert [form["StreamEvent"] for form in forms] == ["stream-started", "stream-stopped"]
    assert {form["StreamName"] for form in forms} == {"talk"}
    assert forms[0]["StreamSid"] == forms[1]["StreamSid"]


async def test_a_stream_that_comes_not_about_is_told_with_its_error() -> None:
    twilio, caller = simulated(), Caller(None)
    caller.refuses = True
    async with site(stream="") as served:
        served.pages["/voice"] = STREAM.format(url=served.url)
        with pytest.raises(ProtocolError, match="31902"):
            await call(twilio, served, caller)
        (form,) = told(served, "/stream")
    assert form["StreamEvent"] == "stream-error"
    assert "31902" in form["StreamError"]


async def test_a_callback_that_nobody_takes_holds_nothing_up_and_is_a_warning() -> None:
    twilio, caller = simulated(), Caller(StreamEnd("bridge", 5000, 1000))
    async with site(after="<Hangup/>", stream="500") as served:
        served.pages["/voice"] = STREAM.format(url=served.url)
        assert (await call(twilio, served, caller)).by == "agent"
    assert len(caller.warned) == 2
    assert "11200" in caller.warned[0]


async def test_a_caller_hangs_up_while_it_rings_elsewhere_and_the_action_is_told() -> None:
    twilio, caller = simulated(telephones={SALES: Telephone("no-answer")}), Caller(None, patience_s=6)
    voice = f'<Dial action="/dialled">{SALES}</Dial>'
    async with site(voice=voice, dialled="<Say>Nobody there.</Say>") as served:
        assert await call(twilio, served, caller) == Ending("caller", "hung up while it rang")
        (form,) = told(served, "/dialled")
    assert (form["CallStatus"], form["DialCallStatus"], form["DialBridged"]) == (
        "completed",
        "no-answer",
        "false",
    )
    assert caller.notes == [f"<Dial> {SALES}"]


async def test_a_caller_hangs_up_in_a_pause() -> None:
    twilio, caller = simulated(), Caller(None, patience_s=6)
    async with site(voice="<Say>One moment.</Say><Pause length='30'/><Say>Hello?</Say>") as served:
        assert await call(twilio, served, caller) == Ending("caller", "hung up")
    (ended,) = twilio.calls.values()
    assert (ended.status, ended.duration_s) == ("completed", 6)


async def test_several_numbers_ring_at_once() -> None:
    twilio = simulated(telephones={SALES: Telephone("busy", after_s=1)})
    caller = Caller(None)
    voice = f"<Dial><Number>{SALES}</Number><Number>+15550004444</Number></Dial>"
    async with site(voice=voice) as served:
        ending = await call(twilio, served, caller)
    assert ending.transferred_to == "+15550004444"
    assert caller.notes == [f"<Dial> {SALES}, +15550004444", "+15550004444: answered after 2 s"]


async def test_a_call_that_is_answered_on_the_bridge_rings_until_then() -> None:
    twilio = simulated(telephones={SALES: Telephone("busy")})
    voice = f'<Dial action="/dialled" answerOnBridge="true">{SALES}</Dial>'
    async with site(voice=voice, dialled="<Reject/>") as served:
        await call(twilio, served, Caller(None))
        (form,) = told(served, "/dialled")
    assert form["CallStatus"] == "ringing"


async def test_a_change_while_two_people_talk_takes_the_caller_away() -> None:
    twilio, caller = simulated(telephones={SALES: Telephone(talks_s=60)}), Caller(None)

    async def change() -> None:
        await asyncio.sleep(10)
        (sid,) = twilio.calls
        assert twilio.update(sid, CallUpdate(twiml="<Response><Say>Back.</Say></Response>"))

    async with site(voice=f'<Dial action="/dialled">{SALES}</Dial>') as served:
        await asyncio.gather(call(twilio, served, caller), change())
    assert caller.notes[-2:] == ["REST: other TwiML", "<Say> Back."]


LOST = StreamEnd("lost", 5000, None, "the connection broke without a close frame")


@pytest.mark.parametrize("ends", [False, True])
async def test_behind_a_stream_that_broke_either_the_action_is_asked_or_the_call_ends(ends: bool) -> None:
    twilio, caller = simulated(lost_stream_ends_call=ends), Caller(LOST)
    async with site(after="<Say>Sorry.</Say>", stream="") as served:
        served.pages["/voice"] = STREAM.format(url=served.url)
        ending = await call(twilio, served, caller)
        assert len(told(served, "/after")) == (not ends)
    assert ending.by == "lost"
