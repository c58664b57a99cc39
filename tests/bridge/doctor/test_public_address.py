"""The way by which Twilio reaches the server: the name, TLS, a page, signed and unsigned webhooks."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiohttp import web
from bridge_rig import EchoFactory, loop_clock, settings
from tls_rig import showing, trusting

from offhook.bridge.doctor.asking import Answer, Asking, NoAnswer
from offhook.bridge.doctor.finding import Finding, Outcome
from offhook.bridge.doctor.public_address import (
    Certificate,
    judge_addresses,
    judge_certificate,
    judge_page,
    judge_signed,
    judge_unsigned,
    look_at_addresses,
    look_at_certificate,
)
from offhook.bridge.doctor.public_way import public_findings
from offhook.bridge.server import Server

TOKEN = "t0ken-of-the-account"
URL = "https://bridge.example.com"
DAY_S = 86_400


# ------------------------------------------------------------------- address


@pytest.mark.parametrize(
    ("url", "addresses", "outcome", "words"),
    [
        (URL, ("1.1.1.1",), Outcome.OK, "bridge.example.com is 1.1.1.1."),
        (URL, ("10.0.0.4", "1.1.1.1"), Outcome.OK, "is 10.0.0.4"),
        (URL, ("10.0.0.4", "fd00::1"), Outcome.WARNING, "only this network"),
        (URL, (), Outcome.FAILED, "cannot be resolved"),
        (URL, None, Outcome.FAILED, "cannot be resolved"),
        ("http://bridge.example.com", ("1.1.1.1",), Outcome.FAILED, "begins with http://"),
        ("https://localhost", ("127.0.0.1",), Outcome.FAILED, "names localhost"),
    ],
)
def test_an_address_must_be_public(url: str, addresses: Any, outcome: Outcome, words: str) -> None:
    found = judge_addresses(url, addresses)
    assert found.outcome is outcome
    assert words in found.told


async def test_a_name_is_resolved_or_is_not() -> None:
    assert "127.0.0.1" in (await look_at_addresses("https://localhost:8443") or ())
    assert await look_at_addresses("https://nowhere.invalid") is None


# --------------------------------------------------------------- certificate


@asynccontextmanager
async def tls_server(certificate: str | None) -> AsyncIterator[str]:
    """A server on localhost that shows a certificate, or none; gives its address."""
    runner = web.AppRunner(web.Application(), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    tls = None if certificate is None else showing(certificate)
    await web.TCPSite(runner, "localhost", 0, ssl_context=tls).start()
    try:
        yield f"https://localhost:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


async def test_the_last_day_of_a_trusted_certificate_is_read() -> None:
    async with tls_server("localhost") as url:
        seen = await look_at_certificate(url, trusting("localhost"))
    assert seen.fault == ""
    found = judge_certificate("localhost", seen, seen.ends_at - 90.5 * DAY_S)
    assert (found.outcome, found.told) == (
        Outcome.OK,
        "The certificate of localhost is valid for 90 more days.",
    )
    soon = judge_certificate("localhost", seen, seen.ends_at - 1.5 * DAY_S)
    assert (soon.outcome, "1 more day." in soon.told) == (Outcome.WARNING, True)


@pytest.mark.parametrize(
    ("certificate", "trusted", "words"),
    [
        ("localhost", (), "is not valid: self-signed certificate"),
        ("expired", ("expired",), "is not valid: certificate has expired"),
        ("other", ("other",), "is not valid: Hostname mismatch"),
        (None, (), "no TLS is spoken there"),
    ],
)
async def test_a_certificate_that_twilio_would_not_trust_fails(
    certificate: str | None, trusted: tuple[str, ...], words: str
) -> None:
    async with tls_server(certificate) as url:
        seen = await look_at_certificate(url, trusting(*trusted))
    found = judge_certificate("localhost", seen, 0.0)
    assert found.outcome is Outcome.FAILED
    assert words in found.told
    assert "valid certificate for localhost" in found.fix


async def test_a_server_that_is_not_there_or_says_nothing_shows_none() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"https://127.0.0.1:{silent.getsockname()[1]}"
        assert "was not shown within 5 s" in (await look_at_certificate(url, trusting())).fault
    assert "cannot be reached" in (await look_at_certificate(url, trusting())).fault


def test_the_day_it_ends_is_no_day_more() -> None:
    assert "for 0 more days" in judge_certificate("a", Certificate(100.0), 99.0).told


# ------------------------------------------------------------------ webhooks


@asynccontextmanager
async def bridge(**fields: Any) -> AsyncIterator[str]:
    """The real bridge on a port, told that its public address is that port; gives the address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    factory = EchoFactory()
    server = Server(settings(**{"public_url": url} | fields), factory, loop_clock())
    await server.start("127.0.0.1", port)
    try:
        yield url
    finally:
        await server.stop()
        assert factory.calls == []
        assert server.state.registry.live() == ()


async def findings(url: str, **fields: Any) -> dict[str, Finding]:
    async with Asking() as asking:
        told = await public_findings(settings(public_url=url, **fields), asking)
    return {finding.check: finding for finding in told}


async def test_a_server_with_the_same_settings_takes_what_is_signed_and_nothing_else() -> None:
    async with bridge(twilio_auth_token=TOKEN) as url:
        found = await findings(url, twilio_auth_token=TOKEN)
    checks = ("public page", "signed webhook", "unsigned webhook")
    assert [found[check].outcome for check in checks] == [Outcome.OK] * 3
    assert "is refused" in found["unsigned webhook"].told
    assert found["certificate"].outcome is Outcome.NOT_CHECKED


async def test_a_server_with_another_token_or_address_is_found_out() -> None:
    async with bridge(twilio_auth_token="another") as url:
        found = await findings(url, twilio_auth_token=TOKEN)
    assert found["signed webhook"].outcome is Outcome.FAILED
    assert "another TWILIO_AUTH_TOKEN or PUBLIC_URL" in found["signed webhook"].told
    async with bridge(twilio_auth_token=TOKEN, public_url=URL) as wrong:
        found = await findings(wrong, twilio_auth_token=TOKEN)
    assert found["signed webhook"].outcome is Outcome.FAILED
    assert TOKEN not in str(found)


async def test_a_server_without_a_token_refuses_every_call() -> None:
    async with bridge() as url:
        found = await findings(url, twilio_auth_token=TOKEN)
        tokenless = await findings(url)
    assert "runs without TWILIO_AUTH_TOKEN" in found["signed webhook"].told
    assert tokenless["signed webhook"].outcome is Outcome.NOT_CHECKED
    assert tokenless["unsigned webhook"].outcome is Outcome.OK


async def test_a_server_that_takes_what_nobody_signed_fails() -> None:
    async with bridge(twilio_auth_token=TOKEN, insecure=True) as url:
        found = await findings(url, twilio_auth_token=TOKEN)
    assert found["unsigned webhook"].outcome is Outcome.FAILED
    assert "anybody can place calls" in found["unsigned webhook"].told


async def test_nothing_is_posted_to_a_server_that_is_not_ours() -> None:
    asked: list[str] = []

    async def answer(request: web.Request) -> web.Response:
        asked.append(request.method)
        return web.Response(text="Welcome")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    try:
        url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        found = await findings(url, twilio_auth_token=TOKEN)
    finally:
        await runner.cleanup()
    assert asked == ["GET"]
    assert found["public page"].outcome is Outcome.FAILED
    assert found["signed webhook"].outcome is Outcome.NOT_CHECKED
    assert found["unsigned webhook"].outcome is Outcome.NOT_CHECKED


async def test_without_a_public_address_nothing_is_asked() -> None:
    async with Asking() as asking:
        told = await public_findings(settings(), asking)
    assert {finding.outcome for finding in told} == {Outcome.NOT_CHECKED}
    assert {finding.told for finding in told} == {"No PUBLIC_URL: only local calls."}
    assert asyncio.all_tasks() == {asyncio.current_task()}


@pytest.mark.parametrize(
    ("told", "outcome", "words"),
    [
        (Answer(200, b'{"alive": true}', 12.3), Outcome.OK, "in 12 ms"),
        (Answer(200, b"<html>"), Outcome.FAILED, "Something else than offhook"),
        (Answer(404), Outcome.FAILED, "Something else than offhook"),
        (Answer(502), Outcome.FAILED, "does not reach what is behind it"),
        (Answer(308), Outcome.FAILED, "leads elsewhere"),
        (NoAnswer("did not answer within 5 s"), Outcome.FAILED, "did not answer within 5 s"),
    ],
)
def test_what_answers_at_the_public_address_is_told(
    told: Answer | NoAnswer, outcome: Outcome, words: str
) -> None:
    found = judge_page(told)
    assert (found.outcome, bool(found.fix)) == (outcome, outcome is not Outcome.OK)
    assert words in found.told


@pytest.mark.parametrize(
    ("told", "words"),
    [
        (Answer(403, b"signature_missing: no header"), "lost on the way"),
        (Answer(403, b"signature_key_unknown: shared"), "another TWILIO_AUTH_TOKEN"),
        (Answer(405, b"wrong_method: POST"), "HTTP 405"),
        (Answer(403, b"\xff\xfe"), "HTTP 403"),
        (NoAnswer("broke the connection off"), "broke the connection off"),
    ],
)
def test_a_signed_webhook_that_is_not_taken_fails(told: Answer | NoAnswer, words: str) -> None:
    found = judge_signed(told)
    assert found.outcome is Outcome.FAILED
    assert words in found.told


def test_a_refusal_that_is_not_ours_proves_nothing() -> None:
    assert judge_unsigned(Answer(403, b"<html>blocked")).outcome is Outcome.WARNING
    assert judge_unsigned(NoAnswer("broke the connection off")).outcome is Outcome.FAILED
