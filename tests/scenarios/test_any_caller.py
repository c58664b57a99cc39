"""Whole calls with callers, lines and engines that do anything: the laws of every call hold, and it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from call_laws import WatchedRig, lawful_call
from call_rig import assistant_from
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from virtual_loop import VirtualLoop

from offhook.config.assistant import Assistant
from offhook.pipeline.messages import (
    AgentSaid,
    CallerSaid,
    ModelDelta,
    ModelRequest,
    TextDelta,
    ToolAnswered,
    ToolRequest,
)

ENDS_BY_ITSELF_WITHIN_S = 60.0
"""A caller who has fallen silent is asked once, and then the call is over; a tool may be told before."""

GATE = {"type": "object", "properties": {"gate": {"type": "string"}}, "required": ["gate"]}


async def gated(gate: str) -> str:
    """A tool that takes its time: "1" is 1 s."""
    await asyncio.sleep(float(gate))
    return f"gate {gate}"


def talker(request: ModelRequest) -> Sequence[ModelDelta | float]:
    """Long and short replies, tools before and behind words, waits, an empty one, and the end of the call."""
    last = request.messages[-1]
    number = sum(isinstance(message, AgentSaid) for message in request.messages)
    if not isinstance(last, CallerSaid):
        return [TextDelta(f"It says {last.text}.")] if isinstance(last, ToolAnswered) else []
    text = last.text.lower()
    if "bye" in text:
        return [TextDelta("word1 word2. "), ToolRequest(f"e{number}", "end_call", "{}")]
    if "order" in text:
        requests = [
            ToolRequest(f"{gate}-{len(request.messages)}", "gated", f'{{"gate": "{gate}"}}')
            for gate in ("0", "0.8", "3")
        ]
        return [
            requests[0],
            TextDelta(f"{words(10, 6)} "),
            requests[1],
            0.4,
            TextDelta("word20."),
            requests[2],
        ]
    if "bad" in text:
        return [ToolRequest(f"x{number}", "gated", "{")] if number % 2 else [TextDelta("word3.")]
    return [TextDelta(f"{words(30, 5)} "), 0.7, TextDelta(words(35, 3 + 7 * (number % 4)))]


def words(first: int, count: int) -> str:
    return " ".join(f"word{number}" for number in range(first, first + count)) + "."


# ------------------------------------------------------------- what may happen


@dataclass(frozen=True)
class Says:
    text: str
    seconds: float
    confidence: float = 1.0


@dataclass(frozen=True)
class Waits:
    seconds: float


@dataclass(frozen=True)
class Does:
    """A change that takes no time."""

    what: str


CHANGES = (
    *(
        "key 4",
        "key #",
        "recogniser lost",
        "recogniser deaf",
        "recogniser hears",
        "model fails",
        "voice fails",
    ),
    *("uplink stalls", "uplink flows", "line congested", "line free", "operator speaks", "operator hangs up"),
)
STEPS = st.one_of(
    st.builds(
        Says,
        st.sampled_from(["", "yeah", "stop", "where is my order", "no wait a bad one", "and", "bye bye"]),
        st.sampled_from([0.1, 0.25, 0.7, 1.4]),
        st.sampled_from([1.0, 1.0, 0.2]),
    ),
    st.builds(Waits, st.sampled_from([0.02, 0.15, 0.5, 0.9, 1.6, 3.0])),
    st.builds(Does, st.sampled_from(CHANGES)),
)


async def take(rig: WatchedRig, step: Says | Waits | Does) -> None:
    match step:
        case Says(text, seconds, confidence):
            await rig.caller_says(text, seconds, confidence=confidence)
        case Waits(seconds):
            await rig.sleep(seconds)
        case Does(what):
            change(rig, what)


def change(rig: WatchedRig, what: str) -> None:
    subject, _, verb = what.partition(" ")
    if subject == "key":
        rig.call.dtmf(verb)
    elif what == "recogniser lost":
        rig.transcriber.streams[-1].breaks.set()
    elif subject == "recogniser":
        rig.transcriber.deaf = verb == "deaf"
    elif subject == "model":
        rig.model.fails += 1
    elif subject == "voice":
        rig.voice.fails += 1
    elif subject == "uplink":
        rig.uplink_stalls(verb == "stalls")
    elif subject == "line":
        rig.line.congested = verb == "congested"
    elif what == "operator speaks":
        rig.call.say("word50 word51 word52.")
    else:
        rig.call.hang_up("api")


async def whole_call(
    steps: Sequence[Says | Waits | Does], assistant: Assistant, latency_s: float, hangs_up: bool
) -> None:
    async with lawful_call(assistant, talker, latency_s=latency_s) as rig:
        for step in steps:
            await take(rig, step)
        if hangs_up:
            return
        for what in ("recogniser hears", "uplink flows", "line free"):
            change(rig, what)
        await asyncio.wait((rig.running,), timeout=ENDS_BY_ITSELF_WITHIN_S)
        assert rig.running.done(), f"the call hangs: {rig.states()[-3:]}"


def assistant(**turn_taking: Any) -> Assistant:
    return assistant_from(
        first_message=words(60, 6),
        goodbye=words(70, 3),
        apology=words(80, 2),
        tools=[
            {
                "name": "gated",
                "callable": f"{__name__}:gated",
                "parameters": GATE,
                "deadline_s": 2,
                "filler": "word90 word91.",
                "filler_after_ms": 300,
            },
            {"name": "end_call", "kind": "end_call"},
        ],
        turn_taking={
            "silence_prompts": [{"after_s": 3, "text": "word95 word96."}],
            "silence_hangup_s": 5,
            **turn_taking,
        },
    )


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    steps=st.lists(STEPS, max_size=24),
    barge_in=st.sampled_from(["pause", "pause", "partial", "off"]),
    latency_s=st.sampled_from([0.0, 0.02, 0.15]),
    hangs_up=st.booleans(),
)
def test_any_call_is_lawful_and_ends(
    steps: list[Says | Waits | Does], barge_in: str, latency_s: float, hangs_up: bool
) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(whole_call(steps, assistant(barge_in=barge_in), latency_s, hangs_up))
