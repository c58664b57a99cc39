"""A server in processes of its own that uses a simulated Twilio's REST interface, as its settings say."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import pytest
from aiohttp import ClientSession
from supervised import free_port, supervised

from offhook.bridge.trust import control_key
from offhook.lab.call_result import CallPlan
from offhook.lab.place_call import place_call
from offhook.lab.script import HangUp, Script, Silence
from offhook.lab.twilio.simulated_twilio import SimulatedTwilio
from offhook.lab.twilio.telephones import Telephone
from offhook.pipeline.clock import LoopClock

pytestmark = [pytest.mark.realtime, pytest.mark.timeout(120)]

SID, TOKEN = "AC" + "0" * 32, "0123456789abcdef0123456789abcdef"
SALES = "+14155550101"


async def transfer(page: str, twilio: SimulatedTwilio) -> int:
    """Order that the only call be handed over, once it has gone on for a moment."""
    async with asyncio.timeout(30):
        while not any(call.status == "in-progress" for call in twilio.calls.values()):  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    await asyncio.sleep(2.0)
    (sid,) = twilio.calls
    headers = {"Authorization": f"Bearer {control_key(TOKEN)}"}
    address = f"{page}/v1/calls/{sid}/transfer"
    async with ClientSession(headers=headers) as http, http.post(address, json={"number": SALES}) as answer:
        return answer.status


async def test_a_live_call_is_handed_over_by_a_request_of_the_servers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, port = LoopClock(asyncio.get_running_loop()), free_port()
    page, offhook = f"http://127.0.0.1:{port}", Path(sys.executable).with_name("offhook")
    busy = {SALES: Telephone("busy", after_s=0.5)}
    twilio = SimulatedTwilio(clock, account_sid=SID, auth_token=TOKEN, telephones=busy)
    async with twilio.listening() as interface:
        for name, value in {
            "TWILIO_ACCOUNT_SID": SID,
            "TWILIO_AUTH_TOKEN": TOKEN,
            "TWILIO_API_BASE_URL": interface,
            "PUBLIC_URL": page,
        }.items():
            monkeypatch.setenv(name, value)
        async with supervised(str(offhook), "serve", "--workers", "2", "--port", str(port)):
            plan = CallPlan(Script((Silence(40.0), HangUp())), f"{page}/voice/inbound", recognise=False)
            call, status = await asyncio.gather(
                place_call(plan, clock, twilio=twilio), transfer(page, twilio)
            )
    assert status == 202
    assert call.twiml[1:4] == ("REST: other TwiML", f"<Dial> {SALES}", f"{SALES}: busy after 0.5 s")
    assert "nobody can take your call" in call.twiml[4]
    assert call.warnings == ()
