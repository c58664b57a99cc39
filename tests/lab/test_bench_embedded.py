"""What is made of calls on the embedded engines: figures, faults, and the load that is put on them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest

from offhook.codecs import wav
from offhook.config.errors import ConfigError
from offhook.lab.bench.embedded_callers import QUESTIONS, Recorded, heard_turns, read_recordings, talk
from offhook.lab.bench.embedded_load import measure_embedded
from offhook.lab.bench.embedded_result import EmbeddedResult, MachineUse, Spread, result_of
from offhook.lab.bench.process_use import ProcessUse, processes_of, use_between
from offhook.lab.bridge_log import BridgeEvent
from offhook.lab.hearing import Sound, Utterance
from offhook.lab.measured_call import MeasuredCall
from offhook.lab.script import Say

AUDIO = Path(__file__).parents[1] / "audio"
MIB = 1024 * 1024


def event(kind: str, at_ms: int, text: str = "hello there") -> BridgeEvent:
    return BridgeEvent(kind, at_ms, {"text": text})


def call_of(*events: BridgeEvent, said: str = "hello there", ends_ms: int = 20_000) -> MeasuredCall:
    """The caller speaks from 1.0 to 3.0 s, the agent from 3.7 s on."""
    return MeasuredCall(
        said=bytearray(ends_ms * 8),
        utterances=(Utterance(said, 1000, 3000),),
        agent=(Sound(3700, 9000),),
        events=events,
    )


UNDERSTOOD = (
    event("transcript.partial", 1500),
    event("transcript.partial", 1900),
    event("transcript.partial", 2500),
    event("transcript.final", 3400),
    event("turn.ended", 3500),
)


def result(*calls: MeasuredCall, underruns: int = 0) -> EmbeddedResult:
    turns = [turn for call in calls for turn in heard_turns(call, settled_ms=6000)]
    processes = {"server": ProcessUse(1.0, 130 * MIB), "whisper": ProcessUse(5.0, 280 * MIB)}
    use = MachineUse(60.0, processes, 0.0)
    return result_of(
        len(calls), turns, use, speaking_share=0.4, underruns=underruns, late_callers=0, unserved=0
    )


def test_a_turn_that_was_understood_has_its_figures_and_no_fault() -> None:
    one = result(call_of(*UNDERSTOOD))
    assert one.passed
    assert (one.turns, one.answered, one.wrong) == (1, 1, 0)
    assert one.response == Spread(700, 700, 700)
    assert one.final == Spread(400, 400, 400)
    assert one.partial_step_ms == 500
    assert one.words_wrong == 0.0


def test_processor_time_is_told_for_a_minute_of_one_call_and_makes_the_calls_of_a_core() -> None:
    two = result(call_of(*UNDERSTOOD), call_of(*UNDERSTOOD))
    assert two.cpu_s == {"server": 0.5, "whisper": 2.5}
    assert two.calls_per_core == pytest.approx(60 * 0.8 / 3.0)
    assert json.loads(json.dumps(two.to_json()))["passed"] is True
    assert "met: 2 calls, response in p95 <= 1500 ms, every turn understood" in two.lines()
    assert any(line.startswith("whisper") and "280 MiB" in line for line in two.lines())


def test_without_processor_times_nothing_is_said_of_cores() -> None:
    turns = list(heard_turns(call_of(*UNDERSTOOD), settled_ms=6000))
    nothing = MachineUse(60.0, {}, None)
    one = result_of(1, turns, nothing, speaking_share=0.4, underruns=0, late_callers=0, unserved=0)
    assert one.calls_per_core is None
    assert one.warnings == ()


def test_a_machine_that_others_use_is_warned_of() -> None:
    busy = MachineUse(60.0, {}, 1.24)
    one = result_of(1, [], busy, speaking_share=0.4, underruns=0, late_callers=3, unserved=2)
    assert [line for line in one.lines() if line.startswith("warning")] == [
        "warning: 3 callers sent frames late",
        "warning: other programs kept 1.2 cores busy",
    ]


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        (call_of(*UNDERSTOOD[:-1]), "not understood"),
        (call_of(*UNDERSTOOD, event("turn.ended", 6000)), "not understood"),
        (call_of(*UNDERSTOOD[:-1], event("turn.ended", 3500, "goodbye then")), "not understood"),
        (MeasuredCall(bytearray(160_000), utterances=(Utterance("hello there", 1000, 3000),)), "no answer"),
        (call_of(*UNDERSTOOD, ends_ms=5000), "no turn was judged"),
    ],
)
def test_a_turn_that_is_cut_lost_or_taken_for_another_is_a_fault(call: MeasuredCall, fault: str) -> None:
    assert any(fault in each for each in result(call).faults)


def test_a_caller_who_could_not_say_anything_is_a_fault() -> None:
    silent = MeasuredCall(bytearray(160_000))
    assert list(heard_turns(silent, settled_ms=6000)) == []
    busy = MachineUse(60.0, {}, None)
    one = result_of(1, [], busy, speaking_share=0.0, underruns=0, unserved=1, late_callers=0)
    assert "1 callers could not say anything" in one.faults


def test_an_underrun_is_a_fault() -> None:
    assert result(call_of(*UNDERSTOOD), underruns=1).faults == ("1 underruns were heard",)


def test_every_caller_begins_elsewhere_and_says_everything_in_turn() -> None:
    speech = [Recorded(bytes([number]) * 160, text) for number, text in enumerate(QUESTIONS)]
    for number in range(8):
        script, audio = talk(number, speech, 60.0)
        said = [step.text for step in script.steps if isinstance(step, Say)]
        first = number % len(QUESTIONS)
        assert said[:6] == [*QUESTIONS[first:], *QUESTIONS[:first]]
        assert {index: audio[index][0] for index in islice(audio, 3)} == {
            index: QUESTIONS.index(step.text)
            for index, step in islice(((i, s) for i, s in enumerate(script.steps) if isinstance(s, Say)), 3)
        }
        assert script.max_s == 60.0


def test_recordings_are_read_with_their_texts() -> None:
    recordings = read_recordings(AUDIO)
    assert len(recordings) == 20
    with (AUDIO / "weather.ulaw.wav").open("rb") as file:
        samples = len(wav.read(file).pcm)
    assert any(len(each.audio) == samples and "weather" in each.text for each in recordings)


def test_a_folder_without_texts_is_an_error_that_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"transcripts\.json"):
        read_recordings(tmp_path)


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs the proc file system")
def test_processes_are_found_by_the_models_that_they_hold() -> None:
    command = [
        sys.executable,
        "-c",
        "print(flush=True); input()",
        "offhook.pipeline.providers.embedded.worker",
    ]
    children = [
        subprocess.Popen([*command, kind, "{}"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        for kind in ("whisper", "whisper", "hibari")
    ]
    try:
        for child in children:
            assert child.stdout is not None
            child.stdout.readline()
        found = processes_of(os.getpid())
    finally:
        for child in children:
            child.communicate(b"\n")
    assert set(found) == {"server", "whisper", "whisper 2", "hibari"}
    assert all(use.resident_bytes > MIB for use in found.values())


def test_use_is_what_was_taken_between_two_moments_by_who_was_there_at_both() -> None:
    before = {"server": ProcessUse(2.0, 100), "gone": ProcessUse(1.0, 1)}
    after = {"server": ProcessUse(2.5, 120), "new": ProcessUse(9.0, 1)}
    assert use_between(before, after) == {"server": ProcessUse(0.5, 120)}


@pytest.mark.realtime
@pytest.mark.timeout(120)
async def test_a_real_call_is_measured_with_every_figure() -> None:
    measured = await measure_embedded(1, 30.0)
    assert measured.turns >= 1
    assert measured.answered == measured.turns
    assert measured.words_wrong < 0.1
    assert 300 < measured.partial_step_ms < 2000
    assert set(measured.cpu_s) == {"server", "whisper", "hibari"}
    assert measured.cpu_s["whisper"] > 0
