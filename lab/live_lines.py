"""What to show of a call while it goes on: the bridge's events in plain words, one line each."""

from __future__ import annotations

__all__ = ["line_of"]

import json
from collections.abc import Callable, Mapping
from typing import Any

from .bridge_log import BridgeEvent
from .call_result import LiveLine


def line_of(event: BridgeEvent) -> LiveLine | None:
    """The line for an event; None for those that a reader of the transcript has no use for."""
    describe = _LINES.get(event.type)
    text = describe(event.data) if describe else ""
    if not text:
        return None
    return LiveLine(event.at_ms, "agent" if event.type == "reply.ended" else "bridge", text)


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
