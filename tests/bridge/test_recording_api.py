"""Recordings over HTTP: pause, resume, stop, and the file itself."""

from __future__ import annotations

import asyncio
import errno
import io
import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from bridge_rig import CALL_SID, EchoFactory, loop_clock, settings
from fake_engines import InlineWorkers
from msgspec.structs import replace
from recording_rig import recorded_assistant

from offhook.bridge.recording.file import RecordingFile
from offhook.bridge.recording.recorder import Recorder
from offhook.bridge.recording.shelf import Note
from offhook.bridge.recording.tape import Stretch
from offhook.bridge.server import create_app
from offhook.bridge.server_state import STATE, ServerState
from offhook.codecs import wav

Client = TestClient[Any, Any]
PLACE = f"/v1/calls/{CALL_SID}/recording"


@asynccontextmanager
async def serving(
    folder: Path | None, workers: InlineWorkers | None = None, **fields: Any
) -> AsyncIterator[tuple[Client, ServerState]]:
    clock = loop_clock()
    app = create_app(settings(**fields), EchoFactory(), clock, wall_time=lambda: 1.75e9)
    recorder = None if folder is None else Recorder(folder, clock=clock, workers=workers or InlineWorkers())
    app[STATE].recorder = recorder
    async with TestClient(TestServer(app)) as client:
        yield client, app[STATE]
    if recorder is not None:
        await recorder.close()


def live_call(state: ServerState, *, recorded: bool = True) -> Any:
    """A call that goes on, and its recording."""
    entry = state.registry.admit(
        CALL_SID, assistant="demo", may_replace=False, hang_up=lambda why: None, cut=lambda why: None
    )
    if state.recorder is None or not recorded:
        return entry, None
    recording = state.recorder.record(recorded_assistant(), CALL_SID, {}, entry.log)
    recording.start()
    return entry, recording


async def order(client: Client, body: Any) -> tuple[int, Any]:
    async with client.post(PLACE, json=body) as answer:
        is_json = answer.content_type == "application/json"
        return answer.status, await answer.json() if is_json else (await answer.text()).partition(":")[0]


async def test_a_recording_is_paused_resumed_and_stopped(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, state):
        entry, _ = live_call(state)
        for action, status in (("pause", "paused"), ("resume", "recording"), ("stop", "stopped")):
            assert await order(client, {"action": action}) == (200, {"id": CALL_SID, "recording": status})
        assert [event.type.partition(".")[2] for event in entry.log.events] == [
            "started",
            *("ordered", "paused"),
            *("ordered", "resumed"),
            *("ordered", "ended"),
        ]
        assert await order(client, {"action": "resume"}) == (409, "not_recorded")


async def test_a_tool_that_pauses_is_not_overruled(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, state):
        _, recording = live_call(state)
        recording.pause("tool-1")
        assert await order(client, {"action": "resume"}) == (200, {"id": CALL_SID, "recording": "paused"})


@pytest.mark.parametrize("body", [{}, {"action": "erase"}, {"action": "pause", "for_s": 3}, []])
async def test_an_order_that_is_none_is_refused(tmp_path: Path, body: Any) -> None:
    async with serving(tmp_path) as (client, state):
        live_call(state)
        assert await order(client, body) == (400, "bad_order")


async def test_a_call_that_is_not_recorded_takes_no_such_order(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, state):
        assert await order(client, {"action": "pause"}) == (404, "not_found")
        entry, _ = live_call(state, recorded=False)
        assert await order(client, {"action": "pause"}) == (409, "not_recorded")
        state.registry.finish(entry)
        assert await order(client, {"action": "pause"}) == (409, "already_ended")
    async with serving(None) as (client, state):
        live_call(state)
        assert await order(client, {"action": "pause"}) == (409, "not_recorded")


async def test_the_file_is_sent_once_it_is_finished(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, state):
        async with client.get(PLACE) as answer:
            assert (answer.status, await answer.text()) == (
                404,
                "no_recording: the recording of a call that has none, or none that is finished\n",
            )
        entry, recording = live_call(state)
        recording.agent(b"\x10" * 8000)
        await asyncio.sleep(5)
        async with client.get(PLACE) as answer:
            assert answer.status == 404, "a live call's is not finished"
        recording.end()
        state.registry.finish(entry)
        await asyncio.sleep(1)
        async with client.get(PLACE) as answer:
            assert (answer.status, answer.content_type) == (200, "audio/wav")
            sound = wav.read(io.BytesIO(await answer.read()))
        assert sound.pcm.shape == (5 * 8000, 2)
        assert sound.pcm[:8000, 1].all()


def keep(folder: Path, started: float, seconds: int, *, finished: bool = True) -> None:
    """A recording of the call, of so many seconds."""
    note = Note(CALL_SID, "shop", "", "", started, 2e9)
    file = RecordingFile(folder, note)
    file.write(Stretch(0, seconds * 8000, [], [], []))
    file.finish(replace(note, seconds=float(seconds)) if finished else note)


async def fetched(client: Client, part: str = "") -> tuple[int, str, int]:
    """The status, how many parts there are, and the seconds of the one that was sent."""
    async with client.get(PLACE, params={"part": part} if part else {}) as answer:
        body = await answer.read()
        seconds = len(wav.read(io.BytesIO(body)).pcm) // 8000 if answer.status == 200 else 0
        return answer.status, answer.headers.get("Recording-Parts", ""), seconds


async def test_each_part_of_a_call_that_several_workers_held_can_be_fetched(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, _):
        keep(tmp_path, 1.7e9 + 0.2, 2)
        keep(tmp_path, 1.7e9 + 0.1, 1, finished=False)  # its worker was killed, within that second
        keep(tmp_path, 1.7e9 + 60, 3)
        assert [await fetched(client, part) for part in ("1", "2", "3", "4")] == [
            (200, "3", 1),
            (200, "3", 2),
            (200, "3", 3),
            (404, "", 0),
        ]
        assert await fetched(client) == (200, "3", 3)


async def test_the_part_that_is_still_written_is_none_yet(tmp_path: Path) -> None:
    async with serving(tmp_path) as (client, _):
        keep(tmp_path, 1.7e9, 1)
        keep(tmp_path, 1.7e9 + 60, 2, finished=False)
        assert [await fetched(client, part) for part in ("", "1", "2")] == [
            (200, "1", 1),
            (200, "1", 1),
            (404, "", 0),
        ]


@pytest.mark.parametrize("part", ["0", "-1", "x", "1.0", "99999", "\u0661"])
async def test_what_is_no_part_is_told(tmp_path: Path, part: str) -> None:
    async with serving(tmp_path) as (client, _):
        keep(tmp_path, 1.7e9, 1)
        async with client.get(PLACE, params={"part": part}) as answer:
            assert (answer.status, "`part`" in await answer.text()) == (400, True)


class HeldWorkers(InlineWorkers):
    """A disk that never answers."""

    async def in_thread(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        await asyncio.Event().wait()


class FailingWorkers(InlineWorkers):
    """A disk that cannot be read."""

    async def in_thread(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        raise OSError(errno.EIO, os.strerror(errno.EIO))


@pytest.mark.parametrize(
    ("workers", "told"),
    [
        (HeldWorkers(), "no answer of the disk in 5 s"),
        (FailingWorkers(), "the disk says: Input/output error"),
    ],
)
async def test_a_disk_that_gives_nothing_keeps_nobody_waiting(
    tmp_path: Path, workers: InlineWorkers, told: str
) -> None:
    async with serving(tmp_path, workers) as (client, _), asyncio.timeout(6), client.get(PLACE) as answer:
        assert (answer.status, await answer.text()) == (503, f"recordings_unread: {told}\n")


async def test_strangers_hear_nothing_and_order_nothing(tmp_path: Path) -> None:
    async with serving(tmp_path, twilio_auth_token="t", public_url="https://a.example") as (client, state):
        _, recording = live_call(state)
        assert await order(client, {"action": "stop"}) == (403, "control_key_required")
        async with client.get(PLACE) as answer:
            assert answer.status == 403
        assert recording.status == "recording"
