"""The thread that looks where the event loop stands while its heartbeat is overdue."""

from __future__ import annotations

__all__ = ["StallWatchdog", "ThreadUsage", "place_of"]

import os
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from types import FrameType

import structlog

from .gc_pauses import GcPauses
from .stall_watch import Place, StallWatch, Usage

OUR_PACKAGE = "offhook."
DEPTH = 100
"""Frames that are looked at, from the innermost on."""
JOIN_S = 1.0
_LOOP_MODULES = frozenset({"asyncio.events", "asyncio.runners"})
_LOOP_FUNCTIONS = frozenset({"run_forever", "_run_once"})
_MEASURING = GcPauses.__module__
"""It is called within the collections that it times, and is not what they hold up."""
_SCHEDSTAT = "/proc/thread-self/schedstat"
"""Nanoseconds run and nanoseconds waited for a processor (Linux: Documentation/scheduler/sched-stats)."""

_log = structlog.get_logger("offhook.bridge")


class StallWatchdog:
    """One daemon thread for one loop; `start` and `stop` are called on the loop's own."""

    def __init__(self, watch: StallWatch, now: Callable[[], float] = time.monotonic) -> None:
        self._watch = watch
        self._now = now
        self._stopped = threading.Event()
        self._thread: threading.Thread | None = None
        self._loop_thread = 0

    def start(self) -> None:
        """Look from now on at the thread that calls this; harmless if it does."""
        if self._thread is not None:
            return
        self._loop_thread = threading.get_ident()
        self._stopped.clear()
        self._thread = threading.Thread(target=self._run, name="stall-watchdog", daemon=True)
        self._watch.watched = True
        self._thread.start()

    def stop(self) -> None:
        """End the thread; harmless if there is none."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._watch.watched = False
            self._stopped.set()
            thread.join(JOIN_S)

    def _run(self) -> None:
        wait_s = 0.0
        while not self._stopped.wait(wait_s):
            looked = self._watch.look(self._now(), self._place)
            if looked.stuck is not None:
                _log.error("loop.stuck", ours=looked.stuck.ours, innermost=looked.stuck.innermost)
            wait_s = max(0.0, looked.again_at_s - self._now())

    def _place(self) -> Place:
        return place_of(sys._current_frames().get(self._loop_thread))


def place_of(frame: FrameType | None) -> Place:
    """Where a thread stands: names of modules and functions only, and only down to the loop itself."""
    innermost = ours = ""
    for _ in range(DEPTH):
        if frame is None:
            break
        module = str(frame.f_globals.get("__name__", "?"))
        if innermost and _is_loop(module, frame.f_code.co_name):
            break
        if module != _MEASURING and (not innermost or module.startswith(OUR_PACKAGE)):
            here = f"{module}.{frame.f_code.co_qualname}:{frame.f_lineno}"
            innermost = innermost or here
            if module.startswith(OUR_PACKAGE):
                ours = here
                break
        frame = frame.f_back
    return Place(innermost or "?", ours)


def _is_loop(module: str, function: str) -> bool:
    return module in _LOOP_MODULES or (module == "asyncio.base_events" and function in _LOOP_FUNCTIONS)


class ThreadUsage:
    """Reads what the calling thread used; `open` it on that thread, and `close` it."""

    def __init__(self) -> None:
        self._file: int | None = None

    def open(self) -> None:
        """Find where the system tells of this thread; where it does not, waiting is not known."""
        self.close()
        with suppress(OSError):
            self._file = os.open(_SCHEDSTAT, os.O_RDONLY)

    def close(self) -> None:
        """Read no more."""
        file, self._file = self._file, None
        if file is not None:
            os.close(file)

    def read(self, collected_s: float) -> Usage:
        """What this thread used up to now, and the collections as they were counted."""
        waited_s = 0.0
        if self._file is not None:
            with suppress(OSError, IndexError, ValueError):
                waited_s = int(os.pread(self._file, 64, 0).split()[1]) / 1e9
        return Usage(time.thread_time(), waited_s, collected_s)
