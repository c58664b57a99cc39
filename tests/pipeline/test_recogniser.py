"""A recogniser that is lost, silent or slow: what the caller says is heard, every word of it once."""

from __future__ import annotations

import asyncio
from itertools import pairwise

import pytest
from ear_rig import GAP_S, SOUND, EarRig, listening
from fake_engines import ScriptedStream

from offhook.codecs.audio_format import PCM_16K
from offhook.config.errors import ProviderRefused
from offhook.pipeline import retries
from offhook.pipeline.breaker import BreakerState
from offhook.pipeline.evidence import Hearing, Words

FIRST, SECOND = "please send one parcel", "to my new address"


async def two_utterances(rig: EarRig) -> None:
    """Two utterances with a pause between them, then time to come back."""
    await asyncio.sleep(0.4)
    await rig.says(FIRST, 1.2)
    await asyncio.sleep(0.6)
    await rig.says(SECOND, 1.2)
    await asyncio.sleep(4.0)


# ------------------------------------------------------------------ every word once


@pytest.mark.parametrize("segments", [False, True])
@pytest.mark.parametrize("times", [1, 2, 4])
async def test_every_word_comes_once_whenever_the_stream_is_lost(segments: bool, times: int) -> None:
    for step in range(68):
        async with listening() as rig:
            rig.engines[0].segments = segments
            rig.lose_after(step * 0.05, times)
            await two_utterances(rig)
            assert rig.words.text == f"{FIRST} {SECOND}", f"lost at {step * 0.05:.2f} s"


@pytest.mark.parametrize("segments", [False, True])
async def test_every_word_comes_once_though_another_recogniser_takes_over(segments: bool) -> None:
    for step in range(68):
        async with listening(2) as rig:
            for engine in rig.engines:
                engine.segments = segments
            rig.lose_after(step * 0.05, 10)
            await two_utterances(rig)
            assert rig.words.text == f"{FIRST} {SECOND}", f"lost at {step * 0.05:.2f} s"


async def test_no_word_comes_twice_in_two_turns() -> None:
    for step in range(90):
        async with listening() as rig:
            rig.lose_after(step * 0.05)
            turns = []
            for text in (FIRST, SECOND):
                await asyncio.sleep(0.4)
                await rig.says(text, 1.2)
                await asyncio.sleep(0.7)
                turns.append(rig.words.text)
                rig.words.reset()
                rig.ear.end_utterance()
            await asyncio.sleep(1.0)
            turns.append(rig.words.text)
            assert turns == [FIRST, SECOND, ""], f"lost at {step * 0.05:.2f} s"


async def test_partial_words_stand_until_the_next_stream_has_words() -> None:
    async with listening() as rig:
        await asyncio.sleep(0.4)
        rig.lose_after(0.9)
        rig.engines[0].decode_s = 0.3
        await rig.says("one two three four", 1.2)
        await asyncio.sleep(1.5)
        assert "one two" in rig.texts
        shown = rig.texts[rig.texts.index("one two") :]
        assert all(text.startswith("one two") for text in shown)
        assert shown[-1] == "one two three four"


async def test_the_next_stream_begins_with_all_that_has_no_answer() -> None:
    async with listening() as rig:
        rig.streams()[0].silent = True
        await asyncio.sleep(5.0)
        await rig.says("one two three four five six", 3.0)
        rig.lose()
        await asyncio.sleep(0.1)
        stream = rig.streams()[1]
        assert stream.begins_at_s <= 5.0
        assert stream.first is not None
        assert stream.first.count(SOUND[0]) == pytest.approx(3.0 * (1 - GAP_S) * 8000)
        await asyncio.sleep(1.0)
        assert rig.words.text == "one two three four five six"


async def test_a_lost_streams_late_results_are_dropped() -> None:
    async with listening() as rig:
        rig.engines[0].decode_s = 0.4
        await asyncio.sleep(0.4)
        rig.lose_after(0.5)  # a partial is on its way then
        await rig.says("one two three", 0.9)
        await asyncio.sleep(2.0)
        connections = [it.transcript.connection for _, it in rig.evidence if isinstance(it, Words)]
        assert connections == sorted(connections)
        assert 0 not in connections


# -------------------------------------------------------------------- lost, and back


async def test_a_lost_recogniser_is_opened_again_later_each_time() -> None:
    async with listening() as rig:
        rig.lose(9)
        await asyncio.sleep(30)
        opened = rig.note_times("recogniser.lost")
        waits = [after - before for before, after in pairwise(opened)]
        assert len(opened) == 5, "what follows after all hope is gone is told once"
        for wait_s, base_s in zip(waits, retries.BACKOFF_S, strict=False):
            assert base_s <= wait_s <= base_s * 1.5 + retries.LEAST_JITTER_S
        assert rig.ear.reconnects == 9


async def test_two_calls_do_not_reconnect_in_step() -> None:
    waits = {retries.Retries(["one"], seed).wait_s() for seed in "abcdef"}
    assert len(waits) == 6


async def test_one_recogniser_alone_is_given_five_attempts_and_then_tried_on() -> None:
    async with listening() as rig:
        rig.lose(8)
        await asyncio.sleep(20)
        assert [(fault.stage, fault.hopeless) for fault in rig.faults()] == [("transcriber", True)]
        await rig.says("are you there", 0.9)
        await asyncio.sleep(1.0)
        assert rig.words.text == "are you there"
        rig.lose(6)
        await asyncio.sleep(20)
        assert len(rig.faults()) == 2, "after a success all counts anew"


async def test_after_two_losses_the_next_recogniser_listens_and_the_call_stays_with_it() -> None:
    async with listening(2) as rig:
        rig.lose(10)
        await asyncio.sleep(1.0)
        assert len(rig.streams(0)) == 2
        assert len(rig.streams(1)) == 1
        await rig.says(FIRST, 1.2)
        rig.engines[0].fails = 0
        await asyncio.sleep(30)
        assert len(rig.streams(1)) == 1
        assert rig.words.text == FIRST
        assert (rig.ear.reconnects, rig.ear.switches) == (2, 1)
        assert rig.faults() == []
        assert [(it["from"], it["to"]) for it in rig.noted("provider.switched")] == [
            ("recogniser-0", "recogniser-1")
        ]


async def test_a_loss_long_after_the_last_one_is_the_first_again() -> None:
    async with listening(2) as rig:
        for _ in range(3):
            await asyncio.sleep(11)
            rig.lose()
        await asyncio.sleep(1)
        assert len(rig.streams(0)) == 4
        assert rig.streams(1) == []


async def test_a_recogniser_that_breaks_after_each_word_is_replaced_too() -> None:
    async with listening(2) as rig:
        for _ in range(2):
            await rig.says("hello", 0.4)
            await asyncio.sleep(0.6)
            rig.lose()
            await asyncio.sleep(0.2)
        assert len(rig.streams(1)) == 1


async def test_a_refusal_is_not_tried_twice() -> None:
    async with listening(2) as rig:
        rig.engines[0].error = ProviderRefused
        rig.lose()
        await asyncio.sleep(0.5)
        assert len(rig.streams(0)) == 1
        assert len(rig.streams(1)) == 1
        assert rig.candidates[0].breaker.state is BreakerState.OPEN


async def test_a_stand_in_that_rests_is_not_preferred_to_another_attempt() -> None:
    async with listening(2) as rig:
        rig.candidates[1].breaker.failed(refused=True)
        rig.lose(3)
        await asyncio.sleep(3.0)
        assert rig.streams(1) == []
        assert len(rig.streams(0)) == 4


async def test_when_all_have_failed_that_is_told_once_and_the_attempts_go_on() -> None:
    async with listening(2) as rig:
        rig.engines[1].fails = 12
        rig.lose(12)
        await asyncio.sleep(8)
        assert [fault.hopeless for fault in rig.faults()] == [True]
        await asyncio.sleep(60)
        assert [fault.hopeless for fault in rig.faults()] == [True]
        await rig.says(FIRST, 1.2)
        await asyncio.sleep(1.0)
        assert rig.words.text == FIRST


async def test_a_recogniser_that_listens_in_silence_has_worked() -> None:
    async with listening() as rig:
        breaker = rig.candidates[0].breaker
        breaker.failed(refused=True)
        await asyncio.sleep(11)
        assert breaker.state is BreakerState.CLOSED


# --------------------------------------------------------------------------- hearing


async def test_hearing_is_whole_again_when_what_was_missed_has_words() -> None:
    async with listening() as rig:
        await asyncio.sleep(0.4)
        rig.lose_after(1.0)
        await rig.says(FIRST, 1.2)
        await asyncio.sleep(1.0)
        assert rig.hearing() == [False, True]
        kinds = [type(it) for _, it in rig.evidence if isinstance(it, Words | Hearing)]
        back = len(kinds) - 1 - kinds[::-1].index(Hearing)
        assert kinds[back - 1] is Words, "the words come first"
        assert rig.hearing_times(True)[0] < 2.4
        assert rig.noted("recogniser.back")[0]["gap_ms"] < 1000


async def test_hearing_is_whole_when_a_new_stream_has_stayed_up_in_silence() -> None:
    async with listening() as rig:
        rig.lose_after(1.0)
        await asyncio.sleep(5.0)
        assert rig.hearing() == [False, True]
        assert 3.0 <= rig.hearing_times(True)[0] <= 3.1


async def test_hearing_is_told_once_however_often_the_recogniser_is_lost() -> None:
    async with listening() as rig:
        rig.lose(4)
        await asyncio.sleep(10.0)
        assert rig.hearing() == [False, True]


async def test_a_long_gap_is_noted_while_it_lasts() -> None:
    async with listening() as rig:
        rig.lose(5)
        await asyncio.sleep(3.5)
        assert len(rig.noted("recogniser.gap")) == 1
        assert 2.9 < rig.note_times("recogniser.gap")[0] < 3.1
        await asyncio.sleep(5.0)
        assert len(rig.noted("recogniser.gap")) == 1


# ---------------------------------------------------------------------------- silent


async def speaks_to_the_deaf(rig: EarRig, seconds: float) -> None:
    rig.streams()[0].silent = True
    await asyncio.sleep(0.5)
    await rig.says(" ".join(f"w{number}" for number in range(round(seconds * 2))), seconds)


async def test_a_silent_recogniser_is_replaced_by_whoever_gives_words_first() -> None:
    async with listening(2) as rig:
        await speaks_to_the_deaf(rig, 6.0)
        await asyncio.sleep(1.0)
        assert rig.noted("recogniser.silent") == [{"provider": "recogniser-0", "beside": "recogniser-1"}]
        assert 4.4 < rig.note_times("recogniser.silent")[0] < 4.8
        assert rig.words.text == " ".join(f"w{number}" for number in range(12))
        assert rig.streams(0)[0].over, "the silent one is closed"
        assert len(rig.streams(0)) == 1
        assert rig.ear.switches == 1
        assert rig.candidates[0].breaker.failures == 1
        assert rig.hearing() == [False, True]


async def test_a_silent_recogniser_without_stand_in_gets_a_second_stream() -> None:
    async with listening() as rig:
        await speaks_to_the_deaf(rig, 6.0)
        await asyncio.sleep(1.0)
        assert rig.words.text == " ".join(f"w{number}" for number in range(12))
        assert [stream.over for stream in rig.streams()] == [True, False]
        assert (rig.ear.reconnects, rig.ear.switches) == (1, 0)


async def test_a_silent_recogniser_that_speaks_first_stays() -> None:
    async with listening(2) as rig:
        rig.engines[1].deaf = True
        await speaks_to_the_deaf(rig, 4.6)
        assert len(rig.streams(1)) == 1
        rig.streams()[0].silent = False
        await asyncio.sleep(1.0)
        assert rig.words.text == " ".join(f"w{number}" for number in range(9))
        assert rig.streams(1)[0].over
        assert not rig.streams(0)[0].over
        assert rig.ear.switches == 0
        assert rig.hearing() == [False, True]


async def test_the_rival_takes_over_at_once_if_the_silent_one_is_lost() -> None:
    async with listening(2) as rig:
        rig.engines[1].decode_s = 0.8
        await speaks_to_the_deaf(rig, 4.4)
        rig.lose()
        await asyncio.sleep(2.0)
        assert rig.words.text == " ".join(f"w{number}" for number in range(9))
        assert (rig.ear.reconnects, rig.ear.switches) == (1, 1)
        assert rig.hearing() == [False, True]


async def test_a_rival_that_is_lost_leaves_the_first_alone() -> None:
    async with listening(2) as rig:
        rig.engines[1].fails = 1
        await speaks_to_the_deaf(rig, 5.0)
        assert not rig.streams(0)[0].over
        rig.streams()[0].silent = False
        await asyncio.sleep(1.0)
        assert rig.words.text == " ".join(f"w{number}" for number in range(10))
        assert rig.ear.switches == 0
        assert rig.hearing() == [False, True]


async def test_alarms_are_ten_seconds_of_speech_apart() -> None:
    async with listening() as rig:
        rig.engines[0].deaf = True
        await speaks_to_the_deaf(rig, 25.0)
        assert len(rig.noted("recogniser.silent")) == 3
        assert sum(not stream.over for stream in rig.streams()) == 2, "never more than two at once"


async def test_silence_of_the_caller_is_no_silence_of_the_recogniser() -> None:
    async with listening() as rig:
        rig.engines[0].deaf = True
        await asyncio.sleep(120)
        for _ in range(3):
            await rig.says("", 1.2)
            await asyncio.sleep(20)
        assert rig.noted("recogniser.silent") == []


async def test_noise_that_the_recogniser_answers_is_believed_for_eight_seconds() -> None:
    async with listening() as rig:
        await rig.says("", 7.5)
        assert rig.noted("recogniser.silent") == []
        await rig.says("", 7.5)
        assert 7.9 < rig.note_times("recogniser.silent")[0] < 8.7


async def test_two_recognisers_that_hear_no_words_are_right() -> None:
    async with listening(2) as rig:
        await rig.says("", 52)
        assert 3 <= len(rig.noted("recogniser.silent")) <= 5
        assert rig.ear.switches == 0
        await asyncio.sleep(1)
        assert sum(not stream.over for stream in rig.streams(1)) == 0


# -------------------------------------------------------------------------- the rest


async def test_each_recogniser_gets_its_own_format() -> None:
    async with listening(2) as rig:
        rig.engines[1].audio_format = PCM_16K
        await asyncio.sleep(1.0)
        rig.lose(2)
        await asyncio.sleep(1.0)
        first = rig.streams(1)[0].first
        assert first is not None
        assert len(first) % 2 == 0
        missed_s = rig.ear.media_s - rig.streams(1)[0].begins_at_s
        assert missed_s > 0.9


async def test_an_ear_that_is_closed_while_two_streams_are_open_leaves_nothing() -> None:
    async with listening(2) as rig:
        rig.engines[1].deaf = True
        await speaks_to_the_deaf(rig, 4.5)
        assert [len(rig.streams(0)), len(rig.streams(1))] == [1, 1]


async def test_an_ear_that_is_closed_while_it_waits_leaves_nothing() -> None:
    async with listening() as rig:
        rig.lose(4)
        await asyncio.sleep(1.2)


async def test_a_stream_that_turns_its_end_into_an_error_is_not_opened_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run = ScriptedStream.run

    async def rude(stream: ScriptedStream) -> None:
        try:
            await run(stream)
        except asyncio.CancelledError:
            raise ConnectionResetError from None

    monkeypatch.setattr(ScriptedStream, "run", rude)
    async with listening() as rig:
        await asyncio.sleep(0.5)
    assert len(rig.streams()) == 1
