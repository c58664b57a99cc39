"""What to show of a call while it goes on: the bridge's events in plain words, one line each."""

from __future__ import annotations

__all__ = ["is_same_reply", "line_of"]

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from .bridge_log import BridgeEvent
from .call_result import LiveLine
from .hearing import Sound

_SENTENCE_PAUSE_MS = 1000
"""A shorter pause of the agent's lies within one reply."""


def line_of(event: BridgeEvent) -> LiveLine | None:
    """The line for an event; None for those that a reader of the transcript has no use for."""
    describe = _LINES.get(event.type)
    text = describe(event.data) if describe else ""
    if not text:
        return None
    return LiveLine(event.at_ms, "agent" if event.type == "reply.ended" else "bridge", text)


def is_same_reply(agent: Sequence[Sound], caller_acted_ms: int) -> bool:
    """Whether the agent's latest sound goes on after a pause between sentences.

    It does not if the caller began to speak or to press keys (`caller_acted_ms`) since the sound before.
    """
    if len(agent) < 2:
        return False
    before, latest = agent[-2:]
    return latest.start_ms - before.end_ms < _SENTENCE_PAUSE_MS and caller_acted_ms <= before.start_ms


def _heard(data: Mapping[str, Any]) -> str:
    return f'heard the caller say "{data.get("text")}"' if data.get("text") else ""


def _reply(data: Mapping[str, Any]) -> str:
    text = str(data.get("heard_text") or "")
    if data.get("interrupted"):
        return f"{text} --" if text else "-- (cut off before a word was heard)"
    return text


def _called(data: Mapping[str, Any]) -> str:
    arguments = data.get("arguments", {})
    return f"calls {data.get('name')}({arguments if isinstance(arguments, str) else json.dumps(arguments)})"


def _answered(data: Mapping[str, Any]) -> str:
    how = "answered" if data.get("ok") else "failed"
    return f"{data.get('name')} {how} after {data.get('ms')} ms"


def _decided(data: Mapping[str, Any]) -> str:
    return f"barge-in: {data.get('decision')}" + (f" ({data.get('why')})" if data.get("why") else "")


def _fault(data: Mapping[str, Any]) -> str:
    return f"fault in {data.get('stage')}: {data.get('reason')}"


_LINES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "transcript.final": _heard,
    "reply.ended": _reply,
    "function-call": _called,
    "function-result": _answered,
    "barge-in.paused": lambda _: "barge-in: falls silent",
    "barge-in.decided": _decided,
    "silence.prompt": lambda _: "the caller is silent",
    "fault": _fault,
    "call.ended": lambda data: f"call ended: {data.get('reason')}",
}
