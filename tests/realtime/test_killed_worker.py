"""A worker that is killed in mid-sentence: the caller is on the line with another one, and is answered."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import numpy as np
import pytest
from aiohttp import ClientSession, web
from supervised import House, free_port, supervised
from web_rig import answering

from offhook.bridge.recording.shelf import FOLDER, recordings_in
from offhook.codecs import wav
from offhook.codecs.framing import SAMPLE_RATE_HZ as RATE_HZ
from offhook.config.assistants import DEMO
from offhook.lab.call_result import CallPlan, CallResult, LiveLine
from offhook.lab.place_call import place_call
from offhook.lab.script import Expect, HangUp, Say, Script, Silence, WaitFor
from offhook.lab.twilio.simulated_twilio import SimulatedTwilio
from offhook.pipeline.clock import LoopClock

pytestmark = [pytest.mark.realtime, pytest.mark.timeout(180)]

OFFHOOK = Path(sys.executable).with_name("offhook")
SID, TOKEN = "AC" + "0" * 32, "0123456789abcdef0123456789abcdef"
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


async def killed_in_mid_sentence(
    house: House,
    webhook: str,
    recording: Path,
    *,
    before: Callable[[], Awaitable[None]] | None = None,
    twilio: SimulatedTwilio | None = None,
) -> tuple[CallResult, float]:
    """Place a call, kill its worker in mid-answer; gives the call, and how long it was silent.

    What is to be done `before` is done 0.5 s before the kill.
    """
    loop = asyncio.get_running_loop()
    asked = asyncio.Event()
    connects: list[tuple[float, int]] = []
    killed_at: list[float] = []
    killing: list[asyncio.Task[None]] = []

    def watch(line: LiveLine) -> None:
        if line.who == "line" and line.text.startswith("<Connect>"):
            connects.append((loop.time(), line.at_ms))
        if line.who == "caller":
            asked.set()
        if line.who == "agent" and asked.is_set() and not killed_at:
            killed_at.append(0.0)
            killing.append(asyncio.create_task(kill()))

    async def kill() -> None:
        await asyncio.sleep(SPEAKS_FOR_S - 0.5)
        if before is not None:
            await before()
        await asyncio.sleep(0.5)
        os.kill(pid, signal.SIGKILL)
        killed_at[0] = loop.time()

    plan = CallPlan(script(), webhook=webhook, record=recording)
    placing = asyncio.create_task(place_call(plan, LoopClock(loop), watch=watch, twilio=twilio))
    pid = await pid_of_the_call(house)
    call = await placing
    await asyncio.gather(*killing)
    (_, _), (again_at, cut_ms) = connects
    silent_s = longest_silence_s(recording, cut_ms / 1000 - 0.5, cut_ms / 1000 + 15)
    return call, silent_s + again_at - killed_at[0]


def judge(call: CallResult, silent_s: float, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        sys.stdout.write(f"\nsilent for {silent_s:.2f} s after the kill\n")
    assert silent_s < SILENCE_LIMIT_S
    assert call.ended_by == "caller", call.end_reason
    assert all(verdict.met for verdict in call.expectations), call.expectations
    questions = [line for line in call.transcript if line.who == "caller"]
    assert len(questions) == 1, "nobody had to ask again"


async def test_the_caller_is_answered_by_another_worker_within_three_seconds_and_not_recorded_again(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OFFHOOK_DATA_FOLDER", str(tmp_path))
    assistant = tmp_path / "recorded.yaml"
    assistant.write_text(f"{DEMO.read_text()}\nrecording: {{enabled: true}}\n")

    async def pause() -> None:
        async with ClientSession() as http:
            async with http.get(f"{server}/v1/calls") as answer:
                (call,) = (await answer.json())["calls"]
            place = f"{server}/v1/calls/{call['id']}/recording"
            async with http.post(place, json={"action": "pause"}) as told:
                assert await told.json() == {"id": call["id"], "recording": "paused"}

    serve = ("serve", "--assistant", str(assistant), "--workers", "2", "--port", "0")
    async with supervised(str(OFFHOOK), *serve) as house:
        server = f"http://127.0.0.1:{await house.port()}"
        webhook, heard = f"{server}/voice/inbound", tmp_path / "call.wav"
        judge(*await killed_in_mid_sentence(house, webhook, heard, before=pause), capsys)
        await house.log("call.ended")
        await asyncio.sleep(3.0)
    first, second = sorted(recordings_in(tmp_path / FOLDER), key=lambda each: each.note.started)
    assert second.note.paused == ((0.0, second.note.seconds),)
    with second.path.open("rb") as file:
        assert not wav.read(file).pcm.any()
    with first.path.open("rb") as file:
        assert wav.read(file).pcm.any(), "until the order it was recorded"


async def test_so_is_one_whose_document_is_not_ours_over_the_rest_interface(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    twilio = SimulatedTwilio(LoopClock(asyncio.get_running_loop()), account_sid=SID, auth_token=TOKEN)

    async def document(request: web.Request) -> web.Response:
        stream = f'<Connect><Stream url="ws://127.0.0.1:{port}/media" /></Connect>'
        text = f'<Response>{stream}<Pause length="5" /></Response>'
        return web.Response(text=text, content_type="text/xml")

    async with twilio.listening() as interface, answering(document) as page:
        for name, value in {
            "TWILIO_ACCOUNT_SID": SID,
            "TWILIO_AUTH_TOKEN": TOKEN,
            "TWILIO_API_BASE_URL": interface,
            "PUBLIC_URL": f"http://127.0.0.1:{port}",
        }.items():
            monkeypatch.setenv(name, value)
        async with supervised(str(OFFHOOK), "serve", "--workers", "2", "--port", str(port)) as house:
            webhook = f"http://127.0.0.1:{page.port}/bin"
            call, silent_s = await killed_in_mid_sentence(
                house, webhook, tmp_path / "call.wav", twilio=twilio
            )
    judge(call, silent_s, capsys)
    assert [line for line in call.twiml if line.startswith(("<Pause", "REST"))] == [
        "<Pause> 5 s",
        "REST: other TwiML",
    ]
