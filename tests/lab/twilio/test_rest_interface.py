"""The simulated REST interface, asked by Twilio's own package and by hand."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from aiohttp import ClientSession
from bridge_rig import EchoFactory, loop_clock, settings
from pydantic import SecretStr

from offhook.bridge.server_state import ServerState
from offhook.bridge.twilio.rest import SdkRest
from offhook.lab.twilio.calls import UPDATES_LIMIT, Call, CallLeg, CallUpdate
from offhook.lab.twilio.simulated_twilio import SimulatedTwilio

# The package signs in by what aiohttp is about to give up.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

SID, TOKEN = "AC" + "0" * 32, "t0ken"


def signed_in(token: str = TOKEN) -> dict[str, str]:
    key = base64.b64encode(f"{SID}:{token}".encode()).decode()
    return {"Authorization": f"Basic {key}"}


def account(**options: Any) -> SimulatedTwilio:
    return SimulatedTwilio(loop_clock(), account_sid=SID, auth_token=TOKEN, seed=1, **options)


def live(twilio: SimulatedTwilio) -> Call:
    """A call that was answered."""
    call = twilio.calls["CA1"] = Call(CallLeg("CA1", SID))
    call.answer(twilio.world.clock.now())
    return call


async def test_twilios_own_package_ends_a_call_and_hands_it_over() -> None:
    twilio = account()
    async with twilio.listening() as interface:
        rest, call = SdkRest(SID, SecretStr(TOKEN), base_url=interface), live(twilio)
        await rest.complete("CA1")
        await rest.redirect("CA1", "<Response/>")
        assert [call.updates.take(), call.updates.take()] == [
            CallUpdate(completed=True),
            CallUpdate(twiml="<Response/>"),
        ]


async def test_a_server_finds_the_interface_by_its_settings() -> None:
    twilio = account()
    async with twilio.listening() as interface:
        call = live(twilio)
        own = settings(
            public_url="https://bridge.example.com",
            twilio_account_sid=SID,
            twilio_auth_token=SecretStr(TOKEN),
            twilio_api_base_url=interface,
        )
        rest = ServerState.build(own, EchoFactory(), loop_clock()).rest
        assert rest is not None
        await rest.complete("CA1")
        assert call.updates.take() == CallUpdate(completed=True)


async def ask(
    url: str, form: dict[str, str], token: str = TOKEN, *, sid: str = SID, page: str = "Calls/CA1"
) -> tuple[int, int | None]:
    address = f"{url}/2010-04-01/Accounts/{sid}/{page}.json"
    async with ClientSession(headers=signed_in(token)) as http, http.post(address, data=form) as answer:
        return answer.status, (await answer.json()).get("code")


async def test_refusals_have_twilios_numbers() -> None:
    twilio, done = account(), {"Status": "completed"}
    async with twilio.listening() as url:
        assert await ask(url, done) == (404, 20404)
        call = live(twilio)
        assert await ask(url, done, "wrong") == (401, 20003)
        assert await ask(url, done, sid="AC" + "1" * 32) == (404, 20404)
        assert await ask(url, done, page="Nothing") == (404, 20404)
        assert await ask(url, {}) == (400, 21218)
        assert await ask(url, {**done, "Url": "http://127.0.0.1/"}) == (400, 21218)
        assert await ask(url, {"Twiml": "x" * 4001}) == (400, 21218)
        assert await ask(url, {"Status": "canceled"}) == (400, 21218)
        assert call.updates.take() is None
        answers = [await ask(url, done) for _ in range(UPDATES_LIMIT + 1)]
        assert answers == [(200, None)] * UPDATES_LIMIT + [(429, 20429)]
        call.end(twilio.world.clock.now())
        assert await ask(url, done) == (400, 21220)
        with pytest.raises(KeyError):
            twilio.update("CA1", CallUpdate(completed=True))


async def test_a_call_says_whether_it_goes_on() -> None:
    twilio = account()
    async with twilio.listening() as url, ClientSession(headers=signed_in()) as http:
        page, call = f"{url}/2010-04-01/Accounts/{SID}/Calls/CA1.json", live(twilio)
        async with http.get(page) as answer:
            assert (await answer.json())["status"] == "in-progress"
        call.end(twilio.world.clock.now())
        async with http.get(page) as answer:
            assert (await answer.json())["status"] == "completed"
