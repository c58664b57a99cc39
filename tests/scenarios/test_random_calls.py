"""Random whole calls: callers, lines, engines, tools and schedulers that do anything, at any moment.

`make random-calls` plays a thousand (CALLS=, SEED= for others); the unit suite a few.
"""

from __future__ import annotations

import os

import pytest
from hypothesis import HealthCheck, Phase, given, seed, settings
from random_call import ACTIONS, ENDINGS, PROGRAMS, Program, Tally, play

from offhook.pipeline.evidence import State
from offhook.pipeline.turn import TRANSITIONS

CALLS = int(os.environ.get("CALLS") or 40)
SEED = int(os.environ.get("SEED") or 0)
MANY = 500
"""So many calls go everywhere."""
RARE = {"error->listening", "error->ended", "idle->error", "idle->ended"}
"""Moves that nothing takes today, or that a call seldom has a moment for."""
TALLY = Tally()


@seed(SEED)
@settings(
    max_examples=CALLS,
    deadline=None,
    database=None,
    print_blob=False,
    phases=(Phase.generate, Phase.shrink),
    suppress_health_check=list(HealthCheck),
)
@given(program=PROGRAMS)
def test_any_call_is_lawful_and_ends(program: Program) -> None:
    play(program, TALLY)


def test_the_calls_went_everywhere(capsys: pytest.CaptureFixture[str]) -> None:
    """Otherwise their lawfulness would say little."""
    if TALLY.calls < MANY:
        pytest.skip(f"{TALLY.calls} calls are too few to go everywhere")
    with capsys.disabled():
        print(f"\n{TALLY}")  # noqa: T201 - what this suite reached is part of its answer
    moves = {f"{before.value}->{after.value}" for before in State for after in TRANSITIONS[before]} - RARE
    assert set(TALLY.moves) >= moves
    assert set(TALLY.actions) == {*ACTIONS, *ENDINGS}
    assert set(TALLY.faults) >= {"model", "voice", "transcriber", "voice-activity"}
