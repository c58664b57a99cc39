"""The file of messages that could not be delivered: one line of JSON each, in the order of each call.

Workers append to it while somebody posts its messages again. Whoever changes the file holds its lock, and
looks first whether the file that is locked is still the one of that name.
"""

from __future__ import annotations

__all__ = ["DeadLetter", "append_lines", "put_back", "read_letter", "taken_aside"]

import errno
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import msgspec

LARGEST_FILE_BYTES = 100_000_000
"""A file that is larger takes no further message."""


class DeadLetter(msgspec.Struct, frozen=True):
    """One message that was not delivered."""

    call_sid: str
    url: str
    id: str
    why: str
    body: Mapping[str, Any]


def read_letter(line: bytes) -> DeadLetter | None:
    """Read a line; None for one that is no message."""
    try:
        # Not msgspec's decoder: it refuses half a surrogate pair, which JSON may hold.
        return msgspec.convert(json.loads(line), DeadLetter)
    except (ValueError, RecursionError, msgspec.ValidationError):
        return None


def append_lines(file: Path, lines: bytes) -> None:
    """Add whole lines, or none of them. Raises OSError, also for a file that is full."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with _locked(file) as descriptor:
        size = os.fstat(descriptor).st_size
        if size > LARGEST_FILE_BYTES:
            raise OSError(errno.EFBIG, os.strerror(errno.EFBIG))
        try:
            _write_all(descriptor, lines)
            os.fsync(descriptor)
        except OSError:
            # Half a line would spoil the next one.
            os.ftruncate(descriptor, size)
            raise


@contextmanager
def taken_aside(file: Path) -> Iterator[IO[bytes]]:
    """Open the messages under another name, for this process alone; new ones go to a new file.

    What an interrupted run left aside comes first. Raises OSError: FileNotFoundError where nothing waits.
    """
    aside = _aside(file)
    if not aside.exists():
        file.stat()
        with _locked(file):
            file.rename(aside)
    with aside.open("rb") as lines:
        fcntl.flock(lines, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield lines


def put_back(file: Path, lines: bytes) -> None:
    """Let these lines stand before what has come meanwhile, in place of those set aside. Raises OSError."""
    if lines:
        rest = file.with_suffix(".rest")
        with _locked(file) as descriptor, os.fdopen(os.dup(descriptor), "rb") as come:
            come.seek(0)
            written = os.open(rest, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            try:
                _write_all(written, lines + come.read())
                os.fsync(written)
            finally:
                os.close(written)
            rest.replace(file)
    _aside(file).unlink()


def _aside(file: Path) -> Path:
    return file.with_suffix(".replaying")


@contextmanager
def _locked(file: Path) -> Iterator[int]:
    """Open a file to read and append to it, and hold its lock; it is made where there is none."""
    while True:
        descriptor = os.open(file, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if _is_still(file, descriptor):
                yield descriptor
                return
        finally:
            os.close(descriptor)


def _is_still(file: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(file.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def _write_all(descriptor: int, content: bytes) -> None:
    rest = memoryview(content)
    while rest:
        rest = rest[os.write(descriptor, rest) :]
