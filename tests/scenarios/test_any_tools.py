"""Whole calls in which tools of every kind come and go as they like: each answer is told once."""

from __future__ import annotations

import asyncio
import json
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from call_laws import WatchedRig, history_of, lawful_call
from call_rig import assistant_from
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from virtual_loop import VirtualLoop

from offhook.config.assistant import Assistant
from offhook.config.errors import ToolError
from offhook.pipeline.messages import (
    AgentSaid,
    CallerSaid,
    ModelDelta,
    ModelRequest,
    TextDelta,
    ToolAnswered,
    ToolRequest,
)
from offhook.pipeline.tool_news import TELLINGS
from offhook.pipeline.tool_run import ToolOutcome, ToolRun

ALL_IS_TOLD_WITHIN_S = 25.0
RUNS: list[tuple[str, str]] = []
"""Idempotency key and end of each execution."""
OPEN: Counter[str] = Counter()


async def work(job: str, account: str, call: ToolRun) -> Any:
    """Take as many tenths of a second as the job says, then end as it says."""
    name, _, tenths = job.partition(" ")
    RUNS.append((call.key, job))
    token = f"t{len(RUNS)}"
    OPEN[account] += 1
    assert OPEN[account] == 1, "two at once on one account"
    try:
        await asyncio.sleep(int(tenths) / 10)
    finally:
        OPEN[account] -= 1
    match name:
        case "fails":
            raise ToolError(f"failed {token}")
        case "talks":
            raise ToolError("busy", fallback=f"Own text {token}.")
        case "learns":
            return ToolOutcome(f"found {token}", context={"last": token})
    return f"found {token}"


JOBS = (
    *("works 0", "works 7", "works 15", "works 32", "works 92"),
    *("fails 9", "talks 4", "talks 21", "learns 12"),
)
TEXT = {"type": "string"}
WORK = {"type": "object", "properties": {"job": TEXT, "account": TEXT}, "required": ["job", "account"]}


def model(request: ModelRequest) -> Sequence[ModelDelta | float]:
    """Tell what is new, and do what the caller's words say."""
    number = len(request.messages)
    new = []
    for message in reversed(request.messages):
        if isinstance(message, AgentSaid):
            break
        if isinstance(message, ToolAnswered) and not message.pending:
            # Without signs: a colon in an answer would end the first clause before its last word.
            new.append(" ".join(re.findall(r"\w+", message.text)))
    deltas: list[ModelDelta | float] = []
    if new:
        told = " and ".join(dict.fromkeys(new))
        deltas += [TextDelta(f"Told {told} word1. "), TextDelta("word2 word3 word4.")]
    last = request.messages[-1]
    if isinstance(last, CallerSaid):
        deltas += [TextDelta("word5 word6 word7. "), 0.1]
        for place, job in enumerate(re.findall(r"(?:works|fails|talks|learns) \d+", last.text)):
            arguments = json.dumps({"job": job, "account": job[-1]})
            deltas.append(ToolRequest(f"r{number}-{place}", "work", arguments))
        if "dial" in last.text:
            deltas.append(ToolRequest(f"d{number}", "dial", '{"digits": "12"}'))
        if "keys" in last.text:
            deltas.append(ToolRequest(f"k{number}", "keys", "{}"))
    return deltas


def assistant() -> Assistant:
    tools: list[dict[str, Any]] = [
        {
            "name": "work",
            "callable": f"{__name__}:work",
            "parameters": WORK,
            "deadline_s": 8,
            "resource": "account {account}",
            "messages": [{"after_ms": 400, "text": "word20 word21."}, {"after_ms": 1500, "text": "word22."}],
        },
        {"name": "dial", "kind": "send_dtmf"},
        {"name": "keys", "kind": "collect_digits", "arguments": {"prompt": "word30 word31.", "total_s": 4}},
    ]
    return assistant_from(tools=tools, apology="word40.", turn_taking={"silence_hangup_s": 300})


WORDS = st.sampled_from([*JOBS, "dial", "keys", "no wait", "yeah"])
STEPS = st.one_of(
    st.tuples(
        st.just("say"),
        st.lists(WORDS, min_size=1, max_size=3).map(" and ".join),
        st.sampled_from([0.3, 0.9]),
    ),
    st.tuples(st.just("wait"), st.just(""), st.sampled_from([0.02, 0.3, 0.8, 1.1, 1.6, 3.0])),
    st.tuples(st.just("key"), st.sampled_from(["1", "2", "#"]), st.just(0.1)),
    st.tuples(st.just("fault"), st.sampled_from(["model", "voice"]), st.just(0.0)),
)


async def whole_call(steps: Sequence[tuple[str, str, float]], latency_s: float) -> None:
    RUNS.clear()
    OPEN.clear()
    async with lawful_call(assistant(), model, latency_s=latency_s) as rig:
        await rig.sleep(0.3)
        for what, text, seconds in steps:
            await take(rig, what, text, seconds)
        rig.model.fails = rig.voice.fails = 0
        if rig.line.closed:
            return
        await rig.sleep(ALL_IS_TOLD_WITHIN_S)
        await rig.agent_is_silent()
        if not rig.line.closed:
            problems = tool_news_faults(rig)
            assert not problems, "\n".join([*problems, *map(str, history_of(rig)), *rig.heard_replies()])


async def take(rig: WatchedRig, what: str, text: str, seconds: float) -> None:
    match what:
        case "say":
            await rig.caller_says(text, seconds)
        case "key":
            rig.call.dtmf(text)
        case "fault" if text == "model":
            rig.model.fails += 1
        case "fault":
            rig.voice.fails += 1
    if what != "say":
        await rig.sleep(seconds)


def tool_news_faults(rig: WatchedRig) -> list[str]:
    """Requests that are still pending, answers told twice or never, keys that two executions share."""
    problems = []
    last = {m.request_id: m for m in history_of(rig) if isinstance(m, ToolAnswered)}
    problems += [f"{name} is still pending" for name, message in last.items() if message.pending]
    final = Counter(m.request_id for m in history_of(rig) if isinstance(m, ToolAnswered) and not m.pending)
    problems += [f"{name} has {count} answers" for name, count in final.items() if count > 1]
    whole = [text for text in rig.heard_replies() if "word1." in text or text.startswith("Own text")]
    told = [re.findall(r"\bt\d+\b", beginnings(text)) for text in whole]
    tokens = Counter(token for tokens in told for token in set(tokens))
    problems += [f"{token} was told {count} times" for token, count in tokens.items() if count > 1]
    if not rig.log.of("fault"):
        problems += never_told(rig, set(tokens))
    keys = [key for key, _ in RUNS]
    if len(set(keys)) < len(keys):
        problems.append("two executions share a key")
    return problems


def beginnings(text: str) -> str:
    """What stands before the first word of each telling: a reply that asks twice tells twice."""
    parts = text.split("word1.")
    return " ".join(parts[:-1] or parts)


def never_told(rig: WatchedRig, told: set[str]) -> list[str]:
    """Tokens of answers that no telling was heard of, though it was not cut off again and again."""
    messages = history_of(rig)
    found = {
        token
        for message in messages
        if isinstance(message, ToolAnswered) and not message.pending
        for token in re.findall(r"\bt\d+\b", message.text)
    }
    tries = Counter(
        token
        for message in messages
        if isinstance(message, AgentSaid)
        for token in set(re.findall(r"\bt\d+\b", message.generated))
    )
    return [f"{token} was never told" for token in found - told if tries[token] < TELLINGS]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(steps=st.lists(STEPS, max_size=16), latency_s=st.sampled_from([0.02, 0.15]))
def test_each_answer_is_told_once_whatever_comes_between(
    steps: list[tuple[str, str, float]], latency_s: float
) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(whole_call(steps, latency_s))
