"""Whole simulated calls against a scripted bridge, and what is told of them."""

from __future__ import annotations

import asyncio
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from offhook.codecs import g711, wav
from offhook.config.errors import ConfigError, ProtocolError
from offhook.lab.call_result import CallPlan, CallResult, LiveLine
from offhook.lab.caller_audio import read_wav
from offhook.lab.conversation_view import ConversationView
from offhook.lab.place_call import place_call
from offhook.lab.script import (
    Expect,
    HangUp,
    HangUpKind,
    Press,
    Say,
    Script,
    Silence,
    Step,
    WaitFor,
    spoken_script,
)
from offhook.pipeline.clock import LoopClock

from .scripted_bridge import Bridge, scripted_bridge

pytestmark = pytest.mark.realtime


@pytest.fixture
def question(tmp_path: Path) -> Path:
    """Half a second of a tone at 16 kHz, in stereo."""
    tone = (8000 * np.sin(2 * np.pi * 437 * np.arange(8000) / 16000)).astype(np.int16)
    path = tmp_path / "question.wav"
    with path.open("wb") as sink, wav.Writer(sink, 16000, 2) as writer:
        writer.write(np.stack([tone, tone], axis=1))
    return path


async def place(
    url: str, *steps: Step, record: Path | None = None, **options: Any
) -> tuple[CallResult, list[LiveLine]]:
    script = Script(steps, max_s=options.pop("max_s", 20))
    return await follow(url, script, record=record, **options)


async def follow(url: str, script: Script, **options: Any) -> tuple[CallResult, list[LiveLine]]:
    lines: list[LiveLine] = []
    plan = CallPlan(script, url=url, recognise=False, seed=1, **options)
    clock = LoopClock(asyncio.get_running_loop())
    return await place_call(plan, clock, watch=lines.append), lines


class Greeter:
    """Greets, answers the caller's first sound with two seconds of audio, and clears when it is cut into."""

    def __init__(self) -> None:
        self.loud_frames = self.quiet_frames = 0
        self.answered = self.cleared = False

    async def __call__(self, bridge: Bridge, message: dict[str, Any]) -> None:
        if message["event"] == "start":
            await bridge.audio(10)
        elif message["event"] == "dtmf":
            await bridge.connection.close()
        elif message["event"] == "media":
            await self._listen(bridge, message["media"]["payload"])

    async def _listen(self, bridge: Bridge, payload: str) -> None:
        loud = len(set(payload)) > 20
        self.loud_frames += loud
        self.quiet_frames = 0 if loud else self.quiet_frames + 1
        if self.loud_frames and not self.answered and self.quiet_frames == 5:
            self.answered = True
            await bridge.audio(100)
        elif self.answered and loud and not self.cleared:
            self.cleared = True
            await bridge.connection.send(json.dumps({"event": "clear", "streamSid": bridge.seen.stream_sid}))


async def test_a_call_is_timed_from_the_callers_side(question: Path, tmp_path: Path) -> None:
    async with scripted_bridge(Greeter()) as (url, streams):
        result, lines = await place(
            url,
            WaitFor("greeting_end", 0.3),
            Say(wav=question),
            Expect(within_ms=1000),
            Say(wav=question, cut_in_after_s=0.5),
            Expect(agent_silent_within_ms=500),
            Silence(0.4),
            HangUp(),
            record=tmp_path / "call.wav",
            parameters={"assistant": "demo"},
        )
        assert streams[0].events("start")[0]["start"]["customParameters"] == {"assistant": "demo"}
    assert result.passed
    assert (result.ended_by, result.failures, result.warnings) == ("caller", (), ())
    first, second = result.turns
    assert first.response_ms is not None
    assert 80 <= first.response_ms < 600
    assert second.said == "question.wav"
    (cut_in,) = result.barge_ins
    assert cut_in.cleared
    assert cut_in.stop_ms is not None
    assert cut_in.stop_ms < 500
    assert cut_in.frames_after_clear == 0
    assert result.counts.clears == 1
    assert result.counts.cleared_bytes > 0
    assert [line.text for line in lines if line.who == "caller"] == ["question.wav", "question.wav"]
    with (tmp_path / "call.wav").open("rb") as file:
        recorded = wav.read(file)
    assert (recorded.rate_hz, recorded.channels) == (8000, 2)
    assert len(recorded.pcm) == result.duration_ms * 8
    onset = first.last_sound_ms + first.response_ms
    assert abs(recorded.pcm[(onset - 40) * 8 : onset * 8, 1]).max() < 100
    assert abs(recorded.pcm[onset * 8 : (onset + 20) * 8, 1]).max() > 1000


async def test_the_result_is_json_and_can_be_shown(question: Path) -> None:
    async with scripted_bridge(Greeter()) as (url, _):
        result, lines = await place(
            url, WaitFor("greeting_end", 0.2), Say(wav=question), Press("1"), HangUp(HangUpKind.NONE)
        )
    assert json.loads(json.dumps(result.to_json()))["ended_by"] == "agent"
    output = io.StringIO()
    view = ConversationView(Console(file=output, width=40))
    for line in lines:
        view.show_line(line)
    view.show_result(result)
    assert 'turn 1  "question.wav"' in output.getvalue()
    assert "ended by agent after" in output.getvalue()


async def test_an_agent_that_hangs_up_too_early_fails_the_script() -> None:
    async def leave(bridge: Bridge, message: dict[str, Any]) -> None:
        await bridge.connection.close()

    async with scripted_bridge(leave) as (url, _):
        result, _ = await place(url, WaitFor("greeting_end"), Press("1"), HangUp())
    assert not result.passed
    assert result.failures[0].reason == "the call was ended by agent before this step was done"


async def test_an_agent_may_hang_up_once_everything_asked_for_was_done() -> None:
    async with scripted_bridge(Greeter()) as (url, _):
        result, lines = await follow(url, spoken_script([Press("2")]))
    assert (result.passed, result.ended_by, result.failures) == (True, "agent", ())
    assert [line.text for line in lines if line.who == "caller"] == ["presses 2"]
    assert [line.text for line in result.transcript if line.who == "caller"] == ["presses 2"]
    assert [(turn.said, turn.keyed) for turn in result.turns] == [("2", True)]


async def test_a_hang_up_before_the_last_action_names_the_option() -> None:
    async with scripted_bridge(Greeter()) as (url, _):
        result, _ = await follow(url, spoken_script([Press("1"), Press("2")]))
    assert [(failure.step, failure.name) for failure in result.failures] == [(2, "--dtmf 2")]


async def test_a_pause_between_sentences_is_shown_as_one_reply() -> None:
    frames = 0

    async def two_sentences(bridge: Bridge, message: dict[str, Any]) -> None:
        nonlocal frames
        frames += message["event"] == "media"
        if message["event"] == "media" and frames in (5, 45):
            await bridge.audio(10)

    async with scripted_bridge(two_sentences) as (url, _):
        _, lines = await place(url, Silence(1.5), HangUp())
    assert [line.text for line in lines if line.who == "agent"] == ["(speaks)"]


async def test_a_recording_makes_one_folder_and_no_more(tmp_path: Path) -> None:
    async with scripted_bridge() as (url, _):
        await place(url, HangUp(), record=tmp_path / "new" / "call.wav")
        with pytest.raises(FileNotFoundError):
            await place(url, HangUp(), record=tmp_path / "a" / "b" / "call.wav")
    assert (tmp_path / "new" / "call.wav").is_file()
    assert not (tmp_path / "a").exists()


async def test_a_lost_call_does_not_pass() -> None:
    async def fail(bridge: Bridge, message: dict[str, Any]) -> None:
        await bridge.connection.close(1011, "fault")

    async with scripted_bridge(fail) as (url, _):
        result, _ = await place(url, HangUp(HangUpKind.NONE))
    assert (result.passed, result.ended_by, result.end_reason) == (False, "lost", "1011 fault")


async def test_what_twilio_would_refuse_is_a_warning() -> None:
    async def chatter(bridge: Bridge, message: dict[str, Any]) -> None:
        if message["event"] == "start":
            await bridge.connection.send(b"binary")
            await bridge.connection.send('{"event":"clear"}')

    async with scripted_bridge(chatter) as (url, _):
        result, _ = await place(url, Silence(0.1), HangUp())
    refused = ("Twilio error 31950: binary frame", "Twilio error 31951: clear lacks streamSid")
    assert result.warnings == refused
    assert result.counts.refused == 2


async def test_a_vanished_caller_is_held_for_a_while() -> None:
    async with scripted_bridge() as (url, _):
        loop = asyncio.get_running_loop()
        began = loop.time()
        result, _ = await place(url, HangUp(HangUpKind.VANISH), vanish_hold_s=0.3)
        assert loop.time() - began >= 0.3
    assert (result.ended_by, result.end_reason) == ("caller", "vanish")


@pytest.mark.parametrize("url", ["wss://a.example/media?x=1", "ws://a.example/media"])
async def test_a_stream_url_that_twilio_refuses_is_not_dialled(url: str) -> None:
    with pytest.raises(ProtocolError, match="319"):
        await place(url, HangUp())


async def test_a_plan_names_one_target() -> None:
    clock = LoopClock(asyncio.get_running_loop())
    with pytest.raises(ValueError, match="either"):
        await place_call(CallPlan(Script((HangUp(),))), clock)


def test_a_wav_of_any_rate_becomes_telephone_audio(question: Path) -> None:
    audio = read_wav(question)
    assert len(audio) == 4000
    assert 5000 < abs(g711.decode(audio[1000:3000])).max() < 9000


@pytest.mark.parametrize("content", [b"", b"RIFF", b"not a wav at all"])
def test_a_file_that_is_no_wav_is_a_config_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.wav"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=r"bad\.wav"):
        read_wav(path)
