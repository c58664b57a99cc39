"""The simulated REST interface, asked by Twilio's own package and by hand."""

from __future__ import annotations

import base64

import pytest
from aiohttp import ClientSession
from pydantic import SecretStr

from offhook.bridge.twilio.rest import SdkRest
from offhook.lab.rest_interface import UPDATES_LIMIT, CallUpdate, LiveCalls, RestInterface

# The package signs in by what aiohttp is about to give up.
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

SID, TOKEN = "AC" + "0" * 32, "t0ken"


def signed_in(token: str = TOKEN) -> dict[str, str]:
    key = base64.b64encode(f"{SID}:{token}".encode()).decode()
    return {"Authorization": f"Basic {key}"}


async def test_twilios_own_package_ends_a_call_and_hands_it_over() -> None:
    calls = LiveCalls()
    async with RestInterface(calls, SID, TOKEN).listening() as interface:
        rest = SdkRest(SID, SecretStr(TOKEN), base_url=interface)
        with calls.entered("CA1") as updates:
            await rest.complete("CA1")
            await rest.redirect("CA1", "<Response/>")
            assert [updates.take(), updates.take()] == [
                CallUpdate(completed=True),
                CallUpdate(twiml="<Response/>"),
            ]


async def ask(
    url: str, form: dict[str, str], token: str = TOKEN, *, sid: str = SID
) -> tuple[int, int | None]:
    async with ClientSession(headers=signed_in(token)) as http:
        page = f"{url}/2010-04-01/Accounts/{sid}/Calls/CA1.json"
        async with http.post(page, data=form) as answer:
            return answer.status, (await answer.json()).get("code")


async def test_refusals_have_twilios_numbers() -> None:
    calls, done = LiveCalls(), {"Status": "completed"}
    async with RestInterface(calls, SID, TOKEN).listening() as url:
        assert await ask(url, done) == (404, 20404)
        with calls.entered("CA1") as updates:
            assert await ask(url, done, "wrong") == (401, 20003)
            assert await ask(url, done, sid="AC" + "1" * 32) == (404, 20404)
            assert await ask(url, {}) == (400, 21218)
            assert await ask(url, {**done, "Url": "http://127.0.0.1/"}) == (400, 21218)
            assert await ask(url, {"Twiml": "x" * 4001}) == (400, 21218)
            assert updates.take() is None
            answers = [await ask(url, done) for _ in range(UPDATES_LIMIT + 1)]
            assert answers == [(200, None)] * UPDATES_LIMIT + [(429, 20429)]
        assert await ask(url, done) == (400, 21220)


async def test_a_call_says_whether_it_goes_on() -> None:
    calls = LiveCalls()
    async with RestInterface(calls, SID, TOKEN).listening() as url:
        page = f"{url}/2010-04-01/Accounts/{SID}/Calls/CA1.json"
        async with ClientSession(headers=signed_in()) as http:
            with calls.entered("CA1"):
                async with http.get(page) as answer:
                    assert (await answer.json())["status"] == "in-progress"
            async with http.get(page) as answer:
                assert (await answer.json())["status"] == "completed"
    with pytest.raises(KeyError):
        calls.update("CA1", CallUpdate(completed=True))
