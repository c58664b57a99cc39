"""This machine's clock, judged by those of the servers that were asked."""

from __future__ import annotations

import pytest

from offhook.bridge.doctor.asking import SeenDate
from offhook.bridge.doctor.finding import Outcome
from offhook.bridge.doctor.wall_clock import judge_clock


@pytest.mark.parametrize(
    ("ahead_s", "outcome", "words"),
    [
        ([0.4], Outcome.OK, "agrees with 1 server."),
        ([0.1, -0.3], Outcome.OK, "agrees with 2 servers."),
        ([-12.0], Outcome.WARNING, "12 s behind"),
        ([31.0, 30.5, 31.2], Outcome.FAILED, "31 s ahead of"),
        ([0.2, 3600.0, 0.1], Outcome.OK, "agrees"),
        ([], Outcome.NOT_CHECKED, "No server was asked"),
    ],
)
def test_the_server_in_the_middle_decides(ahead_s: list[float], outcome: Outcome, words: str) -> None:
    found = judge_clock([SeenDate(f"host{index}", value) for index, value in enumerate(ahead_s)])
    assert found.outcome is outcome
    assert words in found.told
    assert bool(found.fix) is (outcome in (Outcome.WARNING, Outcome.FAILED))
