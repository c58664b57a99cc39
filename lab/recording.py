"""A call on disk: stereo, the caller on the left, the agent as the caller hears it on the right."""

from __future__ import annotations

__all__ = ["Recording"]

from pathlib import Path
from types import TracebackType

import numpy as np

from offhook.codecs import g711, wav
from offhook.codecs.framing import SAMPLE_RATE_HZ as RATE_HZ

_CHUNK_FRAMES = 25
"""Half a second: a write of 16 kB, which the operating system takes into its cache at once."""


class Recording:
    """Takes both sides of every 20 ms and keeps a playable WAV file up to date."""

    def __init__(self, path: Path) -> None:
        """Create the file, and its folder in one that is there. Raises OSError."""
        path.parent.mkdir(exist_ok=True)
        self._file = path.open("wb")
        self._writer = wav.Writer(self._file, RATE_HZ, 2)
        self._said: list[bytes] = []
        self._heard: list[bytes] = []

    def add(self, said: bytes, heard: bytes) -> None:
        """Append one period: 160 bytes of mu-law for each side."""
        self._said.append(said)
        self._heard.append(heard)
        if len(self._said) >= _CHUNK_FRAMES:
            self._write()

    def close(self) -> None:
        """Write what is left and complete the file."""
        if self._file.closed:
            return
        self._write()
        self._writer.close()
        self._file.close()

    def __enter__(self) -> Recording:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _write(self) -> None:
        sides = (g711.decode(b"".join(self._said)), g711.decode(b"".join(self._heard)))
        self._writer.write(np.stack(sides, axis=1))
        self._said.clear()
        self._heard.clear()
