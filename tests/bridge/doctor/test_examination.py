"""All checks together, against servers on loopback: each told once, in one order, in a bounded time."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import Mapping
from pathlib import Path

import pytest
from aiohttp import web
from bridge_rig import EchoFactory, loop_clock, settings
from pydantic import SecretStr
from twilio_rest import NUMBER, SID, TOKEN, FakeTwilio
from vendor_rig import emulated

from offhook.bridge.doctor.examination import Surroundings, examine, read_configuration
from offhook.bridge.doctor.finding import Finding, Outcome
from offhook.bridge.server import Server
from offhook.config.assistant_loading import parse_assistant
from offhook.config.errors import ConfigError
from offhook.config.settings import Settings, load_settings

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
EMBEDDED = parse_assistant({"name": "Order line"}, "a.yaml")
VENDORS = parse_assistant(
    {"name": "Order line", "transcriber": {"provider": "deepgram"}, "model": {"provider": "openai"}}, "a.yaml"
)
CREDENTIALS = {"TWILIO_ACCOUNT_SID": SID, "TWILIO_AUTH_TOKEN": TOKEN, "TWILIO_PHONE_NUMBER": NUMBER}


def at(fake: FakeTwilio, own: Settings) -> Settings:
    """The settings with the fake for Twilio's REST interface."""
    return own.model_copy(update={"twilio_api_base_url": fake.base_url})


def by_check(findings: list[Finding]) -> Mapping[str, Finding]:
    assert len({finding.check for finding in findings}) == len(findings)
    return {finding.check: finding for finding in findings}


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


async def test_a_whole_bridge_with_number_and_vendors_is_well_but_for_its_address(tmp_path: Path) -> None:
    fake, port = FakeTwilio(), free_port()
    url = f"http://127.0.0.1:{port}"
    environment = {"PUBLIC_URL": url, "PORT": str(port), "OFFHOOK_DATA_FOLDER": str(tmp_path)}
    fake.number |= {"voice_url": f"{url}/voice/inbound", "voice_fallback_url": "https://else.example.com"}
    fake.number |= {"status_callback": f"{url}/voice/status"}
    async with fake.listening(), emulated().listening() as vendors:
        own = load_settings(environment | CREDENTIALS | dict(vendors.environment()), env_file=None)
        server = Server(own, EchoFactory(), loop_clock())
        await server.start("127.0.0.1", port)
        try:
            findings = await examine(at(fake, own), VENDORS)
        finally:
            await server.stop()
    assert [finding.check for finding in findings] == [
        *("models", "transcriber", "model", "twilio account", "twilio number", "public address"),
        *(
            "certificate",
            "public page",
            "signed webhook",
            "unsigned webhook",
            "clock",
            "port",
            "readiness",
            "data folder",
        ),
        *("open files", "cores", "memory", "event loop"),
    ]
    unwell = {finding.check: finding.outcome for finding in findings if finding.outcome is not Outcome.OK}
    # Loopback is no address that Twilio could use; all else is as on a machine that serves.
    assert unwell == {
        "public address": Outcome.FAILED,
        "certificate": Outcome.NOT_CHECKED,
        "memory": Outcome.NOT_CHECKED,
    }
    assert TOKEN not in str(findings)
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_machine_without_any_account_is_told_what_was_not_checked_and_why() -> None:
    findings = by_check(await examine(settings(port=0), EMBEDDED))
    for check in (
        "vendors",
        "twilio account",
        "twilio number",
        "public page",
        "clock",
        "port",
        "data folder",
    ):
        assert findings[check].outcome is Outcome.NOT_CHECKED
        assert findings[check].told
    assert "everything runs on this machine" in findings["vendors"].told
    assert "No TWILIO_ACCOUNT_SID and no TWILIO_AUTH_TOKEN" in findings["twilio account"].told


async def test_keys_that_are_not_set_fail_without_being_asked_for() -> None:
    findings = await examine(settings(port=0), VENDORS)
    assert [
        (finding.check, finding.outcome) for finding in findings if finding.check in ("transcriber", "model")
    ] == [("transcriber", Outcome.FAILED), ("model", Outcome.FAILED)]
    assert "DEEPGRAM_API_KEY is not set" in findings[1].told
    assert by_check(findings)["clock"].outcome is Outcome.NOT_CHECKED


async def test_everything_that_is_silent_is_told_within_its_time() -> None:
    async def stall(request: web.Request) -> web.Response:
        await asyncio.sleep(600)
        return web.Response()

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", stall)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1, handler_cancellation=True)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    nowhere = {f"{name}_BASE_URL": url for name in ("DEEPGRAM", "OPENAI")}
    keys = {f"{name}_API_KEY": "k" for name in ("DEEPGRAM", "OPENAI")}
    own = load_settings({"PUBLIC_URL": url, "PORT": "0"} | CREDENTIALS | nowhere | keys, env_file=None)
    loop = asyncio.get_running_loop()
    try:
        async with FakeTwilio(stalls=True).listening() as fake:
            began = loop.time()
            findings = by_check(await examine(at(fake, own), VENDORS))
            took_s = loop.time() - began
    finally:
        await runner.cleanup()
    assert took_s <= 21
    for check in ("transcriber", "model", "twilio account", "public page"):
        assert findings[check].outcome is Outcome.FAILED
        assert "did not answer within" in findings[check].told
    assert findings["twilio number"].told == "The account cannot be asked."


async def test_a_clock_that_is_wrong_is_found_by_the_servers_asked_anyway() -> None:
    async with FakeTwilio().listening() as fake:
        wrong = Surroundings(wall_time=lambda: time.time() + 120)
        own = settings(port=0, twilio_account_sid=SID, twilio_auth_token=SecretStr(TOKEN))
        findings = by_check(await examine(at(fake, own), EMBEDDED, wrong))
    assert findings["clock"].outcome is Outcome.FAILED
    assert "ahead of the servers'" in findings["clock"].told


async def test_a_number_that_is_not_the_accounts_and_one_that_is_not_named() -> None:
    async with FakeTwilio().listening() as fake:
        environment = {"PUBLIC_URL": "http://127.0.0.1:9", "PORT": "0"} | CREDENTIALS
        other = load_settings(environment | {"TWILIO_PHONE_NUMBER": "+15550100123"}, env_file=None)
        findings = by_check(await examine(at(fake, other), EMBEDDED))
        unnamed = load_settings(environment | {"TWILIO_PHONE_NUMBER": ""}, env_file=None)
        without = by_check(await examine(at(fake, unnamed), EMBEDDED))
    assert "is not a number of the account" in findings["twilio number"].told
    assert without["twilio number"].outcome is Outcome.NOT_CHECKED


async def test_without_the_package_of_twilio_calls_end_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("offhook.bridge.doctor.examination.find_spec", lambda name: None)
    own = settings(port=0, twilio_account_sid=SID, twilio_auth_token=SecretStr(TOKEN))
    async with FakeTwilio().listening() as fake:
        findings = by_check(await examine(at(fake, own), EMBEDDED))
    assert findings["twilio account"].outcome is Outcome.WARNING
    assert "offhook[twilio]" in findings["twilio account"].fix
    assert fake.requests == []


async def test_an_assistant_that_cannot_be_read_leaves_the_vendors_unchecked() -> None:
    findings = by_check(await examine(settings(port=0), None))
    assert findings["vendors"].told == "The assistant cannot be read."
    assert findings["open files"].outcome is Outcome.OK


def test_every_problem_of_the_files_is_a_finding_with_its_fix(tmp_path: Path) -> None:
    file = tmp_path / "a.yaml"
    file.write_text("name: a\nvoice: {speed: 9}\nturn_takin: {}\n")

    def load() -> Settings:
        return load_settings({"PORT": "x", "OFFHOOK_WORKERS": "0"}, env_file=None)

    own, assistant, findings = read_configuration(load, file)
    assert (own, assistant) == (None, None)
    assert [(finding.check, finding.outcome) for finding in findings] == [
        *[("settings", Outcome.FAILED)] * 2,
        *[("assistant", Outcome.FAILED)] * 2,
    ]
    assert "PORT: is not a whole number." in findings[0].told
    assert findings[0].fix == "Write a number from 0 to 65535."


def test_settings_that_contradict_each_other_or_surprise_are_told() -> None:
    _, assistant, findings = read_configuration(lambda: settings(twilio_auth_token="t"), None)
    assert assistant is not None
    assert findings[0].outcome is Outcome.FAILED
    _, _, findings = read_configuration(lambda: settings(insecure=True), None)
    assert findings[0].outcome is Outcome.WARNING
    with pytest.raises(ConfigError):
        load_settings({"PORT": "x"}, env_file=None)
