"""Which part of the server its CPU time goes to, by samples of what runs.

A timer of the process's CPU time (setitimer(2), ITIMER_PROF) interrupts the loop's thread, and the innermost
frame that belongs to a part says whose the time was; what is sampled before any Python ran is the loop's own
and the kernel's reading. A sample weighs as much CPU time of the loop's thread as has passed since the one
before, so the parts add up to the thread's time; other threads' is the process's time less the thread's.
"""

from __future__ import annotations

__all__ = ["PartFigures", "PartSampler", "part_of"]

import signal
import time
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from types import FrameType

EVERY_S = 0.002
"""The kernel may round it up to its own tick (4 ms where it counts 250 a second)."""
LOOP = "event loop, socket reads"
CODEC_IN, CODEC_OUT = "codec in", "codec out"
_EAR = tuple(
    f"pipeline/{name}"
    for name in (
        "ear",
        "recogniser",
        "replay",
        "speech_gate",
        "silent_recogniser",
        "echo",
        "providers/embedded",
    )
)
_PLAYOUT = tuple(
    f"pipeline/{name}"
    for name in ("playout", "pacing", "speaker", "heard_ledger", "reply", "voice_failover", "shared_voice")
)
PARTS: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("benchmark's own", ("lab/",)),
    ("frame, parse, dialect", ("bridge/plain_frames", "bridge/twilio/", "bridge/carrier", "bridge/media_")),
    ("ear, voice activity", _EAR),
    ("playout", _PLAYOUT),
    ("turn-taking, feed, events", ("pipeline/", "bridge/call_log")),
    ("bridge, rest", ("bridge/",)),
)
"""A part, and what of a file's place says that it belongs to it; the first one that fits."""
WRITE = "write"
_WRITERS = frozenset({"_write", "send_text", "send_audio", "send_mark", "send_clear", "text_frame"})
_OUTWARD = frozenset({"_live", "speak", "append"})


@dataclass(slots=True)
class PartFigures:
    """CPU time in the window."""

    seconds: dict[str, float] = field(default_factory=dict)
    """Of the loop's thread, by part."""
    other_threads_s: float = 0.0
    samples: int = 0


def part_of(frames: Iterable[tuple[str, str, bool]]) -> str:
    """The part that a stack belongs to; each frame, innermost first, is a file, a function, and has it begun?

    A frame that has not begun is one the sample had waited for.
    """
    in_codec = False
    for file, function, begun in frames:
        if not begun and not in_codec:
            continue
        if "/codecs/" in file:
            in_codec = True
        elif in_codec:
            if "/pipeline/" in file or "/bridge/" in file or "/lab/" in file:
                return CODEC_OUT if function in _OUTWARD else CODEC_IN
        elif function in _WRITERS and ("/bridge/" in file):
            return WRITE
        elif "/lab/bench/served_process" in file:
            return LOOP
        else:
            for part, places in PARTS:
                if any(f"/{place}" in file for place in places):
                    return part
    return LOOP


class PartSampler:
    """Samples the thread that it is begun in, which must be the main one."""

    def __init__(self) -> None:
        self._seconds: defaultdict[str, float] = defaultdict(float)
        self._samples = 0
        self._thread_s = self._last_s = self._process_s = 0.0

    def begin(self) -> None:
        """Sample from now on."""
        signal.signal(signal.SIGPROF, self._sample)
        self._thread_s = self._last_s = time.thread_time()
        self._process_s = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, EVERY_S, EVERY_S)

    def end(self) -> PartFigures:
        """Sample no more."""
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        thread_s = time.thread_time() - self._thread_s
        process_s = time.process_time() - self._process_s
        return PartFigures(dict(self._seconds), max(0.0, process_s - thread_s), self._samples)

    def _sample(self, number: int, frame: FrameType | None) -> None:
        del number
        now_s = time.thread_time()
        self._seconds[part_of(_stack(frame))] += now_s - self._last_s
        self._last_s = now_s
        self._samples += 1


def _stack(frame: FrameType | None) -> Iterable[tuple[str, str, bool]]:
    while frame is not None:
        code = frame.f_code
        # Behind its first line's beginning; RESUME and what makes cells and generators come before it.
        begun = frame.f_lasti > 2 * (1 + len(code.co_cellvars) + len(code.co_freevars))
        yield code.co_filename, code.co_name, begun
        frame = frame.f_back
