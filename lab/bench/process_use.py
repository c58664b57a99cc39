"""What a server and the processes of its models take of the machine."""

from __future__ import annotations

__all__ = ["ProcessUse", "cores_busy_s", "processes_of", "use_between"]

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .probes import core_busy_s

_PROC = Path("/proc")
_SERVER = "server"
_CPU_FIELDS = slice(11, 13)
"""User and system time in `/proc/PID/stat` behind the name: fields 14 and 15 (proc(5))."""


@dataclass(frozen=True, slots=True)
class ProcessUse:
    """One process, as of now."""

    cpu_s: float
    """User and system time since it began."""
    resident_bytes: int


def processes_of(server_pid: int) -> dict[str, ProcessUse]:
    """The server by the name "server", and its models' processes by theirs; empty without `/proc`.

    Several processes with the same model are "whisper", "whisper 2" and so on.
    """
    found: dict[str, ProcessUse] = {}
    for pid in (server_pid, *_children(server_pid)):
        name = _SERVER if pid == server_pid else _model_of(pid)
        use = _use(pid) if name else None
        if use is not None:
            count = sum(known.split()[0] == name for known in found)
            found[name if not count else f"{name} {count + 1}"] = use
    return found


def use_between(before: Mapping[str, ProcessUse], after: Mapping[str, ProcessUse]) -> dict[str, ProcessUse]:
    """The time that each process took between two moments, and its memory at the second."""
    return {
        name: ProcessUse(use.cpu_s - before[name].cpu_s, use.resident_bytes)
        for name, use in after.items()
        if name in before
    }


def cores_busy_s() -> float | None:
    """How long all cores of the machine together have been busy; None without `/proc`."""
    each = [core_busy_s(core) for core in range(os.cpu_count() or 1)]
    known = [busy_s for busy_s in each if busy_s is not None]
    return sum(known) if known else None


def _children(pid: int) -> list[int]:
    children: list[int] = []
    for tasks in _PROC.glob(f"{pid}/task/*/children"):
        try:
            children += map(int, tasks.read_text().split())
        except OSError:  # a thread that has just ended
            continue
    return sorted(children)


def _model_of(pid: int) -> str:
    """The name of the model whose worker this is, else empty."""
    try:
        words = (_PROC / str(pid) / "cmdline").read_bytes().decode("utf-8", "replace").split("\0")
    except OSError:
        return ""
    at = next((index for index, word in enumerate(words) if word.endswith(".embedded.worker")), None)
    return words[at + 1] if at is not None and at + 1 < len(words) else ""


def _use(pid: int) -> ProcessUse | None:
    try:
        behind_name = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
        pages = int((_PROC / str(pid) / "statm").read_text().split()[1])
    except OSError:
        return None
    ticks = sum(map(int, behind_name[_CPU_FIELDS]))
    return ProcessUse(ticks / os.sysconf("SC_CLK_TCK"), pages * os.sysconf("SC_PAGE_SIZE"))
