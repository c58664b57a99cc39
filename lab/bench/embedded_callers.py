"""Callers who talk with the demo assistant: what they say, in which rhythm, and what came of each turn."""

from __future__ import annotations

__all__ = ["QUESTIONS", "HeardTurn", "Recorded", "heard_turns", "read_recordings", "talk"]

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, pairwise
from pathlib import Path

from offhook.config.errors import ConfigError, ConfigProblem

from ..bridge_log import BridgeEvent
from ..figures import TurnFigures, turn_figures
from ..measured_call import MeasuredCall
from ..script import Say, Script, Silence, Step, WaitFor
from ..word_errors import WordErrors, word_errors

QUESTIONS = (
    "Good morning. I would like to know how late you are open today, because I have to work until five.",
    "I would like to get my money back for a parcel that arrived damaged at my place last week.",
    "I would like to know how I can send back the item that I got yesterday, which arrived damaged.",
    "Could you perhaps tell me what you can help me with, since this is the first time that I call you?",
    "I bought a jacket last week, it does not fit, and I would like to exchange it for another size.",
    "Are you open on Sunday, or do I have to come by on another day of the week to pick it up?",
)
"""Answered in a sentence or two; none of them ends in a value, which would be given more time."""
_PAUSE_S = 1.0
"""The agent was silent for so long: its answer is over, and what a tool found with it."""
_ANSWER_WITHIN_S = 25.0
_THINKS_S = 0.2
_TURN_AT_LEAST_S = 5.0


@dataclass(frozen=True, slots=True)
class Recorded:
    """Speech of a person's, and its words."""

    audio: bytes
    """mu-law, 8 kHz."""
    text: str


@dataclass(frozen=True, slots=True)
class HeardTurn:
    """What the caller said, and how it was taken."""

    figures: TurnFigures
    turns: tuple[str, ...]
    """The turns that the bridge made of it; more or fewer than one is a fault."""
    errors: WordErrors
    final_ms: int | None
    """From the last sound to the final words; None if there were none."""
    steps_ms: tuple[int, ...]
    """Between one partial and the next."""
    speech_ms: int


def read_recordings(folder: Path) -> tuple[Recorded, ...]:
    """The `*.wav` of a folder, with the texts of its `transcripts.json`: `[{"id": ..., "text": ...}]`.

    Raises ConfigError.
    """
    from ..caller_audio import read_wav

    listed = folder / "transcripts.json"
    try:
        texts = {str(each["id"]): str(each["text"]) for each in json.loads(listed.read_text("utf-8"))}
    except (OSError, ValueError, KeyError, TypeError) as error:
        problem = f"cannot be read ({type(error).__name__})."
        raise ConfigError([ConfigProblem(str(listed), "", problem)]) from error
    files = {path.name.split(".")[0]: path for path in sorted(folder.glob("*.wav"))}
    return tuple(
        Recorded(read_wav(files[name]), text) for name, text in sorted(texts.items()) if name in files
    )


def talk(number: int, speech: Sequence[Recorded], seconds: float) -> tuple[Script, dict[int, bytes]]:
    """The script of caller `number`, who talks for `seconds`, and the audio of its steps."""
    steps: list[Step] = [WaitFor("greeting_end", within_s=_ANSWER_WITHIN_S)]
    audio: dict[int, bytes] = {}
    for said in islice(_in_turn(number, speech), int(seconds / _TURN_AT_LEAST_S) + 1):
        steps.append(Silence(_THINKS_S))
        audio[len(steps)] = said.audio
        steps += [Say(said.text), WaitFor("agent_silent", _PAUSE_S, within_s=_ANSWER_WITHIN_S)]
    return Script(tuple(steps), f"caller {number + 1}", seconds), audio


def _in_turn(number: int, speech: Sequence[Recorded]) -> Iterator[Recorded]:
    """Everything again and again; every caller begins elsewhere."""
    while True:
        yield speech[number % len(speech)]
        number += 1


def heard_turns(call: MeasuredCall, *, settled_ms: int) -> Iterator[HeardTurn]:
    """What came of all that was said; the last of it only if it was over `settled_ms` before the end."""
    ended_ms = len(call.said) // 8
    figures = turn_figures(call.utterances, call.agent, call.events)
    ends = ([said.first_sound_ms for said in call.utterances] + [ended_ms])[1:]
    for said, figure, until_ms in zip(call.utterances, figures, ends, strict=True):
        if until_ms == ended_ms and said.last_sound_ms > ended_ms - settled_ms:
            return
        events = [event for event in call.events if said.first_sound_ms <= event.at_ms < until_ms]
        turns = tuple(str(event.data["text"]) for event in events if event.type == "turn.ended")
        finals = [event.at_ms for event in events if event.type == "transcript.final" and event.data["text"]]
        yield HeardTurn(
            figure,
            turns,
            word_errors(said.text, " ".join(turns)),
            next((at_ms - said.last_sound_ms for at_ms in finals if at_ms >= said.last_sound_ms), None),
            _steps_ms(events),
            said.last_sound_ms - said.first_sound_ms,
        )


def _steps_ms(events: Sequence[BridgeEvent]) -> tuple[int, ...]:
    partials = [event.at_ms for event in events if event.type == "transcript.partial"]
    return tuple(after - before for before, after in pairwise(partials))
