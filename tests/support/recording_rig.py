"""A call that is recorded into a folder, on virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from call_rig import CallRig, assistant_from, running_call
from fake_engines import Answerer, InlineWorkers

from offhook.bridge.live_call import LiveCall
from offhook.bridge.recording.call_recording import CallRecording
from offhook.bridge.recording.recorded_call import MakeCall, RecordedCall
from offhook.bridge.recording.recorder import Recorder
from offhook.bridge.recording.shelf import Recorded, recordings_in
from offhook.codecs import wav
from offhook.config.assistant import Assistant
from offhook.pipeline.conversation import Conversation
from offhook.pipeline.ports import Workers

STARTED = 1.75e9
"""Unix seconds of every call's start."""


def recorded_assistant(recording: dict[str, Any] | None = None, **fields: Any) -> Assistant:
    """An assistant whose calls are recorded."""
    return assistant_from(recording={"enabled": True, **(recording or {})}, **fields)


@dataclass
class RecordingRig:
    """What a test holds of a call that is recorded."""

    folder: Path
    calls: list[CallRig] = field(default_factory=list)
    recordings: list[CallRecording] = field(default_factory=list)

    @property
    def call(self) -> CallRig:
        return self.calls[-1]

    @property
    def recording(self) -> CallRecording:
        return self.recordings[-1]

    def kept(self) -> Recorded:
        """The one recording in the folder."""
        (only,) = recordings_in(self.folder)
        return only

    def sound(self) -> wav.Wav:
        """What the one recording holds."""
        with self.kept().path.open("rb") as file:
            return wav.read(file)


@asynccontextmanager
async def recorded_call(
    folder: Path,
    assistant: Assistant,
    answerer: Answerer | None = None,
    *,
    latency_s: float = 0.02,
    workers: Workers | None = None,
    prepare: Callable[[CallRig], None] = lambda rig: None,
    resumes: Conversation | None = None,
) -> AsyncIterator[RecordingRig]:
    """Run a call until the block ends, and the recorder until everything is written."""
    rig = RecordingRig(folder)
    recorders: list[Recorder] = []

    consent_line = assistant.recording.consent_line
    kept = None if resumes is None else resumes.recording

    def record(call: CallRig, told: Assistant, make: MakeCall) -> LiveCall:
        clock, inline = call.clock, workers or InlineWorkers()
        recorder = Recorder(folder, clock=clock, workers=inline, wall_time=lambda: STARTED)
        recorders.append(recorder)
        recording = recorder.record(told, "CA1", {"from": "+15550100", "to": "+15550199"}, call.log, kept)
        rig.calls.append(call)
        rig.recordings.append(recording)
        call.log.listener = recording.observe
        prepare(call)
        return RecordedCall(make, call.line, recording, consent_line, kept)

    before = asyncio.all_tasks()
    try:
        async with running_call(
            assistant, answerer, latency_s=latency_s, record=record, resumes=resumes
        ) as call:
            assert call is rig.call
            yield rig
    finally:
        for recorder in recorders:
            await recorder.close()
    assert asyncio.all_tasks() == before, "the recorder left tasks behind"
