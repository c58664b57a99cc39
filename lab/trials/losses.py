"""Connections to vendors are cut at every stage of a call; nobody may notice more than a delay.

A call of three turns; in the second one vendor's connection is reset (TCP) at a chosen moment. Afterwards
each word of the caller must be in the turns exactly once, each turn must have been answered, and what the
caller heard must be, word by word, what the bridge says was heard.
"""

from __future__ import annotations

__all__ = ["Loss", "LossTrial", "plan_losses", "run_loss", "run_losses"]

import asyncio
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from offhook.config.assistant import Assistant
from offhook.pipeline.clock import Clock
from offhook.pipeline.pacing import PacingWheel
from offhook.pipeline.ports import Workers

from ..memory_call import QUIET, MemoryCall
from ..spelled_speech import LevelVoiceActivity, bare_words, read_words, spell
from ..vendors.faults import FaultKind, PlannedFault
from .conversation import APOLOGY, TOOL_WORD, caller_words, trial_assistant
from .engines import trial_engines
from .vendors import trial_vendors

TURNS = 3
ANSWERED_WITHIN_S = 20.0
SILENT_S = 1.0
"""An agent that has said something and is silent for so long has finished."""
STEP_S = 0.05
SOUND_BYTES = 800

STAGES: Sequence[tuple[str, str, int]] = (
    ("deepgram", "connect", 0),
    ("deepgram", "audio", 110),
    ("deepgram", "partial", 3),
    ("deepgram", "final", 0),
    ("openai", "request", 0),
    ("openai", "first_token", 0),
    ("openai", "text", 11),
    ("openai", "tool", 0),
    ("elevenlabs", "connect", 0),
    ("elevenlabs", "text", 2),
    ("elevenlabs", "audio", 11),
)
"""Vendor, moment, and how often the moment passes without harm at the most."""


@dataclass(frozen=True, slots=True)
class Loss:
    """A connection that will be cut."""

    vendor: str
    moment: str
    after: int = 0

    @property
    def stage(self) -> str:
        """For tables."""
        return f"{self.vendor} {self.moment}"


@dataclass(slots=True)
class LossTrial:
    """What came of one call."""

    loss: Loss
    happened: int = 0
    """Connections that were cut."""
    ended: bool = False
    """The call was lost."""
    caller_said: list[str] = field(default_factory=list)
    understood: list[str] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)
    """Turns of which the caller heard no answer."""
    heard: list[str] = field(default_factory=list)
    accounted: list[str] = field(default_factory=list)
    """What the bridge says that the caller heard."""
    apologies: int = 0
    slowest_answer_s: float = 0.0
    """From a turn's last sound to the first sound of its answer."""

    @property
    def faultless(self) -> bool:
        """Nothing was lost, twice, or unanswered."""
        return not (
            self.ended
            or self.unanswered
            or self.understood != self.caller_said
            or self.heard != self.accounted
        )

    def wrong(self) -> list[str]:
        """What was not as it should be, in a few words each."""
        found = ["the call ended"] if self.ended else []
        if self.understood != self.caller_said:
            found.append(f"understood {' '.join(self.understood)!r} of {' '.join(self.caller_said)!r}")
        if self.heard != self.accounted:
            found.append(f"heard {' '.join(self.heard)!r}, accounted {' '.join(self.accounted)!r}")
        return found + [f"no answer to {turn!r}" for turn in self.unanswered]


def plan_losses(times: int, seed: int = 1) -> list[Loss]:
    """Each stage `times` times, at moments spread over it."""
    generator = random.Random(seed)
    return [
        Loss(vendor, moment, generator.randint(0, latest))
        for vendor, moment, latest in STAGES
        for _ in range(times)
    ]


async def run_losses(
    losses: Sequence[Loss],
    clock: Clock,
    workers: Workers,
    *,
    at_once: int = 8,
    done: Callable[[LossTrial], None] = lambda _: None,
    **fields: Any,
) -> list[LossTrial]:
    """Run a call for each; `done` is told of each as it ends."""
    places = asyncio.Semaphore(at_once)
    wheel = PacingWheel(clock)

    async def one(loss: Loss) -> LossTrial:
        async with places:
            trial = await run_loss(loss, trial_assistant(**fields), clock, workers, wheel)
            done(trial)
            return trial

    return list(await asyncio.gather(*(one(loss) for loss in losses)))


async def run_loss(
    loss: Loss, assistant: Assistant, clock: Clock, workers: Workers, wheel: PacingWheel
) -> LossTrial:
    """One call, its vendors its own."""
    trial = LossTrial(loss)
    fault = PlannedFault(loss.vendor, loss.moment, FaultKind.DROP, after=loss.after)
    async with (
        trial_vendors(clock) as vendors,
        trial_engines(
            assistant,
            vendors.account,
            clock,
            voice_activity=LevelVoiceActivity(),
            workers=workers,
        ) as engines,
    ):
        if loss.moment == "connect":
            vendors.world.faults.plan(fault)
        async with MemoryCall(assistant, engines, clock, wheel) as call:
            await asyncio.sleep(0.4)
            for turn in range(TURNS):
                if turn == 1 and loss.moment != "connect":
                    vendors.world.faults.plan(fault)
                words = caller_words(turn)
                if turn == 1 and loss.moment == "tool":
                    words = [*words, TOOL_WORD]
                await _exchange(call, clock, words, trial)
                if call.outcome is not None:
                    break
            _judge(call, trial)
        trial.happened = len(vendors.world.faults.happened)
    return trial


async def _exchange(call: MemoryCall, clock: Clock, words: list[str], trial: LossTrial) -> None:
    """The caller says the words and listens until the agent has answered."""
    trial.caller_said += words
    call.say(spell(" ".join(words)))
    while call.speaks:
        await clock.sleep_until(clock.now() + STEP_S)
    asked_at, heard_before = clock.now(), len(read_words(bytes(call.line.heard)))
    silent_since = asked_at
    first_sound: float | None = None
    while clock.now() - asked_at < ANSWERED_WITHIN_S and call.outcome is None:
        await clock.sleep_until(clock.now() + STEP_S)
        if bytes(call.line.heard[-SOUND_BYTES:]).strip(QUIET[:1]):
            silent_since = clock.now()
            first_sound = first_sound or silent_since
        waits = TOOL_WORD in words and not call.of_type("function-result")
        if first_sound and not waits and clock.now() - silent_since >= SILENT_S:
            break
    if len(read_words(bytes(call.line.heard))) == heard_before:
        trial.unanswered.append(" ".join(words))
    elif first_sound is not None:
        trial.slowest_answer_s = max(trial.slowest_answer_s, first_sound - asked_at)


def _judge(call: MemoryCall, trial: LossTrial) -> None:
    trial.ended = call.outcome is not None
    turns = " ".join(str(event.data["text"]) for event in call.of_type("turn.ended"))
    trial.understood = bare_words(turns)
    trial.heard = read_words(bytes(call.line.heard))
    said = [str(event.data["heard_text"]) for event in call.of_type("reply.ended")]
    trial.accounted = bare_words(" ".join(said))
    trial.apologies = " ".join(said).count(APOLOGY)
