"""All recordings of this process: one writer beside the loop, and a round that erases what is too old.

Settled stretches, a second each, go through one bounded channel to one thread. When the disk is too slow for
it, the newest are dropped and counted; the file has silence in their place, and never a shift. The last
stretch of a recording is always taken, or the file could not be completed.
"""

from __future__ import annotations

__all__ = ["Recorder", "recorder_of", "unmet_recording"]

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import structlog

from offhook.config.assistant import Assistant
from offhook.config.errors import ConfigProblem
from offhook.config.settings import Settings
from offhook.pipeline.channel import Overflow, Receiver, Sender, open_channel
from offhook.pipeline.clock import Clock
from offhook.pipeline.conversation import RecordingSoFar
from offhook.pipeline.ports import EventSink, Workers

from ..pool_workers import PoolWorkers
from .call_recording import CallRecording
from .file import RecordingFile, Written, write_all
from .shelf import FOLDER, Note, Parts, Round, call_of, erase_expired

STRETCHES_LIMIT = 1_000
GATHER_S = 0.5
"""Stretches of so long are written in one go."""
FLUSH_S = 3.0
"""At the end so long is what waits still written."""
FIND_WITHIN_S = 5.0
SWEEP_S = 3_600.0
DAY_S = 86_400.0

log = structlog.get_logger("offhook.bridge")


def unmet_recording(assistant: Assistant, data_folder: Path | None) -> Iterator[ConfigProblem]:
    """Say what an assistant whose calls are to be recorded lacks here."""
    if assistant.recording.enabled and data_folder is None:
        yield ConfigProblem(
            f"assistant {assistant.name}",
            "recording.enabled",
            "is set, but there is no folder to keep recordings in.",
            "Set OFFHOOK_DATA_FOLDER, or write `enabled: false`.",
        )


class Recorder:
    """Makes recordings, and has them written; `close` ends everything."""

    def __init__(
        self,
        folder: Path,
        *,
        clock: Clock,
        workers: Workers,
        wall_time: Callable[[], float] = time.time,
    ) -> None:
        """`workers` is best a thread of its own; `wall_time` is Unix time in seconds."""
        self._folder, self._clock, self._workers, self._wall_time = folder, clock, workers, wall_time
        channel: tuple[Sender[Written], Receiver[Written]] = open_channel(
            STRETCHES_LIMIT, Overflow.DROP_NEWEST
        )
        self._sender, self._receiver = channel
        self._last: list[Written] = []
        """Ends of recordings, which are never dropped; of each call there is one."""
        self._live: dict[str, CallRecording] = {}
        self._writer: asyncio.Task[None] | None = None
        self._sweeper: asyncio.Task[None] | None = None
        self.failed = 0
        """Recordings that the disk ended."""
        self.dropped_s = 0.0
        """Seconds of recordings that the disk was too slow for."""

    def record(
        self,
        assistant: Assistant,
        call_sid: str,
        variables: Mapping[str, str],
        events: EventSink,
        before: RecordingSoFar | None = None,
    ) -> CallRecording:
        """Make the recording of a call that begins now; it is told to `start` when the call runs.

        `before` is what is known of the recording of a call that goes on.
        """
        started = self._wall_time()
        note = Note(
            call_sid,
            assistant.name,
            variables.get("from", ""),
            variables.get("to", ""),
            started,
            started + assistant.recording.keep_days * DAY_S,
        )
        return CallRecording(
            RecordingFile(self._folder, note),
            note,
            clock=self._clock,
            keeper=self,
            emit=events.emit,
            hushing_tools=[tool.name for tool in assistant.tools if tool.pauses_recording],
            before=before,
        )

    def live(self, call_sid: str) -> CallRecording | None:
        """The recording of a call that goes on; None if there is none, or it has ended."""
        return self._live.get(call_sid)

    async def finished(self, call_sid: str) -> Parts:
        """What is recorded of a call, and over.

        Raises OSError, a TimeoutError for a disk that does not answer within 5 s.
        """
        async with asyncio.timeout(FIND_WITHIN_S):
            return await self._workers.in_thread(call_of, self._folder, call_sid)

    # ----------------------------------------------------------- what recordings ask

    def begun(self, recording: CallRecording) -> None:
        """This one takes orders from now on."""
        self._live[recording.call_sid] = recording

    def keep(self, written: Written) -> bool:
        """Have it written; False if too much waits."""
        if written.note is not None:
            self._last.append(written)
        elif not self._sender.send_now(written):
            if not self.dropped_s:
                log.warning(
                    "recording.disk-too-slow", meaning="recordings have silence in place of what is lost"
                )
            self.dropped_s += written.stretch.seconds
            return False
        if self._writer is None:
            self._writer = asyncio.create_task(self._write(), name="recordings")
        return True

    def over(self, recording: CallRecording) -> None:
        """Nothing more comes of this one."""
        if self._live.get(recording.call_sid) is recording:
            del self._live[recording.call_sid]

    # -------------------------------------------------------------------- the life

    def start(self) -> None:
        """Erase what is too old, now and every hour."""
        self._sweeper = asyncio.create_task(self._sweep(), name="old recordings")

    async def close(self) -> None:
        """End what is still recorded, and write what waits, for 3 s at most."""
        for recording in list(self._live.values()):
            recording.end()
        tasks = [task for task in (self._sweeper, self._writer) if task is not None]
        if self._writer is not None:
            await asyncio.wait((self._writer,), timeout=FLUSH_S)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _write(self) -> None:
        try:
            while self._last or self._receiver.statistics().depth:
                if not self._last:
                    await self._clock.sleep_until(self._clock.now() + GATHER_S)
                # Those that end now were settled behind all that waits of them.
                last, self._last = self._last, []
                waiting = [await self._receiver.receive() for _ in range(self._receiver.statistics().depth)]
                failed = await self._workers.in_thread(write_all, [*waiting, *last])
                for file, why in failed.items():
                    self._failed(file, why)
        finally:
            self._writer = None

    def _failed(self, file: RecordingFile, why: str) -> None:
        self.failed += 1
        log.error("recording.failed", file=str(file.path), why=why)
        for recording in list(self._live.values()):
            if recording.file is file:
                recording.fail(why)

    async def _sweep(self) -> None:
        while True:
            try:
                swept = await self._workers.in_thread(erase_expired, self._folder, self._wall_time())
            except OSError as error:
                swept = Round(0, 0, error)
            if swept.erased:
                log.info("recording.erased", recordings=swept.erased, why="their time is over")
            if swept.fault is not None:
                why = swept.fault.strerror or type(swept.fault).__name__
                log.error("recording.not-erased", recordings=swept.stayed, why=why)
            await self._clock.sleep_until(self._clock.now() + SWEEP_S)


@asynccontextmanager
async def recorder_of(settings: Settings, clock: Clock) -> AsyncIterator[Recorder | None]:
    """Give what records calls, None without a folder to keep them in; on leaving, all is written."""
    if settings.data_folder is None:
        yield None
        return
    # A thread of its own: a disk that hangs keeps no tool waiting.
    async with PoolWorkers(threads=1) as workers:
        recorder = Recorder(settings.data_folder / FOLDER, clock=clock, workers=workers)
        recorder.start()
        try:
            yield recorder
        finally:
            await recorder.close()
