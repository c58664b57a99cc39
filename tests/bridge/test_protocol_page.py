"""docs/protocol.md lists every rule that the code applies, and no other."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from offhook.bridge import http_rules, media_socket, stream_rules
from offhook.bridge.rules import Outcome, Rule
from offhook.bridge.twilio import rules as dialect_rules
from offhook.bridge.twilio.messages import KINDS
from offhook.bridge.twilio.rules import TRANSITIONS

PAGE = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text(encoding="utf-8")
SECTIONS = {
    "Messages": dialect_rules.RULES,
    "The socket": media_socket.RULES,
    "The stream": stream_rules.RULES,
    "HTTP": http_rules.RULES,
}


def table_under(heading: str) -> list[list[str]]:
    """The cells of the last table of a section."""
    section = PAGE.split(f"\n## {heading}\n", 1)[1].split("\n## ", 1)[0]
    table = section.strip().rpartition("\n\n")[2]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in table.splitlines()[2:]]


def row(rule: Rule) -> list[str]:
    return [rule.when, outcome(rule), f"`{rule.name}`"]


def outcome(rule: Rule) -> str:
    if rule.code is None or rule.outcome is Outcome.NOTED:
        return rule.outcome.value
    return f"{rule.outcome.value}, {rule.code}"


@pytest.mark.parametrize(("heading", "rules"), SECTIONS.items())
def test_the_page_and_the_code_have_the_same_rules(heading: str, rules: Sequence[Rule]) -> None:
    assert table_under(heading) == [row(rule) for rule in rules]


def test_the_page_and_the_code_have_the_same_states() -> None:
    expected = []
    for state, transitions in TRANSITIONS.items():
        cells = []
        for message in KINDS.values():
            target = transitions[message]
            cells.append(f"`{target}`" if isinstance(target, Rule) else target.value)
        expected.append([state.value, *cells])
    assert table_under("States of a stream") == expected


def test_every_rule_has_a_name_of_its_own() -> None:
    names = [rule.name for rules in SECTIONS.values() for rule in rules]
    assert len(names) == len(set(names))
