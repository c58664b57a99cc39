"""The end of a call: stored first, told to Twilio if it can be, never waited for too long."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest
from aiohttp import web
from pydantic import SecretStr
from structlog.testing import capture_logs

from offhook.bridge.twilio.call_control import REST_WITHIN_S, TwilioCallControl
from offhook.bridge.twilio.rest import SdkRest

ENDED = {"status": "ended"}
TRANSFER = {"status": "transfer", "number": "+15550100200"}


class RecordingRest:
    """Remembers what was asked; may be slow, or fail."""

    def __init__(self, error: Exception | None = None, takes_s: float = 0.0) -> None:
        self.asked: list[tuple[str, ...]] = []
        self._error, self._takes_s = error, takes_s

    async def complete(self, call_sid: str) -> None:
        await self._answer("complete", call_sid)

    async def redirect(self, call_sid: str, twiml: str) -> None:
        await self._answer("redirect", call_sid, twiml)

    async def _answer(self, *asked: str) -> None:
        self.asked.append(asked)
        await asyncio.sleep(self._takes_s)
        if self._error is not None:
            raise self._error


def control(rest: Any) -> tuple[TwilioCallControl, list[Mapping[str, Any]]]:
    stored: list[Mapping[str, Any]] = []
    return TwilioCallControl("CA1", stored.append, rest), stored


async def test_without_credentials_the_outcome_is_stored_and_that_is_all() -> None:
    ending, stored = control(None)
    await ending.end(ENDED)
    assert stored == [ENDED]


async def test_with_credentials_twilio_is_told_to_hang_up() -> None:
    rest = RecordingRest()
    ending, stored = control(rest)
    await ending.end(ENDED)
    assert (stored, rest.asked) == ([ENDED], [("complete", "CA1")])


async def test_a_transfer_never_completes_the_call() -> None:
    rest = RecordingRest()
    ending, stored = control(rest)
    await ending.end(TRANSFER)
    (asked,) = rest.asked
    assert asked[:2] == ("redirect", "CA1")
    assert "<Number>+15550100200</Number>" in asked[2]
    assert stored == [TRANSFER]


async def test_only_the_first_end_counts() -> None:
    rest = RecordingRest()
    ending, stored = control(rest)
    await ending.end(TRANSFER)
    await ending.end(ENDED)
    assert [asked[0] for asked in rest.asked] == ["redirect"]
    assert stored == [TRANSFER]


@pytest.mark.parametrize(
    "rest", [RecordingRest(error=OSError("secret request")), RecordingRest(takes_s=60), object()]
)
async def test_trouble_with_rest_costs_at_most_three_seconds_and_no_exception(rest: Any) -> None:
    ending, stored = control(rest)
    began = asyncio.get_running_loop().time()
    with capture_logs() as logs:
        await ending.end(ENDED)
    assert asyncio.get_running_loop().time() - began <= REST_WITHIN_S
    assert stored == [ENDED]
    (line,) = logs
    assert (line["event"], line["call_sid"]) == ("call.rest_failed", "CA1")
    assert "secret" not in str(line)


@pytest.mark.realtime
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
async def test_the_sdk_asks_the_rest_interface() -> None:
    pytest.importorskip("twilio")
    asked: list[tuple[str, str, dict[str, str]]] = []

    async def answer(request: web.Request) -> web.Response:
        form = await request.post()
        authorization = request.headers["Authorization"]
        asked.append((request.path, authorization, {name: str(value) for name, value in form.items()}))
        return web.json_response({"sid": "CA1", "status": "completed"})

    app = web.Application()
    app.router.add_post("/{tail:.*}", answer)
    runner = web.AppRunner(app)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    rest = SdkRest("AC1", SecretStr("token"), f"http://127.0.0.1:{runner.addresses[0][1]}")
    try:
        await rest.load()
        await control(rest)[0].end(ENDED)
        await control(rest)[0].end(TRANSFER)
    finally:
        await runner.cleanup()
    path = "/2010-04-01/Accounts/AC1/Calls/CA1.json"
    assert [(where, fields.get("Status")) for where, _, fields in asked] == [
        (path, "completed"),
        (path, None),
    ]
    assert all(authorization.startswith("Basic ") for _, authorization, _ in asked)
    assert "<Dial" in asked[1][2]["Twiml"]
