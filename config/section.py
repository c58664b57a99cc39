"""What every part of an assistant file has in common: it is frozen and refuses what it does not know."""

from __future__ import annotations

__all__ = ["Section", "did_you_mean", "in_order", "known_provider"]

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict

S = TypeVar("S", bound="Section")


class Section(BaseModel):
    """One mapping of an assistant file; unknown keys are errors, and nothing changes after loading."""

    model_config = ConfigDict(
        frozen=True,
        extra="forbid",
        validate_default=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
        allow_inf_nan=False,
    )


def did_you_mean(name: str, choices: Iterable[str]) -> str:
    """Say which of the choices a misspelled name comes close to, as a question; empty if none does."""
    by_letters: dict[str, str] = {}
    for choice in choices:
        by_letters.setdefault(choice.lower().replace("_", ""), choice)
    close = get_close_matches(name.lower().replace("_", "").replace("-", ""), by_letters, n=1, cutoff=0.7)
    return f"Did you mean `{by_letters[close[0]]}`?" if close else ""


def in_order(preferred: Section, kind: type[S], fallbacks: tuple[S, ...]) -> tuple[S, ...]:
    """Put what a section says itself, read as one choice of `kind`, before its fallbacks."""
    return (kind(**{name: getattr(preferred, name) for name in kind.model_fields}), *fallbacks)


def known_provider(name: Any, *, carried: Iterable[str]) -> Any:
    """Return the provider's name; raises ValueError for one that this release does not carry."""
    if name in (names := tuple(carried)) or not isinstance(name, str):
        return name
    here = " or ".join(f"`{provider}`" for provider in names)
    hint = did_you_mean(name, names)
    raise ValueError(f"`{name}` is no provider that is known; write {here}. {hint}".strip(" ."))
