"""The reference on settings and assistants, made from the models."""

from __future__ import annotations

import pytest

from offhook.config.assistant import Assistant
from offhook.config.errors import ConfigError
from offhook.config.reference import (
    REFERENCES,
    _sections,
    assistant_reference,
    heading_anchor,
    refreshed,
    settings_reference,
)
from offhook.config.settings import Settings


def row(table: str, name: str) -> str:
    return next(line for line in table.splitlines() if line.startswith(f"| `{name}`"))


def test_every_setting_has_a_row_with_a_meaning() -> None:
    rows = settings_reference().splitlines()[2:]
    assert len(rows) == len(Settings.model_fields)
    assert all(line.rstrip(" |").endswith(".") for line in rows), "a field without a docstring"


def test_a_setting_names_its_alias_its_limits_and_its_default() -> None:
    table = settings_reference()
    assert row(table, "PUBLIC_URL").startswith("| `PUBLIC_URL` or `SERVER_URL` | text; write it as https://")
    assert "| whole number, 0 to 65535 | `8080` |" in row(table, "PORT")
    assert "| text, secret | none |" in row(table, "TWILIO_AUTH_TOKEN")
    assert "| `true` or `false` | `false` |" in row(table, "OFFHOOK_INSECURE")


def test_every_key_of_every_section_has_a_row_but_the_one_that_is_never_written() -> None:
    table = assistant_reference()
    for path, section in _sections("", Assistant):
        for name in section.model_fields:
            key = f"{path}.{name}" if path else name
            assert (f"| `{key}` |" in table) is (key != "notices")


def test_keys_are_dotted_through_lists_and_mappings() -> None:
    table = assistant_reference()
    assert "| required |" in row(table, "model.intents[].slots.NAME.pattern")
    assert "| `off`, `partial` or `pause` | `pause` |" in row(table, "turn_taking.barge_in")
    assert "| number, above 0, at most 600 | `5` |" in row(table, "tools[].deadline_s")


def test_a_section_is_linked_to_its_own_table() -> None:
    table = assistant_reference()
    assert "[list of sections](#modelintents)" in row(table, "model.intents")
    assert heading_anchor("`model.intents[]`") == "modelintents"


def test_a_fallback_is_told_to_be_like_what_it_stands_behind() -> None:
    table = assistant_reference()
    assert "each as `voice`, without `fallbacks` | empty |" in row(table, "voice.fallbacks")
    assert "fallbacks[]" not in table


def test_hosted_names_are_told_but_where_they_lie_in_lists() -> None:
    table = assistant_reference()
    assert "| `voice.voiceId` | `voice.name` |" in table
    assert "| `serverUrlSecret` | `server.secret` |" in table


def test_only_what_lies_between_the_markers_is_replaced() -> None:
    page = (
        "Before.\n<!-- begin: offhook config reference settings -->\nwhat stood here\n"
        "<!-- end: offhook config reference settings -->\nAfter.\n"
    )
    new = refreshed(page, "settings", "page.md")
    assert new.startswith("Before.\n<!-- begin")
    assert new.endswith("-->\nAfter.\n")
    assert settings_reference() in new
    assert "what stood here" not in new
    assert refreshed(new, "settings", "page.md") == new


@pytest.mark.parametrize("page", ["", "<!-- begin: offhook config reference settings -->\n"])
def test_a_page_without_markers_is_an_error_that_shows_them(page: str) -> None:
    with pytest.raises(ConfigError, match="begin: offhook config reference settings") as caught:
        refreshed(page, "settings", "page.md")
    assert caught.value.problems[0].source == "page.md"


def test_a_reference_has_no_cell_too_many() -> None:
    for make in REFERENCES.values():
        for line in make().splitlines():
            if line.startswith("|"):
                assert line.replace(r"\|", "").count("|") in (3, 5)
