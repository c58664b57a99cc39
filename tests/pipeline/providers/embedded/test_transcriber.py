"""The embedded recogniser's stream: partials, finals, and a recogniser that is slow or lost."""

from __future__ import annotations

import asyncio
import math

import pytest
from slow_recogniser import QUIET, SPEECH, Caller, Decoding, SlowRecogniser, call

from offhook.config.errors import ProviderError, ProviderTimeout, WorkerDied
from offhook.pipeline.clock import LoopClock
from offhook.pipeline.providers.embedded.transcriber import WhisperTranscriber


async def test_partials_grow_while_the_caller_speaks_and_the_final_is_ready_before_the_endpoint() -> None:
    recogniser = SlowRecogniser()
    async with call(recogniser) as caller:
        await caller.frames(1.0, QUIET)
        await caller.speaks(3.0)
        last_sound = asyncio.get_running_loop().time()
        await caller.pauses(0.5)
    assert caller.texts(final=False)[:4] == ["", "word0", "word0 word1", "word0 word1"]
    assert caller.texts(final=True) == ["word0 word1 word2 word3 word4 word5"]
    ready, final = caller.got[-1]
    assert final.final
    assert ready - last_sound < 0.48
    assert final.covers_s == pytest.approx(4.2)
    assert final.confidence == pytest.approx(math.exp(-0.1))
    assert [transcript.sequence for _, transcript in caller.got] == list(range(1, len(caller.got) + 1))
    assert {transcript.connection for _, transcript in caller.got} == {3}


async def test_silence_costs_nothing() -> None:
    recogniser = SlowRecogniser()
    async with call(recogniser) as caller:
        await caller.frames(60.0, QUIET)
    assert recogniser.decoded == []


async def test_a_partial_that_was_not_begun_gives_way_to_the_final() -> None:
    recogniser = SlowRecogniser()
    async with call(recogniser) as caller:
        await caller.speaks(0.3)
        recogniser.occupy(0.5)
        await caller.frames(0.2, SPEECH)
        await caller.pauses(0.7)
    assert [decoding.final for decoding in recogniser.decoded] == [True]
    assert caller.texts(final=True) == ["word0"]


async def test_a_busy_recogniser_gets_fewer_partials() -> None:
    quick, busy = SlowRecogniser(0.1), SlowRecogniser(0.6)
    counts = []
    for recogniser in (quick, busy):
        async with call(recogniser) as caller:
            await caller.speaks(8.0)
            await caller.pauses(1.5)
        counts.append(len(caller.texts(final=False)))
        assert len(caller.texts(final=True)) == 1
    assert counts[0] > 15
    assert counts[1] <= 9


async def test_what_is_said_after_the_turn_is_another_utterance() -> None:
    async with call(SlowRecogniser()) as caller:
        await caller.speaks(1.0)
        await caller.pauses(0.5)
        caller.stream.end_utterance()
        await caller.speaks(0.5)
        await caller.pauses(0.5)
    finals = [(t.utterance, t.text) for _, t in caller.got if t.final]
    assert finals == [(0, "word0 word1"), (1, "word0")]


async def test_times_count_from_where_the_stream_begins() -> None:
    async with call(SlowRecogniser(), begins_at_s=100.0) as caller:
        await caller.speaks(1.0)
        await caller.pauses(0.5)
    assert caller.got[-1][1].covers_s == pytest.approx(101.2)


async def test_a_failed_partial_costs_nothing_but_itself() -> None:
    def overrun(decoding: Decoding) -> ProviderError | None:
        return None if decoding.final else ProviderTimeout("whisper", "queue")

    async with call(SlowRecogniser(fails=overrun)) as caller:
        await caller.speaks(1.0)
        await caller.pauses(0.5)
    assert caller.texts(final=False) == []
    assert caller.texts(final=True) == ["word0 word1"]


@pytest.mark.parametrize("final", [False, True])
async def test_a_lost_recogniser_ends_the_stream(final: bool) -> None:
    def lost(decoding: Decoding) -> ProviderError | None:
        return WorkerDied("whisper", "gone") if decoding.final is final else None

    loop = asyncio.get_running_loop()
    stream = WhisperTranscriber(SlowRecogniser(fails=lost), LoopClock(loop, loop.time)).open(
        lambda transcript: None, connection=0, begins_at_s=0.0
    )
    caller = Caller(stream, [])
    task = asyncio.create_task(stream.run())
    await caller.speaks(1.0)
    await caller.pauses(0.5)
    with pytest.raises(WorkerDied):
        await task


async def test_a_partial_that_waits_is_replaced_by_one_of_more_audio_and_never_run() -> None:
    recogniser = SlowRecogniser()
    async with call(recogniser) as caller:
        await caller.speaks(0.3)
        recogniser.occupy(1.0)
        await caller.frames(1.7, SPEECH)
        await caller.pauses(0.5)
    first = recogniser.decoded[0]
    assert not first.final
    assert len(first.audio) / 8000 > 0.9, "it was made of what was there when it came to it"
    assert recogniser.desk.superseded >= 1
    assert recogniser.desk.dropped == 0


async def test_a_final_that_waits_gives_way_when_the_caller_goes_on_and_keeps_its_place() -> None:
    recogniser = SlowRecogniser()
    async with call(recogniser) as caller:
        await caller.speaks(1.0)
        recogniser.occupy(3.0)
        await caller.pauses(0.4)
        await caller.speaks(2.0)
        await caller.pauses(1.5)
    assert caller.texts(final=True) == [" ".join(f"word{n}" for n in range(6))]


@pytest.mark.parametrize("callers", [1, 4, 8])
async def test_no_audio_is_lost_in_a_pool_that_is_five_times_too_slow(callers: int) -> None:
    recogniser = SlowRecogniser(0.65)
    spoken = [(2.0, 0.8), (6.0, 0.5), (1.0, 5.0)]

    async def speak() -> tuple[list[str], list[int]]:
        async with call(recogniser) as caller:
            for length_s, _ in spoken:
                await caller.speaks(length_s)
                await caller.pauses(1.0)
                caller.stream.end_utterance()
            await caller.frames(12.0, QUIET)
        finals = [transcript for _, transcript in caller.got if transcript.final]
        return [each.text for each in finals], [each.utterance for each in finals]

    heard = await asyncio.gather(*(speak() for _ in range(callers)))
    whole = [" ".join(f"word{n}" for n in range(int(length_s * 2))) for length_s, _ in spoken]
    assert heard == [(whole, [0, 1, 2])] * callers
    assert recogniser.desk.dropped == 0


async def test_finals_are_hardly_later_among_callers_who_ask_for_many_partials() -> None:
    recogniser = SlowRecogniser(0.2)

    async def speak(begin_s: float) -> None:
        async with call(recogniser) as caller:
            await caller.frames(begin_s, QUIET)
            for _ in range(3):
                await caller.speaks(4.0)
                await caller.pauses(1.0)
                caller.stream.end_utterance()

    await asyncio.gather(*(speak(0.61 * number) for number in range(8)))
    finals = [decoding.waited_s for decoding in recogniser.decoded if decoding.final]
    partials = [decoding.waited_s for decoding in recogniser.decoded if not decoding.final]
    assert len(finals) == 24
    assert sorted(finals)[len(finals) // 2] <= 0.2, "a final waits for what runs, not for what waits"
    assert max(finals) <= 0.8
    assert len(partials) > 24


async def test_the_step_grows_while_partials_are_late_and_shrinks_when_there_is_room() -> None:
    recogniser = SlowRecogniser(0.1)
    async with call(recogniser) as caller:
        tracker = caller.stream._tracker
        await caller.speaks(2.0)
        usual = tracker.step
        for _ in range(12):
            recogniser.occupy(0.6)
            await caller.frames(0.6, SPEECH)
        widened = tracker.step
        await caller.frames(8.0, SPEECH)
    assert usual < widened <= 2 * 8000
    assert tracker.step == usual
