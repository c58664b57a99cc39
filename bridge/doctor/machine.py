"""Is this machine large enough for the calls that the settings allow?"""

from __future__ import annotations

__all__ = ["Machine", "judge_machine", "look_at_machine"]

import os
import resource
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from offhook.config.assistant import Assistant
from offhook.config.settings import Settings
from offhook.config.vendors import KEY_VARIABLES
from offhook.pipeline.providers.catalogue import MOST_RECOGNISERS

from .finding import Finding, failed, not_checked, ok, warning

OPEN_FILES, CORES, MEMORY, EVENT_LOOP = "open files", "cores", "memory", "event loop"
FILES_OF_SERVER = 100
FILES_OF_CALL = 2
"""Its stream, and the webhook that began it."""
FILES_OF_STAGE = 2
"""A vendor's connection, and the next one while the first is given up."""
BRIDGE_MB, RECOGNISER_MB, VOICE_MB = 150, 300, 220
"""Resident, as docs/performance.md measured them."""
_MB = 1_000_000
_CGROUP = Path("/sys/fs/cgroup")
_MEMINFO = Path("/proc/meminfo")


@dataclass(frozen=True, slots=True)
class Machine:
    """What this process may use."""

    open_files: int | None
    """None: without a limit."""
    cores: int
    memory_mb: int | None
    """Free, within the container's limit; None: not known on this system."""
    has_uvloop: bool


def look_at_machine(cgroup: Path = _CGROUP, meminfo: Path = _MEMINFO) -> Machine:
    """Ask the system."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    affinity = getattr(os, "sched_getaffinity", None)
    cores = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    free = [amount for amount in (_free_mb(meminfo), _left_to_container_mb(cgroup)) if amount is not None]
    return Machine(
        None if soft == resource.RLIM_INFINITY else soft,
        cores,
        min(free, default=None),
        find_spec("uvloop") is not None,
    )


def _free_mb(meminfo: Path) -> int | None:
    with suppress(OSError, ValueError, IndexError):
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024 // _MB
    return None


def _left_to_container_mb(cgroup: Path) -> int | None:
    """What the limit of a control group leaves (Linux documentation: cgroup v2, memory)."""
    with suppress(OSError, ValueError):
        limit = int((cgroup / "memory.max").read_text())
        return max(0, limit - int((cgroup / "memory.current").read_text())) // _MB
    return None


def judge_machine(
    machine: Machine, settings: Settings, assistant: Assistant | None, *, is_up: bool = False
) -> Iterator[Finding]:
    """Judge each of its limits; without a readable `assistant` only what does not depend on it.

    A server that `is_up` has its memory already.
    """
    yield _open_files(machine, settings, assistant)
    yield _cores(machine, settings, assistant)
    if is_up:
        yield not_checked(MEMORY, "The server is up, and has its memory already.")
    else:
        yield _memory(machine, settings, assistant)
    if machine.has_uvloop:
        yield ok(EVENT_LOOP, "uvloop is installed and will be used.")
    else:
        told = "Python's own event loop will be used: the same calls cost a fifth more."
        yield warning(EVENT_LOOP, told, "Install uvloop: pip install 'offhook[fast]'.")


def _open_files(machine: Machine, settings: Settings, assistant: Assistant | None) -> Finding:
    stages = ("transcriber", "model", "voice")
    providers = [getattr(assistant, stage).provider for stage in stages] if assistant is not None else []
    vendors = sum(provider in KEY_VARIABLES for provider in providers)
    least = FILES_OF_SERVER + settings.max_calls
    needed = FILES_OF_SERVER + settings.max_calls * (FILES_OF_CALL + FILES_OF_STAGE * vendors)
    if machine.open_files is None or machine.open_files >= needed:
        limit = "any number of" if machine.open_files is None else f"{machine.open_files}"
        return ok(OPEN_FILES, f"A process may open {limit} files; {settings.max_calls} calls need {needed}.")
    told = f"A process may open {machine.open_files} files, and {settings.max_calls} calls may need {needed}."
    fix = f"Raise the limit (`ulimit -n {needed}`, or LimitNOFILE= of the unit), or lower OFFHOOK_MAX_CALLS."
    return (failed if machine.open_files < least else warning)(OPEN_FILES, told, fix)


def _cores(machine: Machine, settings: Settings, assistant: Assistant | None) -> Finding:
    told = f"{machine.cores} core{'s' if machine.cores > 1 else ''} for {settings.workers} worker"
    told += "s" if settings.workers > 1 else ""
    if settings.workers > machine.cores:
        fix = "Set OFFHOOK_WORKERS to the number of cores at most."
        return warning(CORES, f"{told}: they take turns.", fix)
    if machine.cores < 2 and assistant is not None and assistant.transcriber.provider == "embedded":
        fix = "Give it a second core, or let a vendor recognise speech."
        return warning(CORES, f"{told}: the embedded recogniser takes it from the calls.", fix)
    return ok(CORES, f"{told}.")


def _memory(machine: Machine, settings: Settings, assistant: Assistant | None) -> Finding:
    if machine.memory_mb is None:
        return not_checked(MEMORY, "This system does not say how much is free.")
    needed = BRIDGE_MB
    if assistant is not None and assistant.transcriber.provider == "embedded":
        needed += RECOGNISER_MB * max(1, min(MOST_RECOGNISERS, machine.cores // 2))
    if assistant is not None and assistant.voice.provider == "embedded":
        needed += VOICE_MB
    needed *= settings.workers
    told = f"{machine.memory_mb} MB are free, and the server's processes need about {needed}."
    if machine.memory_mb < needed:
        return warning(MEMORY, told, "Give it more memory, fewer workers, or vendors instead of models.")
    return ok(MEMORY, told)
