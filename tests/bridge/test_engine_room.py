"""The engines of one process: what a call gets of them, and what is left when nobody needs them."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from bridge_rig import loop_clock
from call_rig import assistant_from, running_call
from fake_catalogue import FakeCatalogue
from fake_engines import InlineWorkers, ScriptedModel, says
from web_rig import RUN

from offhook.bridge.engine_room import EXPECTED_LIMIT, EngineRoom
from offhook.bridge.pool_workers import PoolWorkers
from offhook.bridge.posted_assistants import PostedAssistants
from offhook.bridge.shared_engine import RETRY_S, START_WITHIN_S
from offhook.config.assistant import Assistant
from offhook.config.errors import ConfigError, ConfigProblem, ProviderError, Refused, ToolError
from offhook.config.vendors import Account
from offhook.pipeline.call import Engines
from offhook.pipeline.providers.catalogue import candidate_name

DOWN = ProviderError("voice", "it is down")
BACKED: dict[str, Any] = {
    "name": "Backed",
    "goodbye": "Goodbye.",
    "transcriber": {"provider": "deepgram", "model": "nova-3", "fallbacks": [{"provider": "embedded"}]},
    "model": {"provider": "openai", "name": "gpt", "fallbacks": [{"fallback": "Sorry."}]},
    "voice": {"provider": "elevenlabs", "name": "anna", "fallbacks": [{"provider": "embedded"}]},
}


def no_account(vendor: str) -> Account:
    return Account()


class Rig:
    """A room with fake engines, and the assistants that are served."""

    def __init__(self) -> None:
        self.catalogue = FakeCatalogue()
        self.served: list[Assistant] = []
        self.posted = PostedAssistants(loop_clock(), lambda posted: self.room.warm(posted))
        self.room = EngineRoom(
            loop_clock(),
            InlineWorkers(),
            InlineWorkers(),
            account=no_account,
            served=lambda: (*self.served, *self.posted.loaded()),
            catalogue=self.catalogue,
        )

    def ready(self) -> bool:
        return self.room.ready

    def serve(self, **fields: Any) -> Assistant:
        """Have this assistant, and no other one, served from now on."""
        assistant = assistant_from(**fields)
        self.served = [assistant]
        return assistant

    def nothing_is_closed_that_is_held(self, calls: list[Engines]) -> None:
        voices = [[self.catalogue.behind[voice.engine] for voice in call.voices] for call in calls]
        assert all(voices)
        assert all(voice.closes == 0 for of_call in voices for voice in of_call), "a call's voice was closed"

    async def warm(self, **fields: Any) -> Assistant:
        assistant = self.serve(**fields)
        await self.room.warm(assistant)
        return assistant


@asynccontextmanager
async def engine_room() -> AsyncIterator[Rig]:
    """A room that is closed in the end, and has left nothing then."""
    before = asyncio.all_tasks()
    rig = Rig()
    try:
        yield rig
    finally:
        await rig.room.close()
    assert asyncio.all_tasks() == before, "the room left tasks behind"
    assert rig.catalogue.open == []


def names(engines: Engines) -> list[list[str]]:
    return [
        [each.name for each in line_up] for line_up in (engines.transcribers, engines.models, engines.voices)
    ]


# ------------------------------------------------------------------ expected calls

GREETED = {**BACKED, "first_message": "Hello {{from}}. How can I help?"}


async def test_the_first_words_of_a_call_that_is_about_to_come_are_made_meanwhile() -> None:
    async with engine_room() as rig:
        assistant = await rig.warm(**GREETED)
        rig.room.expect_call(assistant, {"from": "+15550100"})
        await asyncio.sleep(1)
        stock = rig.room.engines(assistant).stock
        assert stock.get("elevenlabs anna", "Hello +15550100.")
        assert stock.get("embedded heart", "Hello +15550100.") is None, "only the voice that will speak"


async def test_a_call_takes_up_the_greeting_that_is_being_made_and_says_it_once() -> None:
    async with engine_room() as rig:
        assistant = await rig.warm(**{**GREETED, "transcriber": {}, "model": {"intents": []}})
        voice = next(voice for voice, made in rig.catalogue.behind.items() if made.name == "elevenlabs anna")
        rig.catalogue.speaking_s["elevenlabs anna"] = 0.8
        rig.room.expect_call(assistant, {"from": "+15550100"})
        await asyncio.sleep(0.5)
        engines = rig.room.engines(assistant)
        began_s = asyncio.get_running_loop().time()
        async with running_call(assistant, engines=engines) as call:
            heard_s = await call.agent_starts()
        assert heard_s - began_s == pytest.approx(0.8 + 0.05 - 0.5, abs=0.05)
        assert voice.spoken.count("Hello +15550100.") == 1


async def test_a_voice_that_fails_in_advance_is_asked_again_by_the_call() -> None:
    async with engine_room() as rig:
        assistant = await rig.warm(**GREETED)
        rig.catalogue.mute.add("elevenlabs anna")
        rig.room.expect_call(assistant, {"from": "+15550100"})
        await asyncio.sleep(1)
        assert rig.room.engines(assistant).stock.get("elevenlabs anna", "Hello +15550100.") is None


async def test_a_model_is_asked_to_connect_before_the_call_is_there() -> None:
    class ConnectingModel(ScriptedModel):
        connected = 0

        async def connect(self) -> None:
            self.connected += 1

    made = ConnectingModel(says("All right."))
    async with engine_room() as rig:
        rig.catalogue.models["openai gpt"] = made
        assistant = await rig.warm(**BACKED)
        rig.room.expect_call(assistant, {})
        await asyncio.sleep(0.1)
    assert made.connected == 1


async def test_an_expected_call_waits_for_nobody_and_ends_with_the_room() -> None:
    async with engine_room() as rig:
        rig.room.expect_call(assistant_from(**GREETED), {"from": "+1"})  # its engines were never asked for
        assistant = await rig.warm(**GREETED)
        rig.catalogue.speaking_s["elevenlabs anna"] = 60
        for number in range(EXPECTED_LIMIT + 10):
            rig.room.expect_call(assistant, {"from": f"+{number}"})
        await asyncio.sleep(1)


# ------------------------------------------------------------------------ warming


async def test_a_warm_room_serves_every_engine_of_the_assistant_in_its_order() -> None:
    async with engine_room() as rig:
        assert not rig.ready()
        assistant = await rig.warm(**BACKED)
        assert rig.ready()
        assert names(rig.room.engines(assistant)) == [
            ["deepgram nova-3", "embedded"],
            ["openai gpt", "embedded"],
            ["elevenlabs anna", "embedded heart"],
        ]


async def test_stock_phrases_are_spoken_by_every_voice_before_the_first_call() -> None:
    async with engine_room() as rig:
        stock = rig.room.engines(await rig.warm(**BACKED)).stock
        assert stock.get("elevenlabs anna", "Goodbye.")
        assert stock.get("embedded heart", "Goodbye.")


async def test_the_consent_line_is_a_stock_phrase_of_calls_that_are_recorded() -> None:
    line = "This call is recorded."
    async with engine_room() as rig:
        for enabled in (False, True):
            recording = {"enabled": enabled, "consent_line": line}
            stock = rig.room.engines(await rig.warm(**BACKED, recording=recording)).stock
            assert (stock.get("embedded heart", line) is not None) == enabled


async def test_assistants_that_ask_for_the_same_share_it() -> None:
    async with engine_room() as rig:
        one, other = assistant_from(**BACKED), assistant_from(**{**BACKED, "instructions": "Be brief."})
        rig.served = [one, other]
        await asyncio.gather(rig.room.warm(one), rig.room.warm(other), rig.room.warm(one))
        assert all(len(attempts) == 1 for attempts in rig.catalogue.attempts.values())
        shared = [rig.room.engines(each).voices[0].engine for each in (one, other)]
        assert shared[0] is shared[1]


async def test_an_embedded_model_is_loaded_once_whatever_it_has_no_use_for() -> None:
    async with engine_room() as rig:
        one = assistant_from(language="en", transcriber={"keyterms": ["Lee"]})
        other = assistant_from(
            language="en-GB", transcriber={"smart_format": False}, voice={"stability": 0.4}
        )
        rig.served = [one, other]
        await asyncio.gather(rig.room.warm(one), rig.room.warm(other))
        assert rig.catalogue.open == ["embedded", "embedded heart", "listening"]


async def test_voices_that_differ_in_anything_never_share_a_name() -> None:
    async with engine_room() as rig:
        assistant = await rig.warm(voice={"fallbacks": [{"speed": 1.5}, {"speed": 1.5}, {"speed": 0.8}]})
        engines = rig.room.engines(assistant)
        assert names(engines)[2] == ["embedded heart", "embedded heart #2", "embedded heart #3"]


async def test_a_room_that_was_not_warmed_refuses_and_warms_meanwhile() -> None:
    async with engine_room() as rig:
        assistant = rig.serve()
        for _ in range(3):
            with pytest.raises(Refused, match="engines_not_ready"):
                rig.room.engines(assistant)
        await asyncio.sleep(2)
        assert rig.room.engines(assistant)
        assert rig.catalogue.attempts["embedded"] == [rig.catalogue.attempts["embedded"][0]]


async def test_what_is_lacking_is_told_and_nothing_is_started() -> None:
    async with engine_room() as rig:
        rig.catalogue.unmet["Backed"] = ConfigProblem("assistant", "voice.provider", "needs a key.")
        assistant = rig.serve(**BACKED)
        with pytest.raises(ConfigError, match=r"voice\.provider"):
            await rig.room.warm(assistant)
        with pytest.raises(ConfigError):
            rig.room.engines(assistant)
        assert rig.catalogue.built == []


# ------------------------------------------------------------- engines that do not start


async def test_a_fallback_that_does_not_start_is_left_out_until_it_does() -> None:
    async with engine_room() as rig:
        rig.catalogue.broken["embedded heart"] = DOWN
        assistant = await rig.warm(**BACKED)
        assert rig.ready()
        assert names(rig.room.engines(assistant))[2] == ["elevenlabs anna"]
        rig.catalogue.broken.clear()
        for _ in range(4 * int(RETRY_S)):
            rig.room.engines(assistant)
            await asyncio.sleep(0.5)
        assert names(rig.room.engines(assistant))[2] == ["elevenlabs anna", "embedded heart"]
        first, second = rig.catalogue.attempts["embedded heart"]
        assert RETRY_S <= second - first <= RETRY_S + 2
        assert rig.room.engines(assistant).stock.get("embedded heart", "Goodbye.")


async def test_a_fallback_serves_while_the_preferred_one_does_not_start() -> None:
    async with engine_room() as rig:
        for name in ("elevenlabs anna", "deepgram nova-3", "openai gpt"):
            rig.catalogue.broken[name] = DOWN
        assistant = await rig.warm(**BACKED)
        assert rig.ready()
        assert names(rig.room.engines(assistant)) == [["embedded"], ["embedded"], ["embedded heart"]]


async def test_a_stage_without_an_engine_is_an_error_and_is_tried_again_at_every_call() -> None:
    async with engine_room() as rig:
        rig.catalogue.broken["embedded heart"] = DOWN
        assistant = rig.serve()
        with pytest.raises(ProviderError, match="it is down"):
            await rig.room.warm(assistant)
        assert not rig.ready()
        for _ in range(2):
            with pytest.raises(Refused):
                rig.room.engines(assistant)
            await asyncio.sleep(1.5)
        assert len(rig.catalogue.attempts["embedded heart"]) == 3
        rig.catalogue.broken.clear()
        with pytest.raises(Refused):
            rig.room.engines(assistant)
        await asyncio.sleep(1.5)
        assert rig.room.engines(assistant)
        assert rig.ready()


async def test_what_failed_to_start_is_closed_and_built_anew() -> None:
    async with engine_room() as rig:
        rig.catalogue.broken["embedded heart"] = DOWN
        with pytest.raises(ProviderError):
            await rig.warm()
        (failed,) = (each for each in rig.catalogue.built if each.name == "embedded heart")
        assert failed.closes == 1
        rig.catalogue.broken.clear()
        await rig.room.warm(rig.served[0])
        assert failed.starts == 1


async def test_an_sdk_that_breaks_in_its_own_way_is_a_failed_start_too() -> None:
    async with engine_room() as rig:
        rig.catalogue.broken["elevenlabs anna"] = RuntimeError("key sk_secret is bad")
        with pytest.raises(ProviderError) as caught:
            await rig.warm(voice={"provider": "elevenlabs", "name": "anna"})
        assert caught.value.reason == "RuntimeError"


async def test_a_start_that_hangs_has_an_end() -> None:
    async with engine_room() as rig:
        rig.catalogue.seconds["embedded"] = 1e9
        began = asyncio.get_running_loop().time()
        with pytest.raises(ProviderError, match="not started within"):
            await rig.warm()
        assert asyncio.get_running_loop().time() - began == pytest.approx(START_WITHIN_S, abs=1)


async def test_an_engine_that_takes_no_jobs_any_more_is_left_out() -> None:
    async with engine_room() as rig:
        assistant = await rig.warm(**BACKED)
        anna = next(each for each in rig.catalogue.built if each.name == "elevenlabs anna")
        anna.takes_jobs = False
        assert names(rig.room.engines(assistant))[2] == ["embedded heart"]
        assert rig.ready()
        for each in rig.catalogue.built:
            each.takes_jobs = False
        assert not rig.ready()
        with pytest.raises(Refused):
            rig.room.engines(assistant)
        for each in rig.catalogue.built:
            each.takes_jobs = True
        assert rig.room.engines(assistant)


async def test_a_voice_that_cannot_speak_in_advance_is_no_reason_not_to_serve() -> None:
    async with engine_room() as rig:
        rig.catalogue.mute.add("elevenlabs anna")
        rig.catalogue.speaking_s["embedded heart"] = 1e6
        assistant = await rig.warm(**BACKED)
        stock = rig.room.engines(assistant).stock
        assert stock.by_any("Goodbye.") is None
        rig.catalogue.mute.clear()
        await asyncio.sleep(RETRY_S)
        rig.room.engines(assistant)
        await asyncio.sleep(2)
        assert stock.get("elevenlabs anna", "Goodbye.")


# --------------------------------------------------------------------------- edits


async def test_the_first_call_after_an_edit_is_served_at_once_if_its_engines_are_there() -> None:
    async with engine_room() as rig:
        await rig.warm(**BACKED)
        edited = rig.serve(**{**BACKED, "goodbye": "See you."})
        stock = rig.room.engines(edited).stock
        await asyncio.sleep(2)
        assert stock.get("elevenlabs anna", "See you.")


async def test_edits_leave_nothing_behind() -> None:
    async with engine_room() as rig:
        for step in range(40):
            assistant = await rig.warm(voice={"speed": 0.8 + step / 100})
            rig.room.engines(assistant)
            await asyncio.sleep(0.2)
        assert rig.catalogue.open == ["embedded", "embedded heart", "listening"]
        assert len(rig.catalogue.built) == 42


async def test_an_engine_is_not_closed_while_a_call_has_it() -> None:
    async with engine_room() as rig:
        held = rig.room.engines(await rig.warm(voice={"provider": "elevenlabs", "name": "anna"}))
        edited = await rig.warm(voice={"provider": "elevenlabs", "name": "bert"})
        rig.room.engines(edited)
        await asyncio.sleep(1)
        assert "elevenlabs anna" in rig.catalogue.open
        del held
        gc.collect()
        rig.room.engines(edited)
        await asyncio.sleep(1)
        assert rig.catalogue.open == ["elevenlabs bert", "embedded", "listening"]


async def test_an_engine_that_is_being_started_for_an_edit_that_was_taken_back_is_closed() -> None:
    async with engine_room() as rig:
        first = await rig.warm()
        rig.catalogue.seconds["elevenlabs anna"] = 50
        with pytest.raises(Refused):
            rig.room.engines(rig.serve(voice={"provider": "elevenlabs", "name": "anna"}))
        await asyncio.sleep(1)
        assert "elevenlabs anna" in rig.catalogue.open
        rig.served = [first]
        rig.room.engines(first)
        await asyncio.sleep(1)
        assert rig.catalogue.open == ["embedded", "embedded heart", "listening"]


async def test_a_call_that_comes_while_a_posted_assistant_is_warmed_leaves_it_its_engines() -> None:
    async with engine_room() as rig:
        first = await rig.warm()
        rig.catalogue.seconds["elevenlabs anna"] = 5
        voice = {"provider": "elevenlabs", "name": "anna"}
        keeping = asyncio.create_task(rig.posted.keep(assistant_from(voice=voice)))
        await asyncio.sleep(1)
        rig.room.engines(first)
        kept = rig.posted.find(await keeping)
        assert kept is not None
        assert names(rig.room.engines(kept))[2] == ["elevenlabs anna"]


async def test_an_assistant_that_others_stand_beside_keeps_its_engines() -> None:
    async with engine_room() as rig:
        many = [assistant_from(voice={"provider": "elevenlabs", "name": f"v{n}"}) for n in range(40)]
        rig.served = many
        await asyncio.gather(*map(rig.room.warm, many))
        assert all(rig.room.engines(each) for each in many)
        assert len(rig.catalogue.built) == 42


@pytest.mark.parametrize("seed", range(20))
async def test_whatever_is_edited_called_and_broken_the_room_keeps_what_is_used_and_no_more(
    seed: int,
) -> None:
    chance, voices = random.Random(seed), ["anna", "bert", "cleo"]
    calls: list[Engines] = []
    async with engine_room() as rig:
        rig.serve()
        for _ in range(120):
            match chance.choice(("edit", "call", "call", "call", "end", "break", "mend", "wait")):
                case "edit":
                    preferred, *others = chance.sample(voices, chance.randint(1, 3))
                    fallbacks = [{"provider": "elevenlabs", "name": name} for name in others]
                    rig.serve(voice={"provider": "elevenlabs", "name": preferred, "fallbacks": fallbacks})
                case "call":
                    with contextlib.suppress(Refused):
                        calls.append(rig.room.engines(rig.served[0]))
                case "end" if calls:
                    calls.pop(chance.randrange(len(calls)))
                case "break":
                    rig.catalogue.broken[f"elevenlabs {chance.choice(voices)}"] = DOWN
                case "mend":
                    rig.catalogue.broken.clear()
                case _:
                    await asyncio.sleep(chance.choice((0.0, 0.5, 1.0, 5.0, 40.0)))
            rig.nothing_is_closed_that_is_held(calls)
        calls.clear()
        gc.collect()
        rig.catalogue.broken.clear()
        with contextlib.suppress(Refused):
            rig.room.engines(rig.served[0])
        await asyncio.sleep(RETRY_S + 5)
        rig.room.engines(rig.served[0])
        await asyncio.sleep(5)
        expected = {candidate_name(choice) for choice in rig.served[0].voice.choices}
        assert set(rig.catalogue.open) == {*expected, "embedded", "listening"}
        assert len(rig.catalogue.open) == len(expected) + 2, "an engine is there twice"


# ------------------------------------------------------------------------- closing


@pytest.mark.parametrize("after_s", [0.0, 0.5, 1.0, 1.005])
async def test_a_room_may_be_closed_while_it_is_warmed(after_s: float) -> None:
    rig = Rig()
    before = asyncio.all_tasks()
    warming = asyncio.create_task(rig.room.warm(rig.serve(**BACKED)))
    await asyncio.sleep(after_s)
    await rig.room.close()
    await asyncio.wait((warming,))
    assert asyncio.all_tasks() == before
    assert rig.catalogue.open == []
    with pytest.raises(Refused):
        rig.room.engines(assistant_from())


async def test_warming_that_is_given_up_takes_nobody_else_along() -> None:
    async with engine_room() as rig:
        assistant = rig.serve()
        impatient, patient = (asyncio.create_task(rig.room.warm(assistant)) for _ in range(2))
        await asyncio.sleep(0.5)
        impatient.cancel()
        await patient
        assert impatient.cancelled()
        assert rig.room.engines(assistant)


@pytest.mark.realtime
async def test_a_call_gets_what_carries_out_its_tools_until_the_room_is_closed() -> None:
    assistant = assistant_from(
        goodbye="",
        apology="",
        turn_taking={"silence_prompts": []},
        tools=[
            {"name": "look", "kind": "http", "url": "https://api.example.com/orders"},
            {
                "name": "post",
                "kind": "server",
                "server": {"url": "https://crm.example.com"},
                "deadline_s": 0.1,
            },
        ],
    )

    async with PoolWorkers() as workers, PoolWorkers(threads=1) as voice_activity_thread:
        room = EngineRoom(
            loop_clock(), workers, voice_activity_thread, account=no_account, served=lambda: [assistant]
        )
        await room.warm(assistant)
        tools = room.engines(assistant).web_tools
        await room.close()
    assert set(tools) == {"look", "post"}
    for tool in tools.values():
        with pytest.raises(ToolError, match="shutting down"):
            await tool({}, RUN)
