"""Can the server listen, take calls, and keep what it must keep?"""

from __future__ import annotations

__all__ = [
    "DATA_FOLDER",
    "PORT",
    "READINESS",
    "Folder",
    "judge_folder",
    "judge_port",
    "judge_readiness",
    "look_at_folder",
    "look_at_port",
    "look_at_readiness",
]

import asyncio
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from offhook.config.errors import ConfigProblem
from offhook.config.settings import Settings

from ..app import unreachable
from .asking import Answer, Asking, NoAnswer
from .finding import Finding, failed, not_checked, ok, warning
from .public_address import judge_page

PORT, READINESS, DATA_FOLDER = "port", "readiness", "data folder"
LITTLE_SPACE_MB = 200
_MB = 1_000_000
_ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104


@dataclass(frozen=True, slots=True)
class Folder:
    """What was found of the data folder."""

    free_mb: int = 0
    fault: str = ""
    """Why nothing can be kept there; empty if it can."""
    is_there: bool = True
    """Whether the server need not make it."""


async def look_at_port(settings: Settings, asking: Asking) -> Answer | NoAnswer | ConfigProblem:
    """Ask who listens at HOST and PORT; if nobody does, try to: a ConfigProblem says why that fails."""
    told = await asking.ask("GET", f"{_base(settings)}/livez", ours=True)
    if isinstance(told, Answer):
        return told
    try:
        server = await asyncio.get_running_loop().create_server(
            asyncio.Protocol, settings.host, settings.port
        )
    except OSError as error:
        return unreachable(settings, error)
    server.close()
    await server.wait_closed()
    return told


async def look_at_readiness(settings: Settings, asking: Asking) -> Answer | NoAnswer:
    """Ask the server that listens there whether it takes calls."""
    return await asking.ask("GET", f"{_base(settings)}/readyz", ours=True)


def _base(settings: Settings) -> str:
    host = _ANYWHERE.get(settings.host, f"[{settings.host}]" if ":" in settings.host else settings.host)
    return f"http://{host}:{settings.port}"


def judge_port(settings: Settings, told: Answer | NoAnswer | ConfigProblem | None) -> Finding:
    """Judge who listens there; None where nobody was asked, for the system chooses the port."""
    place = f"{settings.host}:{settings.port}"
    if told is None:
        return not_checked(PORT, "PORT is 0: the system chooses one that is free.")
    if isinstance(told, ConfigProblem):
        return failed(PORT, f"{place} {told.message}", told.fix)
    if isinstance(told, NoAnswer):
        return ok(PORT, f"{place} is free; no server runs there now.")
    if judge_page(told).fix:
        fix = "Stop what listens there, or choose another port with PORT."
        return failed(PORT, f"Something else than offhook answers at {place}.", fix)
    return ok(PORT, f"offhook listens at {place} already.")


def judge_readiness(told: Answer | NoAnswer | None) -> Finding:
    """Judge whether a call would be taken now; None where no server of ours listens."""
    if told is None:
        return not_checked(READINESS, "No server runs here now.")
    if isinstance(told, NoAnswer):
        return failed(READINESS, f"The server {told.reason}.", "Look at its log, and start it again.")
    if told.status == 200:
        return ok(READINESS, "The server takes calls.")
    try:
        reasons = ", ".join(str(reason) for reason in json.loads(told.body)["reasons"])
    except (ValueError, KeyError, TypeError):
        reasons = f"HTTP {told.status}"
    return warning(
        READINESS, f"The server takes no call now: {reasons}.", "Wait a little, or look at its log."
    )


def look_at_folder(folder: Path) -> Folder:
    """Write there, or see whether it could be made; nothing stays, and the thread waits for the disk."""
    try:
        if not folder.is_dir():
            return _unmade(folder)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(b"offhook")
            file.flush()
        return Folder(_free_mb(folder))
    except OSError as error:
        return Folder(fault=error.strerror or type(error).__name__)


def _unmade(folder: Path) -> Folder:
    """See whether the server could make it, without doing so: looking must leave everything as it was."""
    there = next(place for place in (folder, *folder.parents) if os.path.lexists(place))
    if not there.is_dir():
        return Folder(fault=f"{there} is no folder")
    if not os.access(there, os.W_OK | os.X_OK):
        return Folder(fault=f"it is not there, and cannot be made in {there}")
    return Folder(_free_mb(there), is_there=False)


def _free_mb(folder: Path) -> int:
    return shutil.disk_usage(folder).free // _MB


def judge_folder(folder: Path | None, told: Folder | None) -> Finding:
    """Judge what is kept; None for a folder that is not set."""
    if folder is None or told is None:
        return not_checked(
            DATA_FOLDER, "No OFFHOOK_DATA_FOLDER: messages that no receiver took are not kept."
        )
    if told.fault:
        fix = "Let OFFHOOK_DATA_FOLDER name a folder that this user may write to."
        return failed(DATA_FOLDER, f"Nothing can be written to {folder}: {told.fault}.", fix)
    if told.free_mb < LITTLE_SPACE_MB:
        return warning(DATA_FOLDER, f"{folder} has {told.free_mb} MB left.", "Make room there.")
    if not told.is_there:
        made = "will be made when there is something to keep"
        return ok(DATA_FOLDER, f"{folder} is not there yet: it {made}, and has {told.free_mb} MB.")
    return ok(DATA_FOLDER, f"{folder} can be written to, and has {told.free_mb} MB left.")
