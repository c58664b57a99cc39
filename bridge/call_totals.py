"""What all calls of the server did, summed up from the events that each of them writes."""

from __future__ import annotations

__all__ = ["LATENCIES", "STAGE_SPANS", "CallTotals", "latencies_of", "stages_of"]

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from offhook.pipeline.ports import CallEvent

from .histogram import Histogram

LATENCIES = ("last_sound", "end_of_turn")
"""From when to the first frame of the answer: the caller's last audible sound, and the decision to answer."""
STAGE_SPANS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "endpointing": (("last_sound",), "end_of_turn"),
    "recogniser": (("last_sound",), "final"),
    "model": (("prepared", "end_of_turn"), "first_token"),
    "clause": (("first_token",), "first_clause"),
    "voice": (("first_clause",), "first_audio"),
    "playout": (("first_audio", "end_of_turn"), "first_frame"),
    "line": (("first_frame",), "first_mark"),
}
"""A stage's beginning and end in the timeline. Of two beginnings the model's is the first that was reached,
for it may work on what is not yet a turn; playout's is the later one, for it waits for both."""
FIGURES = ("media_s", "sent_s", "underruns", "underrun_s", "clears", "stale_marks", "reconnects", "switches")
"""What `call.ended` tells of a call and can be added up."""


class CallTotals:
    """Sums and histograms of a server's calls; it keeps no word and no name of any of them."""

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()
        """How often each type of event was written; the types are those of docs/events.md."""
        self.figures: dict[str, float] = dict.fromkeys(FIGURES, 0.0)
        """Of the calls that have ended."""
        self.latencies = {since: Histogram() for since in LATENCIES}
        self.stages = {stage: Histogram() for stage in STAGE_SPANS}

    def observe(self, event: CallEvent) -> None:
        """Take an event of any call."""
        self.events[event.type] += 1
        if event.type == "turn.timeline":
            self._add_turn(event.data)
        elif event.type == "call.ended":
            for name in FIGURES:
                self.figures[name] += event.data.get(name, 0)

    def _add_turn(self, timeline: Mapping[str, Any]) -> None:
        for since, ms in latencies_of(timeline):
            self.latencies[since].add(ms / 1000)
        for stage, ms in stages_of(timeline):
            self.stages[stage].add(ms / 1000)


def latencies_of(timeline: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Yield from when on, and the milliseconds to the first frame of the answer, by both definitions."""
    answered_ms = timeline.get("first_frame_ms")
    for since in LATENCIES:
        begun_ms = timeline.get(f"{since}_ms")
        if begun_ms is not None and answered_ms is not None:
            yield since, answered_ms - begun_ms


def stages_of(timeline: Mapping[str, Any]) -> Iterator[tuple[str, int]]:
    """Yield each stage that a turn went through, and its milliseconds."""
    for stage, (beginnings, end) in STAGE_SPANS.items():
        reached = [at for name in beginnings if (at := timeline.get(f"{name}_ms")) is not None]
        ended_ms = timeline.get(f"{end}_ms")
        if reached and ended_ms is not None:
            yield stage, ended_ms - (reached[0] if stage == "model" else max(reached))
