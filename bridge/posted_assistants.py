"""Assistants that a program posted, each known by a name that nobody can guess.

They live in memory: for an hour after they were used last, and a thousand at most.
"""

from __future__ import annotations

__all__ = ["PostedAssistants", "read_posted"]

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator, Mapping
from typing import Any

from offhook.config.assistant import Assistant
from offhook.config.assistant_loading import parse_assistant
from offhook.config.documents import KeyPath, read_json
from offhook.config.errors import ConfigError, ConfigProblem
from offhook.config.hosted_names import translate
from offhook.config.translation import Translation
from offhook.pipeline.clock import Clock

SOURCE = "POST /assistant"
KEPT_S = 3_600.0
LIMIT = 1_000
WARM_WITHIN_S = 10.0
_REFUSED: Mapping[str | int, tuple[str, str]] = {
    "callable": (
        "names code of this machine, which no posted assistant may run.",
        "Write the tool with `kind: http` or `server`.",
    ),
    "model_dir": (
        "names a folder of this machine, which no posted assistant may look for.",
        "Leave it out: only a file on this machine may name one.",
    ),
}
"""Keys at any place, and why not."""
_NOTHING: Mapping[str, str] = {}


async def _nothing_to_warm(assistant: Assistant) -> None:
    """Of those who hold calls without engines."""


def read_posted(body: str) -> Assistant:
    """Read an assistant that came over the network, in our names or those of hosted platforms.

    What runs code of this machine (`callable`), names a folder of it (`model_dir`) or reads its environment
    (`${NAME}`) is refused before it is looked at. Raises ConfigError with all that is wrong.
    """
    document = read_json(body, SOURCE)
    if isinstance(document.data, dict):
        # As the loader will read it: keys have several spellings, and none may slip past.
        translation = translate(document.data, Assistant)
        if foreign := list(_of_this_machine(translation.data, (), translation)):
            raise ConfigError(foreign)
    return parse_assistant(document.data, SOURCE, lookup=_NOTHING.__getitem__)


def _of_this_machine(data: Any, path: KeyPath, translation: Translation) -> Iterator[ConfigProblem]:
    place = ".".join(map(str, translation.written(path)))
    if path and path[-1] in _REFUSED and data is not None:
        yield ConfigProblem(SOURCE, place, *_REFUSED[path[-1]])
    elif isinstance(data, dict):
        for key, value in data.items():
            yield from _of_this_machine(value, (*path, key), translation)
    elif isinstance(data, list):
        for number, value in enumerate(data):
            yield from _of_this_machine(value, (*path, number), translation)
    elif isinstance(data, str) and "${" in data:
        message = "reads the environment of this machine, which no posted assistant may do."
        yield ConfigProblem(SOURCE, place, message, "Write the value itself.")


class PostedAssistants:
    """Keeps them, and has their engines started."""

    def __init__(self, clock: Clock, warm: Callable[[Assistant], Awaitable[None]] = _nothing_to_warm) -> None:
        self._clock, self._warm = clock, warm
        self._kept: OrderedDict[str, tuple[float, Assistant]] = OrderedDict()
        """In the order of their last use."""

    async def keep(self, assistant: Assistant, *, warm_within_s: float = WARM_WITHIN_S) -> str:
        """Keep an assistant under a new name; its engines have so long to start, and go on starting after.

        Raises ConfigError for a key or an extra that is missing, ProviderError if a stage has no engine.
        """
        name = f"posted-{secrets.token_hex(16)}"
        # Before its engines are warm: a call that comes meanwhile closes those that nobody asks for.
        self._kept[name] = self._clock.now(), assistant
        self._forget_old()
        try:
            async with asyncio.timeout(warm_within_s):
                await self._warm(assistant)
        except TimeoutError:
            """A call that comes too early hears an apology."""
        except BaseException:
            self._kept.pop(name, None)
            raise
        return name

    def find(self, name: str | None) -> Assistant | None:
        """Give the assistant of that name, and keep it for another hour."""
        self._forget_old()
        found = self._kept.get(name or "")
        if found is None or name is None:
            return None
        self._kept[name] = self._clock.now(), found[1]
        self._kept.move_to_end(name)
        return found[1]

    def loaded(self) -> tuple[Assistant, ...]:
        """All that are kept."""
        self._forget_old()
        return tuple(assistant for _, assistant in self._kept.values())

    def _forget_old(self) -> None:
        oldest = self._clock.now() - KEPT_S
        while self._kept and (len(self._kept) > LIMIT or next(iter(self._kept.values()))[0] < oldest):
            self._kept.popitem(last=False)
