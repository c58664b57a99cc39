"""The scoreboard as text, and where it is kept: the latest round, and every round before it."""

from __future__ import annotations

__all__ = ["keep", "last_board", "lines"]

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .board import FIGURES, Board, Figure, verdict
from .corpus import Part

_MARKS = {"better": "+", "worse": "- WORSE", "same": "=", "": ""}


def lines(board: Board, last: Mapping[str, Any] | None) -> Iterator[str]:
    """The table: figures of both parts beside their targets and the last round's, then every failure."""
    yield f"{'':<42}{'target':>8}{'tuning':>10}{'last':>8}   {'held out':>10}{'last':>8}"
    for figure in FIGURES:
        if any(board.figures[part][figure.name] is not None for part in Part):
            yield _row(figure, board, last)
    yield ""
    for name, counts in board.scenarios.items():
        void = f", {counts['void']} void" if counts["void"] else ""
        yield f"{name:<42}{counts['passed']:>4} of {counts['count']}{void}"
    failed = [outcome for outcome in board.outcomes if not outcome["passed"]]
    if failed:
        yield ""
        yield "Not as wanted:"
    for outcome in failed:
        yield f"- {outcome['scenario']} ({outcome['part']}), {outcome['said']}: {_what(outcome)}"
        for reason in outcome["reasons"][:6]:
            yield f"    {reason}"


def keep(board: Board, folder: Path, stamp: str, seed: int) -> Path:
    """Write the round to `folder`/latest.json and to its history; returns the former. Raises OSError."""
    text = json.dumps({"made_at": stamp, "seed": seed, **board.to_json()}, indent=1, ensure_ascii=False)
    history = folder / "history"
    history.mkdir(parents=True, exist_ok=True)
    (history / f"{stamp.replace(':', '')}.json").write_text(text, encoding="utf-8")
    latest = folder / "latest.json"
    latest.write_text(text, encoding="utf-8")
    return latest


def last_board(folder: Path) -> Mapping[str, Any] | None:
    """The round before, as JSON types; None if there is none that can be read."""
    try:
        board = json.loads((folder / "latest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return board if isinstance(board, Mapping) and "figures" in board else None


def _row(figure: Figure, board: Board, last: Mapping[str, Any] | None) -> str:
    target = f"{figure.target:g}" if figure.target is not None else ""
    cells = []
    for part in Part:
        now = board.figures[part][figure.name]
        before = last["figures"].get(part, {}).get(figure.name) if last else None
        missed = now is not None and figure.target is not None and now > figure.target
        cells.append(f"{_told(now) + ('!' if missed else ''):>10}{_told(before):>8} ")
        cells.append(f"{_MARKS[verdict(figure, now, before)]:<2}")
    name = f"{figure.name}, {figure.unit}" if figure.unit else figure.name
    return f"{name:<42}{target:>8}{''.join(cells)}".rstrip()


def _told(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _what(outcome: Mapping[str, Any]) -> str:
    """What the agent did instead."""
    if outcome["void"]:
        return str(outcome["void"])
    parts = []
    if outcome["wanted"] == "go_on" and outcome["stopped"]:
        parts.append(f"stopped after {outcome['stop_ms']} ms")
    if outcome["wanted"] == "stop" and not outcome["stopped"]:
        parts.append("spoke on")
    if outcome["wanted"] == "answer" and outcome["response_ms"] is None:
        parts.append("no answer")
    if outcome["group_lost"]:
        parts.append("lost a group of digits")
    if outcome["cut_off"]:
        parts.append(f"cut off {outcome['cut_off']} times")
    parts.append("turns: " + (" | ".join(outcome["turns"]) or "none"))
    return ", ".join(parts)
