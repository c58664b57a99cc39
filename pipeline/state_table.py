"""The public states of a call as a diagram and a table, made from turn-taking's own transitions."""

from __future__ import annotations

__all__ = ["state_reference"]

from .evidence import State
from .turn import TRANSITIONS


def state_reference() -> str:
    """Make the Mermaid diagram of all moves, and the table that says why each is made."""
    return f"{_diagram()}\n\n{_table()}"


def _diagram() -> str:
    moves = [f"    {before.value} --> {after.value}" for before, after, _ in _moves()]
    begin, end = f"    [*] --> {State.IDLE.value}", f"    {State.ENDED.value} --> [*]"
    return "\n".join(("```mermaid", "stateDiagram-v2", begin, *moves, end, "```"))


def _table() -> str:
    rows = [f"| {before.value} → {after.value} | {why} |" for before, after, why in _moves()]
    return "\n".join(("| move | why |", "|---|---|", *rows))


def _moves() -> list[tuple[State, State, str]]:
    """Every allowed move, in the order of the states."""
    order = list(State)
    return [
        (before, after, TRANSITIONS[before][after])
        for before in order
        for after in sorted(TRANSITIONS[before], key=order.index)
    ]
