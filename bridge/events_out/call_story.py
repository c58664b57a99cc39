"""A call's log becomes what is told of it outside. No I/O and no clock: events in, messages out."""

from __future__ import annotations

__all__ = ["CallStory"]

from collections.abc import Iterator, Mapping
from typing import Any

from msgspec.structs import replace

from offhook.config.prices import Prices
from offhook.pipeline.ports import CallEvent
from offhook.pipeline.replies import WRITTEN

from ..call_totals import latencies_of, stages_of
from ..nearest_rank import nearest_rank
from .cost import cost_of
from .messages import (
    CallFacts,
    ConversationUpdate,
    EndOfCallReport,
    Hang,
    Latency,
    Line,
    Message,
    Number,
    Recorded,
    SpeechUpdate,
    StatusUpdate,
    ToolUse,
    TranscriptUpdate,
    TransferUpdate,
    UserInterrupted,
)

LINES_TOLD = 100
LINES_KEPT = 2_000
"""Lines and tools of a call that its report holds; the first ones of more are lost."""
_SINCE = {"last_sound": "fromLastSound", "end_of_turn": "fromEndOfTurn"}
_SPEAKER = {"user": "User", "assistant": "AI"}
_NO_ANSWER = "no answer in time"


class CallStory:
    """Follows one call; `tell` takes its events in order."""

    def __init__(self, call: CallFacts, started_ms: int, prices: Prices | None = None) -> None:
        """`started_ms` is the Unix time at which the call's log begins; `prices` are what things cost."""
        self._call, self._started_ms = call, started_ms
        self._prices = prices or Prices()
        self._lines: list[Line] = []
        self._generated: dict[int, str] = {}
        """Of replies that were cut."""
        self._tools: dict[str, ToolUse] = {}
        self._latencies: dict[str, list[int]] = {}
        self._recorded = Recorded()
        self._records = False
        """The recording goes on."""
        self._read_out: int | None = None
        """The reply whose words were written before."""
        self._sounding: int | None = None
        """The reply that is heard now."""

    def tell(self, event: CallEvent) -> Iterator[Message]:
        """Yield what an event gives to tell."""
        told: dict[str, Any] = {"timestamp": self._started_ms + event.at_ms, "call": self._call}
        data = event.data
        match event.type:
            case "call.started":
                yield StatusUpdate(**told, status="in-progress")
            case "speech-update" if data["role"] == "caller":
                yield SpeechUpdate(**told, role="user", status=data["status"])
            case "transcript.partial" | "transcript.final":
                kind: Any = event.type.removeprefix("transcript.")
                yield TranscriptUpdate(
                    **told, role="user", transcript_type=kind, transcript=str(data["text"])
                )
            case "turn.ended":
                yield self._said(told, Line("user", str(data["text"]), event.at_ms))
            case "message.received":
                yield self._said(told, Line("user", str(data["text"]), event.at_ms, by="text"))
            case "message.answered":
                yield self._said(told, Line("assistant", str(data["text"]), event.at_ms, by="text"))
            case "reply.started" if data.get("purpose") == WRITTEN:
                self._read_out = data["reply"]
            case "playout.first-frame":
                self._sounding = data["reply"]
                yield SpeechUpdate(**told, role="assistant", status="started")
            case "audio.cancelled":
                heard, generated = str(data["heard_text"]), str(data["generated_text"])
                self._generated[data["reply"]] = generated
                yield UserInterrupted(**told, heard=heard, generated=generated)
            case "reply.ended":
                yield from self._reply_ended(told, event)
            case "function-call":
                self._keep_tool(str(data["id"]), ToolUse(str(data["name"]), data["arguments"]))
            case "function-result" if str(data["id"]) in self._tools:
                asked = self._tools[str(data["id"])]
                self._tools[str(data["id"])] = replace(
                    asked, ok=bool(data["ok"]), ms=int(data["ms"]), result=str(data["text"])
                )
            case "fault" if data["reason"] == _NO_ANSWER:
                yield Hang(**told, reason=_NO_ANSWER)
            case "recording.started":
                self._recorded, self._records = Recorded(str(data["file"])), True
            case "recording.ended":
                self._stop_recording(data["seconds"])
            case "turn.timeline":
                self._measure(data)
            case "call.ended":
                yield from self._over(told, event)

    def _said(self, told: Mapping[str, Any], line: Line) -> Message:
        self._lines.append(line)
        del self._lines[:-LINES_KEPT]
        return ConversationUpdate(**told, messages=tuple(self._lines[-LINES_TOLD:]))

    def _reply_ended(self, told: Mapping[str, Any], event: CallEvent) -> Iterator[Message]:
        reply, heard = event.data["reply"], str(event.data["heard_text"])
        if self._sounding == reply:
            self._sounding = None
            yield SpeechUpdate(**told, role="assistant", status="stopped")
        generated = self._generated.pop(reply, None)
        if heard or generated:
            yield TranscriptUpdate(**told, role="assistant", transcript_type="final", transcript=heard)
            if reply != self._read_out:
                yield self._said(told, Line("assistant", heard, event.at_ms, generated))

    def _keep_tool(self, number: str, use: ToolUse) -> None:
        if len(self._tools) < LINES_KEPT:
            self._tools[number] = use

    def _stop_recording(self, seconds: float) -> None:
        if self._records:
            self._recorded = replace(self._recorded, seconds=seconds) if seconds else Recorded()
        self._records = False

    def _measure(self, timeline: Mapping[str, Any]) -> None:
        for since, ms in latencies_of(timeline):
            self._latencies.setdefault(_SINCE[since], []).append(ms)
        for stage, ms in stages_of(timeline):
            self._latencies.setdefault(stage, []).append(ms)

    def _over(self, told: Mapping[str, Any], event: CallEvent) -> Iterator[Message]:
        reason = str(event.data["reason"])
        self._stop_recording(event.at_ms / 1000)
        if number := str(event.data.get("transfer_to", "")):
            yield TransferUpdate(**told, destination=Number(number))
        if self._sounding is not None:
            yield SpeechUpdate(**told, role="assistant", status="stopped")
        yield StatusUpdate(**told, status="ended", ended_reason=reason)
        cost = cost_of(self._prices, event.at_ms / 1000, event.data)
        yield EndOfCallReport(
            **told,
            cost=cost.total,
            cost_breakdown=cost,
            ended_reason=reason,
            started_at=self._started_ms,
            duration_seconds=event.at_ms / 1000,
            transcript="\n".join(f"{_SPEAKER[line.role]}: {line.content}" for line in self._lines),
            messages=tuple(self._lines),
            tools=tuple(self._tools.values()),
            latency={name: _latency(values) for name, values in self._latencies.items()},
            recording=self._recorded,
        )


def _latency(values: list[int]) -> Latency:
    return Latency(len(values), nearest_rank(values, 0.5), nearest_rank(values, 0.95), max(values))
