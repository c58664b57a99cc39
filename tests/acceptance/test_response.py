"""How soon the agent answers: from the caller's last audible sound to the first agent audio heard."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest
from warm_server import server_of

from offhook.lab.caller_audio import caller_audio
from offhook.lab.figures import nearest_rank, spread
from offhook.lab.hearing import response_ms
from offhook.lab.measured_call import measure_call
from offhook.lab.script import HangUp, Say, Script, Silence, WaitFor
from offhook.pipeline.clock import LoopClock

pytestmark = [pytest.mark.acceptance, pytest.mark.realtime, pytest.mark.timeout(300)]

AUDIO = Path(__file__).parents[1] / "audio"
ORDER_NUMBER = "It is 2 3 4 5 6."
TOOL_PAUSE_S = 3.0
"""A tool's answer follows the reply that announces it."""
QUESTIONS: tuple[str | Path, ...] = (
    "What are your opening hours?",
    "Can I speak to a person?",
    "Thank you very much.",
    AUDIO / "weather.ulaw.wav",
    "Where is my order?",
    ORDER_NUMBER,
    AUDIO / "sb-spk2-snt1.ulaw.wav",
    "Can you repeat that please?",
    "No, thank you.",
    "Hello, are you there?",
    AUDIO / "goforward.ulaw.wav",
    "How do I send something back?",
    "What can you do?",
    AUDIO / "sb-spk2-snt4.ulaw.wav",
    "Hold on, please.",
    "Yes please.",
    AUDIO / "arctic-a0024.ulaw.wav",
    "I want to check on an order.",
)


def script() -> Script:
    """The demo's caller, who waits until the agent has finished."""
    steps: list[WaitFor | Say | HangUp | Silence] = [WaitFor("greeting_end", 0.6)]
    for question in QUESTIONS:
        steps.append(Say(text=question) if isinstance(question, str) else Say(wav=question))
        pause_s = TOOL_PAUSE_S if question == ORDER_NUMBER else 0.7
        steps.append(WaitFor("agent_silent", pause_s, within_s=15))
    return Script((*steps, HangUp()), max_s=280)


async def test_the_agent_answers_within_a_second(report: Callable[[str], None]) -> None:
    plan = script()
    audio = await caller_audio(plan, LoopClock(asyncio.get_running_loop()))
    async with server_of(None) as server:
        call = await measure_call(server.media_url, plan, audio, seed=3)
    taken = [response_ms(call.utterances, index, call.agent) for index in range(len(call.utterances))]
    decided = call.of_type("turn.ended")
    for utterance, response in zip(call.utterances, taken, strict=True):
        turn = next((e for e in decided if e.at_ms > utterance.last_sound_ms), None)
        waited = turn.at_ms - utterance.last_sound_ms if turn else None
        heard = turn.data["text"] if turn else "(no turn)"
        report(f"{response or '-':>6} ms, {waited or '-':>5} to the decision  {utterance.text:<32} {heard}")
    answered = [response for response in taken if response is not None]
    report(f"response: {spread(answered)}")
    report(f"failures {call.failures}, warnings {call.warnings}")
    assert not call.failures
    assert len(answered) >= 15
    assert nearest_rank(answered, 0.5) <= 1000
