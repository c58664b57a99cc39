"""What becomes of an assistant's data while foreign names are read as our own."""

from __future__ import annotations

__all__ = ["Translation"]

from dataclasses import dataclass, field
from typing import Any

from .documents import KeyPath


@dataclass(slots=True)
class Translation:
    """An assistant's data in our own names, and what was done to get there."""

    data: dict[str, Any]
    notices: list[str] = field(default_factory=list)
    problems: list[tuple[KeyPath, str]] = field(default_factory=list)
    """Where (as written) and what."""
    origins: dict[KeyPath, KeyPath] = field(default_factory=dict)
    """Our path of a value -> the path as written, for all that was renamed or moved."""

    def written(self, path: KeyPath) -> KeyPath:
        """Tell where in the file the value of one of our paths stands."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.origins:
                return self.origins[path[:length]] + path[length:]
        return path
