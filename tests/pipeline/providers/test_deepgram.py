"""Deepgram's recognisers as the conversation uses them, against an emulated vendor, through the real SDK."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from deepgram_rig import Rig, Said, vendor

from offhook.config.errors import ProviderError
from offhook.config.speech import TranscriberChoice
from offhook.config.vendors import FIELDS, Account
from offhook.lab.vendors.faults import FaultKind
from offhook.lab.vendors.latency import Delay
from offhook.pipeline.clock import LoopClock
from offhook.pipeline.ports import TurnHint
from offhook.pipeline.providers import deepgram_audio
from offhook.pipeline.providers.deepgram import DeepgramTranscriber

HELLO = Said(0.5, 2.0, "Hello I want pizza.")
AND_TEA = Said(4.0, 5.0, "And some tea.")


async def test_words_come_while_they_are_said_and_are_final_after_a_pause() -> None:
    async with vendor([HELLO]) as rig:
        caller = await rig.caller()
        await caller.speak(3.0)

        texts = [item.text for item in caller.heard]
        assert texts[0] in ("Hello", "Hello I")
        assert [item.text for item in caller.heard if item.final] == ["Hello I want pizza."]
        assert all(HELLO.text.startswith(text) for text in texts)
        assert caller.heard[-1].covers_s >= 2.0
        sequences = [item.sequence for item in caller.heard]
        assert sequences == sorted(set(sequences))


async def test_a_pause_that_our_voice_activity_saw_makes_the_words_final_at_once() -> None:
    async with vendor([HELLO]) as rig:
        caller = await rig.caller()
        await caller.speak(2.4, pauses=True)

        assert len(rig.seen("finalize")) == 1
        assert caller.text == HELLO.text
        assert caller.heard[-1].covers_s >= 2.0


async def test_each_utterance_after_the_first_has_its_own_number_and_words() -> None:
    async with vendor([HELLO, AND_TEA]) as rig:
        caller = await rig.caller()
        await caller.speak(3.0, pauses=True)
        caller.stream.end_utterance()
        await caller.speak(3.0, pauses=True)

        finals = [item for item in caller.heard if item.final and item.text]
        assert [item.text for item in finals] == [HELLO.text, AND_TEA.text]
        assert finals[1].utterance > finals[0].utterance


async def test_words_that_come_late_for_a_turn_that_is_over_are_never_reported() -> None:
    async with vendor([HELLO, AND_TEA], final=_exactly(800)) as rig:
        caller = await rig.caller()
        await caller.speak(2.1)
        caller.stream.end_utterance()
        before = len(caller.heard)
        await caller.speak(4.5)

        assert " ".join(item.text for item in caller.heard[before:] if item.final).strip() == AND_TEA.text
        assert not any("pizza" in item.text for item in caller.heard[before:])


async def test_flux_reports_each_event_of_a_turn() -> None:
    said = [Said(0.5, 1.5, "Two of them."), Said(1.95, 2.6, "Please hurry.")]
    async with vendor(said) as rig:
        caller = await rig.caller(model="flux-general-en", eager_eot_threshold=0.5)
        await caller.speak(4.0)

        hints = [item.turn for item in caller.heard]
        assert hints[0] is TurnHint.STARTED
        assert TurnHint.NONE in hints
        told = [hint for hint in hints if hint is not TurnHint.NONE]
        assert told == [TurnHint.STARTED, TurnHint.EAGER, TurnHint.RESUMED, TurnHint.EAGER, TurnHint.ENDED]
        assert [item.text for item in caller.heard if item.final] == ["Two of them. Please hurry."]
        assert caller.heard[-1].turn is TurnHint.ENDED
        assert caller.heard[-1].covers_s == pytest.approx(3.3, abs=0.1)
        assert not rig.seen("finalize")


async def test_flux_is_told_to_end_a_turn_that_we_took() -> None:
    async with vendor([HELLO, AND_TEA]) as rig:
        caller = await rig.caller(model="flux-general-en", eot_threshold=1.0)
        await caller.speak(2.5)
        assert caller.heard[-1].text == HELLO.text
        caller.stream.end_utterance()
        before = len(caller.heard)
        await caller.speak(3.5)
        caller.stream.end_utterance()
        await caller.speak(0.5)

        assert len(rig.seen("forceendturn")) == 2
        later = caller.heard[before:]
        assert not any("pizza" in item.text for item in later)
        assert later[0].final
        assert later[0].text == ""
        assert later[0].turn is TurnHint.NONE
        assert any(item.text == AND_TEA.text for item in later)
        assert later[-1].utterance > caller.heard[0].utterance


async def test_audio_a_lost_recogniser_did_not_answer_for_is_heard_whole() -> None:
    async with vendor([Said(12.0, 28.0, "Ten green bottles on the wall")]) as rig:
        caller = await rig.caller(begins_at_s=10.0, connection=3)
        replay = bytearray()
        while caller.media_s < 40.0:
            replay += caller.frame()
            caller.media_s += 0.02
        rig.inside.said = [Said(2.0, 18.0, "Ten green bottles on the wall")]  # as that connection counts
        caller.stream.push(bytes(replay))
        caller.stream.speech_paused(28.0)
        await asyncio.sleep(1.0)
        await caller.stop()
        await asyncio.sleep(0.1)

        assert rig.seen("closed")[0]["audio_bytes"] == 30 * 8000
        assert caller.stream.dropped_bytes == 0
        assert caller.text == "Ten green bottles on the wall"
        last = [item for item in caller.heard if item.final][-1]
        assert last.connection == 3
        assert last.covers_s == pytest.approx(40.0, abs=0.1)


@pytest.mark.parametrize("model", ["nova-3", "flux-general-en"])
async def test_nothing_is_lost_while_the_vendor_takes_its_time_to_answer(model: str) -> None:
    async with vendor(connect=_exactly(3800)) as rig:
        caller = await rig.caller(model=model)
        await caller.speak(6.0)
        await caller.stop()
        await asyncio.sleep(0.1)

        assert caller.stream.dropped_bytes == 0
        assert rig.seen("closed")[0]["audio_bytes"] == pytest.approx(6 * 8000, abs=640)


@pytest.fixture
def little_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two seconds of audio wait, and no more."""
    monkeypatch.setattr(deepgram_audio, "MOST_WAITING_BYTES", 16_000)


@pytest.mark.usefixtures("little_room")
@pytest.mark.parametrize("model", ["nova-3", "flux-general-en"])
async def test_audio_beyond_what_may_wait_is_dropped_and_counted(model: str) -> None:
    async with vendor(connect=_exactly(3500)) as rig:
        caller = await rig.caller(model=model)
        await caller.speak(6.0)
        await caller.stop()
        await asyncio.sleep(0.1)

        dropped = caller.stream.dropped_bytes
        assert 1.3 * 8000 < dropped < 1.6 * 8000
        assert rig.seen("closed")[0]["audio_bytes"] == pytest.approx(6 * 8000 - dropped, abs=640)


@pytest.mark.usefixtures("little_room")
async def test_times_are_right_after_audio_was_dropped() -> None:
    async with vendor([Said(3.0, 4.0, "Here I am.")], connect=_exactly(3500)) as rig:
        caller = await rig.caller()
        caller.said = [Said(4.5, 5.5, "")]  # 1.5 s are dropped: the vendor hears it at 3.0
        await caller.speak(6.5)

        assert caller.text == "Here I am."
        assert [item.covers_s for item in caller.heard if item.final] == [pytest.approx(5.8, abs=0.15)]


async def test_nova_is_kept_alive_while_no_audio_flows_and_only_then() -> None:
    async with vendor() as rig:
        caller = await rig.caller()
        await caller.speak(10.0)
        assert not rig.seen("keepalive")
        await asyncio.sleep(30.0)
        assert 6 <= len(rig.seen("keepalive")) <= 8
        assert caller.task is not None
        assert not caller.task.done()


async def test_flux_is_kept_alive_with_silence_that_moves_no_times() -> None:
    async with vendor() as rig:
        caller = await rig.caller(model="flux-general-en")
        await caller.speak(0.4)
        await asyncio.sleep(60.0)
        assert caller.task is not None
        assert not caller.task.done()
        silence_s = 60 * 0.08
        rig.inside.said = [Said(0.4 + silence_s + 0.1, 0.4 + silence_s + 1.1, "Still here.")]
        caller.said = [Said(0.5, 1.5, "")]
        await caller.speak(2.5)

        assert not rig.seen("keepalive")
        assert caller.text == "Still here."
        assert caller.heard[-1].covers_s == pytest.approx(2.2, abs=0.15)


async def test_flux_gets_chunks_of_80_ms_and_no_byte_stays_behind() -> None:
    async with vendor() as rig:
        caller = await rig.caller(model="flux-general-en")
        await caller.speak(2.06)
        await asyncio.sleep(0.5)
        await caller.stop()
        await asyncio.sleep(0.1)

        closed = rig.seen("closed")[0]
        assert closed["audio_bytes"] == 103 * 160
        assert closed["audio_messages"] == pytest.approx(26, abs=1)


NOVA = {
    "model": ("nova-2", ("model", ("nova-2",))),
    "smart_format": (False, ("smart_format", ("false",))),
    "keyterms": (("Zaphod", "Arthur Dent"), ("keyterm", ("Zaphod", "Arthur Dent"))),
}
FLUX = {
    "model": ("flux-general-multi", ("model", ("flux-general-multi",))),
    "keyterms": (("Zaphod", "Trillian"), ("keyterm", ("Zaphod", "Trillian"))),
    "eot_threshold": (0.8, ("eot_threshold", ("0.8",))),
    "eager_eot_threshold": (0.4, ("eager_eot_threshold", ("0.4",))),
    "eot_timeout_ms": (3000, ("eot_timeout_ms", ("3000",))),
}


async def _query(rig: Rig, **choice: Any) -> dict[str, tuple[str, ...]]:
    caller = await rig.caller(**choice)
    await caller.speak(0.1)
    query: dict[str, tuple[str, ...]] = rig.seen("connected")[-1]["query"]
    return query


@pytest.mark.parametrize("field", sorted(FIELDS["transcriber"]["deepgram"]))
async def test_each_field_for_nova_reaches_the_vendor(field: str) -> None:
    value, (name, given) = NOVA[field]
    async with vendor() as rig:
        assert (await _query(rig, **{field: value}))[name] == given


@pytest.mark.parametrize("field", sorted(FIELDS["transcriber"]["deepgram flux"]))
async def test_each_field_for_flux_reaches_the_vendor(field: str) -> None:
    value, (name, given) = FLUX[field]
    async with vendor() as rig:
        assert (await _query(rig, **{"model": "flux-general-en", field: value}))[name] == given


async def test_nova_3_is_the_default_and_takes_the_carriers_bytes_untouched() -> None:
    async with vendor() as rig:
        assert await _query(rig, language="en-GB") == {
            "model": ("nova-3",),
            "language": ("en-GB",),
            "encoding": ("mulaw",),
            "sample_rate": ("8000",),
            "channels": ("1",),
            "interim_results": ("true",),
            "smart_format": ("true",),
            "endpointing": ("300",),
        }


async def test_an_older_model_gets_keyterms_as_keywords() -> None:
    async with vendor() as rig:
        assert (await _query(rig, model="nova-2", keyterms=("Zaphod",)))["keywords"] == ("Zaphod",)


async def test_a_multilingual_flux_is_told_the_language() -> None:
    async with vendor() as rig:
        assert "language_hint" not in await _query(rig, model="flux-general-en", language="en-GB")
        query = await _query(rig, model="flux-general-multi", language="es-MX")
        assert query["language_hint"] == ("es",)


async def test_a_call_that_ends_says_so_and_leaves_nothing() -> None:
    async with vendor([HELLO]) as rig:
        caller = await rig.caller()
        await caller.speak(1.0)
        begun = asyncio.get_running_loop().time()
        await caller.stop()

        assert asyncio.get_running_loop().time() - begun < 0.6
        assert len(rig.seen("closestream")) == 1
        await asyncio.sleep(0.5)
        assert rig.world.sightings.open["deepgram connection"] == 0
        assert rig.world.engines.voice_activity.open_streams == 0  # type: ignore[attr-defined]


async def test_a_call_may_end_while_the_vendor_is_being_reached() -> None:
    async with vendor(connect=_exactly(3000)) as rig:
        caller = await rig.caller()
        await caller.speak(0.5)
        begun = asyncio.get_running_loop().time()
        await caller.stop()
        assert asyncio.get_running_loop().time() - begun < 0.1


async def test_a_vendor_that_does_not_let_go_is_left_at_once() -> None:
    async with vendor() as rig:
        rig.plan("audio", FaultKind.SLOW, wait_ms=5000)
        caller = await rig.caller()
        await caller.speak(0.5)
        begun = asyncio.get_running_loop().time()
        await caller.stop()
        assert asyncio.get_running_loop().time() - begun < 0.6
        await asyncio.sleep(6.0)


async def test_jobs_are_taken_between_start_and_close() -> None:
    loop = asyncio.get_running_loop()
    clock = LoopClock(loop, loop.time)
    transcriber = DeepgramTranscriber(TranscriberChoice(provider="deepgram"), "en", Account(), clock)
    assert not transcriber.takes_jobs
    with pytest.raises(ProviderError, match="not started"):
        await transcriber.open(print, connection=0, begins_at_s=0.0).run()
    await transcriber.start()
    states = [transcriber.takes_jobs]
    await transcriber.close()
    assert [*states, transcriber.takes_jobs] == [True, False]


def _exactly(milliseconds: float) -> Delay:
    return Delay(milliseconds, milliseconds)


@pytest.mark.realtime
@pytest.mark.both_loops
async def test_it_is_the_same_on_the_real_clock() -> None:
    async with vendor([Said(0.2, 0.8, "Hello.")]) as rig:
        caller = await rig.caller()
        await caller.speak(1.6, pauses=True)
        assert caller.text == "Hello."
