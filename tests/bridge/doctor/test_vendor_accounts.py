"""Keys and models in use, asked for at emulated vendors that check them as the real ones do."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from pydantic import SecretStr
from vendor_rig import emulated

from offhook.bridge.doctor.asking import Answer, Asking, NoAnswer, SocketTold
from offhook.bridge.doctor.finding import Finding, Outcome
from offhook.bridge.doctor.vendor_accounts import Question, ask_vendor, judge_vendor, vendor_questions
from offhook.config.assistant import Assistant
from offhook.config.assistant_loading import parse_assistant
from offhook.config.settings import load_settings
from offhook.config.vendors import Account
from offhook.lab.vendors.fault_words import parse_fault

KEY = "k3y-of-the-vendor"
MODEL = {"provider": "openai", "name": "gpt-5.4-mini"}
ALL = {
    "transcriber": {"provider": "deepgram", "keyterms": ["Ångström & Co"]},
    "model": MODEL,
    "voice": {"provider": "elevenlabs", "name": "anna", "fallbacks": [{"provider": "embedded"}]},
}


def assistant(**fields: object) -> Assistant:
    return parse_assistant({"name": "Order line", **fields}, "a.yaml")


async def findings(
    asked: Assistant, environment: Mapping[str, str] | None = None, *, fault: str = "", key: str = ""
) -> list[Finding]:
    """Ask emulated vendors, whose keys are those of the environment unless `key` replaces them."""
    server = emulated()
    if fault:
        server.world.faults.plan(parse_fault(fault))
    async with server.listening() as vendors:
        variables = dict(environment or vendors.environment())
        for name in variables:
            if key and name.endswith("_KEY"):
                variables[name] = key
        settings = load_settings(variables, env_file=None)
        async with Asking() as asking:
            found = [
                judge_vendor(question, await ask_vendor(question, asking))
                for question in vendor_questions(asked, settings.account)
            ]
    left = +server.world.sightings.open
    assert not left, f"left open at a vendor: {dict(left)}"
    return found


async def test_keys_that_are_right_are_taken_and_the_models_are_there() -> None:
    found = await findings(assistant(**ALL))
    assert [(each.check, each.outcome, each.told) for each in found] == [
        ("transcriber", Outcome.OK, "`deepgram` takes the key and serves nova-3."),
        ("model", Outcome.OK, "`openai` takes the key; it lists no models."),
        ("voice", Outcome.OK, "`elevenlabs` takes the key and serves eleven_flash_v2_5, voice anna."),
    ]


async def test_a_flux_model_is_asked_for_at_its_own_address() -> None:
    (found,) = await findings(assistant(transcriber={"provider": "deepgram", "model": "flux-general-en"}))
    assert found.told == "`deepgram` takes the key and serves flux-general-en."


async def test_a_wrong_key_is_told_for_every_vendor_with_its_variable() -> None:
    found = await findings(assistant(**ALL), key=KEY)
    assert [each.outcome for each in found] == [Outcome.FAILED] * 3
    assert all("HTTP 401" in each.told for each in found)
    fixes = " ".join(each.fix for each in found)
    assert all(f"{name}_API_KEY" in fixes for name in ("DEEPGRAM", "OPENAI", "ELEVENLABS"))
    assert KEY not in str(found)


@pytest.mark.parametrize("vendor", ["deepgram", "elevenlabs"])
async def test_a_vendor_that_is_busy_or_ill_is_no_fault_of_ours(vendor: str) -> None:
    stage = "transcriber" if vendor == "deepgram" else "voice"
    asked = assistant(**{stage: ALL[stage]})
    for kind in ("busy", "error"):
        (found,) = await findings(asked, fault=f"{vendor} connect {kind}")
        assert found.outcome is Outcome.WARNING, found


async def test_a_vendor_that_cannot_be_reached_is_no_wrong_key() -> None:
    nowhere = {f"{vendor}_BASE_URL": "http://127.0.0.1:9" for vendor in ("DEEPGRAM", "OPENAI", "ELEVENLABS")}
    keys = {f"{vendor}_API_KEY": KEY for vendor in ("DEEPGRAM", "OPENAI", "ELEVENLABS")}
    found = await findings(assistant(**ALL), nowhere | keys)
    assert [each.outcome for each in found] == [Outcome.FAILED] * 3
    assert all("connection was refused" in each.told for each in found)
    assert all("_BASE_URL" in each.fix for each in found)


def questions(asked: Assistant, account: Account) -> list[Question]:
    return list(vendor_questions(asked, lambda _: account))


def test_a_files_own_server_gets_the_files_own_key_and_no_other() -> None:
    account = Account(SecretStr(KEY))
    own = {"provider": "openai", "name": "llama3.2", "base_url": "http://127.0.0.1:11434/v1"}
    (question,) = questions(assistant(model=own), account)
    assert question.url == "http://127.0.0.1:11434/v1/models"
    assert question.headers == {"Authorization": "Bearer none"}
    (question,) = questions(assistant(model=own | {"api_key": "its-own"}), account)
    assert question.headers == {"Authorization": "Bearer its-own"}
    assert "its-own" not in repr(question)
    unreached = judge_vendor(question, NoAnswer("is not listening"))
    assert unreached.fix.startswith("Check that the server runs, and model.base_url")


def test_the_vendors_own_addresses_are_asked_when_no_other_is_set() -> None:
    asked = questions(assistant(**ALL), Account(SecretStr(KEY)))
    assert [question.url.partition("?")[0] for question in asked] == [
        "wss://api.deepgram.com/v1/listen",
        "https://api.openai.com/v1/models",
        "wss://api.elevenlabs.io/v1/text-to-speech/anna/multi-stream-input",
    ]
    assert "smart_format=true" in asked[0].url
    assert all(KEY not in question.url for question in asked)


def test_stand_ins_are_asked_too() -> None:
    asked = assistant(voice={"fallbacks": [{"provider": "elevenlabs", "name": "anna"}]})
    assert [question.place for question in questions(asked, Account(SecretStr(KEY)))] == ["voice.fallbacks.0"]


QUESTIONS = {question.vendor: question for question in questions(assistant(**ALL), Account(SecretStr(KEY)))}


@pytest.mark.parametrize(
    ("vendor", "told", "outcome", "words"),
    [
        ("deepgram", Answer(400), Outcome.FAILED, "cannot do what the assistant asks for (nova-3)"),
        ("deepgram", Answer(402), Outcome.FAILED, "nothing is left to pay"),
        ("deepgram", Answer(403), Outcome.FAILED, "does not take the key"),
        ("elevenlabs", Answer(404), Outcome.FAILED, "no such address"),
        ("openai", Answer(429), Outcome.WARNING, "busy"),
        ("openai", Answer(301), Outcome.FAILED, "means nothing here"),
        ("openai", Answer(200, b'{"data": [{"id": "gpt-5.4-mini"}]}'), Outcome.OK, "serves gpt-5.4-mini"),
        ("openai", Answer(200, b'{"data": [{"id": "gpt-5.4-mini:latest"}]}'), Outcome.OK, "serves"),
        ("openai", Answer(200, b'{"data": [{"id": "gpt-4"}]}'), Outcome.WARNING, "not in its list"),
        ("openai", Answer(200, b"<html>"), Outcome.WARNING, "not with a list of models"),
        ("openai", Answer(200, b"[]"), Outcome.WARNING, "not with a list of models"),
        ("deepgram", SocketTold((), None), Outcome.OK, "takes the key"),
        ("deepgram", SocketTold(('{"type": "Metadata"}',), 1000), Outcome.OK, "takes the key"),
        ("deepgram", SocketTold(("no json", "[1]"), 1005), Outcome.OK, "takes the key"),
        (
            "deepgram",
            SocketTold(('{"type": "Error", "code": "UNSUPPORTED_MODEL", "description": "k3y"}',), 1011),
            Outcome.FAILED,
            "reports an error (UNSUPPORTED_MODEL)",
        ),
        ("deepgram", SocketTold((), 1011), Outcome.FAILED, "close code 1011"),
        (
            "elevenlabs",
            SocketTold(('{"error": "invalid_api_key"}',), 1008),
            Outcome.FAILED,
            "invalid_api_key",
        ),
        ("elevenlabs", SocketTold(('{"error": "system_busy"}',), 1008), Outcome.WARNING, "system_busy"),
        (
            "elevenlabs",
            SocketTold(('{"error": "voice_not_found"}',), 1008),
            Outcome.FAILED,
            "voice_not_found",
        ),
        ("elevenlabs", SocketTold(('{"error": "k3y is <wrong>"}',), 1008), Outcome.FAILED, "without a name"),
    ],
)
def test_every_answer_has_its_meaning(
    vendor: str, told: Answer | SocketTold, outcome: Outcome, words: str
) -> None:
    found = judge_vendor(QUESTIONS[vendor], told)
    assert found.outcome is outcome
    assert words in found.told
    assert "k3y" not in str(found)
    assert bool(found.fix) is (outcome is not Outcome.OK)
