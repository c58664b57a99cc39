"""The caller's frames of all calls are converted together, and no call notices."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from offhook.codecs.audio_format import MULAW_8K, PCM_16K, PCM_24K, AudioFormat, converter
from offhook.pipeline.clock import LoopClock
from offhook.pipeline.evidence import Activity
from offhook.pipeline.line_up import LineUp, alone
from offhook.pipeline.ports import Transcriber, Transcript
from offhook.pipeline.recogniser_stream import RecogniserStream
from offhook.pipeline.replay import Missed
from offhook.pipeline.shared_conversion import (
    GATHER_S,
    MANY_STREAMS,
    Conversions,
    ConvertedStream,
    SharedConversion,
)


def unexpected(error: Exception) -> None:
    raise AssertionError(error)


def frame(seed: int, size: int = 160) -> bytes:
    return np.random.default_rng(seed).integers(0, 256, size, np.uint8).tobytes()


class Caller:
    def __init__(self, conversion: SharedConversion, target: AudioFormat = PCM_16K) -> None:
        self.got: list[bytes] = []
        self.expected: list[bytes] = []
        self._own = converter(MULAW_8K, target)
        self.stream: ConvertedStream = conversion.open(self.got.append, unexpected)

    def says(self, audio: bytes) -> None:
        self.stream.push(audio)
        self.expected.append(self._own.feed(audio))

    @property
    def is_heard_exactly(self) -> bool:
        return b"".join(self.got) == b"".join(self.expected)


async def test_frames_of_one_pass_are_there_after_it() -> None:
    conversion = SharedConversion(PCM_16K)
    callers = [Caller(conversion) for _ in range(MANY_STREAMS - 1)]
    for number, caller in enumerate(callers):
        caller.says(frame(number))
    assert not any(caller.got for caller in callers)
    await asyncio.sleep(0)
    assert all(caller.is_heard_exactly and caller.got for caller in callers)


async def test_frames_of_many_calls_are_gathered_for_two_milliseconds() -> None:
    conversion = SharedConversion(PCM_16K)
    callers = [Caller(conversion) for _ in range(MANY_STREAMS)]
    callers[0].says(frame(1))
    await asyncio.sleep(GATHER_S / 2)
    callers[1].says(frame(2))
    assert not callers[0].got
    await asyncio.sleep(GATHER_S / 2)
    assert all(caller.is_heard_exactly for caller in callers)
    assert callers[1].got


@settings(max_examples=25, deadline=None)
@given(
    st.lists(
        st.tuples(st.integers(0, 4), st.sampled_from([1, 80, 160, 161, 800]), st.booleans()), max_size=30
    )
)
async def test_every_caller_is_heard_whatever_comes_when(pushes: list[tuple[int, int, bool]]) -> None:
    conversion = SharedConversion(PCM_24K)
    callers = [Caller(conversion, PCM_24K) for _ in range(5)]
    for number, (who, size, passes) in enumerate(pushes):
        callers[who].says(frame(number, size))
        if passes:
            await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert all(caller.is_heard_exactly for caller in callers)


async def test_what_is_said_about_the_audio_comes_behind_it() -> None:
    conversion = SharedConversion(PCM_16K)
    caller, other = Caller(conversion), Caller(conversion)
    for speaker in (caller, other):
        speaker.says(frame(1))
    caller.stream.settle()
    assert caller.is_heard_exactly
    assert not other.got
    caller.says(frame(2))
    await asyncio.sleep(0)
    assert caller.is_heard_exactly
    assert other.is_heard_exactly


async def test_a_closed_stream_gets_nothing_and_its_place_is_clean() -> None:
    conversion = SharedConversion(PCM_16K)
    gone = Caller(conversion)
    gone.says(frame(1))
    gone.stream.close()
    gone.stream.close()
    successor, stranger = Caller(conversion), Caller(conversion)
    successor.says(frame(2))
    stranger.says(frame(3))
    await asyncio.sleep(0)
    assert not gone.got
    assert successor.is_heard_exactly
    assert stranger.is_heard_exactly


async def test_what_a_closed_stream_is_still_given_changes_no_other_callers_sound() -> None:
    shared, alone = SharedConversion(PCM_16K), SharedConversion(PCM_16K)
    heard, expected = bytearray(), bytearray()
    streams = [shared.open(lambda pcm: None, unexpected) for _ in range(15)]
    victim, same = shared.open(heard.extend, unexpected), alone.open(expected.extend, unexpected)
    for frame in (bytes(range(160)), bytes(range(80, 240))):
        victim.push(frame)
        same.push(frame)
        await asyncio.sleep(0.01)
        streams[0].close()
        streams[0].push(b"\x10" * 160)
        streams[0].settle()
    assert heard == expected


async def test_one_who_cannot_take_its_audio_costs_nobody_else_a_frame() -> None:
    conversion = SharedConversion(PCM_16K)
    errors: list[Exception] = []

    def broken(audio: bytes) -> None:
        raise RuntimeError(f"cannot take {len(audio)} bytes")

    first, last = Caller(conversion), Caller(conversion)
    stream = conversion.open(broken, errors.append)
    first.says(frame(1))
    stream.push(frame(2))
    last.says(frame(3))
    await asyncio.sleep(0)
    assert [str(error) for error in errors] == ["cannot take 640 bytes"]
    assert first.is_heard_exactly
    assert last.is_heard_exactly


async def test_one_who_closes_another_while_both_are_served_is_obeyed() -> None:
    conversion = SharedConversion(PCM_16K)
    second = Caller(conversion)
    closer = conversion.open(lambda _: second.stream.close(), unexpected)
    closer.push(frame(1))
    second.stream.push(frame(2))
    await asyncio.sleep(0)
    assert not second.got


@pytest.mark.parametrize(
    ("target", "shared"),
    [
        (PCM_16K, True),
        (AudioFormat("pcm16", 8000), True),
        (AudioFormat("pcm16", 22_050), False),
        (MULAW_8K, False),
    ],
)
def test_formats_that_frames_fit_share_a_conversion(target: AudioFormat, shared: bool) -> None:
    conversions = Conversions()
    assert (conversions.to(target) is not None) == shared
    assert conversions.to(target) is conversions.to(target)


class Witness:
    """A recogniser of 16 kHz PCM that writes down what it is told, in order."""

    audio_format = PCM_16K

    def __init__(self) -> None:
        self.told: list[str] = []

    def open(
        self, on_transcript: Callable[[Transcript], None], *, connection: int, begins_at_s: float
    ) -> Witness:
        return self

    def push(self, audio: bytes) -> None:
        self.told.append(f"{len(audio) / 32_000:g} s")

    def speech_started(self, media_s: float) -> None:
        self.told.append("speech")

    def speech_paused(self, media_s: float) -> None:
        self.told.append("pause")

    def end_utterance(self) -> None:
        self.told.append("end")

    async def run(self) -> None:
        await asyncio.get_running_loop().create_future()


async def test_a_recogniser_hears_what_it_missed_before_it_is_told_that_speech_paused() -> None:
    loop = asyncio.get_running_loop()
    witness = Witness()
    transcribers: LineUp[Transcriber] = alone(witness, LoopClock(loop, loop.time))
    (candidate,) = transcribers
    quiet = Activity(2.0, speaking=False, onset_s=0.5, last_speech_s=1.5)
    speaking = Activity(3.0, speaking=True, onset_s=2.5, last_speech_s=3.0)
    stream = RecogniserStream(
        candidate,
        lambda _: None,
        number=1,
        missed=Missed(0.0, bytes(16_000), 0.5),
        activity=quiet,
        conversions=Conversions(),
    )
    assert witness.told == ["speech", "2 s", "pause"]
    stream.push(bytes(8000))
    stream.sound(quiet, speaking)
    stream.push(bytes(8000))
    stream.end_utterance()
    assert witness.told[3:] == ["1 s", "speech", "1 s", "end"]
    stream.close()
