"""The corpus: what callers say, in which setting, and what the agent is to do about it.

A corpus file is a list of scenarios:

- name: speaking, backchannel
  kind: matrix              # scenarios of one kind can be run alone
  setting: speaking         # what goes before: see `Setting`
  wanted: go_on             # go_on, stop or answer
  assistant: talker         # a file of the assistants' folder
  ask: "..."                # what the caller asks first
  line: {noise: cafe}       # as in a caller's script
  judge_s: 2.5              # how long the agent is listened to afterwards
  per_call: 5               # variants that share a call
  at_once: 1                # calls at a time; 1 where times are measured
  tuning:                   # variants: a step of a caller's script each, with the digits meant, if any
    - {say: "Yeah.", cut_in_after_s: 2.0}
    - {say: "It is three eight, four zero six.", value: "38406"}
  held_out:                 # the same, for nobody to tune by
    - {say: "Sure."}
"""

from __future__ import annotations

__all__ = ["Part", "Scenario", "Setting", "Trial", "Wanted", "load_corpus"]

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

from offhook.config.documents import read_yaml
from offhook.config.errors import ConfigError, ConfigProblem

from ..line import CLEAR_LINE, LineConditions
from ..line_file import read_line
from ..script import Say, Silence
from ..script_speech import MANNER_KEYS, SpeechReader
from ..script_values import ScriptValues

HERE = Path(__file__).parent


class Part(StrEnum):
    """Whether a variant may be tuned by."""

    TUNING = "tuning"
    HELD_OUT = "held_out"


class Setting(StrEnum):
    """What goes before a variant."""

    SPEAKING = "speaking"
    """The caller has asked, and speaks while the agent answers at length."""
    LISTENING = "listening"
    """The caller has asked, and says nothing while the agent answers at length."""
    SILENT = "silent"
    """The caller has asked, the agent has answered, and is silent."""
    ASKED = "asked"
    """The caller has said something that the agent answers with a question."""
    GREETING = "greeting"
    """The agent greets."""


class Wanted(StrEnum):
    """What the agent is to do."""

    GO_ON = "go_on"
    """Speak on, as if nothing had been said."""
    STOP = "stop"
    ANSWER = "answer"
    """Take what was said for one turn, and answer it."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """What several variants have in common."""

    name: str
    kind: str
    setting: Setting
    wanted: Wanted
    assistant: str = "talker"
    ask: str = "What is your shipping policy?"
    line: LineConditions = CLEAR_LINE
    judge_s: float = 2.5
    per_call: int = 5
    at_once: int = 2


@dataclass(frozen=True, slots=True)
class Trial:
    """One variant of a scenario."""

    scenario: Scenario
    part: Part
    step: Say | Silence
    value: str = ""
    """The digits that are meant; empty where none are."""

    @property
    def label(self) -> str:
        """What is said, for the table."""
        if isinstance(self.step, Silence):
            return f"(says nothing for {self.step.duration_s:g} s)"
        return self.step.label


_Choice = TypeVar("_Choice", bound=StrEnum)
_KEYS = (
    "name",
    "kind",
    "setting",
    "wanted",
    "assistant",
    "ask",
    "line",
    "judge_s",
    "per_call",
    "at_once",
    *Part,
)


def load_corpus(recordings: Path, folder: Path = HERE / "scenarios") -> tuple[Trial, ...]:
    """Read every file of a corpus; WAV files are in `recordings`. Raises ConfigError with every problem."""
    trials: list[Trial] = []
    problems: list[ConfigProblem] = []
    for path in sorted(folder.glob("*.yaml")):
        document = read_yaml(path.read_text(encoding="utf-8"), str(path))
        values = ScriptValues(document, str(path))
        if not isinstance(document.data, list):
            values.report("", "A corpus file is a list of scenarios.")
        else:
            for index, data in enumerate(document.data):
                trials += _trials(values, str(index), data, recordings)
        problems += values.problems
    if problems:
        raise ConfigError(problems)
    return tuple(trials)


def _trials(values: ScriptValues, key: str, data: object, recordings: Path) -> Iterator[Trial]:
    if not isinstance(data, Mapping):
        values.report(key, "A scenario is a mapping.")
        return
    values.check_keys(key, data, _KEYS)
    scenario = _scenario(values, key, data)
    for part in Part:
        for index, variant in enumerate(data.get(part) or ()):
            yield _trial(values, f"{key}.{part}.{index}", variant, scenario, part, recordings)


def _scenario(values: ScriptValues, key: str, data: Mapping[str, Any]) -> Scenario:
    plain = Scenario("", "", Setting.SPEAKING, Wanted.GO_ON)
    return Scenario(
        name=values.text(f"{key}.name", data.get("name")),
        kind=values.text(f"{key}.kind", data.get("kind")),
        setting=_choice(values, f"{key}.setting", data.get("setting"), Setting),
        wanted=_choice(values, f"{key}.wanted", data.get("wanted"), Wanted),
        assistant=values.text(f"{key}.assistant", data.get("assistant", plain.assistant)),
        ask=values.text(f"{key}.ask", data.get("ask", plain.ask)),
        line=read_line(values, data.get("line")),
        judge_s=values.seconds(f"{key}.judge_s", data.get("judge_s", plain.judge_s)),
        per_call=round(values.number(f"{key}.per_call", data.get("per_call", plain.per_call), 1, 50)),
        at_once=round(values.number(f"{key}.at_once", data.get("at_once", plain.at_once), 1, 8)),
    )


def _choice(values: ScriptValues, key: str, value: object, choices: type[_Choice]) -> _Choice:
    known = list(choices)
    if value not in known:
        values.report_choice(key, value, known)
        return known[0]
    return choices(str(value))


def _trial(
    values: ScriptValues, key: str, data: object, scenario: Scenario, part: Part, recordings: Path
) -> Trial:
    speech = SpeechReader(values, recordings)
    readers = {"say": speech.say, "wav": speech.wav, "sound": speech.sound}
    if isinstance(data, Mapping):
        values.check_keys(key, data, (*readers, *MANNER_KEYS, "length_s", "silence_s", "value"))
        if "silence_s" in data:
            return Trial(scenario, part, Silence(values.seconds(f"{key}.silence_s", data["silence_s"])))
        for name, read in readers.items():
            if name in data:
                return Trial(scenario, part, read(key, data), str(data.get("value", "")))
    values.report(key, "A variant says something, sounds like something, or is silent for `silence_s`.")
    return Trial(scenario, part, Silence(1.0))
