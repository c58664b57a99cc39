"""Twenty real utterances, each spoken as a call of its own, and what the bridge took down."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from warm_server import server_of

from offhook.bridge.app import RunningServer
from offhook.lab.caller_audio import read_wav
from offhook.lab.measured_call import MeasuredCall, measure_call
from offhook.lab.script import HangUp, Say, Script, Silence, WaitFor
from offhook.lab.word_errors import WordErrors, word_errors

pytestmark = [pytest.mark.acceptance, pytest.mark.realtime, pytest.mark.timeout(300)]

HERE = Path(__file__).parent
AUDIO = HERE.parent / "audio"
CALLS_AT_ONCE = 2
SCRIPT_SAY = 1


@dataclass(frozen=True, slots=True)
class Taken:
    """What became of one utterance."""

    name: str
    said: str
    turns: tuple[str, ...]
    errors: WordErrors
    notes: tuple[str, ...]


def turn_texts(call: MeasuredCall) -> list[str]:
    """The caller's turns; one that went on before anything of its answer was heard counts once."""
    texts: list[str] = []
    for event in call.of_type("turn.ended", "state"):
        if event.type == "turn.ended":
            texts.append(str(event.data["text"]))
        elif event.data.get("why") == "the caller goes on" and texts:
            texts.pop()
    return texts


def notes(call: MeasuredCall) -> tuple[str, ...]:
    """Where turns ended before the utterance did, what the agent did then, and what went wrong."""
    last = call.utterances[-1].last_sound_ms if call.utterances else 0
    told = (
        "turn.ended",
        "playout.first-frame",
        "barge-in.paused",
        "barge-in.decided",
        "audio.cancelled",
        "fault",
    )
    early = any(event.at_ms < last for event in call.of_type("turn.ended"))
    lines = [
        f"{event.at_ms - call.utterances[0].first_sound_ms} ms: {event.type} {dict(event.data)}"
        for event in call.of_type(*told)
        if early
    ]
    return (*lines, *call.warnings, *(failure.reason for failure in call.failures))


async def test_word_error_rate_is_at_most_six_percent(report: Callable[[str], None]) -> None:
    utterances = json.loads((AUDIO / "transcripts.json").read_text())
    free = asyncio.Semaphore(CALLS_AT_ONCE)
    async with server_of(HERE / "short_answer.yaml") as server:

        async def take(each: dict[str, str]) -> Taken:
            async with free:
                return await _take(server, each["id"], each["text"])

        taken = await asyncio.gather(*map(take, utterances))
    total = WordErrors(0, 0, 0, 0)
    for each in sorted(taken, key=lambda each: -each.errors.count):
        total += each.errors
        if each.errors.count or each.notes:
            report(f"{each.name}: {each.errors.count} of {each.errors.said}")
            report(f"    said  {each.said}")
            report(f"    taken {' | '.join(each.turns)}")
            for note in each.notes:
                report(f"    {note}")
    report(f"word error rate {total.rate:.2%}: {total}")
    assert len(taken) == 20
    assert total.rate <= 0.06


async def _take(server: RunningServer, name: str, said: str) -> Taken:
    steps = (
        Silence(0.3),
        Say(wav=AUDIO / f"{name}.ulaw.wav"),
        WaitFor("agent_silent", 0.7, within_s=6),
        HangUp(),
    )
    call = await measure_call(
        server.media_url, Script(steps, max_s=30), {SCRIPT_SAY: read_wav(AUDIO / f"{name}.ulaw.wav")}
    )
    turns = turn_texts(call)
    return Taken(name, said, tuple(turns), word_errors(said, " ".join(turns)), notes(call))
