"""Assistant files that may be edited while calls are up: new calls get good edits, bad ones are told."""

from __future__ import annotations

__all__ = ["AssistantFiles"]

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from .assistant import Assistant
from .assistant_loading import load_assistant
from .errors import ConfigError, ConfigProblem
from .section import did_you_mean

_NAME = re.compile(r"[a-z0-9_-]{1,64}")
_SUFFIXES = (".yaml", ".yml", ".json")

_Stamp = tuple[int, int, int]
"""Modification time in ns, size and inode: an editor that replaces the file changes at least one."""


@dataclass(frozen=True, slots=True)
class _Kept:
    stamp: _Stamp | None
    """Of the edit that was judged last, good or bad; None for a file that is gone."""
    assistant: Assistant


class AssistantFiles:
    """The default assistant's file, and a folder of others that a call may choose by name.

    `current` costs one `stat` while nothing changes. An edit is read at the next call: a good one replaces
    what was there, a bad one is told once to `problems` and the last good assistant stays. A tool's Python
    module is not imported again.
    """

    def __init__(
        self,
        default: Path,
        folder: Path | None = None,
        problems: Callable[[ConfigError], None] = lambda _: None,
    ) -> None:
        """Raises ConfigError for a folder that is not there."""
        if folder is not None and not folder.is_dir():
            message = "is no folder." if folder.exists() else "is not there."
            raise ConfigError([ConfigProblem(str(folder), "", message, "Name a folder of assistant files.")])
        self._default, self._folder, self._problems = default, folder, problems
        self._kept: dict[Path, _Kept] = {}

    def current(self, name: str | None = None) -> Assistant:
        """Give the assistant of that name (the file's, without its ending), or the default one for None.

        Raises ConfigError for a name that is none or has no file, and for a file that never was good.
        """
        return self._fresh(self._default if name is None else self._path(name))

    def names(self) -> tuple[str, ...]:
        """List the assistants in the folder."""
        return tuple(sorted({path.stem for path in self._files()}))

    def loaded(self) -> tuple[Assistant, ...]:
        """List the assistants that were asked for so far, each as it was read last."""
        return tuple(kept.assistant for kept in self._kept.values())

    def _files(self) -> Iterator[Path]:
        if self._folder is None or not self._folder.is_dir():
            return
        for path in self._folder.iterdir():
            if path.suffix in _SUFFIXES and _NAME.fullmatch(path.stem):
                yield path

    def _path(self, name: str) -> Path:
        if not _NAME.fullmatch(name):
            raise _unknown(repr(name[:80]), "is no assistant's name.", "Use small letters, digits, _ and -.")
        if self._folder is not None:
            candidates = [self._folder / f"{name}{suffix}" for suffix in _SUFFIXES]
            for path in candidates:
                if path.is_file():
                    return path
            for path in candidates:
                if path in self._kept:
                    return path
        if self._folder is None:
            raise _unknown(name, "is not there: only the default assistant is served.", "")
        known = self.names()
        there_are = f"There are: {', '.join(known)}." if known else ""
        fix = f"{did_you_mean(name, known)} {there_are}".strip()
        raise _unknown(name, f"has no file in {self._folder}.", fix)

    def _fresh(self, path: Path) -> Assistant:
        kept, stamp = self._kept.get(path), _stamp(path)
        if kept is not None and kept.stamp == stamp:
            return kept.assistant
        try:
            assistant = load_assistant(path)
        except ConfigError as error:
            if kept is None:
                raise
            assistant = kept.assistant
            self._problems(error)
        self._kept[path] = _Kept(stamp, assistant)
        return assistant


def _stamp(path: Path) -> _Stamp | None:
    try:
        status = path.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size, status.st_ino


def _unknown(name: str, message: str, fix: str) -> ConfigError:
    return ConfigError([ConfigProblem("assistant", name, message, fix)])
