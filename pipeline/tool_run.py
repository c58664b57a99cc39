"""What a tool is given beside its arguments, and what it may give back beside a value."""

from __future__ import annotations

__all__ = ["ToolOutcome", "ToolRun"]

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class ToolRun:
    """One execution of a tool."""

    key: str
    """The idempotency key: the same for retries of one execution, different for every other."""
    call_id: str
    """The carrier's name for the call."""
    variables: Mapping[str, str]
    """The call's variables as the execution began."""


@dataclass(frozen=True, slots=True)
class ToolOutcome:
    """A tool's value, and what follows from it."""

    value: Any
    """A JSON value, for the model."""
    context: Mapping[str, str] = field(default_factory=dict)
    """Joins the call's variables."""
    fallback: str = ""
    """Said to the caller as it stands, in place of the model's words."""
