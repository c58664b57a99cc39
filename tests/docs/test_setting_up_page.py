"""docs/setting-up.md names every check of the doctor, its limits, and what linking prints."""

from __future__ import annotations

import re
from pathlib import Path

from offhook.bridge.doctor import (
    carrier,
    embedded_models,
    examination,
    machine,
    place,
    public_address,
    wall_clock,
)
from offhook.bridge.doctor.finding import Outcome
from offhook.bridge.twilio.number_routing import Routing, changes, routing_to, shown
from offhook.config.settings import Settings

PAGE = (Path(__file__).parents[2] / "docs" / "setting-up.md").read_text()
STAGES = ("transcriber", "model", "voice")


def test_every_check_is_in_the_table_and_no_other() -> None:
    rows = re.findall(r"^\| (`.+?`) \| .+ \|$", PAGE, re.MULTILINE)
    named = [name for row in rows for name in re.findall(r"`([^`]+)`", row)]
    assert named == [
        *(examination.SETTINGS, examination.ASSISTANT, embedded_models.CHECK, *STAGES, examination.VENDORS),
        *(carrier.ACCOUNT, carrier.NUMBER),
        *(public_address.ADDRESS, public_address.CERTIFICATE, public_address.PAGE),
        *(public_address.SIGNED, public_address.UNSIGNED, wall_clock.CHECK),
        *(place.PORT, place.READINESS, place.DATA_FOLDER),
        *(machine.OPEN_FILES, machine.CORES, machine.MEMORY, machine.EVENT_LOOP),
    ]


def test_limits_and_outcomes_are_those_of_the_code() -> None:
    assert all(f"`{outcome.value}`" in PAGE for outcome in Outcome)
    assert f"within {public_address.RENEW_WITHIN_DAYS} days of its end" in PAGE
    assert f"more than {wall_clock.ODD_BEYOND_S:g} s is a warning" in PAGE
    assert f"more than {wall_clock.WRONG_BEYOND_S:g} s fails" in PAGE
    assert f"has {place.LITTLE_SPACE_MB} MB left" in PAGE
    assert f"`{public_address.WEBHOOK_FORM['CallSid']}`" in PAGE


def test_the_changes_shown_are_those_that_linking_makes() -> None:
    now = Routing(voice_url="https://old.example.com/answer?key=1")
    made = changes(now, routing_to("https://bridge.example.com", now))
    assert all(re.search(rf"^{item.name} +\S.* +{shown(item.then)}$", PAGE, re.MULTILINE) for item in made)


def test_settings_that_the_page_names_exist() -> None:
    known = {name.upper() for name in Settings.model_fields}
    named = set(re.findall(r"\b(?:OFFHOOK|TWILIO|PUBLIC)_[A-Z_]+\b", PAGE))
    assert {name.removeprefix("OFFHOOK_") for name in named} <= known
