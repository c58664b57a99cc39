"""Reads a caller's script from YAML; every problem at once.

name: shipping
max_s: 60
line: {noise: cafe, snr_db: 10, echo_db: -25, jitter_ms: [100, 150]}    # see lab/line_file.py
steps:
  - wait_for: greeting_end            # or agent_speaks, agent_silent; with silent_s, within_s
  - say: "What is your shipping policy?"
  - say: "Just a moment."             # 4 s after the agent's reply became audible
    cut_in_after_s: 4.0
  - say: ["five five five", {pause_s: 0.9}, "zero one nine two"]
    level_db: -6                      # quieter; and speed: 1.1 is faster and higher, also of a wav
  - sound: cough                      # a kind of lab/noises.py; with length_s
  - expect: {agent_silent_within_ms: 700}
  - wait_for: {agent_silent_s: 2.5}
  - wav: question.wav                 # beside the script
  - dtmf: "12#"
  - silence_s: 3
  - expect: {agent_says: /fri(day)?/, within_ms: 4000}
  - expect: {tool_called: {name: check_order_status, arguments: {order_number: "12345"}}}
  - hang_up: stop                     # close, abort, vanish, half-close, or none: let the agent end it
  - expect: {ended_by: agent}
"""

from __future__ import annotations

__all__ = ["load_script", "parse_script"]

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, cast

from offhook.config.documents import Document, read_yaml
from offhook.config.errors import ConfigError, ConfigProblem

from .line_file import read_line
from .script import (
    DEFAULT_CALL_S,
    DEFAULT_WAIT_S,
    GREETING_PAUSE_S,
    KEYS,
    Expect,
    HangUp,
    HangUpKind,
    Press,
    Script,
    Silence,
    Step,
    ToolExpectation,
    WaitFor,
)
from .script_speech import MANNER_KEYS, SpeechReader
from .script_values import ScriptValues

_WAITS = ("greeting_end", "agent_speaks", "agent_silent")
_ENDERS = ("agent", "caller", "transfer")
_VERB_KEYS: dict[str, frozenset[str]] = {
    "wait_for": frozenset({"silent_s", "within_s"}),
    "say": MANNER_KEYS,
    "wav": MANNER_KEYS,
    "sound": MANNER_KEYS | {"length_s"},
    "dtmf": frozenset(),
    "silence_s": frozenset(),
    "hang_up": frozenset(),
    "expect": frozenset(),
}
_EXPECT_KEYS = ("agent_says", "tool_called", "within_ms", "agent_silent_within_ms", "ended_by")


def load_script(path: Path) -> Script:
    """Read a script file. Raises ConfigError with every problem in it."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise _single(path, f"cannot be read: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise _single(path, "is not UTF-8 text.") from error
    return _read(read_yaml(text, str(path)), str(path), path.parent)


def parse_script(data: object, *, source: str, folder: Path) -> Script:
    """Make a script of plain data; WAV paths are relative to `folder`. Raises ConfigError."""
    return _read(Document(data), source, folder)


def _read(document: Document, source: str, folder: Path) -> Script:
    values = ScriptValues(document, source)
    script = _ScriptReader(values, folder).script(document.data)
    if values.problems:
        raise ConfigError(values.problems)
    return script


def _single(path: Path, message: str) -> ConfigError:
    return ConfigError([ConfigProblem(str(path), "", message)])


class _ScriptReader:
    def __init__(self, values: ScriptValues, folder: Path) -> None:
        self._values, self._speech = values, SpeechReader(values, folder)

    def script(self, data: object) -> Script:
        if not isinstance(data, Mapping):
            self._values.report("", "A script is a mapping with a list of `steps`.")
            return Script(())
        self._values.check_keys("", data, ("name", "max_s", "line", "steps"))
        steps = data.get("steps")
        if not isinstance(steps, list) or not steps:
            self._values.report("steps", "A script needs a list of steps.")
            steps = []
        read = [self._step(f"steps.{index}", step) for index, step in enumerate(steps)]
        return Script(
            steps=tuple(step for step in read if step is not None),
            name=self._values.text("name", data.get("name", "call")),
            max_s=self._values.seconds("max_s", data.get("max_s", DEFAULT_CALL_S), most=3600),
            line=read_line(self._values, data.get("line")),
        )

    def _step(self, key: str, data: object) -> Step | None:
        if not isinstance(data, Mapping):
            self._values.report(key, f'A step is a mapping such as `say: "Hello"`, not {data!r}.')
            return None
        verbs = [name for name in data if name in _VERB_KEYS]
        if len(verbs) != 1:
            if not verbs:
                self._values.check_keys(key, data, tuple(_VERB_KEYS))
            if verbs or not data:
                self._values.report(key, f"A step does one thing; this one has {', '.join(verbs) or 'none'}.")
            return None
        verb = verbs[0]
        self._values.check_keys(key, data, (verb, *_VERB_KEYS[verb]))
        readers: dict[str, Callable[[str, Mapping[str, Any]], Step | None]] = {
            "wait_for": self._wait_for,
            "say": self._speech.say,
            "wav": self._speech.wav,
            "sound": self._speech.sound,
            "dtmf": self._dtmf,
            "silence_s": self._silence,
            "hang_up": self._hang_up,
            "expect": self._expect,
        }
        return readers[verb](key, data)

    def _wait_for(self, key: str, data: Mapping[str, Any]) -> Step | None:
        what, silent_s = data["wait_for"], data.get("silent_s", GREETING_PAUSE_S)
        within_s = data.get("within_s", DEFAULT_WAIT_S)
        if isinstance(what, Mapping):
            self._values.check_keys(f"{key}.wait_for", what, ("agent_silent_s", "within_s"))
            if "agent_silent_s" not in what:
                return None
            silent_s, within_s = what["agent_silent_s"], what.get("within_s", within_s)
            what = "agent_silent"
        if what not in _WAITS:
            self._values.report_choice(f"{key}.wait_for", what, _WAITS)
            return None
        return WaitFor(
            cast(Literal["greeting_end", "agent_speaks", "agent_silent"], what),
            self._values.seconds(f"{key}.silent_s", silent_s),
            self._values.seconds(f"{key}.within_s", within_s),
        )

    def _dtmf(self, key: str, data: Mapping[str, Any]) -> Step:
        digits = data["dtmf"]
        if not isinstance(digits, str):
            self._values.report(
                f"{key}.dtmf", f"{digits!r} is a number.", 'Write the keys in quotes: dtmf: "12#".'
            )
        elif not digits or set(digits) - KEYS:
            self._values.report(
                f"{key}.dtmf", f"{digits!r} has keys that no telephone has.", "Keys are 0-9 * # A-D."
            )
        return Press(str(digits))

    def _silence(self, key: str, data: Mapping[str, Any]) -> Step:
        return Silence(self._values.seconds(f"{key}.silence_s", data["silence_s"]))

    def _hang_up(self, key: str, data: Mapping[str, Any]) -> Step | None:
        kind = "none" if data["hang_up"] is None else data["hang_up"]
        kinds = [member.value for member in HangUpKind]
        if kind not in kinds:
            self._values.report_choice(f"{key}.hang_up", kind, kinds)
            return None
        return HangUp(HangUpKind(kind))

    def _expect(self, key: str, data: Mapping[str, Any]) -> Step | None:
        key, wanted = f"{key}.expect", data["expect"]
        if not isinstance(wanted, Mapping) or not wanted:
            self._values.report(key, "An expectation is a mapping such as `{agent_says: /friday/}`.")
            return None
        self._values.check_keys(key, wanted, _EXPECT_KEYS)
        ended_by = wanted.get("ended_by")
        if ended_by is not None and ended_by not in _ENDERS:
            self._values.report_choice(f"{key}.ended_by", ended_by, _ENDERS)
        return Expect(
            agent_says=self._pattern(f"{key}.agent_says", wanted.get("agent_says")),
            tool_called=self._tool(f"{key}.tool_called", wanted.get("tool_called")),
            within_ms=self._values.milliseconds(f"{key}.within_ms", wanted.get("within_ms")),
            agent_silent_within_ms=self._values.milliseconds(
                f"{key}.agent_silent_within_ms", wanted.get("agent_silent_within_ms")
            ),
            ended_by=ended_by,
        )

    def _pattern(self, key: str, value: object) -> re.Pattern[str] | None:
        if value is None:
            return None
        text = self._values.text(key, value)
        slashed = len(text) > 2 and text.startswith("/") and text.endswith("/")
        try:
            return re.compile(text[1:-1] if slashed else re.escape(text), re.IGNORECASE)
        except re.error as error:
            self._values.report(key, f"{text} is not a regular expression: {error}.")
            return None

    def _tool(self, key: str, value: object) -> ToolExpectation | None:
        if value is None or isinstance(value, str):
            return ToolExpectation(value) if value else None
        if not isinstance(value, Mapping):
            self._values.report(key, "Write the tool's name, or `{name: ..., arguments: {...}}`.")
            return None
        self._values.check_keys(key, value, ("name", "arguments"))
        arguments = value.get("arguments", {})
        if not isinstance(arguments, Mapping):
            self._values.report(f"{key}.arguments", "Arguments are a mapping.")
            arguments = {}
        return ToolExpectation(self._values.text(f"{key}.name", value.get("name")), dict(arguments))
