"""A planned fault as it is written: in words on the command line, as JSON over HTTP."""

from __future__ import annotations

__all__ = ["fault_as_json", "fault_from_json", "parse_fault"]

from collections.abc import Mapping
from typing import Any

from offhook.config.errors import OffhookError

from .faults import FaultKind, PlannedFault, check_moment

FORM = "VENDOR MOMENT KIND [after=N] [times=N] [wait_ms=N] [retry_after_s=N]"
REQUIRED = ("vendor", "at", "kind")
COUNTS = ("after", "times")
DURATIONS: Mapping[str, tuple[FaultKind, ...]] = {
    "wait_ms": (FaultKind.SLOW,),
    "retry_after_s": (FaultKind.BUSY, FaultKind.ERROR),
}
"""Name -> the kinds of faults that it means something to."""
FIELDS = (*REQUIRED, *COUNTS, *DURATIONS)
LARGEST = 1_000_000


def parse_fault(text: str) -> PlannedFault:
    """Read a fault like `deepgram audio drop after=50 times=3`.

    Raises OffhookError naming what is wrong and what may be written.
    """
    words = text.split()
    if len(words) < len(REQUIRED) or any("=" in word for word in words[: len(REQUIRED)]):
        raise OffhookError(f"`{text}` is no fault: write {FORM}")
    fields: dict[str, Any] = dict(zip(REQUIRED, words, strict=False))
    for word in words[len(REQUIRED) :]:
        name, equals, value = word.partition("=")
        if not equals or name not in FIELDS or name in REQUIRED:
            raise OffhookError(f"`{word}` has no place in a fault: write {FORM}")
        if name in fields:
            raise OffhookError(f"`{name}` is given twice in `{text}`")
        fields[name] = _number(name, value)
    return fault_from_json(fields)


def fault_from_json(fields: Any) -> PlannedFault:
    """Read a fault from the fields of a JSON object; raises OffhookError as `parse_fault` does."""
    if not isinstance(fields, Mapping):
        raise OffhookError(f"a fault is a JSON object of {', '.join(FIELDS)}")
    if unknown := [name for name in fields if name not in FIELDS]:
        raise OffhookError(f"`{unknown[0]}` is no field of a fault; there are: {', '.join(FIELDS)}")
    if missing := [name for name in REQUIRED if not isinstance(fields.get(name), str)]:
        raise OffhookError(f"a fault needs `{missing[0]}`, a text")
    check_moment(fields["vendor"], fields["at"])
    kind = _kind(fields["kind"])
    numbers = {name: fields[name] for name in (*COUNTS, *DURATIONS) if fields.get(name) is not None}
    for name, value in numbers.items():
        _check(name, value, kind)
    if kind in DURATIONS["wait_ms"] and not numbers.get("wait_ms"):
        raise OffhookError(f"`{kind.value}` needs `wait_ms`, how long it waits")
    return PlannedFault(fields["vendor"], fields["at"], kind, **numbers)


def fault_as_json(fault: PlannedFault) -> dict[str, Any]:
    """Write a fault as `fault_from_json` reads it."""
    return {
        "vendor": fault.vendor,
        "at": fault.at,
        "kind": fault.kind.value,
        "after": fault.after,
        "times": fault.times,
        "wait_ms": fault.wait_ms,
        "retry_after_s": fault.retry_after_s,
    }


def _kind(name: str) -> FaultKind:
    try:
        return FaultKind(name)
    except ValueError:
        kinds = ", ".join(kind.value for kind in FaultKind)
        raise OffhookError(f"`{name}` is no kind of fault; there are: {kinds}") from None


def _check(name: str, value: Any, kind: FaultKind) -> None:
    whole = name in COUNTS
    if isinstance(value, bool) or not isinstance(value, int if whole else int | float):
        raise OffhookError(f"`{name}` is {'a whole number' if whole else 'a number'}, not `{value}`")
    if not 0 <= value <= LARGEST:
        raise OffhookError(f"`{name}` is from 0 to {LARGEST:,}, not {value}")
    if not whole and value and kind not in DURATIONS[name]:
        kinds = " and ".join(f"`{each.value}`" for each in DURATIONS[name])
        raise OffhookError(f"`{name}` goes with {kinds}, not with `{kind.value}`")


def _number(name: str, text: str) -> int | float:
    try:
        return int(text) if text.lstrip("-").isdecimal() else float(text)
    except ValueError:
        raise OffhookError(f"`{name}` is a number, not `{text}`") from None
