"""The pages on settings and assistants hold the reference that the code gives today."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from offhook.cli import app
from offhook.cli.config import references_by_topic
from offhook.config.reference import refreshed
from offhook.config.settings import Settings
from offhook.config.vendors import FIELDS, KEY_VARIABLES
from offhook.pipeline.evidence import State
from offhook.pipeline.turn import TRANSITIONS

ROOT = Path(__file__).parents[2]


PAGES = {"settings": "settings.md", "assistant": "assistant.md", "states": "architecture.md"}


@pytest.mark.parametrize("topic", references_by_topic())
def test_the_page_is_up_to_date(topic: str) -> None:
    page = ROOT / "docs" / PAGES[topic]
    text = page.read_text()

    fresh = refreshed(text, topic, page.name, references_by_topic())

    assert fresh == text, f"run: offhook config reference {topic} --write docs/{page.name}"


def test_every_move_of_the_states_has_a_reason() -> None:
    reference = references_by_topic()["states"]()
    moves = [(before, after) for before, afters in TRANSITIONS.items() for after in afters]
    rows = re.findall(r"^\| (\w+) → (\w+) \| (.+) \|$", reference, re.MULTILINE)

    assert {(State(before), State(after)) for before, after, why in rows if why} == set(moves)
    assert all(f"    {before.value} --> {after.value}\n" in reference for before, after in moves)


def test_the_command_that_the_message_names_writes_the_page(tmp_path: Path) -> None:
    page = tmp_path / "settings.md"
    page.write_text(re.sub(r"\| `PORT` .*\n", "", (ROOT / "docs" / "settings.md").read_text()))
    done = CliRunner().invoke(app, ["config", "reference", "settings", "--write", str(page)])
    assert done.exit_code == 0, done.output
    assert page.read_text() == (ROOT / "docs" / "settings.md").read_text()


def test_a_page_without_a_place_for_it_is_left_as_it_is(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text("# Nothing\n")
    done = CliRunner().invoke(app, ["config", "reference", "settings", "--write", str(page)])
    assert done.exit_code == 1
    assert "has no place for the reference" in done.output
    assert page.read_text() == "# Nothing\n"


def test_a_page_that_is_not_there_is_told(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["config", "reference", "assistant", "--write", str(tmp_path / "none.md")])
    assert done.exit_code == 2
    assert "could not be refreshed" in done.output


def not_used_yet(page: str) -> set[str]:
    """The names in the paragraph that says what has no effect."""
    _, _, rest = (ROOT / "docs" / page).read_text().partition("ot used yet")
    return set(re.findall(r"`([A-Za-z_.]+)`", rest.split("\n\n## ")[0])) - {".env"}


def sources() -> str:
    folders = ("bridge", "pipeline", "lab", "cli")
    return "\n".join(path.read_text() for folder in folders for path in (ROOT / folder).glob("**/*.py"))


def test_settings_without_effect_are_told_and_no_others() -> None:
    code = sources()
    of_vendors = {f"{vendor}_{name}" for vendor in KEY_VARIABLES for name in ("api_key", "base_url")}
    assert "settings.account" in code
    unused = {name for name in Settings.model_fields if not re.search(rf"\bsettings\.{name}\b", code)}

    assert not_used_yet("settings.md") == {name.upper() for name in unused - of_vendors}


def test_the_table_of_vendors_names_the_fields_that_each_of_them_honours() -> None:
    _, _, rest = (ROOT / "docs" / "assistant.md").read_text().partition("## Vendors and fallbacks")
    rows = re.findall(r"^\| (\S*) ?\| (`\w+`[^|]*) \| `(\w+)` \| ([^|]+) \| ([^|]+) \|$", rest, re.MULTILINE)
    stage, told = "", {}
    for named, provider, extra, key, fields in rows:
        stage = named.strip("`") or stage
        vendor = provider.split("`")[1]
        assert extra == vendor
        assert key.split("`")[1:2] == ([KEY_VARIABLES[vendor]] if vendor in KEY_VARIABLES else [])
        told[stage, vendor, "Flux" in provider] = frozenset(re.findall(r"`(\w+)`", fields))

    assert told == {
        (stage, name.split()[0], name.endswith("flux")): fields
        for stage, providers in FIELDS.items()
        for name, fields in providers.items()
    }


def test_the_page_on_settings_names_every_address_of_a_vendor() -> None:
    _, _, rest = (ROOT / "docs" / "settings.md").read_text().partition("## Vendors")
    told = re.findall(
        r"^\| `(\w+_BASE_URL)` \| `https://[^`]+` \|", rest.partition("## All")[0], re.MULTILINE
    )

    assert told == [f"{vendor.upper()}_BASE_URL" for vendor in KEY_VARIABLES]
