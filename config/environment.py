"""Variables of the environment, of `.env` files, and of the secret files that they point at."""

from __future__ import annotations

__all__ = ["Found", "Variable", "read_variables"]

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import ConfigProblem
from .section import did_you_mean

_OWN_PREFIX = "OFFHOOK_"
_LARGEST_SECRET_BYTES = 1 << 16

Layer = tuple[str, Mapping[str, str]]
"""Where the variables come from ("environment" or a file's name), and the variables."""


@dataclass(frozen=True, slots=True)
class Variable:
    """One setting and the names of variables that may hold it, the first of them preferred."""

    field: str
    names: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """A setting's text and where it was found."""

    text: str
    source: str
    name: str


def read_variables(
    variables: Sequence[Variable], layers: Sequence[Layer]
) -> tuple[dict[str, Found], list[ConfigProblem]]:
    """Find the settings' texts by field; the first layer that has a setting under any name wins."""
    found: dict[str, Found] = {}
    problems: list[ConfigProblem] = []
    for variable in variables:
        for source, values in layers:
            given = _given(variable, values)
            if not given:
                continue
            value = _only(given, source, values, problems)
            if value is not None:
                found[variable.field] = value
            break
    known = {name for variable in variables for name in _spellings(variable)}
    for source, values in layers:
        problems += _misspelled(source, values, known)
    return found, problems


def _spellings(variable: Variable) -> Iterator[str]:
    for name in variable.names:
        yield name
        yield f"{name}_FILE"


def _given(variable: Variable, values: Mapping[str, str]) -> list[str]:
    return [name for name in _spellings(variable) if values.get(name, "").strip()]


def _only(
    given: list[str], source: str, values: Mapping[str, str], problems: list[ConfigProblem]
) -> Found | None:
    """Read the one variable that is given; several must not disagree about who counts."""
    texts = {values[name].strip() for name in given}
    if len(given) > 1 and (len(texts) > 1 or any(name.endswith("_FILE") for name in given)):
        message = f"and {' and '.join(given[1:])} are set, and only one can count."
        problems.append(ConfigProblem(source, given[0], message, "Unset all but one."))
        return None
    name, text = given[0], values[given[0]].strip()
    if not name.endswith("_FILE"):
        return Found(text, source, name)
    try:
        text = _file_text(Path(text))
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        problems.append(ConfigProblem(source, name, f"points at {text}, which cannot be used: {reason}."))
        return None
    return Found(text, source, name)


def _file_text(path: Path) -> str:
    """Read a secret's file; raises OSError, and ValueError for one that holds no short text."""
    with path.open("rb") as file:
        content = file.read(_LARGEST_SECRET_BYTES + 1)
    if len(content) > _LARGEST_SECRET_BYTES:
        raise ValueError("it is larger than 64 KiB")
    try:
        text = content.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise ValueError("it is not UTF-8 text") from None
    if not text:
        raise ValueError("it is empty")
    return text


def _misspelled(source: str, values: Mapping[str, str], known: set[str]) -> Iterator[ConfigProblem]:
    own = {name for name in known if name.startswith(_OWN_PREFIX) and not name.endswith("_FILE")}
    for name in sorted(values):
        if name.startswith(_OWN_PREFIX) and name not in known and values[name].strip():
            fix = did_you_mean(name, own) or f"Known are: {', '.join(sorted(own))}."
            yield ConfigProblem(source, name, "is not a setting.", fix)
