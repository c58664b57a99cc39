"""A Twilio account asked through the real package: what is found, and every way in which it is not."""

from __future__ import annotations

import asyncio
import socket
import sys

import pytest
from aiohttp import web
from bridge_rig import settings
from pydantic import SecretStr
from twilio_rest import NUMBER, NUMBER_SID, SID, TOKEN, FakeTwilio, refusal

from offhook.bridge.twilio.account import TwilioAccount, account_of
from offhook.bridge.twilio.number_routing import Routing, routing_to
from offhook.bridge.twilio.rest import SdkRest
from offhook.config.errors import CarrierError, ConfigError

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
URL = "https://bridge.example.com"


def account_at(base_url: str, token: str = TOKEN, within_s: float = 10.0) -> TwilioAccount:
    return TwilioAccount(SID, SdkRest(SID, SecretStr(token), base_url), within_s)


async def test_a_number_is_found_routed_and_read_back() -> None:
    async with FakeTwilio(
        {"voice_url": "https://old.example.com/answer", "trunk_sid": "TK1"}
    ).listening() as fake:
        account = account_at(fake.base_url)
        own = await account.number(NUMBER)
        assert own.routing == Routing(voice_url="https://old.example.com/answer", trunk_sid="TK1")
        wanted = routing_to(URL, own.routing)
        assert (await account.route(own, wanted)).routing == wanted
    assert fake.changes == [
        {
            "VoiceUrl": f"{URL}/voice/inbound",
            "VoiceFallbackUrl": f"{URL}/voice/inbound",
            "StatusCallback": f"{URL}/voice/status",
            "TrunkSid": "",
        }
    ]
    assert fake.requests[-1][:2] == (
        "GET",
        f"/2010-04-01/Accounts/{SID}/IncomingPhoneNumbers/{NUMBER_SID}.json",
    )


async def test_only_the_whole_number_counts_as_found() -> None:
    async with FakeTwilio().listening() as fake:
        with pytest.raises(CarrierError, match="is not a number of the account AC0"):
            await account_at(fake.base_url).number(NUMBER[:-1])


async def test_a_number_for_messages_alone_says_so() -> None:
    async with FakeTwilio({"capabilities": {"voice": False, "sms": True}}).listening() as fake:
        assert (await account_at(fake.base_url).number(NUMBER)).takes_calls is False


@pytest.mark.parametrize(("kind", "is_trial"), [("Full", False), ("Trial", True)])
async def test_the_account_says_how_it_stands(kind: str, is_trial: bool) -> None:
    async with FakeTwilio(account={"status": "suspended", "type": kind}).listening() as fake:
        standing = await account_at(fake.base_url).standing()
    assert (standing.status, standing.is_trial) == ("suspended", is_trial)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (refusal(401, 20003), "refuses the credentials (HTTP 401, error 20003)"),
        (refusal(403, 20003), "refuses the credentials"),
        (refusal(429, 20429), "asked too often"),
        (refusal(503, 20503), "fault of its own"),
        (refusal(400, 21421), "refuses that (HTTP 400, error 21421)"),
        (web.Response(text="<html>captive portal</html>"), "cannot be read"),
    ],
)
async def test_every_refusal_is_told_in_our_words_and_without_the_token(
    answer: web.Response, words: str
) -> None:
    async with FakeTwilio(answers=[("GET", answer)]).listening() as fake:
        with pytest.raises(CarrierError) as told:
            await account_at(fake.base_url).number(NUMBER)
    assert words in str(told.value)
    assert told.value.fix
    assert TOKEN not in str(told.value)
    assert fake.changes == []


async def test_a_wrong_token_is_told_by_the_interface_itself() -> None:
    async with FakeTwilio().listening() as fake:
        with pytest.raises(CarrierError, match="refuses the credentials"):
            await account_at(fake.base_url, token="other").standing()


async def test_an_interface_that_is_not_there_or_silent_is_told_in_its_time() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    with pytest.raises(CarrierError, match="cannot be reached"):
        await account_at(f"http://127.0.0.1:{port}").standing()
    async with FakeTwilio(stalls=True).listening() as fake:
        before = asyncio.get_running_loop().time()
        with pytest.raises(CarrierError, match="did not answer within 3 s"):
            await account_at(fake.base_url, within_s=3.0).standing()
        assert asyncio.get_running_loop().time() - before == pytest.approx(3.0, abs=0.5)


async def test_a_change_that_nobody_confirmed_is_told_as_such() -> None:
    lost = FakeTwilio()
    async with lost.listening():
        account = account_at(lost.base_url, within_s=2.0)
        own = await account.number(NUMBER)
        lost.stalls = True
        with pytest.raises(CarrierError, match="Whether it was changed is not known"):
            await account.route(own, routing_to(URL, own.routing))
    unread = FakeTwilio()
    async with unread.listening():
        account = account_at(unread.base_url)
        own = await account.number(NUMBER)
        unread.answers.append(("GET", refusal(503, 20503)))
        with pytest.raises(CarrierError, match="changed, but not read back"):
            await account.route(own, routing_to(URL, own.routing))


async def test_a_change_that_is_refused_is_no_doubt() -> None:
    async with FakeTwilio(answers=[("POST", refusal(400, 21502))]).listening() as fake:
        account = account_at(fake.base_url)
        own = await account.number(NUMBER)
        with pytest.raises(CarrierError, match=r"refuses that \(HTTP 400, error 21502\)"):
            await account.route(own, routing_to(URL, own.routing))


async def test_without_the_package_its_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "twilio.rest", None)
    with pytest.raises(CarrierError, match=r"pip install 'offhook\[twilio\]'"):
        await account_at("http://127.0.0.1:9").standing()


def test_credentials_that_are_not_set_are_all_named() -> None:
    with pytest.raises(ConfigError, match="TWILIO_ACCOUNT_SID") as told:
        account_of(settings())
    assert [problem.key for problem in told.value.problems] == ["TWILIO_ACCOUNT_SID", "TWILIO_AUTH_TOKEN"]
    assert account_of(settings(twilio_account_sid=SID, twilio_auth_token=TOKEN)) is not None
