"""What becomes of recordings on the disk: a slow one, a crash, a full queue, and the hourly round."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from bridge_rig import loop_clock
from call_rig import EventList
from fake_engines import InlineWorkers
from recording_rig import STARTED, recorded_assistant
from structlog.testing import capture_logs

from offhook.bridge.recording.file import RecordingFile, Written
from offhook.bridge.recording.recorder import STRETCHES_LIMIT, Recorder
from offhook.bridge.recording.shelf import Note, Recorded, erase, recordings_in
from offhook.bridge.recording.tape import Stretch
from offhook.codecs import wav
from offhook.pipeline.ports import CallEvent

RATE_HZ = 8000
NOTE = Note("CA1", "test", "+15550100", "", STARTED, STARTED + 86_400)


def second(number: int) -> Stretch:
    """A second of the caller's; its samples tell which."""
    place = number * RATE_HZ
    return Stretch(place, place + RATE_HZ, [(place, bytes([number % 100]) * RATE_HZ)], [], [])


class HeldWorkers(InlineWorkers):
    """A disk that does nothing until it is let go."""

    def __init__(self) -> None:
        self.free = asyncio.Event()

    async def in_thread(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        await self.free.wait()
        return await super().in_thread(function, *args, **kwargs)


def sound_of(folder: Path) -> np.ndarray[Any, np.dtype[np.int16]]:
    (only,) = recordings_in(folder)
    with only.path.open("rb") as file:
        return wav.read(file).pcm


def names_in(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]


async def test_a_disk_that_is_too_slow_costs_the_newest_seconds_and_shifts_none(tmp_path: Path) -> None:
    disk = HeldWorkers()
    recorder = Recorder(tmp_path, clock=loop_clock(), workers=disk)
    file = RecordingFile(tmp_path, NOTE)
    assert recorder.keep(Written(file, second(0)))
    await asyncio.sleep(1)  # the writer has this one and waits for the disk
    taken = [recorder.keep(Written(file, second(number))) for number in range(1, STRETCHES_LIMIT + 6)]
    assert taken == [True] * STRETCHES_LIMIT + [False] * 5
    assert recorder.dropped_s == 5.0
    disk.free.set()
    await asyncio.sleep(1)
    assert recorder.keep(Written(file, second(STRETCHES_LIMIT + 6), NOTE))
    await recorder.close()
    left = sound_of(tmp_path)[:, 0].reshape(-1, RATE_HZ)
    assert len(left) == STRETCHES_LIMIT + 7
    assert [number for number, part in enumerate(left) if not part.any()] == [*range(1001, 1006)]
    assert (left[-1] == left[6]).all()


async def test_the_end_of_a_recording_is_taken_though_the_queue_is_full(tmp_path: Path) -> None:
    disk = HeldWorkers()
    recorder = Recorder(tmp_path, clock=loop_clock(), workers=disk)
    file = RecordingFile(tmp_path, NOTE)
    for number in range(STRETCHES_LIMIT + 10):
        recorder.keep(Written(file, second(number)))
    assert recorder.keep(Written(file, second(2000), NOTE))
    disk.free.set()
    await recorder.close()
    assert len(sound_of(tmp_path)) == 2001 * RATE_HZ


async def test_a_server_that_stops_ends_its_recordings_and_leaves_no_task(tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    log = EventList()
    recorder = Recorder(tmp_path, clock=loop_clock(), workers=InlineWorkers())
    recorder.start()
    recording = recorder.record(recorded_assistant(), "CA1", {}, log)
    assert recorder.live("CA1") is None
    recording.start()
    assert recorder.live("CA1") is recording
    await asyncio.sleep(5)
    await recorder.close()
    assert recorder.live("CA1") is None
    assert recording.status == "stopped"
    assert asyncio.all_tasks() == before
    assert len(sound_of(tmp_path)) == 5 * RATE_HZ


async def test_a_pause_lasts_until_the_last_tool_has_answered_whatever_their_ids(tmp_path: Path) -> None:
    tool = {"name": "card", "kind": "collect_digits", "pauses_recording": True}
    recorder = Recorder(tmp_path, clock=loop_clock(), workers=InlineWorkers())
    recording = recorder.record(recorded_assistant(tools=[tool]), "CA1", {}, EventList())
    asked = CallEvent("function-call", 0, {"id": "x", "name": "card"})
    told = CallEvent("function-result", 0, {"id": "x", "name": "card"})
    statuses = []
    for event in (CallEvent("function-call", 0, {"id": "x", "name": "other"}), asked, asked, told, told):
        recording.observe(event)
        statuses.append(recording.status)
    assert statuses == ["recording", "paused", "paused", "paused", "recording"]
    recording.end()
    await recorder.close()


async def test_a_disk_that_hangs_does_not_keep_the_server_from_stopping(tmp_path: Path) -> None:
    before = asyncio.all_tasks()
    recorder = Recorder(tmp_path, clock=loop_clock(), workers=HeldWorkers())
    recorder.start()
    recorder.keep(Written(RecordingFile(tmp_path, NOTE), second(0)))
    async with asyncio.timeout(4):
        await recorder.close()
    assert asyncio.all_tasks() == before


async def test_what_is_too_old_is_erased_at_the_start_and_every_hour(tmp_path: Path) -> None:
    now = STARTED + 86_399
    for call in ("CA1", "CA2"):
        note = Note(call, "test", "+15550100", "", STARTED, now + (0 if call == "CA1" else 3600))
        file = RecordingFile(tmp_path, note)
        file.write(second(0))
        file.finish(note)
    (tmp_path / "mine.json").write_text("{}")
    (tmp_path / "broken.new").write_text('{"from": "+1')
    os.utime(tmp_path / "broken.new", (STARTED, STARTED))
    loop = asyncio.get_running_loop()
    began = loop.time()
    recorder = Recorder(
        tmp_path, clock=loop_clock(), workers=InlineWorkers(), wall_time=lambda: now + loop.time() - began
    )
    recorder.start()
    await asyncio.sleep(1)
    assert [recorded.note.call for recorded in recordings_in(tmp_path)] == ["CA2"]
    await asyncio.sleep(3700)
    assert names_in(tmp_path) == ["mine.json"]
    await recorder.close()


async def test_one_that_cannot_be_erased_keeps_none_behind_it_and_is_told(tmp_path: Path) -> None:
    now = STARTED + 86_400
    for call in ("CA1", "CA2", "CA3"):
        note = Note(call, "test", "+15550100", "", STARTED, now)
        file = RecordingFile(tmp_path, note)
        file.write(second(0))
        file.finish(note)
    stuck = next(recorded for recorded in recordings_in(tmp_path) if recorded.note.call == "CA1").path
    stuck.unlink()
    stuck.mkdir()  # which no `unlink` takes away, whoever we are
    (tmp_path / "a.new").mkdir()
    for old in (tmp_path / "a.new", tmp_path / "b.new"):
        old.touch()
        os.utime(old, (STARTED, STARTED))
    recorder = Recorder(tmp_path, clock=loop_clock(), workers=InlineWorkers(), wall_time=lambda: now)
    with capture_logs() as logs:
        recorder.start()
        await asyncio.sleep(1)
    await recorder.close()
    assert sorted(names_in(tmp_path)) == sorted([stuck.name, stuck.with_suffix(".json").name, "a.new"])
    assert [(line["event"], line["recordings"]) for line in logs] == [
        ("recording.erased", 2),
        ("recording.not-erased", 1),
    ]
    assert logs[1]["why"] == "Is a directory"


async def test_a_recording_that_is_erased_while_it_is_written_stays_erased(tmp_path: Path) -> None:
    file = RecordingFile(tmp_path, NOTE)
    file.write(second(0))
    erase(*recordings_in(tmp_path))
    file.write(second(1))
    file.finish(NOTE)
    assert names_in(tmp_path) == []


def test_a_note_without_its_recording_is_erased_all_the_same(tmp_path: Path) -> None:
    file = RecordingFile(tmp_path, NOTE)
    file.write(second(0))
    file.path.unlink()
    file.finish(NOTE)
    erase(Recorded(file.path, NOTE))
    assert names_in(tmp_path) == []


def test_a_carriers_name_of_a_call_leads_out_of_no_folder(tmp_path: Path) -> None:
    note = Note("../../etc/CA1" + "x" * 100, "test", "", "", STARTED, STARTED)
    path = RecordingFile(tmp_path, note).path
    assert path.parent == tmp_path
    assert len(path.name) < 80


KILLED = """
import os, signal, sys
from pathlib import Path
sys.path.insert(0, {tests!r})
from test_recorder import NOTE, RecordingFile, second
file = RecordingFile(Path(sys.argv[1]), NOTE)
for number in range(17):
    file.write(second(number))
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_recording_of_a_process_that_was_killed_can_be_played(tmp_path: Path) -> None:
    here = Path(__file__).parent
    code = KILLED.format(tests=str(here))
    paths = os.pathsep.join([str(here.parents[1] / "support"), *sys.path])
    command, env = [sys.executable, "-c", code, str(tmp_path)], {**os.environ, "PYTHONPATH": paths}
    done = subprocess.run(command, check=False, timeout=20, env=env)
    assert done.returncode == -signal.SIGKILL
    left = sound_of(tmp_path)[:, 0].reshape(-1, RATE_HZ)
    assert len(left) == 16
    assert left.all()
    (only,) = recordings_in(tmp_path)
    assert only.note == NOTE
