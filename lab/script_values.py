"""Reads the values of a caller's script, and goes on after a problem, so that all of them are found."""

from __future__ import annotations

__all__ = ["ScriptValues"]

import difflib
from collections.abc import Collection, Mapping
from typing import Any

from offhook.config.documents import Document
from offhook.config.errors import ConfigProblem


class ScriptValues:
    """Values of one document; for a wrong one there is a harmless one, and a line in `problems`."""

    def __init__(self, document: Document, source: str) -> None:
        self._document, self._source = document, source
        self.problems: list[ConfigProblem] = []

    def text(self, key: str, value: object) -> str:
        """Read text that is not blank."""
        if not isinstance(value, str) or not value.strip():
            self.report(key, f"Expected text, found {value!r}.")
            return ""
        return value.strip()

    def seconds(self, key: str, value: object, most: float = 600) -> float:
        """Read a number of seconds above 0."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= most:
            self.report(key, f"{value!r} is not a number of seconds above 0 and up to {most:g}.")
            return 1.0
        return float(value)

    def milliseconds(self, key: str, value: object) -> int | None:
        """Read a whole number of milliseconds above 0; None stays None."""
        if value is None or (isinstance(value, int) and not isinstance(value, bool) and value > 0):
            return value
        self.report(key, f"{value!r} is not a whole number of milliseconds above 0.")
        return None

    def check_keys(self, key: str, data: Mapping[Any, Any], known: Collection[str]) -> None:
        """Report every key that is not known."""
        for name in data:
            if name not in known:
                self.report_choice(f"{key}.{name}".strip("."), name, known, what="key")

    def report_choice(self, key: str, value: object, known: Collection[str], what: str = "choice") -> None:
        """Report a value that is none of those known, with the nearest of them."""
        near = difflib.get_close_matches(str(value), list(known), n=1, cutoff=0.5)
        fix = f"Did you mean `{near[0]}`?" if near else f"One of: {', '.join(known)}."
        self.report(key, f"{value!r} is not a known {what}.", fix)

    def report(self, key: str, message: str, fix: str = "") -> None:
        """Note a problem at `key`, which is a dotted path into the document."""
        line = self._document.line(tuple(int(p) if p.isdigit() else p for p in key.split(".")))
        source = f"{self._source}:{line}" if line else self._source
        self.problems.append(ConfigProblem(source, key, message, fix))

    def number(self, key: str, value: object, least: float, most: float) -> float:
        """Read a number between two others."""
        if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
            self.report(key, f"{value!r} is not a number from {least:g} to {most:g}.")
            return least
        return float(value)
