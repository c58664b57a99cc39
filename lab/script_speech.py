"""Reads the steps of a caller's script that make a sound: `say`, `wav` and `sound`."""

from __future__ import annotations

__all__ = ["MANNER_KEYS", "SpeechReader"]

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .noises import KINDS
from .script import Say
from .script_values import ScriptValues

MANNER_KEYS = frozenset({"cut_in_after_s", "level_db", "speed"})
"""How and when something is said."""
_SPEEDS = (0.7, 1.4)
_STEPS_OF_SPEED = 20
_LOUDER_DB = 20.0


class SpeechReader:
    """Makes a `Say` of a step; what is wrong with it is reported to `values`."""

    def __init__(self, values: ScriptValues, folder: Path) -> None:
        self._values, self._folder = values, folder

    def say(self, key: str, data: Mapping[str, Any]) -> Say:
        """Read words, or a list of words and pauses."""
        written = data["say"]
        if not isinstance(written, list):
            return Say(text=self._values.text(f"{key}.say", written), **self._manner(key, data))
        parts = tuple(self._part(f"{key}.say.{index}", part) for index, part in enumerate(written))
        words = [part for part in parts if isinstance(part, str)]
        if not words:
            self._values.report(f"{key}.say", "There are no words in it.")
        return Say(text=" ".join(words), parts=parts, **self._manner(key, data))

    def wav(self, key: str, data: Mapping[str, Any]) -> Say:
        """Read a file's name; it stands beside the script."""
        path = self._folder / self._values.text(f"{key}.wav", data["wav"])
        if not path.is_file():
            self._values.report(f"{key}.wav", f"There is no file {path}.")
        return Say(wav=path, **self._manner(key, data))

    def sound(self, key: str, data: Mapping[str, Any]) -> Say:
        """Read a kind of noise."""
        kind = data["sound"]
        if not isinstance(kind, str) or kind not in KINDS:
            self._values.report_choice(f"{key}.sound", kind, KINDS)
        length_s = self._values.seconds(f"{key}.length_s", data.get("length_s", 1.0))
        return Say(sound=str(kind), length_s=length_s, **self._manner(key, data))

    def _part(self, key: str, part: object) -> str | float:
        if isinstance(part, Mapping):
            self._values.check_keys(key, part, ("pause_s",))
            return self._values.seconds(f"{key}.pause_s", part.get("pause_s"))
        return self._values.text(key, part)

    def _manner(self, key: str, data: Mapping[str, Any]) -> dict[str, Any]:
        after_s, speed = data.get("cut_in_after_s"), data.get("speed", 1.0)
        if after_s is not None:
            after_s = self._values.seconds(f"{key}.cut_in_after_s", after_s)
        return {
            "cut_in_after_s": None
            if after_s is None
            else self._values.seconds(f"{key}.cut_in_after_s", after_s),
            "level_db": self._values.number(f"{key}.level_db", data.get("level_db", 0.0), -60.0, _LOUDER_DB),
            "speed": round(self._values.number(f"{key}.speed", speed, *_SPEEDS) * _STEPS_OF_SPEED)
            / _STEPS_OF_SPEED,
        }
