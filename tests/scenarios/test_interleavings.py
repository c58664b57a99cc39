"""Races of a call under an interleaving explorer: each is run in many orders of what is ready.

The explorer (detangle) decides which task goes on, how late a timer fires, and when in a race each thing
happens. A schedule is a list of decisions: one that breaks a law is shrunk, printed step by step, and comes
with the token that replays it. RUNS= schedules a race; `make interleavings` takes many.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence

import pytest
from call_laws import watched
from call_watch import everything_that_waits_is_bounded
from random_call import ACTIONS, Program, RandomRig, Step, assistant_of

from offhook.pipeline.evidence import State
from offhook.pipeline.replies import Replies
from offhook.pipeline.speaker import Speaker

detangle = pytest.importorskip("detangle")

RUNS = int(os.environ.get("RUNS") or 6)
SEED = int(os.environ.get("SEED") or 0)
TIMER_LATE_S = 0.008
"""A timer may fire so much late, so that what different timers cause swaps places."""
OFFSETS_S = (0.0, 0.001, 0.004, 0.02, 0.05, 0.06, 0.1, 0.3)
"""How long after the moment of the race each of its actors may act."""
PARTIAL_S = 0.36
"""From the caller's first sound to the words that decide."""

ASKS = Step(0.2, "says", ("what is the policy", 0.6, 1.0))
ORDERS = Step(0.2, "says", ("where is my order", 0.6, 1.0))
CUTS_IN = Step(0.0, "says", ("stop", 0.5, 1.0))
GOES_ON = Step(0.0, "says", ("the one from monday", 0.5, 1.0))
MURMURS = Step(0.0, "says", ("yeah", 0.25, 1.0))
KEY = Step(0.0, "presses", ("4",))
SAYS = Step(0.0, "operator says", ("word190 word191 word192.",))
CLOSES = Step(0.0, "operator hangs up")
VOICE_DIES = Step(0.0, "voice", ("breaks", 1))
MODEL_DIES = Step(0.0, "model", ("is cancelled", 1))
RECOGNISER_DIES = Step(0.0, "recogniser is lost", (1,))

RACES = {
    "a key and the first frame": ((ASKS,), "model.first-token", (KEY, SAYS)),
    "words and the first frame": ((ASKS,), "reply.started", (GOES_ON, KEY)),
    "words and the end of the turn": ((ASKS,), "transcript.final", (GOES_ON, SAYS)),
    "a cut and a mark": ((ASKS,), "playout.first-mark", (CUTS_IN, KEY)),
    "a cut and the end of the model's text": ((ASKS,), "playout.first-frame", (CUTS_IN, MURMURS)),
    "a cut and the end of a reply": ((), "playout.first-mark", (MURMURS, CUTS_IN, SAYS)),
    "a cut and a tool's answer": ((ORDERS,), "function-call", (CUTS_IN, KEY)),
    "a tool's answer and the end of the call": ((ORDERS,), "function-call", (CLOSES, GOES_ON)),
    "a resume and a lost recogniser": ((ASKS,), "barge-in.paused", (RECOGNISER_DIES, KEY)),
    "a cut and a voice that dies": ((VOICE_DIES, ASKS), "playout.first-frame", (CUTS_IN, SAYS)),
    "words and a model that dies": ((MODEL_DIES, ASKS), "reply.started", (GOES_ON, CLOSES)),
}
"""What leads to it, the event at which it begins, and who races."""


async def race(before: Sequence[Step], moment: str, actors: Sequence[Step]) -> None:
    """A call up to the moment, then all actors at once, each in a task of its own."""
    rig = RandomRig(assistant_of(Program(())), latency_s=0.02)
    rig.log.listener = rig.event_came
    rig.heard_within_s += 4 * TIMER_LATE_S

    async def act(step: Step) -> None:
        await asyncio.sleep(detangle.choice(OFFSETS_S))
        ACTIONS[step.do][0](rig, *step.given)

    async with watched(rig):
        detangle.invariant(lambda: not list(everything_that_waits_is_bounded(rig)), "bounded")
        detangle.invariant(lambda: the_parts_agree(rig), "the parts agree")
        for step in before:
            await rig.sleep(float(step.when))
            ACTIONS[step.do][0](rig, *step.given)
        await rig.next_event(moment)
        await asyncio.gather(*(act(step) for step in actors))
        await rig.sleep(detangle.choice((PARTIAL_S, 2.5)))


def the_parts_agree(rig: RandomRig) -> bool:
    """Between two callbacks turn-taking and playout never differ on who has the floor, up to the end."""
    turns, playout = rig.call._turns, rig.call._replies.speaker._playout
    if turns.state is not State.ENDED and playout.reply is not None:
        return playout.reply == turns.reply and playout.paused == turns.paused
    return True


@pytest.mark.parametrize("name", RACES)
def test_a_race_is_lawful_whoever_wins(name: str) -> None:
    before, moment, actors = RACES[name]
    stats = detangle.explore(
        lambda: race(before, moment, actors),
        name=name,
        runs=RUNS,
        seed=SEED,
        timer_jitter=TIMER_LATE_S,
        database=False,
    )
    assert stats.distinct_schedules > RUNS // 2


def test_the_explorer_finds_a_race_that_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    """Audio that is not refused when its reply was revoked: some order shows it."""
    monkeypatch.setattr(Replies, "_cancel", lambda replies: None)
    monkeypatch.setattr(Speaker, "pause", lambda speaker: None)
    before, moment, actors = RACES["a cut and a mark"]
    with pytest.raises(detangle.BugFound):
        detangle.explore(
            lambda: race(before, moment, actors), runs=RUNS, seed=SEED, database=False, shrink=False
        )
