"""`offhook recordings`: what is kept of calls on disk, and erasing it."""

from __future__ import annotations

__all__ = ["app"]

import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from offhook.bridge.recording.shelf import Recorded

app = typer.Typer(name="recordings", help="Recordings of calls.", no_args_is_help=True)

_BETWEEN_DIGITS = re.compile(r"[\s./\-\u2010-\u2015]")
_TRUNK_ZERO = re.compile(r"^(?!\+39)(\+\d+)\(0\)")
"""`+44 (0)20`: dialled within the country alone. Italy's belongs to the number, however it is written."""
_NO_NUMBER = re.compile(r"(?:sips?|client):\S+", re.IGNORECASE)
"""How the carrier names callers who have none."""


def _party(given: str) -> str:
    """Read a number as people write it; one that no note could hold must not pass for one without calls."""
    from offhook.config.phone_numbers import E164

    if _NO_NUMBER.fullmatch(given):
        return given
    number = _TRUNK_ZERO.sub(r"\1", _BETWEEN_DIGITS.sub("", given))
    number = number.replace("(", "").replace(")", "")
    if not re.fullmatch(E164, number):
        raise typer.BadParameter("write it with its country code, as +15551234567 (E.164), or as sip:...")
    return number


Number = Annotated[
    str | None,
    typer.Option(
        parser=_party,
        metavar="NUMBER",
        help="Only calls from or to this number (E.164), or SIP address as it stands in the note.",
    ),
]
Call = Annotated[str | None, typer.Option(help="Only this call (its CallSid).")]
Folder = Annotated[
    Path | None, typer.Option(help="The folder of recordings (default: the one in OFFHOOK_DATA_FOLDER).")
]


@app.callback()
def _recordings() -> None:
    """Recordings of calls."""


@app.command("list")
def list_recordings(number: Number = None, call: Call = None, folder: Folder = None) -> None:
    """Print when each call was, how long its recording is, its CallSid, and the file."""
    count = 0
    for recorded in _chosen(_folder(folder), number, call):
        note = recorded.note
        when = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(note.started))
        length = "unfinished" if note.seconds is None else f"{note.seconds:.1f} s"
        typer.echo(f"{when}  {length:>10}  {note.call}  {recorded.path}")
        count += 1
    typer.echo(f"{count} {'recording' if count == 1 else 'recordings'}.", err=True)


@app.command("erase")
def erase_recordings(number: Number = None, call: Call = None, folder: Folder = None) -> None:
    """Delete all recordings of a number, or of a call, with their notes."""
    from offhook.bridge.recording.shelf import erase

    if number is None and call is None:
        typer.echo("Say what to erase: --number +15551234567, or --call CA...", err=True)
        raise typer.Exit(2)
    count = stayed = 0
    for recorded in _chosen(_folder(folder), number, call):
        try:
            erase(recorded)
        except OSError as error:
            typer.echo(f"{recorded.path}: {error.strerror}", err=True)
            stayed += 1
        else:
            count += 1
    typer.echo(f"{count} {'recording' if count == 1 else 'recordings'} erased.")
    if stayed or not count:
        raise typer.Exit(1)


def _chosen(folder: Path, number: str | None, call: str | None) -> Iterator[Recorded]:
    from offhook.bridge.recording.shelf import recordings_in

    for recorded in recordings_in(folder):
        note = recorded.note
        of_number = number is None or number in (note.caller, note.called)
        if of_number and call in (None, note.call):
            yield recorded


def _folder(given: Path | None) -> Path:
    from offhook.bridge.recording.shelf import FOLDER
    from offhook.config.errors import ConfigError
    from offhook.config.settings import load_settings

    if given is not None:
        return given
    try:
        settings = load_settings()
    except ConfigError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(2) from error
    if settings.data_folder is None:
        typer.echo("Name the folder with --folder, or set OFFHOOK_DATA_FOLDER.", err=True)
        raise typer.Exit(2)
    return settings.data_folder / FOLDER
