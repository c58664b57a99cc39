"""The webhooks, asked over HTTP as Twilio asks them, and in every wrong way."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from xml.etree import ElementTree

import pytest
from aiohttp.test_utils import TestClient, TestServer
from bridge_rig import CALL_SID, EchoFactory, loop_clock, settings
from structlog.testing import capture_logs
from yarl import URL

from offhook.bridge.registry import CallEntry
from offhook.bridge.server import create_app
from offhook.bridge.server_state import STATE, ServerState
from offhook.bridge.stream_token import Ticket
from offhook.bridge.twilio.signature import signature

FORM = {"CallSid": CALL_SID, "From": "+15550100267", "To": "+15550100999", "CallStatus": "ringing"}
TOKEN, PUBLIC = "t0ken", "https://bridge.example.com"


class Bridge:
    """A running bridge and a client that talks to it."""

    def __init__(self, client: TestClient[Any, Any], state: ServerState, factory: EchoFactory) -> None:
        self.client, self.state, self.factory = client, state, factory

    async def post(self, path: str, form: Mapping[str, str] = FORM, **headers: str) -> tuple[int, str]:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        async with self.client.post(path, data=form, headers=named) as answer:
            return answer.status, await answer.text()

    async def twiml(self, path: str, form: Mapping[str, str] = FORM) -> ElementTree.Element:
        async with self.client.post(path, data=form) as answer:
            assert (answer.status, answer.content_type) == (200, "text/xml")
            return ElementTree.fromstring(await answer.text())  # noqa: S314  our own document

    def live_call(self, call_sid: str = CALL_SID) -> CallEntry:
        def nothing(reason: str) -> None:
            """Not asked here."""

        return self.state.registry.admit(
            call_sid, assistant=None, may_replace=False, hang_up=nothing, cut=nothing
        )


@asynccontextmanager
async def bridge(**fields: Any) -> AsyncIterator[Bridge]:
    factory = EchoFactory()
    app = create_app(settings(**fields), factory, loop_clock())
    async with TestClient(TestServer(app)) as client:
        yield Bridge(client, app[STATE], factory)


def verbs(response: ElementTree.Element) -> list[str]:
    return [verb.tag for verb in response]


# --------------------------------------------------------------------- inbound


async def test_a_call_is_connected_to_the_stream() -> None:
    async with bridge() as house:
        response = await house.twiml("/voice/inbound?assistant=demo")
        host = f"127.0.0.1:{house.client.port}"
        (connect,) = response
        assert connect.attrib["action"] == f"http://{host}/voice/after"
        (stream,) = connect
        assert stream.attrib["url"] == f"ws://{host}/media"
        assert stream.attrib["statusCallback"] == f"http://{host}/voice/stream-status"
        parameters = {item.attrib["name"]: item.attrib["value"] for item in stream}
        assert parameters.keys() == {"token", "assistant", "from", "to"}
        assert (parameters["assistant"], parameters["from"]) == ("demo", "+15550100267")
        assert isinstance(house.state.tokens.read(parameters["token"], CALL_SID), Ticket)


async def test_behind_a_public_address_everything_is_named_by_it() -> None:
    async with bridge(public_url=PUBLIC, twilio_auth_token=TOKEN) as house:
        signed = signature(PUBLIC + "/voice/inbound?assistant=", {n: [v] for n, v in FORM.items()}, TOKEN)
        status, text = await house.post("/voice/inbound?assistant=", X_Twilio_Signature=signed)
        assert status == 200
        assert 'url="wss://bridge.example.com/media"' in text
        assert 'action="https://bridge.example.com/voice/after"' in text
        assert "127.0.0.1" not in text


async def test_a_signature_covers_blank_fields_and_raw_paths() -> None:
    async with bridge(public_url=PUBLIC, twilio_auth_token=TOKEN) as house:
        form = FORM | {"CallerName": ""}
        path = URL("/voice/inbound?x=%2Fa%20b", encoded=True)
        signed = signature(PUBLIC + str(path), {n: [v] for n, v in form.items()}, TOKEN)
        async with house.client.post(path, data=form, headers={"X-Twilio-Signature": signed}) as answer:
            assert answer.status == 200


@pytest.mark.parametrize("given", ["", "x"])
async def test_an_unsigned_webhook_is_refused(given: str) -> None:
    async with bridge(public_url=PUBLIC, twilio_auth_token=TOKEN) as house:
        status, text = await house.post("/voice/inbound", X_Twilio_Signature=given)
        assert (status, text.partition(":")[0]) == (403, "signature_wrong" if given else "signature_missing")
        assert house.state.counters[text.partition(":")[0]] == 1


async def test_a_caller_hears_why_nobody_answers_before_the_models_are_loaded() -> None:
    async with bridge() as house:
        house.factory.ready = False
        assert verbs(await house.twiml("/voice/inbound")) == ["Say", "Hangup"]
        assert house.state.counters["spoken_not_ready"] == 1


async def test_a_caller_hears_that_the_lines_are_busy() -> None:
    async with bridge(max_calls=1) as house:
        house.live_call("CA2")
        response = await house.twiml("/voice/inbound")
        assert verbs(response) == ["Say", "Hangup"]
        assert "busy" in (response[0].text or "")
        assert house.state.counters["spoken_at_capacity"] == 1


@pytest.mark.parametrize("name", ["../etc/passwd", "UPPER", "a b", "x" * 65, "é"])
async def test_a_caller_hears_of_a_wrong_assistant_name(name: str) -> None:
    async with bridge() as house:
        async with house.client.post("/voice/inbound", params={"assistant": name}, data=FORM) as answer:
            assert answer.status == 200
            assert "<Say>" in await answer.text()
        assert house.state.counters["spoken_bad_assistant"] == 1


async def test_the_number_that_is_called_chooses_the_assistant_and_the_address_counts_before_it() -> None:
    async with bridge(assistant_numbers={"+15550100999": "sales"}) as house:

        async def chosen(to: str, **query: str) -> str | None:
            form = FORM | {"To": to}
            async with house.client.post("/voice/inbound", params=query, data=form) as answer:
                stream = ElementTree.fromstring(await answer.text())[0][0]  # noqa: S314  our own document
            return {item.attrib["name"]: item.attrib["value"] for item in stream}.get("assistant")

        assert await chosen("+15550100999") == "sales"
        assert await chosen("+15550100999", assistant="support") == "support"
        assert await chosen("+15550100998") is None


async def test_what_the_form_holds_is_cut_to_what_a_parameter_takes() -> None:
    async with bridge() as house:
        form = FORM | {"From": "sip:" + "x" * 2000, "To": 'a\x00b\n"<>&\ud7ff'}
        response = await house.twiml("/voice/inbound", form)
        values = {item.attrib["name"]: item.attrib["value"] for item in response[0][0]}
        assert len(values["from"]) == 499
        assert values["to"].startswith('ab"<>&')


# ---------------------------------------------------------------- wrong requests


@pytest.mark.parametrize("path", ["inbound", "after", "status", "stream-status"])
async def test_a_webhook_that_is_no_post_is_refused(path: str) -> None:
    async with bridge() as house, house.client.get(f"/voice/{path}") as answer:
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")
        assert answer.content_type == "text/plain"
        assert (await answer.text()).startswith("wrong_method")
        assert house.state.counters["wrong_method"] == 1


@pytest.mark.parametrize(
    "content_type", ["application/json", "multipart/form-data; boundary=x", "text/plain", ""]
)
async def test_a_webhook_that_is_no_form_is_refused(content_type: str) -> None:
    async with bridge() as house:
        headers = {"Content-Type": content_type}
        async with house.client.post("/voice/inbound", data=b"{}", headers=headers) as answer:
            assert answer.status == 415
        assert house.state.counters["wrong_content_type"] == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"From=x",
        b"CallSid=",
        b"CallSid=../x",
        b"CallSid=%ff",
        b"CallSid=\xff",
        b"CallSid=" + b"x" * 65,
        b"&".join(b"f%d=1" % number for number in range(300)),
    ],
)
async def test_a_form_that_names_no_call_is_refused(body: bytes) -> None:
    async with bridge() as house:
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        async with house.client.post("/voice/inbound", data=body, headers=headers) as answer:
            assert answer.status == 400
        assert house.state.counters["bad_form"] == 1


async def test_a_body_that_is_too_large_is_refused() -> None:
    async with bridge() as house:
        status, text = await house.post("/voice/inbound", {"x": "y" * 70_000})
        assert (status, text.partition(":")[0]) == (413, "body_too_large")


async def test_an_unknown_page_is_not_found() -> None:
    async with bridge() as house:
        status, text = await house.post("/voice/elsewhere")
        assert (status, text.partition(":")[0]) == (404, "not_found")


async def test_a_fault_of_ours_shows_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    async with bridge() as house:

        def broken(call_sid: str) -> str:
            raise RuntimeError("secret words")

        monkeypatch.setattr(house.state.tokens, "mint", broken)
        with capture_logs() as logs:
            status, text = await house.post("/voice/inbound")
        assert status == 500
        assert text.startswith("internal_error")
        assert "Traceback" not in text
        assert "secret" not in text + str(logs)
        assert [line["error"] for line in logs if line["event"] == "request.failed"] == ["RuntimeError"]


@pytest.mark.parametrize("path", ["/voice/inbound", "/v1/calls/CA1/say"])
async def test_a_body_that_is_not_encoded_as_it_says_is_the_senders_fault(path: str) -> None:
    kind = "application/x-www-form-urlencoded" if path.startswith("/voice") else "application/json"
    headers = {"Content-Encoding": "gzip", "Content-Type": kind}
    async with bridge() as house:
        with capture_logs() as logs:
            async with house.client.post(path, data=b"no gzip", headers=headers) as answer:
                assert answer.status == 400
        assert not [line for line in logs if line["log_level"] == "error"]


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Via", "Forwarded"])
async def test_a_proxied_webhook_is_refused(header: str) -> None:
    async with bridge() as house:
        headers = {header: "203.0.113.9"}
        async with house.client.post("/voice/inbound", data=FORM, headers=headers) as answer:
            assert answer.status == 403
        assert house.state.counters["proxied"] == 1


async def test_numbers_are_logged_by_their_last_digits() -> None:
    async with bridge() as house:
        with capture_logs() as logs:
            await house.post("/voice/inbound")
        assert "5550100" not in str(logs)
        assert "…67" in str(logs)


@pytest.mark.parametrize(
    ("fields", "expected", "rule"),
    [
        ({"blocked_callers": "+1555*"}, ["Reject"], "caller_blocked"),
        ({"allowed_callers": "+4930*"}, ["Reject"], "caller_blocked"),
        ({"calls_per_caller": 1}, ["Say", "Hangup"], "caller_too_often"),
        ({"calls_per_day": 1}, ["Say", "Hangup"], "day_budget_spent"),
    ],
)
async def test_a_caller_who_is_not_wanted_costs_no_stream(
    fields: dict[str, Any], expected: list[str], rule: str
) -> None:
    async with bridge(**fields) as house:
        await house.twiml("/voice/inbound")
        assert verbs(await house.twiml("/voice/inbound")) == expected
        assert house.state.counters[rule] >= 1
        assert house.factory.asked == []


async def test_an_expected_call_is_told_of_before_its_stream_opens() -> None:
    async with bridge() as house:
        await house.twiml("/voice/inbound?assistant=sales")
        assert house.factory.expected == [("sales", {"from": FORM["From"], "to": FORM["To"]})]


@pytest.mark.parametrize("path", ["?assistant=..", "?session=chat-1"])
async def test_nothing_is_prepared_for_a_call_that_is_not_taken_or_greeted_otherwise(path: str) -> None:
    async with bridge() as house:
        await house.twiml(f"/voice/inbound{path}")
        assert house.factory.expected == []


async def test_a_conversation_in_writing_is_named_to_the_stream() -> None:
    async with bridge() as house:
        for query, named in (("?session=chat-1", ["chat-1"]), ("?session=chat%201", []), ("", [])):
            document = await house.twiml(f"/voice/inbound{query}")
            told = [it.attrib["value"] for it in document.iter("Parameter") if it.attrib["name"] == "session"]
            assert told == named


# ------------------------------------------------------- nobody can talk to the caller


@pytest.mark.parametrize("short", ["not ready", "draining", "full", "misconfigured"])
async def test_whoever_cannot_be_served_hears_why_and_is_put_through(short: str) -> None:
    async with bridge(max_calls=1) as house:
        house.factory.fallbacks[None] = "+15550100777"
        house.factory.ready = short != "not ready"
        house.state.draining = short == "draining"
        if short == "full":
            house.live_call("CA" + "7" * 32)
        path = "/voice/inbound?assistant=.." if short == "misconfigured" else "/voice/inbound"
        document = await house.twiml(path)
        assert verbs(document) == ["Say", "Dial"]
        assert document[0].text is not None
        assert document[0].text.startswith("Sorry, ")
        assert document[0].text.endswith("put you through.")
        assert document[1][0].text == "+15550100777"
        assert document[1].attrib["action"].endswith("/voice/after")


@pytest.mark.parametrize(
    ("dialled", "expected"), [("completed", ["Hangup"]), ("no-answer", ["Say", "Hangup"])]
)
async def test_behind_such_an_apology_nobody_is_rung_twice(dialled: str, expected: list[str]) -> None:
    async with bridge() as house:
        house.factory.fallbacks[None] = "+15550100777"
        form = {**FORM, "CallStatus": "in-progress", "DialCallStatus": dialled}
        assert verbs(await house.twiml("/voice/after", form)) == expected
        entry = house.live_call()
        entry.outcome = {"status": "failed", "reason": "call_failed"}
        house.state.registry.finish(entry)
        assert verbs(await house.twiml("/voice/after", form)) == expected


async def test_a_call_that_failed_is_put_through_to_its_assistants_number() -> None:
    async with bridge() as house:
        house.factory.fallbacks[None] = "+15550100777"
        entry = house.live_call()
        entry.outcome = {"status": "failed", "reason": "call_failed"}
        house.state.registry.finish(entry)
        assert verbs(await house.twiml("/voice/after")) == ["Say", "Dial"]
        assert house.state.counters["spoken_failed"] == 1


@pytest.mark.parametrize("fields", [{"calls_per_caller": 1}, {"calls_per_day": 1}])
async def test_limits_ring_nobody_for_they_bound_what_calls_cost(fields: dict[str, Any]) -> None:
    async with bridge(**fields) as house:
        house.factory.fallbacks[None] = "+15550100777"
        await house.twiml("/voice/inbound")
        assert verbs(await house.twiml("/voice/inbound")) == ["Say", "Hangup"]


# ------------------------------------------------------------------------ after


@pytest.mark.parametrize(
    ("outcome", "expected"),
    [
        ({"status": "ended"}, ["Hangup"]),
        ({"status": "transfer", "number": "+15550100200"}, ["Dial"]),
        ({"status": "transfer", "number": "javascript:"}, ["Say", "Hangup"]),
        ({"status": "failed", "reason": "call_failed"}, ["Say", "Hangup"]),
        ({"status": "surprise"}, ["Hangup"]),
        (None, ["Hangup"]),
    ],
)
async def test_what_follows_the_stream_is_the_calls_outcome(
    outcome: dict[str, str] | None, expected: list[str]
) -> None:
    async with bridge() as house:
        entry = house.live_call()
        entry.outcome = outcome
        house.state.registry.finish(entry)
        assert verbs(await house.twiml("/voice/after")) == expected


@pytest.mark.parametrize(
    ("place", "dialled", "expected"),
    [
        ("", "completed", ["Hangup"]),
        ("?dialled=1", "answered", ["Hangup"]),
        ("?dialled=1", "no-answer", ["Dial +15550100300"]),
        ("", "busy", ["Dial +15550100300"]),
        ("?dialled=2", "failed", ["Say", "Hangup"]),
        ("?dialled=99", "busy", ["Dial +15550100300"]),
    ],
)
async def test_a_transfer_that_nobody_takes_rings_the_fallback_and_then_apologises(
    place: str, dialled: str, expected: list[str]
) -> None:
    async with bridge() as house:
        entry = house.live_call()
        entry.outcome = {"status": "transfer", "number": "+15550100200", "fallback": "+15550100300"}
        house.state.registry.finish(entry)
        form = {"CallSid": CALL_SID, "DialCallStatus": dialled}
        document = await house.twiml(f"/voice/after{place}", form)
        told = [verb.tag + (f" {verb[0].text}" if verb.tag == "Dial" else "") for verb in document]
        assert told == expected


async def test_what_follows_a_transfer_is_asked_at_our_own_address() -> None:
    async with bridge() as house:
        entry = house.live_call()
        entry.outcome = {"status": "transfer", "number": "+15550100200"}
        house.state.registry.finish(entry)
        dial = (await house.twiml("/voice/after"))[0]
        assert dial.attrib["action"].endswith("/voice/after?dialled=1")
        assert dial[0].text == "+15550100200"


async def test_a_call_nobody_knows_is_hung_up() -> None:
    async with bridge() as house:
        assert verbs(await house.twiml("/voice/after")) == ["Hangup"]


async def test_status_reports_are_counted_and_logged() -> None:
    async with bridge() as house:
        with capture_logs() as logs:
            assert (await house.post("/voice/status"))[0] == 204
            form = {"CallSid": CALL_SID, "StreamEvent": "stream-error", "StreamError": "31920 " + "x" * 9999}
            assert (await house.post("/voice/stream-status", form))[0] == 204
        assert house.state.counters["call_status"] == 1
        assert house.state.counters["stream_status"] == 1
        assert house.state.counters["stream_error"] == 1
        (line,) = [line for line in logs if line.get("rule") == "stream_error"]
        assert line["error"].startswith("31920")
        assert len(line["error"]) <= 200


# ----------------------------------------------------------------------- health


async def test_health_says_whether_calls_may_come_and_why_not() -> None:
    async with bridge(max_calls=1) as house:

        async def ready() -> tuple[int, str]:
            async with house.client.get("/readyz") as answer:
                return answer.status, " ".join((await answer.json())["reasons"])

        assert await ready() == (200, "")
        house.factory.ready = False
        house.state.draining = True
        house.live_call()
        status, reasons = await ready()
        assert status == 503
        for part in ("models", "shut down", "as many calls"):
            assert part in reasons
        async with house.client.get("/livez") as answer:
            assert answer.status == 200


async def test_a_loop_that_is_late_for_the_calls_it_has_is_not_ready() -> None:
    async with bridge() as house:
        house.live_call()
        house.state.lag._late_s.extend([0.2] * 50)
        async with house.client.get("/readyz") as answer:
            assert answer.status == 503
            assert "event loop" in await answer.text()


async def test_an_overloaded_server_apologises_and_takes_calls_again_when_it_is_well() -> None:
    async with bridge() as house:
        live = house.live_call("CA-live")
        house.state.lag._late_s.extend([0.2, 0.2])
        assert verbs(await house.twiml("/voice/inbound")) == ["Say", "Hangup"]
        assert house.state.counters["spoken_overloaded"] == 1
        assert house.state.registry.live() == (live,), "live calls are not touched"
        async with house.client.get("/readyz") as answer:
            assert answer.status == 503
        house.state.lag._late_s.extend([0.07, 0.07])
        house.state.lag._late_s.extend([0.0] * 96)
        assert verbs(await house.twiml("/voice/inbound")) == ["Say", "Hangup"], "not well enough"
        house.state.lag._late_s.extend([0.0] * 100)
        assert verbs(await house.twiml("/voice/inbound")) == ["Connect"]
