"""A worker that is killed in mid-sentence: the caller is on the line with another one, and is answered."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from supervised import House, supervised

from offhook.codecs import wav
from offhook.codecs.framing import SAMPLE_RATE_HZ as RATE_HZ
from offhook.lab.call_result import CallPlan, LiveLine
from offhook.lab.place_call import place_call
from offhook.lab.script import Expect, HangUp, Say, Script, Silence, WaitFor
from offhook.pipeline.clock import LoopClock

pytestmark = [pytest.mark.realtime, pytest.mark.timeout(180)]

SILENCE_LIMIT_S = 3.0
SPEAKS_FOR_S = 3.0
"""The worker is killed when it has read the policy for so long; all of it takes half a minute."""
FRAME = 160
QUIET = 200
"""Of 16-bit samples: below it nobody speaks."""


def script() -> Script:
    return Script(
        (
            WaitFor("greeting_end"),
            Say("What is your shipping policy?"),
            Silence(20.0),
            Expect(agent_says=re.compile("line broke|broke for a moment")),
            Expect(agent_says=re.compile("working day|shipping|parcel")),
            HangUp(),
        ),
        max_s=120.0,
    )


def longest_silence_s(recording: Path, from_s: float, to_s: float) -> float:
    """On the side of what the caller heard."""
    with recording.open("rb") as file:
        sound = wav.read(file)
    heard = np.abs(sound.pcm[round(from_s * RATE_HZ) : round(to_s * RATE_HZ), 1].astype(int))
    frames = heard[: len(heard) // FRAME * FRAME].reshape(-1, FRAME).max(axis=1) < QUIET
    longest = run = 0
    for silent in frames:
        run = run + 1 if silent else 0
        longest = max(longest, run)
    return longest * FRAME / RATE_HZ


async def pid_of_the_call(house: House) -> int:
    worker = (await house.log("call.started"))["worker"]
    ready = [line for line in house.lines if line["event"] == "server.ready" and line["worker"] == worker]
    return int(ready[-1]["pid"])


async def test_the_caller_is_answered_by_another_worker_within_three_seconds(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    loop = asyncio.get_running_loop()
    offhook = Path(sys.executable).with_name("offhook")
    async with supervised(str(offhook), "serve", "--workers", "2", "--port", "0") as house:
        port = await house.port()
        asked = asyncio.Event()
        connects: list[tuple[float, int]] = []
        killed_at: list[float] = []

        def watch(line: LiveLine) -> None:
            if line.who == "line" and line.text.startswith("<Connect>"):
                connects.append((loop.time(), line.at_ms))
            if line.who == "caller":
                asked.set()
            if line.who == "agent" and asked.is_set() and not killed_at:
                killed_at.append(0.0)
                loop.call_later(SPEAKS_FOR_S, kill)

        def kill() -> None:
            os.kill(pid, signal.SIGKILL)
            killed_at[0] = loop.time()

        recording = tmp_path / "call.wav"
        webhook = f"http://127.0.0.1:{port}/voice/inbound"
        placing = asyncio.create_task(
            place_call(CallPlan(script(), webhook=webhook, record=recording), LoopClock(loop), watch=watch)
        )
        pid = await pid_of_the_call(house)
        call = await placing
        (_, _), (again_at, cut_ms) = connects
        silent_s = longest_silence_s(recording, cut_ms / 1000 - 0.5, cut_ms / 1000 + 15)
        silent_s += again_at - killed_at[0]
        with capsys.disabled():
            sys.stdout.write(f"\nsilent for {silent_s:.2f} s after the kill\n")
        assert silent_s < SILENCE_LIMIT_S
        assert call.ended_by == "caller", call.end_reason
        assert all(verdict.met for verdict in call.expectations), call.expectations
        questions = [line for line in call.transcript if line.who == "caller"]
        assert len(questions) == 1, "nobody had to ask again"
