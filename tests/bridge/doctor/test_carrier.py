"""How a Twilio account stands, and where calls to its number go."""

from __future__ import annotations

from dataclasses import replace

import pytest

from offhook.bridge.doctor.carrier import judge_number, judge_standing
from offhook.bridge.doctor.finding import Outcome
from offhook.bridge.twilio.account import Standing
from offhook.bridge.twilio.number_routing import OwnNumber, Routing, routing_to
from offhook.config.errors import CarrierError

URL = "https://bridge.example.com"
LINKED = routing_to(URL, Routing())


@pytest.mark.parametrize(
    ("told", "outcome", "words"),
    [
        (Standing("active", is_trial=False), Outcome.OK, "active"),
        (Standing("active", is_trial=True), Outcome.WARNING, "trial"),
        (Standing("suspended", is_trial=False), Outcome.FAILED, "suspended"),
        (CarrierError("Twilio refuses the credentials.", "Check them."), Outcome.FAILED, "credentials"),
    ],
)
def test_the_account_must_be_active(told: Standing | CarrierError, outcome: Outcome, words: str) -> None:
    found = judge_standing(told)
    assert found.outcome is outcome
    assert words in found.told
    assert bool(found.fix) is (outcome is not Outcome.OK)


@pytest.mark.parametrize(
    ("routing", "outcome", "words"),
    [
        (LINKED, Outcome.OK, "rings here"),
        (replace(LINKED, voice_url=f"{URL}/voice/inbound?assistant=x"), Outcome.OK, "rings here"),
        (Routing(), Outcome.FAILED, "asks nobody"),
        (
            replace(LINKED, voice_url="https://u:pw@old.example.com/?k=pw"),
            Outcome.FAILED,
            "https://old.example",
        ),
        (replace(LINKED, voice_method="GET"), Outcome.FAILED, "by GET"),
        (replace(LINKED, trunk_sid="TK1"), Outcome.FAILED, "the SIP trunk TK1"),
        (replace(LINKED, status_callback=""), Outcome.WARNING, "StatusCallback"),
    ],
)
def test_a_number_must_ring_here(routing: Routing, outcome: Outcome, words: str) -> None:
    found = judge_number(OwnNumber("PN1", "+15550100999", routing), URL)
    assert found.outcome is outcome
    assert words in found.told
    assert "pw" not in found.told
    assert found.fix == ("" if outcome is Outcome.OK else "Run `offhook twilio link`.")


def test_a_number_that_takes_no_calls_or_is_not_found_fails() -> None:
    number = OwnNumber("PN1", "+15550100999", LINKED, takes_calls=False)
    assert judge_number(number, URL).outcome is Outcome.FAILED
    assert judge_number(CarrierError("is not a number"), URL).outcome is Outcome.FAILED
