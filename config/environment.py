"""Variables of the environment, of `.env` files, and of the secret files that they point at."""

from __future__ import annotations

__all__ = ["Found", "Layer", "Variable", "read_variables"]

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import ConfigProblem
from .section import did_you_mean

_OWN_PREFIX = "OFFHOOK_"
_LARGEST_SECRET_BYTES = 1 << 16
_SHORT_NAME, _LONG_NAME = 6, 12
"""Letters of a name; see `_is_near`."""


@dataclass(frozen=True, slots=True)
class Layer:
    """Variables of one place."""

    source: str
    """"environment", or the file's name."""
    values: Mapping[str, str]
    ours_alone: bool = False
    """Few other programs put variables there: a name that is almost one of ours was meant to be it."""


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
        for layer in layers:
            given = _given(variable, layer.values)
            if not given:
                continue
            value = _only(given, layer.source, layer.values, problems)
            if value is not None:
                found[variable.field] = value
            break
    known = {name for variable in variables for name in _spellings(variable)}
    for layer in layers:
        problems += _misspelled(layer.source, layer.values, known)
        if layer.ours_alone:
            problems += _near_misses(layer.source, layer.values, known)
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
    own = sorted(name for name in known if name.startswith(_OWN_PREFIX) and not name.endswith("_FILE"))
    for name in sorted(values):
        if name.startswith(_OWN_PREFIX) and name not in known and values[name].strip():
            fix = did_you_mean(name, own) or f"Known are: {', '.join(own)}."
            yield ConfigProblem(source, name, "is not a setting.", fix)


def _near_misses(source: str, values: Mapping[str, str], known: set[str]) -> Iterator[ConfigProblem]:
    """Find names of other programs that are so close to one of ours that they are none of theirs."""
    for name in sorted(values):
        numbered = name.rstrip("_0123456789") in known
        if name in known or numbered or name.startswith(_OWN_PREFIX) or not values[name].strip():
            continue
        meant = next((choice for choice in sorted(known) if _is_near(_letters(name), _letters(choice))), None)
        if meant is not None:
            yield ConfigProblem(source, name, "is not a setting.", f"Did you mean `{meant}`?")


def _letters(name: str) -> str:
    return name.upper().replace("_", "")


def _is_near(given: str, known: str) -> bool:
    """One slip of the keyboard apart, in long names two; short names are too easily others' own."""
    allowed = 2 if len(known) >= _LONG_NAME else 1 if len(known) >= _SHORT_NAME else 0
    return abs(len(given) - len(known)) <= allowed and _edits(given, known) <= allowed


def _edits(one: str, other: str) -> int:
    """Letters to put in, leave out, replace or swap: the optimal string alignment distance."""
    rows = [list(range(len(other) + 1))]
    for i, letter in enumerate(one, 1):
        row = [i]
        for j, wanted in enumerate(other, 1):
            cost = min(rows[i - 1][j] + 1, row[j - 1] + 1, rows[i - 1][j - 1] + (letter != wanted))
            if i > 1 and j > 1 and letter == other[j - 2] and one[i - 2] == wanted:
                cost = min(cost, rows[i - 2][j - 2] + 1)
            row.append(cost)
        rows.append(row)
    return rows[-1][-1]
