"""What a check found."""

from __future__ import annotations

__all__ = ["Finding", "Outcome", "failed", "not_checked", "ok", "warning"]

from dataclasses import dataclass
from enum import StrEnum


class Outcome(StrEnum):
    """How a check ended."""

    OK = "ok"
    WARNING = "warning"
    """Calls work, and something may go wrong later, or for some of them."""
    FAILED = "failed"
    """Calls do not work, or not safely."""
    NOT_CHECKED = "not checked"
    """Nothing there to be checked, or something else must be mended first."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One check, what it found in one sentence, and what to do about it."""

    check: str
    """Its name, the same in every release."""
    outcome: Outcome
    told: str
    fix: str = ""
    """Empty where nothing is to be done."""


def ok(check: str, told: str) -> Finding:
    """All is well."""
    return Finding(check, Outcome.OK, told)


def warning(check: str, told: str, fix: str) -> Finding:
    """Something may go wrong."""
    return Finding(check, Outcome.WARNING, told, fix)


def failed(check: str, told: str, fix: str) -> Finding:
    """Something is wrong."""
    return Finding(check, Outcome.FAILED, told, fix)


def not_checked(check: str, why: str) -> Finding:
    """Nothing is known."""
    return Finding(check, Outcome.NOT_CHECKED, why)
