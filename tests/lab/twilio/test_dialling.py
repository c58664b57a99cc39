"""Dialling a webhook and following its TwiML, against a real HTTP server on loopback."""

from __future__ import annotations

from typing import Any

import pytest
from telephone_rig import TOKEN, Site, dial, site

from offhook.config.errors import ConfigError, ProtocolError
from offhook.lab.phone import StreamEnd
from offhook.lab.twilio.ending import Ending
from offhook.lab.twilio.signature import sign
from offhook.lab.twilio.telephones import Rung, Telephone, ring_all, telephone_from

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


def test_of_several_telephones_the_first_that_is_answered_takes_the_call() -> None:
    slow, quick, busy = Telephone(after_s=9), Telephone(after_s=4), Telephone("busy", after_s=1)
    assert ring_all({"a": slow, "b": quick, "c": busy}, 20) == ("b", Rung("completed", 4, 3))
    assert ring_all({"a": slow, "c": busy}, 5) == ("a", Rung("no-answer", 5))


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
