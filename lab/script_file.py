"""Reads a caller's script from YAML; every problem at once.

name: shipping
max_s: 60
steps:
  - wait_for: greeting_end            # or agent_speaks, agent_silent; with silent_s, within_s
  - say: "What is your shipping policy?"
  - say: "Just a moment."             # 4 s after the agent's reply became audible
    cut_in_after_s: 4.0
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

import difflib
import re
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any, Literal, cast

from offhook.config.documents import Document, read_yaml
from offhook.config.errors import ConfigError, ConfigProblem

from .script import (
    DEFAULT_CALL_S,
    DEFAULT_WAIT_S,
    GREETING_PAUSE_S,
    KEYS,
    Expect,
    HangUp,
    HangUpKind,
    Press,
    Say,
    Script,
    Silence,
    Step,
    ToolExpectation,
    WaitFor,
)

_WAITS = ("greeting_end", "agent_speaks", "agent_silent")
_ENDERS = ("agent", "caller", "transfer")
_VERB_KEYS: dict[str, frozenset[str]] = {
    "wait_for": frozenset({"silent_s", "within_s"}),
    "say": frozenset({"cut_in_after_s"}),
    "wav": frozenset({"cut_in_after_s"}),
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
    reader = _ScriptReader(document, source, folder)
    script = reader.script(document.data)
    if reader.problems:
        raise ConfigError(reader.problems)
    return script


def _single(path: Path, message: str) -> ConfigError:
    return ConfigError([ConfigProblem(str(path), "", message)])


class _ScriptReader:
    """Reads on after a problem, so that all of them are found."""

    def __init__(self, document: Document, source: str, folder: Path) -> None:
        self._document, self._source, self._folder = document, source, folder
        self.problems: list[ConfigProblem] = []

    def script(self, data: object) -> Script:
        if not isinstance(data, Mapping):
            self._report("", "A script is a mapping with a list of `steps`.")
            return Script(())
        self._check_keys("", data, ("name", "max_s", "steps"))
        steps = data.get("steps")
        if not isinstance(steps, list) or not steps:
            self._report("steps", "A script needs a list of steps.")
            steps = []
        read = [self._step(f"steps.{index}", step) for index, step in enumerate(steps)]
        return Script(
            steps=tuple(step for step in read if step is not None),
            name=self._text("name", data.get("name", "call")),
            max_s=self._seconds("max_s", data.get("max_s", DEFAULT_CALL_S), most=3600),
        )

    def _step(self, key: str, data: object) -> Step | None:
        if not isinstance(data, Mapping):
            self._report(key, f'A step is a mapping such as `say: "Hello"`, not {data!r}.')
            return None
        verbs = [name for name in data if name in _VERB_KEYS]
        if len(verbs) != 1:
            if not verbs:
                self._check_keys(key, data, tuple(_VERB_KEYS))
            if verbs or not data:
                self._report(key, f"A step does one thing; this one has {', '.join(verbs) or 'none'}.")
            return None
        verb = verbs[0]
        self._check_keys(key, data, (verb, *_VERB_KEYS[verb]))
        readers: dict[str, Callable[[str, Mapping[str, Any]], Step | None]] = {
            "wait_for": self._wait_for,
            "say": self._say,
            "wav": self._wav,
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
            self._check_keys(f"{key}.wait_for", what, ("agent_silent_s", "within_s"))
            if "agent_silent_s" not in what:
                return None
            silent_s, within_s = what["agent_silent_s"], what.get("within_s", within_s)
            what = "agent_silent"
        if what not in _WAITS:
            self._report_choice(f"{key}.wait_for", what, _WAITS)
            return None
        return WaitFor(
            cast(Literal["greeting_end", "agent_speaks", "agent_silent"], what),
            self._seconds(f"{key}.silent_s", silent_s),
            self._seconds(f"{key}.within_s", within_s),
        )

    def _say(self, key: str, data: Mapping[str, Any]) -> Step:
        return Say(text=self._text(f"{key}.say", data["say"]), cut_in_after_s=self._cut_in(key, data))

    def _wav(self, key: str, data: Mapping[str, Any]) -> Step:
        path = self._folder / self._text(f"{key}.wav", data["wav"])
        if not path.is_file():
            self._report(f"{key}.wav", f"There is no file {path}.")
        return Say(wav=path, cut_in_after_s=self._cut_in(key, data))

    def _cut_in(self, key: str, data: Mapping[str, Any]) -> float | None:
        value = data.get("cut_in_after_s")
        return None if value is None else self._seconds(f"{key}.cut_in_after_s", value)

    def _dtmf(self, key: str, data: Mapping[str, Any]) -> Step:
        digits = data["dtmf"]
        if not isinstance(digits, str):
            self._report(f"{key}.dtmf", f"{digits!r} is a number.", 'Write the keys in quotes: dtmf: "12#".')
        elif not digits or set(digits) - KEYS:
            self._report(
                f"{key}.dtmf", f"{digits!r} has keys that no telephone has.", "Keys are 0-9 * # A-D."
            )
        return Press(str(digits))

    def _silence(self, key: str, data: Mapping[str, Any]) -> Step:
        return Silence(self._seconds(f"{key}.silence_s", data["silence_s"]))

    def _hang_up(self, key: str, data: Mapping[str, Any]) -> Step | None:
        kind = "none" if data["hang_up"] is None else data["hang_up"]
        kinds = [member.value for member in HangUpKind]
        if kind not in kinds:
            self._report_choice(f"{key}.hang_up", kind, kinds)
            return None
        return HangUp(HangUpKind(kind))

    def _expect(self, key: str, data: Mapping[str, Any]) -> Step | None:
        key, wanted = f"{key}.expect", data["expect"]
        if not isinstance(wanted, Mapping) or not wanted:
            self._report(key, "An expectation is a mapping such as `{agent_says: /friday/}`.")
            return None
        self._check_keys(key, wanted, _EXPECT_KEYS)
        ended_by = wanted.get("ended_by")
        if ended_by is not None and ended_by not in _ENDERS:
            self._report_choice(f"{key}.ended_by", ended_by, _ENDERS)
        return Expect(
            agent_says=self._pattern(f"{key}.agent_says", wanted.get("agent_says")),
            tool_called=self._tool(f"{key}.tool_called", wanted.get("tool_called")),
            within_ms=self._milliseconds(f"{key}.within_ms", wanted.get("within_ms")),
            agent_silent_within_ms=self._milliseconds(
                f"{key}.agent_silent_within_ms", wanted.get("agent_silent_within_ms")
            ),
            ended_by=ended_by,
        )

    def _pattern(self, key: str, value: object) -> re.Pattern[str] | None:
        if value is None:
            return None
        text = self._text(key, value)
        slashed = len(text) > 2 and text.startswith("/") and text.endswith("/")
        try:
            return re.compile(text[1:-1] if slashed else re.escape(text), re.IGNORECASE)
        except re.error as error:
            self._report(key, f"{text} is not a regular expression: {error}.")
            return None

    def _tool(self, key: str, value: object) -> ToolExpectation | None:
        if value is None or isinstance(value, str):
            return ToolExpectation(value) if value else None
        if not isinstance(value, Mapping):
            self._report(key, "Write the tool's name, or `{name: ..., arguments: {...}}`.")
            return None
        self._check_keys(key, value, ("name", "arguments"))
        arguments = value.get("arguments", {})
        if not isinstance(arguments, Mapping):
            self._report(f"{key}.arguments", "Arguments are a mapping.")
            arguments = {}
        return ToolExpectation(self._text(f"{key}.name", value.get("name")), dict(arguments))

    def _text(self, key: str, value: object) -> str:
        if not isinstance(value, str) or not value.strip():
            self._report(key, f"Expected text, found {value!r}.")
            return ""
        return value.strip()

    def _seconds(self, key: str, value: object, most: float = 600) -> float:
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
            self._report(key, f"{value!r} is not a number of seconds above 0 and up to {most:g}.")
            return 1.0
        return float(value)

    def _milliseconds(self, key: str, value: object) -> int | None:
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and value > 0):
            return value
        self._report(key, f"{value!r} is not a whole number of milliseconds above 0.")
        return None

    def _check_keys(self, key: str, data: Mapping[Any, Any], known: Collection[str]) -> None:
        for name in data:
            if name not in known:
                self._report_choice(f"{key}.{name}".strip("."), name, known, what="key")

    def _report_choice(self, key: str, value: object, known: Collection[str], what: str = "choice") -> None:
        near = difflib.get_close_matches(str(value), list(known), n=1, cutoff=0.5)
        fix = f"Did you mean `{near[0]}`?" if near else f"One of: {', '.join(known)}."
        self._report(key, f"{value!r} is not a known {what}.", fix)

    def _report(self, key: str, message: str, fix: str = "") -> None:
        line = self._document.line(tuple(int(p) if p.isdigit() else p for p in key.split(".")))
        source = f"{self._source}:{line}" if line else self._source
        self.problems.append(ConfigProblem(source, key, message, fix))
