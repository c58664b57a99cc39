"""The folder of recordings: a note beside each, by which it is found, and erased when its time is over.

File names hold no caller's number; the note does, and is erased with its recording. Everything here blocks.
"""

from __future__ import annotations

__all__ = [
    "FOLDER",
    "Note",
    "Parts",
    "Recorded",
    "Round",
    "call_of",
    "erase",
    "erase_expired",
    "name_of",
    "recordings_in",
    "write_note",
]

import os
import re
import secrets
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

FOLDER = "recordings"
"""The folder's name in the data folder."""
ABANDONED_S = 3_600.0


class Note(msgspec.Struct, frozen=True, rename={"caller": "from", "called": "to"}):
    """What is known of a recording."""

    call: str
    """Twilio's CallSid."""
    assistant: str
    caller: str
    """E.164, or empty for a number that is not shown; a caller by SIP has an address (`sip:`)."""
    called: str
    started: float
    """Unix seconds."""
    erase_at: float
    """Unix seconds."""
    seconds: float | None = None
    """How long it is; None while it is being written, or was cut off."""
    paused: tuple[tuple[float, float], ...] = ()
    """From which second to which it is silent on purpose."""
    lost_s: float = 0.0
    """So much of it is silent because a frame came too late, or the disk was too slow."""


@dataclass(frozen=True, slots=True)
class Recorded:
    """A recording on disk."""

    path: Path
    """Of the WAV file, which is not there if nothing could be written."""
    note: Note


@dataclass(frozen=True, slots=True)
class Parts:
    """The recordings of one call, oldest first: one for each worker that went on with it."""

    recorded: Sequence[Recorded]

    def chosen(self, part: int | None) -> Path | None:
        """The file of one of them, the first being 1; without a number the newest that was finished."""
        if part is not None:
            return self.recorded[part - 1].path if 1 <= part <= len(self.recorded) else None
        finished = [each.path for each in self.recorded if each.note.seconds is not None]
        return finished[-1] if finished else None


@dataclass(frozen=True, slots=True)
class Round:
    """What became of the recordings whose time was over."""

    erased: int
    stayed: int
    """So many could not be erased; the next round tries again."""
    fault: OSError | None
    """The first of what went wrong."""


def write_note(path: Path, note: Note) -> None:
    """Put the note beside the recording at `path`, as a whole or not at all. Raises OSError."""
    fresh = path.with_suffix(".new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(msgspec.json.encode(note))
    fresh.replace(path.with_suffix(".json"))


def name_of(note: Note) -> str:
    """Name a recording: when and which call it was, and something that no other has."""
    stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(note.started))
    return f"{stamp}-{_plain(note.call)}-{secrets.token_hex(4)}.wav"


def recordings_in(folder: Path, named: str = "*") -> Iterator[Recorded]:
    """Yield the recordings of a folder, oldest first; what has no note that can be read is none of ours."""
    for file in sorted(folder.glob(f"{named}.json")):
        try:
            yield Recorded(file.with_suffix(".wav"), msgspec.json.decode(file.read_bytes(), type=Note))
        except (OSError, msgspec.DecodeError):
            continue  # erased meanwhile, or somebody else's


def call_of(folder: Path, call_sid: str) -> Parts:
    """Find what is recorded of a call, and over."""
    found = [
        recorded
        for recorded in recordings_in(folder, f"*-{_plain(call_sid)}-*")
        if recorded.note.call == call_sid and recorded.path.is_file()
    ]
    found.sort(key=lambda recorded: recorded.note.started)  # file names know whole seconds alone
    # One that a worker's end cut off is over once another follows; the last may still be written.
    return Parts([part for part in found if part.note.seconds is not None or part is not found[-1]])


def _plain(call_sid: str) -> str:
    """The CallSid without what a file name must not hold: carriers choose it."""
    return re.sub(r"[^A-Za-z0-9]", "", call_sid)[:40]


def erase(recorded: Recorded) -> None:
    """Delete the recording, then its note, so that an interruption loses track of nothing. Raises OSError."""
    recorded.path.unlink(missing_ok=True)
    recorded.path.with_suffix(".new").unlink(missing_ok=True)
    recorded.path.with_suffix(".json").unlink(missing_ok=True)


def erase_expired(folder: Path, now: float) -> Round:
    """Erase what may be kept no longer, `now` being Unix seconds; one that stays holds up no other.

    Raises OSError if the folder cannot be read.
    """
    expired = [recorded for recorded in recordings_in(folder) if recorded.note.erase_at <= now]
    faults = []
    for recorded in expired:
        try:
            erase(recorded)
        except OSError as error:
            faults.append(error)
    stayed = len(faults)
    # A note that a crash left half written tells of no recording, but perhaps of a number.
    for file in folder.glob("*.new"):
        try:
            if file.stat().st_mtime < now - ABANDONED_S:
                file.unlink()
        except FileNotFoundError:
            continue  # finished or erased meanwhile
        except OSError as error:
            faults.append(error)
    return Round(len(expired) - stayed, stayed, faults[0] if faults else None)
