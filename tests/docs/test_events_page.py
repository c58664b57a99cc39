"""docs/events.md says what calls really log: every type, every field, and nothing else."""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from call_rig import CallRig, assistant_from, running_call
from fake_engines import InlineWorkers, ScriptedModel, says
from recording_rig import recorded_assistant, recorded_call
from written_rig import Post, text_session

from offhook.bridge.registry import CallEntry
from offhook.config.errors import ToolError
from offhook.lab.memory_call import MemoryCall
from offhook.lab.spelled_speech import LevelVoiceActivity, SpelledVoice, SpellingTranscriber, spell
from offhook.pipeline.breaker import CircuitBreaker
from offhook.pipeline.call import Engines
from offhook.pipeline.clock import LoopClock
from offhook.pipeline.conversation import Conversation
from offhook.pipeline.line_up import Candidate, LineUp, alone
from offhook.pipeline.messages import CallerSaid, ModelDelta, ModelRequest, TextDelta, ToolRequest
from offhook.pipeline.pacing import PacingWheel
from offhook.pipeline.ports import CallEvent, LanguageModel
from offhook.pipeline.timeline import STAGES

PAGE = (Path(__file__).parents[2] / "docs" / "events.md").read_text()
LONG = " ".join(f"word{number}" for number in range(40)) + "."


def section(heading: str) -> str:
    _, _, rest = PAGE.partition(f"## {heading}\n")
    return rest.partition("\n## ")[0]


def rows(text: str) -> Iterator[list[str]]:
    """The cells of every table row but the heads."""
    for line in text.splitlines():
        if line.startswith("| `"):
            yield [cell.strip() for cell in line.strip("|").split(" | ")]


def names(cell: str) -> set[str]:
    return set(re.findall(r"`([^`\n]+)`", cell))


def documented() -> dict[str, set[str]]:
    """The fields of every type that the page tells of."""
    return {names(cells[0]).pop(): names(cells[2]) for cells in rows(section("Events"))}


# ----------------------------------------------------------------- the calls


async def look(**arguments: Any) -> str:
    """A slow tool."""
    await asyncio.sleep(2.0)
    return "It is there."


async def fail(**arguments: Any) -> str:
    """A tool that fails and says so."""
    raise ToolError("closed", fallback="It is closed.")


def tool_then_words(request: ModelRequest) -> Sequence[ModelDelta | float]:
    last = request.messages[-1]
    if isinstance(last, CallerSaid) and "look" in last.text:
        return [TextDelta("Let me look."), ToolRequest("a", "look", "{}")]
    if isinstance(last, CallerSaid) and "everything" in last.text:
        dial = ToolRequest("c", "dial", '{"digits": "12"}')
        return [ToolRequest("b", "fail", "{}"), dial, ToolRequest("d", "keys", "{}")]
    return [TextDelta(LONG)]


async def busy_call() -> Sequence[CallEvent]:
    """A greeting, a tool, a cut-in, a backchannel, noise, keys, and more to say than can wait."""
    tools: list[dict[str, Any]] = [
        {"name": "look", "callable": f"{__name__}:look", "filler": "One moment.", "filler_after_ms": 1000},
        {"name": "fail", "callable": f"{__name__}:fail"},
        {"name": "dial", "kind": "send_dtmf"},
        {"name": "keys", "kind": "collect_digits", "arguments": {"prompt": "Your number?", "total_s": 3}},
    ]
    assistant = assistant_from(first_message="Hello.", tools=tools)
    async with running_call(assistant, tool_then_words) as rig:
        await rig.sleep(1.0)
        await rig.caller_says("please look for it")
        await rig.agent_is_silent(for_s=4)
        await rig.caller_says("and now everything")
        await rig.agent_is_silent(for_s=4)
        await cut_in(rig, "tell me something else", 2.0)
        await cut_in(rig, "yeah", 0.4)
        await rig.agent_is_silent(for_s=3)
        await rig.caller_says("", 0.4)
        await rig.sleep(2.0)
        for key in "12#":
            rig.call.dtmf(key)
        await rig.agent_starts()
        for number in range(20):
            rig.call.say(f"Note {number}.")
        await rig.sleep(15.0)
        rig.call.line_closed("stopped")
        await rig.sleep(0.5)
        return rig.log.events


async def cut_in(rig: CallRig, text: str, seconds: float) -> None:
    if not rig.line.speaking_at(rig.clock.now()):
        await rig.caller_says("what is new")
        await rig.agent_starts()
    await rig.sleep(2.0)
    await rig.caller_says(text, seconds)
    await rig.sleep(3.0)


async def silent_call() -> Sequence[CallEvent]:
    """A model that fails once, then a caller who says nothing."""
    async with running_call(answerer=says("All right.")) as rig:
        rig.model.fails = 2
        await rig.sleep(0.5)
        await rig.caller_says("hello there")
        await rig.sleep(60)
        return rig.log.events


async def hesitant_call() -> Sequence[CallEvent]:
    """A caller who goes on before the answer is heard."""
    async with running_call(answerer=says("All right.")) as rig:
        rig.model.first_token_s = 1.0
        await rig.sleep(0.5)
        await rig.caller_says("I want to change")
        await rig.sleep(0.9)
        await rig.caller_says("my address")
        await rig.sleep(0.4)
        await rig.caller_says("in the book")
        await rig.agent_starts()
        await rig.agent_is_silent()
        return rig.log.events


async def deaf_call() -> Sequence[CallEvent]:
    """A recogniser that is away for seconds while the caller waits, and later says nothing."""
    async with running_call(answerer=says("All right.")) as rig:
        await rig.sleep(0.5)
        rig.caller_begins("where is my order", 1.2)
        await rig.sleep(1.0)
        rig.transcriber.fails, rig.transcriber.fails_after_s = 4, 1.2
        rig.transcriber.streams[-1].breaks.set()
        await rig.sleep(15.0)
        rig.transcriber.streams[-1].silent = True
        for _ in range(5):
            await rig.caller_says("are you still there", 1.0)
            await rig.sleep(0.16)
        await rig.agent_starts()
        return rig.log.events


async def backed_call() -> Sequence[CallEvent]:
    """A model that is slow, then lost, with another one behind it."""
    loop = asyncio.get_running_loop()
    clock = LoopClock(loop, loop.time)
    slow, good = ScriptedModel(says("Olive.")), ScriptedModel(says("Lemon."))
    slow.first_token_s, slow.fails = 1.8, 1
    models: LineUp[LanguageModel] = (
        Candidate("slow", slow, CircuitBreaker(clock)),
        Candidate("good", good, CircuitBreaker(clock)),
    )
    engines = Engines(
        LevelVoiceActivity(),
        alone(SpellingTranscriber(), clock),
        models,
        alone(SpelledVoice(), clock),
        InlineWorkers(),
    )
    good.first_token_s = 1.0
    async with MemoryCall(assistant_from(), engines, clock, PacingWheel(clock)) as call:
        await asyncio.sleep(0.5)
        call.say(spell("anchor basket"))
        await asyncio.sleep(8.0)
        return call.events


async def resumed_call() -> Sequence[CallEvent]:
    """A call that another process held before."""
    async with running_call(resumes=Conversation((CallerSaid("Hi."),))) as rig:
        await rig.sleep(1.0)
        return rig.log.events


async def written_talk() -> Sequence[CallEvent]:
    """A conversation in writing that becomes a call."""
    async with text_session(says("Hello.")) as (held, log):
        post = Post()
        held.write(post.turn("Hi."))
        await post.came()
    async with running_call(resumes=held.conversation()) as rig:
        rig.call.write(post.turn("Hi again.", aloud=True))
        await rig.agent_starts()
        return [*log.events, *rig.log.events]


async def kept_call(folder: Path) -> Sequence[CallEvent]:
    """A call that is recorded, but for a part and for its end."""
    async with recorded_call(folder, recorded_assistant(first_message="Hello.")) as rig:
        await rig.call.sleep(0.1)
        rig.recording.order("pause")
        rig.recording.order("resume")
        rig.recording.order("stop")
        await rig.call.sleep(3.0)
        return rig.call.log.events


@pytest.fixture
async def events(tmp_path: Path) -> Sequence[CallEvent]:
    """What these calls logged."""
    calls = (
        *(busy_call(), silent_call(), hesitant_call(), deaf_call(), backed_call()),
        kept_call(tmp_path),
        resumed_call(),
        written_talk(),
    )
    return [event for call in calls for event in await call]


async def test_every_event_and_field_is_documented_and_all_that_is_documented_happens(
    events: Sequence[CallEvent],
) -> None:
    emitted: dict[str, set[str]] = defaultdict(set)
    for event in events:
        emitted[event.type] |= set(event.data)

    assert emitted == documented()


async def test_the_values_told_are_those_that_happen(events: Sequence[CallEvent]) -> None:
    told = {field: names(cells[1]) for cells in rows(section("Fields")) for field in names(cells[0])}
    for field in ("purpose", "decision", "role", "status"):
        assert {event.data[field] for event in events if field in event.data} == told[field]


async def test_times_are_those_of_the_stream(events: Sequence[CallEvent]) -> None:
    timeline = next(event for event in events if event.type == "turn.timeline")
    assert 0 < timeline.data["onset_ms"] < timeline.data["first_frame_ms"] < timeline.at_ms


def test_every_field_is_explained() -> None:
    explained = {name for cells in rows(section("Fields")) for name in names(cells[0])}
    used = set().union(*documented().values())
    assert used == explained
    assert {f"{stage}_ms" for stage in STAGES} < explained


def test_a_record_has_the_fields_of_the_page() -> None:
    def nothing(reason: str) -> None: ...

    entry = CallEntry(call_sid="CA1", assistant=None, hang_up=nothing, cut=nothing, started_at=0.0)
    reading = section("Reading it").replace("```", "")
    fields = {names(cells[0]).pop() for cells in rows(reading)}

    assert set(entry.record()) == fields
    assert set(entry.record(with_events=True)) - fields == {"events", "events_dropped"}
    assert {"events", "events_dropped"} <= names(reading)
