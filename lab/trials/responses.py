"""How soon a caller is answered when each vendor takes its time, with and without speculation.

Everything counts from the caller's last sound. What an answer must take is known: until the last words are
there (or, without speculation, until the turn is over), then the model's first piece, its first clause, and
the voice's first audio. What is beyond that is the bridge's.
"""

from __future__ import annotations

__all__ = ["ALLOWANCE_MS", "DEAD_AIR_LIMIT_MS", "ResponseTrial", "Turn", "run_responses"]

from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median
from typing import Any

from offhook.codecs.framing import FRAME_BYTES, FRAME_S
from offhook.config.assistant import Assistant
from offhook.pipeline.clock import Clock
from offhook.pipeline.pacing import PacingWheel
from offhook.pipeline.ports import Workers

from ..memory_call import QUIET, MemoryCall
from ..spelled_speech import LevelVoiceActivity, spell
from ..vendors.latency import PROFILES, LatencyProfile
from .conversation import TOOL_WORD, caller_words, trial_assistant
from .engines import trial_engines
from .vendors import trial_vendors

ALLOWANCE_MS = 60.0
"""What the bridge, the clients and the carrier's frames may add."""
DEAD_AIR_LIMIT_MS = 1200.0
TOOL_TURN_S = 9.0
ANSWERED_WITHIN_S = 15.0
SILENT_S = 0.8
STEP_S = 0.02
FRAME_MS = FRAME_S * 1000


@dataclass(frozen=True, slots=True)
class Turn:
    """One answer, in milliseconds since the caller's last sound."""

    response_ms: float
    """The first sound of it at the carrier."""
    words_ms: float
    """The last words were there, whether or not they were final."""
    decided_ms: float
    """The turn was over."""
    clause_ms: float
    """From the model's first piece to its first clause."""


@dataclass(slots=True)
class ResponseTrial:
    """What came of one call."""

    speculates: bool
    profile: LatencyProfile
    turns: list[Turn] = field(default_factory=list)
    dead_air_ms: float = 0.0
    """The longest silence in the turn with a tool, from the caller's last sound to the end of its telling."""

    @property
    def response_p50_ms(self) -> float:
        """In half of the turns."""
        return median(turn.response_ms for turn in self.turns) if self.turns else 0.0

    @property
    def bound_p50_ms(self) -> float:
        """What the vendors' own times lead to, and the allowance."""
        return median(map(self._bound_ms, self.turns)) if self.turns else 0.0

    @property
    def passed(self) -> bool:
        """The answers came in time, and the tool's turn was not silent for long."""
        in_time = 0 < self.response_p50_ms <= self.bound_p50_ms
        return in_time and 0 < self.dead_air_ms <= DEAD_AIR_LIMIT_MS

    def _bound_ms(self, turn: Turn) -> float:
        vendors_ms = self.profile.first_token.p50_ms + turn.clause_ms + self.profile.first_audio.p50_ms
        ready_ms = (turn.words_ms if self.speculates else turn.decided_ms) + vendors_ms
        # However soon it is ready, no answer comes before the turn is over.
        return max(ready_ms, turn.decided_ms) + ALLOWANCE_MS


def responses_assistant(*, speculates: bool) -> Assistant:
    """The trial's assistant with the times of the guides: endpointing 400 ms, a tool of 2 s with fillers."""
    tool: dict[str, Any] = {
        "name": "look_up",
        "description": "Looks something up.",
        "kind": "python",
        "callable": "offhook.lab.trials.conversation:look_up_slowly",
        "parameters": {"type": "object", "properties": {"what": {"type": "string"}}, "required": ["what"]},
        "messages": [
            {"after_ms": 900, "text": "velvet walnut violin."},
            {"after_ms": 2600, "text": "ember falcon granite."},
        ],
    }
    turn_taking = {
        "silence_prompts": [],
        "silence_hangup_s": 600,
        "endpointing_ms": 400,
        "speculate": speculates,
    }
    return trial_assistant(tools=[tool], turn_taking=turn_taking)


async def run_responses(
    clock: Clock, workers: Workers, *, turns: int = 10, speculates: bool, profile: str = "tutorial"
) -> ResponseTrial:
    """One call of so many turns, the last of them with a tool."""
    trial = ResponseTrial(speculates, PROFILES[profile])
    assistant = responses_assistant(speculates=speculates)
    async with (
        trial_vendors(clock, profile=profile) as vendors,
        trial_engines(
            assistant, vendors.account, clock, voice_activity=LevelVoiceActivity(), workers=workers
        ) as engines,
        MemoryCall(assistant, engines, clock, PacingWheel(clock)) as call,
    ):
        await clock.sleep_until(clock.now() + 0.6)
        for turn in range(turns):
            answered = await _exchange(call, clock, caller_words(turn))
            if answered is not None:
                trial.turns.append(answered)
        trial.dead_air_ms = await _tool_turn(call, clock)
    return trial


async def _exchange(call: MemoryCall, clock: Clock, words: list[str]) -> Turn | None:
    """Ask, and listen to the answer until it is over; None if none came."""
    asked_ms = call.frames * FRAME_MS
    asked = await _ask(call, clock, words)
    last_sound_ms = asked * FRAME_MS
    timelines = len(call.of_type("turn.timeline"))
    deadline = clock.now() + ANSWERED_WITHIN_S
    while clock.now() < deadline and len(call.of_type("turn.timeline")) == timelines:
        await clock.sleep_until(clock.now() + STEP_S)
    await clock.sleep_until(clock.now() + SILENT_S)
    sounds = _sounding_frames(call, asked)
    newest = call.of_type("turn.timeline")[timelines:]
    if not sounds or not newest:
        return None
    arrived_ms = next(
        event.at_ms
        for event in call.of_type("transcript.partial", "transcript.final")
        if event.at_ms >= asked_ms and words[-1] in event.data["text"]
    )
    return Turn(
        response_ms=sounds[0] * FRAME_MS - last_sound_ms,
        words_ms=arrived_ms - last_sound_ms,
        decided_ms=newest[-1].data["end_of_turn_ms"] - last_sound_ms,
        clause_ms=newest[-1].data["first_clause_ms"] - newest[-1].data["first_token_ms"],
    )


async def _tool_turn(call: MemoryCall, clock: Clock) -> float:
    asked = await _ask(call, clock, [*caller_words(0), TOOL_WORD])
    await clock.sleep_until(clock.now() + TOOL_TURN_S)
    sounds = [asked, *_sounding_frames(call, asked)]
    if len(sounds) == 1 or not call.of_type("function-result"):
        return 0.0
    return max(after - before for before, after in pairwise(sounds)) * FRAME_MS


async def _ask(call: MemoryCall, clock: Clock, words: list[str]) -> int:
    """Let the caller speak; returns the first frame in which nothing is said any more."""
    call.say(spell(" ".join(words)))
    while call.speaks:
        await clock.sleep_until(clock.now() + STEP_S)
    return call.last_said_frame + 1


def _sounding_frames(call: MemoryCall, begin: int) -> list[int]:
    heard = bytes(call.line.heard)
    frames = range(begin, len(heard) // FRAME_BYTES)
    return [at for at in frames if heard[at * FRAME_BYTES : (at + 1) * FRAME_BYTES] != QUIET]
