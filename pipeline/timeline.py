"""Every millisecond of a turn, with its owner."""

from __future__ import annotations

__all__ = ["STAGES", "Timeline"]

STAGES = (
    "onset",
    "last_sound",
    "partial",
    "final",
    "prepared",
    "end_of_turn",
    "first_token",
    "first_clause",
    "first_audio",
    "first_frame",
    "first_mark",
)
"""What is timed in a turn, in the order in which it happens.

A reply that is `prepared` may have its first token, clause and audio before the end of the turn.
"""


class Timeline:
    """When each stage of one turn was first reached, in milliseconds since the stream began."""

    def __init__(self, turn: int) -> None:
        self.turn = turn
        self._at_ms: dict[str, int] = {}

    def reach(self, stage: str, at_s: float, *, again: bool = False) -> None:
        """Note the time of a stage; only the first time counts, unless `again`."""
        if stage not in STAGES:
            raise ValueError(f"no such stage: {stage}")
        if again or stage not in self._at_ms:
            self._at_ms[stage] = round(at_s * 1000)

    def as_data(self) -> dict[str, int | None]:
        """For the event log: the turn's number and each stage as `<stage>_ms`, None where not reached."""
        stages: dict[str, int | None] = {f"{stage}_ms": self._at_ms.get(stage) for stage in STAGES}
        return {"turn": self.turn, **stages}
