"""Things that happen at the same time, or in the order that nobody expects."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import pytest
from call_laws import HEARD_WITHIN_BYTES, WORD_BYTES, WatchedRig, lawful_call
from call_rig import assistant_from
from everything_call import assistant, model, words
from fake_engines import Answerer, ScriptedStream

from offhook.config.assistant import Assistant
from offhook.pipeline.evidence import Words
from offhook.pipeline.messages import (
    CallerSaid,
    ModelDelta,
    ModelRequest,
    TextDelta,
    ToolAnswered,
    ToolRequest,
)
from offhook.pipeline.ports import CallEvent, Transcript

GATES: dict[str, asyncio.Event] = {}


async def gated(gate: str) -> dict[str, str]:
    """A tool that answers when its gate opens."""
    await GATES.setdefault(gate, asyncio.Event()).wait()
    return {"gate": gate}


async def cancels_itself(**arguments: Any) -> None:
    """A tool whose own inner work was cancelled, as a client library's may be."""
    raise asyncio.CancelledError


@pytest.fixture(autouse=True)
def _fresh_start() -> None:
    GATES.clear()


def python_tool(name: str, **more: Any) -> dict[str, Any]:
    return {"name": name, "callable": f"{__name__}:{name}", **more}


def gated_assistant(**fields: Any) -> Assistant:
    gate = {"type": "object", "properties": {"gate": {"type": "string"}}, "required": ["gate"]}
    tools = [
        python_tool("gated", parameters=gate, deadline_s=60),
        python_tool("cancels_itself", deadline_s=2),
    ]
    return assistant_from(tools=tools, **fields)


def asks(*requests: ToolRequest, lead: str = "word1 word2.", tail: str = "") -> Answerer:
    """Ask for these tools at the caller's first turn; tell each answer; say something to later turns."""

    def answer(request: ModelRequest) -> Sequence[ModelDelta | float]:
        turns = sum(isinstance(message, CallerSaid) for message in request.messages)
        if isinstance(request.messages[-1], ToolAnswered):
            told = [
                message.text
                for message in request.messages
                if isinstance(message, ToolAnswered) and not message.pending
            ]
            return [TextDelta(f"Told {' and '.join(told)}.")]
        if turns > 1:
            return [TextDelta(words(60 + turns, 3))]
        return [TextDelta(f"{lead} "), *requests, TextDelta(tail)]

    return answer


def gate_request(gate: str) -> ToolRequest:
    return ToolRequest(f"id-{gate}", "gated", f'{{"gate": "{gate}"}}')


def told(rig: WatchedRig) -> list[str]:
    return [text for text in rig.heard_replies() if text.startswith("Told")]


async def test_words_that_come_after_the_end_of_their_turn_change_nothing() -> None:
    async with lawful_call(assistant_from(), model) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("what is the policy", 1.0)
        rig.transcriber.decode_s = 4.0
        await rig.sleep(3.3)
        assert rig.states()[-1] == "processing->responding", "the final words were overdue"
        late = Transcript(0, 0, 99, "what is the policy please", final=True, covers_s=1.5)
        rig.call.feed(Words(late))
        await rig.agent_is_silent(for_s=3.5)
        assert not rig.log.of("audio.cancelled")
        assert len(rig.log.of("turn.ended")) == 1


@pytest.mark.parametrize("first", ["answer", "barge-in"])
async def test_a_tool_may_answer_in_the_loop_pass_of_a_barge_in(first: str) -> None:
    long_reply = words(1, 30)
    async with lawful_call(gated_assistant(), asks(gate_request("a"), lead=long_reply)) as rig:
        emit = rig.log.emit

        def watched(event: CallEvent) -> None:
            if event.type == "audio.cancelled" and first == "barge-in":
                GATES["a"].set()
            emit(event)

        rig.log.emit = watched  # type: ignore[method-assign]
        await rig.sleep(0.5)
        await rig.caller_says("where is my order", 1.0)
        await rig.agent_starts()
        await rig.sleep(1.0)
        talk = asyncio.create_task(rig.caller_says("stop it now please", 1.2))
        if first == "answer":
            while not rig.call._turns.paused:  # noqa: ASYNC110 - time is virtual
                await asyncio.sleep(0.001)
            await rig.sleep(0.6)
            GATES["a"].set()
            rig.call.dtmf("1")
        await talk
        await rig.agent_is_silent(for_s=3)
        assert rig.log.of("audio.cancelled")
        last = [
            m.text for m in rig.model.requests[-1].messages if isinstance(m, ToolAnswered) and not m.pending
        ]
        assert last == ['{"gate": "a"}']


async def test_a_reply_whose_making_ends_while_it_is_paused_is_heard_whole() -> None:
    def two_breaths(request: ModelRequest) -> Sequence[ModelDelta | float]:
        return [TextDelta(f"{words(1, 10)} "), 1.6, TextDelta(words(11, 5))]

    async with lawful_call(assistant_from(), two_breaths) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("what is the policy", 1.0)
        await rig.agent_starts()
        await rig.sleep(1.2)
        await rig.caller_says("yeah", 0.6)
        await rig.agent_is_silent(for_s=2)
        assert [data["decision"] for data in rig.log.of("barge-in.decided")] == ["resume"]
        assert rig.heard_replies() == [f"{words(1, 10)} {words(11, 5)}"]


async def test_a_reply_that_turns_out_empty_while_it_is_paused_leaves_the_floor_to_the_caller() -> None:
    def nothing_then_words(request: ModelRequest) -> Sequence[ModelDelta | float]:
        if isinstance(request.messages[-1], ToolAnswered):
            return [1.0]
        return asks(gate_request("a"))(request)

    async with lawful_call(gated_assistant(), nothing_then_words) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("where is my order", 1.0)
        await rig.agent_starts()
        await rig.agent_is_silent()
        GATES["a"].set()
        await rig.sleep(0.6)
        await rig.caller_says("are you there", 1.2)
        await rig.agent_starts()
        await rig.agent_is_silent()
        assert rig.log.of("turn.ended")[-1]["text"] == "are you there"
        assert rig.heard_replies()[-1].startswith("word6")


@pytest.mark.parametrize("latency_s", [0.0, 0.15, 0.4])
async def test_marks_that_come_back_after_a_clear_prove_nothing(latency_s: float) -> None:
    async with lawful_call(assistant_from(), model, latency_s=latency_s) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("what is the policy", 1.0)
        await rig.agent_starts()
        for _ in range(2):
            await rig.sleep(1.3)
            await rig.caller_says("", 0.2)
        await rig.sleep(1.5)
        await rig.caller_says("stop it now please", 1.2)
        heard = rig.log.of("audio.cancelled")[0]
        told_words = str(heard["heard_text"]).split()
        sounded = Counter(rig.line.heard_bytes())
        assert sounded[40 + len(told_words) - 1] >= WORD_BYTES // 2 - HEARD_WITHIN_BYTES
        assert sounded[40 + len(told_words)] <= WORD_BYTES // 2 + HEARD_WITHIN_BYTES


async def test_the_line_may_close_in_the_middle_of_the_goodbye() -> None:
    async with lawful_call(assistant(), model) as rig:
        await rig.sleep(2.5)
        rig.call.hang_up("api")
        await rig.agent_starts()
        await rig.sleep(0.4)
        rig.call.line_closed("stopped")
        await rig.sleep(0.1)
        assert rig.control.outcome is not None
        assert rig.control.outcome["reason"] == "stopped"
        assert rig.heard_replies()[-1] == "word191"


async def test_two_tools_that_answer_while_a_reply_is_paused_are_told_together_afterwards() -> None:
    requests = (gate_request("a"), gate_request("b"))
    async with lawful_call(gated_assistant(), asks(*requests, lead=words(1, 15))) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("where are my orders", 1.0)
        await rig.agent_starts()
        await rig.sleep(1.0)
        talk = asyncio.create_task(rig.caller_says("yeah", 0.4))
        await rig.sleep(0.3)
        assert rig.call._turns.paused
        for gate in "ba":
            GATES[gate].set()
        await talk
        await rig.agent_is_silent(for_s=3)
        assert rig.heard_replies() == [words(1, 15), 'Told {"gate": "b"} and {"gate": "a"}.']


async def test_a_caller_who_goes_on_before_a_tools_lead_is_heard_gets_its_answer_once() -> None:
    """The reply is withdrawn, the tool runs on, and the joined turn asks for the same."""
    silent = asks(gate_request("a"), lead="", tail=words(1, 4))
    async with lawful_call(gated_assistant(), silent) as rig:
        rig.voice.first_audio_s = 1.0
        await rig.sleep(0.5)
        await rig.caller_says("where is my order", 1.0)
        await rig.sleep(1.0)
        await rig.caller_says("the one from monday", 1.0)
        await rig.sleep(3.0)
        assert "processing->listening" in rig.states()
        GATES["a"].set()
        await rig.agent_is_silent(for_s=2)
        assert told(rig) == ['Told {"gate": "a"}.']


async def test_a_caller_who_cuts_in_while_the_model_still_writes_leaves_no_request_unanswered() -> None:
    def slow_writer(request: ModelRequest) -> Sequence[ModelDelta | float]:
        if sum(isinstance(message, CallerSaid) for message in request.messages) > 1:
            return [TextDelta(words(60, 3))]
        return [TextDelta(f"{words(1, 10)} "), gate_request("a"), 4.0, TextDelta(words(11, 3))]

    async with lawful_call(gated_assistant(), slow_writer) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("where is my order", 1.0)
        await rig.agent_starts()
        await rig.sleep(1.0)
        await rig.caller_says("stop it now please", 1.2)
        await rig.agent_starts()
        await rig.agent_is_silent()
        assert len(rig.model.requests) == 2


async def test_a_tool_that_is_cancelled_from_inside_counts_as_failed() -> None:
    request = ToolRequest("x", "cancels_itself", "{}")
    async with lawful_call(gated_assistant(), asks(request)) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("where is my order", 1.0)
        await rig.agent_is_silent(for_s=4)
        assert [data["ok"] for data in rig.log.of("function-result")] == [False]


async def test_a_call_that_is_over_before_it_began_leaves_nothing() -> None:
    async with lawful_call(assistant(), model) as rig:
        rig.call.line_closed("stopped")
        await rig.sleep(0.1)


async def test_a_tool_asked_for_in_the_pass_in_which_the_line_closes_leaves_nothing() -> None:
    closes: list[Callable[[], None]] = []

    def closing(request: ModelRequest) -> Sequence[ModelDelta | float]:
        closes[0]()
        return [gate_request("a")]

    async with lawful_call(gated_assistant(), closing) as rig:
        closes.append(lambda: rig.call.line_closed("stopped"))
        await rig.sleep(0.5)
        await rig.caller_says("where is my order", 1.0)
        await rig.sleep(1.0)


async def test_a_key_pressed_into_noise_is_still_a_turn() -> None:
    async with lawful_call(assistant_from(), model) as rig:
        rig.transcriber.deaf = True
        await rig.sleep(0.5)
        await rig.caller_says("", 0.4)
        await rig.sleep(1.5)
        rig.call.dtmf("5")
        await rig.sleep(4.0)
        assert [data["text"] for data in rig.log.of("turn.ended")] == ["5"]


async def test_what_comes_after_the_end_is_dropped() -> None:
    async with lawful_call(assistant_from(goodbye=""), model) as rig:
        rig.call.hang_up("api")
        await rig.sleep(0.5)
        assert rig.running.done()
        for _ in range(1_100):
            rig.call.dtmf("1")


async def test_a_cancelled_call_arms_no_timer_when_evidence_still_comes() -> None:
    async with lawful_call(gated_assistant(), asks(gate_request("a"))) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("where is my order", 1.0)
        await rig.sleep(1.0)
        rig.running.cancel()
        await asyncio.sleep(0)
        rig.call.dtmf("1")
        await asyncio.sleep(0)
        rig.call.dtmf("1")
        await rig.sleep(0.1)
        assert rig.running.done()


async def test_a_reply_that_goes_on_waits_for_a_line_that_is_congested() -> None:
    async with lawful_call(assistant_from(), model) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("what is the policy", 1.0)
        await rig.agent_starts()
        await rig.sleep(1.0)
        await rig.caller_says("", 0.2)
        rig.line.congested = True
        await rig.sleep(1.5)
        assert [data["decision"] for data in rig.log.of("barge-in.decided")] == ["resume"]
        rig.line.congested = False
        await rig.sleep(1.0)
        assert rig.line.speaking_at(rig.clock.now())


async def test_two_turns_of_which_the_first_got_no_answer_are_told_as_one() -> None:
    async with lawful_call(assistant_from(apology="word181."), model) as rig:
        rig.model.fails = 2
        rig.voice.first_audio_s = 0.4
        await rig.sleep(0.5)
        await rig.caller_says("what is the policy", 1.0)
        await rig.sleep(0.75)
        await rig.caller_says("are you there", 1.0)
        await rig.agent_starts()
        await rig.agent_is_silent()
        told_last = [m.text for m in rig.model.requests[-1].messages if isinstance(m, CallerSaid)]
        assert told_last == ["what is the policy are you there"]


class ClientLibraryError(Exception):
    """Stands for a client library's own trouble."""


@pytest.mark.parametrize(
    "error",
    [
        ClientLibraryError,
        asyncio.CancelledError,
    ],
)
async def test_a_model_that_breaks_off_in_the_middle_of_its_words_is_a_fault(
    error: type[BaseException],
) -> None:
    def breaks_off(request: ModelRequest) -> Sequence[ModelDelta | float]:
        return Broken(TextDelta(f"{words(1, 4)} {words(5, 4)} "), error)

    async with lawful_call(assistant_from(apology="word181 word182."), breaks_off) as rig:
        await rig.sleep(0.5)
        await rig.caller_says("what is the policy", 1.0)
        await rig.agent_starts()
        await rig.sleep(9.0)
        assert any("word181 word182." in heard for heard in rig.heard_replies())


class Broken(list[ModelDelta | float]):
    """One delta, then an error."""

    def __init__(self, delta: ModelDelta, error: type[BaseException]) -> None:
        super().__init__([delta])
        self._error = error

    def __iter__(self) -> Iterator[ModelDelta | float]:
        yield from super().__iter__()
        raise self._error


async def test_a_recogniser_that_is_cancelled_from_inside_is_opened_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async def cancelled(stream: ScriptedStream) -> None:
        await stream.breaks.wait()
        raise asyncio.CancelledError

    monkeypatch.setattr(ScriptedStream, "run", cancelled)
    async with lawful_call(assistant_from(), model) as rig:
        await rig.sleep(0.5)
        rig.transcriber.streams[-1].breaks.set()
        await rig.sleep(0.5)
        assert len(rig.transcriber.streams) == 2
        await rig.caller_says("what is the policy", 1.0)
        await rig.agent_starts()
