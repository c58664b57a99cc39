"""One recording on its way to the disk. Everything here blocks: it is for a thread."""

from __future__ import annotations

__all__ = ["RecordingFile", "Written", "write_all"]

import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from msgspec.structs import replace

from offhook.codecs import wav
from offhook.codecs.framing import SAMPLE_RATE_HZ as RATE_HZ

from .shelf import Note, name_of, write_note
from .tape import Stretch, samples


class RecordingFile:
    """A stereo WAV file, 8 kHz and 16 bits, its owner's alone, with a note beside it."""

    def __init__(self, folder: Path, note: Note) -> None:
        """Choose a name; the file is made when something is written."""
        self.path = folder / name_of(note)
        self._note = note
        self._file: BinaryIO | None = None
        self._writer: wav.Writer | None = None
        self._written = 0
        self._over = False

    @property
    def seconds(self) -> float:
        """How long it is so far."""
        return self._written / RATE_HZ

    def write(self, stretch: Stretch) -> None:
        """Append a stretch; what is missing before it becomes silence. Raises OSError and WavError."""
        if self._over:
            return
        writer = self._writer or self._open()
        while self._written < stretch.begin:
            missing = min(stretch.begin - self._written, RATE_HZ)
            writer.write(np.zeros((missing, 2), np.int16))
            self._written += missing
        writer.write(samples(stretch))
        self._written = stretch.end

    def finish(self, note: Note) -> None:
        """Complete the file and its note; one that was erased meanwhile stays so. Raises OSError."""
        if self._over or self._writer is None or self._file is None:
            return
        self._over = True
        try:
            self._writer.close()
        finally:
            try:
                self._file.close()
            finally:
                if self.path.exists():
                    write_note(self.path, note)

    def give_up(self) -> None:
        """Keep what was written, as far as that can be done."""
        with suppress(OSError):
            self.finish(replace(self._note, seconds=self.seconds))
        self._over = True

    def _open(self) -> wav.Writer:
        self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        # The note first: a recording that no note tells of would never be erased.
        write_note(self.path, self._note)
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        self._file = os.fdopen(descriptor, "wb")
        self._writer = wav.Writer(self._file, RATE_HZ, 2)
        return self._writer


@dataclass(frozen=True, slots=True)
class Written:
    """A stretch for a file; one with a note is the last."""

    file: RecordingFile
    stretch: Stretch
    note: Note | None = None


def write_all(orders: Iterable[Written]) -> dict[RecordingFile, str]:
    """Write what can be written; returns the files that cannot go on, and why."""
    failed: dict[RecordingFile, str] = {}
    for order in orders:
        try:
            order.file.write(order.stretch)
            if order.note is not None:
                order.file.finish(order.note)
        except (OSError, wav.WavError) as error:
            failed[order.file] = _reason(error)
            order.file.give_up()
    return failed


def _reason(error: OSError | wav.WavError) -> str:
    return os.strerror(error.errno or 0) if isinstance(error, OSError) else str(error)
