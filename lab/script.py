"""The caller's script: what a simulated caller does, step by step, and what is expected of the agent."""

from __future__ import annotations

__all__ = [
    "KEYS",
    "Expect",
    "HangUp",
    "HangUpKind",
    "Press",
    "Say",
    "Script",
    "Silence",
    "Step",
    "ToolExpectation",
    "WaitFor",
    "spoken_script",
]

import enum
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from .line import CLEAR_LINE, LineConditions

GREETING_PAUSE_S = 0.7
"""So long a pause ends a greeting for a patient caller."""
ANSWER_PAUSE_S = 2.5
"""So long a pause ends an answer when a tool may still be at work."""
DEFAULT_WAIT_S = 60.0
DEFAULT_CALL_S = 180.0
KEYS = frozenset("0123456789*#ABCD")
"""The keys of a telephone (ITU-T Q.23)."""


class HangUpKind(enum.Enum):
    """How a call ends on the caller's side, as the bridge sees it."""

    STOP = "stop"
    """`stop`, then the socket is closed: an ordinary hang-up."""
    CLOSE = "close"
    """The socket is closed without `stop`."""
    ABORT = "abort"
    """The TCP connection is reset."""
    VANISH = "vanish"
    """Nothing more is sent or read, and nothing is closed."""
    HALF_CLOSE = "half-close"
    """The caller's half of the TCP connection is closed, without a close frame."""
    NONE = "none"
    """The caller stays on the line until the agent ends the call."""


@dataclass(frozen=True, slots=True)
class WaitFor:
    """Wait until the agent speaks, or has spoken and is silent again."""

    what: Literal["greeting_end", "agent_speaks", "agent_silent"]
    silent_s: float = GREETING_PAUSE_S
    within_s: float = DEFAULT_WAIT_S
    """The script goes on after this, with the step marked as failed."""


@dataclass(frozen=True, slots=True)
class Say:
    """Make one sound: `text` with the embedded voice, the audio of `wav`, or a noise."""

    text: str = ""
    wav: Path | None = None
    cut_in_after_s: float | None = None
    """Begin this long after the agent's reply became audible."""
    parts: tuple[str | float, ...] = ()
    """`text` in pieces, with pauses of so many seconds between; empty for a text in one piece."""
    sound: str = ""
    """A kind of `lab.noises`."""
    length_s: float = 1.0
    """Of the noise."""
    level_db: float = 0.0
    """Louder or quieter by so much."""
    speed: float = 1.0
    """Faster and higher by this factor, in steps of a twentieth."""

    @property
    def label(self) -> str:
        """The words, the file's name, or the kind of noise."""
        return self.text or (self.wav.name if self.wav else f"({self.sound})")


@dataclass(frozen=True, slots=True)
class Press:
    """Press telephone keys, one after the other."""

    digits: str


@dataclass(frozen=True, slots=True)
class Silence:
    """Say nothing for a while."""

    duration_s: float


@dataclass(frozen=True, slots=True)
class HangUp:
    """End the call."""

    kind: HangUpKind = HangUpKind.STOP


@dataclass(frozen=True, slots=True)
class ToolExpectation:
    """A tool that is to be called, with at least these arguments."""

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Expect:
    """What is to happen between the utterance before this step and the next one; judged after the call."""

    agent_says: re.Pattern[str] | None = None
    tool_called: ToolExpectation | None = None
    within_ms: int | None = None
    """Bound on the time from the caller's last audible sound; alone, of the agent's answer."""
    agent_silent_within_ms: int | None = None
    """Bound on the time from the caller's cut-in to the agent's last sound."""
    ended_by: Literal["agent", "caller", "transfer"] | None = None


Step = WaitFor | Say | Press | Silence | HangUp | Expect


@dataclass(frozen=True, slots=True)
class Script:
    """A whole call from the caller's side."""

    steps: tuple[Step, ...]
    name: str = "call"
    max_s: float = DEFAULT_CALL_S
    """The caller hangs up after this long in any case."""
    step_names: tuple[str, ...] = ()
    """What the caller's owner calls each step, such as `--say "Hello"`; empty for the steps of a file."""
    complete_at: int | None = None
    """From this step on the caller only listens on: an agent that ends the call meanwhile misses nothing."""
    line: LineConditions = CLEAR_LINE
    """What is wrong with the line."""

    def step_name(self, index: int) -> str:
        """How to speak of a step to whoever wrote it."""
        return self.step_names[index] if self.step_names else f"step {index + 1}"


def spoken_script(actions: Sequence[Say | Press | Script], *, name: str = "call") -> Script:
    """A script that waits for the greeting, does each action once the agent is silent, and hangs up.

    A script among the actions brings its own waits; after one the call ends as it says.
    """
    named: list[tuple[Step, str]] = []
    for index, action in enumerate(actions):
        if isinstance(action, Script):
            of = f" of script {action.name}" if len(actions) > 1 else ""
            named += [(step, f"{action.step_name(i)}{of}") for i, step in enumerate(action.steps)]
            continue
        wait = WaitFor("greeting_end") if index == 0 else WaitFor("agent_silent", ANSWER_PAUSE_S)
        named += [(wait, _option(action)), (action, _option(action))]
    complete_at = None
    last = actions[-1] if actions else None
    if not isinstance(last, Script):
        complete_at = len(named) if last else None
        after = f"after {_option(last)}" if last else "the greeting"
        named += [(WaitFor("agent_silent", ANSWER_PAUSE_S), after), (HangUp(), after)]
    longest_s = max((a.max_s for a in actions if isinstance(a, Script)), default=DEFAULT_CALL_S)
    steps, names = tuple(step for step, _ in named), tuple(name for _, name in named)
    return Script(steps, name, longest_s, names, complete_at)


def _option(action: Say | Press) -> str:
    """The option of `offhook call` that asks for an action."""
    if isinstance(action, Press):
        return f"--dtmf {action.digits}"
    return f"--wav {action.wav}" if action.wav else f'--say "{action.text}"'
