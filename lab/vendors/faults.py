"""What goes wrong at an emulated vendor, and when: planned by name, happening at a named moment."""

from __future__ import annotations

__all__ = ["MOMENTS", "FaultKind", "FaultPlan", "PlannedFault", "check_moment"]

import enum
from collections.abc import Mapping
from dataclasses import dataclass

from offhook.config.errors import OffhookError

MOMENTS: Mapping[str, tuple[str, ...]] = {
    "deepgram": ("connect", "audio", "partial", "final"),
    "openai": ("request", "first_token", "text", "tool"),
    "elevenlabs": ("connect", "text", "audio"),
}
"""Vendor -> what it is about to do when a fault may happen, in the order of a turn.

`audio` at the recogniser's is every message of audio that comes in, at the voice's every one that goes out.
"""
REMEMBERED = 10_000


def check_moment(vendor: str, moment: str) -> None:
    """Raise OffhookError for a vendor or a moment that there is not, naming those that there are."""
    if vendor not in MOMENTS:
        raise OffhookError(f"`{vendor}` is no vendor; there are: {', '.join(MOMENTS)}")
    if moment not in MOMENTS[vendor]:
        moments = ", ".join(MOMENTS[vendor])
        raise OffhookError(f"`{moment}` is no moment of {vendor}'s; there are: {moments}")


class FaultKind(enum.Enum):
    """What happens."""

    DROP = "drop"
    """The connection is gone without a word (TCP reset)."""
    CLOSE = "close"
    """The socket is closed by its protocol with 1011, a stream of HTTP ends before its time."""
    STALL = "stall"
    """Nothing more comes; the connection stays open and what is sent to it is taken."""
    BUSY = "busy"
    """HTTP 429, with `Retry-After` if `retry_after_s` is given."""
    ERROR = "error"
    """HTTP 500; on an open socket or stream the vendor's own error message."""
    REFUSE = "refuse"
    """HTTP 401, as for a wrong key."""
    MALFORMED = "malformed"
    """A message that is no JSON, or not of the vendor's form; then it goes on."""
    SLOW = "slow"
    """It goes on after `wait_ms`."""


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """One thing that will go wrong."""

    vendor: str
    at: str
    """One of the vendor's MOMENTS."""
    kind: FaultKind
    after: int = 0
    """It lets so many of these moments pass first, counted from when it is planned."""
    times: int = 1
    """So often it happens; 0: for ever."""
    wait_ms: float = 0.0
    retry_after_s: float | None = None


@dataclass(slots=True)
class _Waiting:
    """A fault that is still to happen."""

    fault: PlannedFault
    passes: int
    """So many moments it still lets pass."""
    left: int
    """So often it still happens; 0: for ever."""


class FaultPlan:
    """What is still to go wrong; the emulators ask at each moment."""

    def __init__(self) -> None:
        self._waiting: list[_Waiting] = []
        self.happened: list[PlannedFault] = []
        """The oldest first, as they were planned; the oldest are forgotten first."""

    @property
    def planned(self) -> tuple[PlannedFault, ...]:
        """What was planned and is not over, the first planned first."""
        return tuple(waiting.fault for waiting in self._waiting)

    def plan(self, fault: PlannedFault) -> None:
        """Let something go wrong. Raises OffhookError for a vendor or a moment that there is not."""
        check_moment(fault.vendor, fault.at)
        self._waiting.append(_Waiting(fault, fault.after, fault.times))

    def clear(self) -> None:
        """Nothing more goes wrong."""
        self._waiting.clear()

    def take(self, vendor: str, moment: str) -> PlannedFault | None:
        """The fault that happens now, or None.

        Every fault planned for a moment counts it, whether or not another one happens at it. Of two that are
        due the one planned first happens, and the other the next time.
        """
        due: _Waiting | None = None
        for waiting in self._waiting:
            if (waiting.fault.vendor, waiting.fault.at) != (vendor, moment):
                continue
            if waiting.passes > 0:
                waiting.passes -= 1
            elif due is None:
                due = waiting
        if due is None:
            return None
        if due.left == 1:
            self._waiting.remove(due)
        elif due.left > 1:
            due.left -= 1
        self.happened.append(due.fault)
        del self.happened[:-REMEMBERED]
        return due.fault
