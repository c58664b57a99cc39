"""Providers that fail, stall and drop in the middle of a call: what stands in, and what the caller hears."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from call_rig import assistant_from
from fake_engines import InlineWorkers

from offhook.config.errors import ProviderBusy, ProviderError, ProviderRefused
from offhook.lab.memory_call import MemoryCall
from offhook.lab.spelled_speech import (
    LevelVoiceActivity,
    SpelledVoice,
    SpellingTranscriber,
    read_words,
    spell,
)
from offhook.pipeline.breaker import CircuitBreaker
from offhook.pipeline.call import Engines
from offhook.pipeline.clock import LoopClock
from offhook.pipeline.line_up import Candidate, LineUp
from offhook.pipeline.messages import AgentSaid, ModelDelta, ModelRequest, TextDelta, ToolRequest
from offhook.pipeline.pacing import PacingWheel
from offhook.pipeline.ports import LanguageModel, SpokenAudio
from offhook.pipeline.shared_voice import SharedVoiceStream
from offhook.pipeline.stock_phrases import StockPhrases

DOWN = ProviderError("test", "down")
Step = TextDelta | ToolRequest | float | Exception | type[BaseException]
"""What an engine does next: a piece of text, a wait in seconds, an error."""


class Model:
    """Goes through a programme at each request; the last one again and again."""

    def __init__(self, *programmes: Sequence[Step]) -> None:
        self._programmes = list(programmes)
        self.requests: list[ModelRequest] = []
        self.cancelled = 0

    async def respond(self, request: ModelRequest) -> AsyncIterator[ModelDelta]:
        self.requests.append(request)
        steps = self._programmes.pop(0) if len(self._programmes) > 1 else self._programmes[0]
        try:
            for step in steps:
                if isinstance(step, float):
                    await asyncio.sleep(step)
                elif isinstance(step, TextDelta | ToolRequest):
                    yield step
                else:
                    raise step
        except (GeneratorExit, asyncio.CancelledError):
            self.cancelled += 1
            raise


class Voice(SpelledVoice):
    """Speaks, and fails in the clauses with these numbers after so many words."""

    def __init__(
        self, *, fails_in: Sequence[int] = (), after_words: int = 0, word_takes_s: float = 0.0
    ) -> None:
        self.fails_in, self.after_words, self.word_takes_s = fails_in, after_words, word_takes_s
        self.error: Exception = DOWN
        self.spoken: list[str] = []

    def open(self) -> SharedVoiceStream:
        return SharedVoiceStream(self.speak)

    async def speak(self, text: str) -> AsyncIterator[SpokenAudio]:
        number = len(self.spoken)
        self.spoken.append(text)
        words = 0
        async for piece in super().speak(text):
            if (number in self.fails_in or (0 in self.fails_in and -1 in self.fails_in)) and (
                words >= self.after_words
            ):
                raise self.error
            await asyncio.sleep(self.word_takes_s if words else 0.0)
            words += 1
            yield piece


ALWAYS = range(100)
"""Every clause."""


def texts(*words: str) -> list[Step]:
    return [TextDelta(f"{word} ") for word in " ".join(words).split()]


@dataclass
class Rig:
    call: MemoryCall
    stock: StockPhrases

    async def ask(self, words: str = "anchor basket candle", listen_s: float = 8.0) -> list[str]:
        """Ask, listen; returns the words heard since."""
        before = len(self.heard())
        self.call.say(spell(words))
        await asyncio.sleep(0.3 * len(words.split()) + listen_s)
        return self.heard()[before:]

    def heard(self) -> list[str]:
        return read_words(bytes(self.call.line.heard))

    def of(self, kind: str) -> list[Any]:
        return [event.data for event in self.call.of_type(kind)]


@asynccontextmanager
async def held(
    models: Sequence[Model],
    voices: Sequence[SpelledVoice] = (),
    *,
    prepared: bool = False,
    **fields: Any,
) -> AsyncIterator[Rig]:
    loop = asyncio.get_running_loop()
    clock = LoopClock(loop, loop.time)
    stock = StockPhrases()
    for voice in voices if prepared else ():
        await stock.prepare("voice-0", voice, "violin almond.")
    engines = Engines(
        LevelVoiceActivity(),
        (Candidate("ear", SpellingTranscriber(), CircuitBreaker(clock)),),
        tuple(Candidate(f"model-{n}", model, CircuitBreaker(clock)) for n, model in enumerate(models)),
        tuple(
            Candidate(f"voice-{n}", voice, CircuitBreaker(clock))
            for n, voice in enumerate(voices or [SpelledVoice()])
        ),
        InlineWorkers(),
        stock,
    )
    file = {
        "apology": "violin almond.",
        "goodbye": "marble.",
        "handover": "nectar olive.",
        "one_moment": "",
        "turn_taking": {"silence_prompts": [], "speculate": False},
    }
    before = asyncio.all_tasks()
    async with MemoryCall(assistant_from(**{**file, **fields}), engines, clock, PacingWheel(clock)) as call:
        await asyncio.sleep(0.3)
        yield Rig(call, stock)
    assert asyncio.all_tasks() == before


GOOD = texts("river silver temple urchin.", "velvet walnut.")
HEARD = ["river", "silver", "temple", "urchin", "velvet", "walnut"]
APOLOGY = ["violin", "almond"]


# ---------------------------------------------------------------------- models


@pytest.mark.parametrize(
    "error", [DOWN, ProviderBusy("test", "HTTP 429", 0.2), ValueError("a library's own")]
)
async def test_a_model_that_fails_once_before_its_first_word_is_asked_once_more(error: Exception) -> None:
    model = Model([error], GOOD)
    async with held([model, Model([DOWN])]) as rig:
        assert await rig.ask() == HEARD
        assert rig.of("provider.failed") == []


async def test_a_model_that_wants_to_be_left_alone_for_long_is_not_waited_for() -> None:
    first, second = Model([ProviderBusy("test", "HTTP 429", 20.0)]), Model(GOOD)
    async with held([first, second]) as rig:
        assert await rig.ask(listen_s=4.0) == HEARD
        assert len(first.requests) == 1


async def test_a_dead_model_is_replaced_in_the_same_turn_and_for_the_rest_of_the_call() -> None:
    first, second = Model([DOWN]), Model(GOOD)
    async with held([first, second]) as rig:
        assert await rig.ask() == HEARD
        assert await rig.ask("dragon engine") == HEARD
        assert (len(first.requests), len(second.requests)) == (2, 2)
        assert rig.of("provider.switched") == [{"stage": "model", "from": "model-0", "to": "model-1"}]


async def test_a_model_that_refuses_is_not_asked_twice() -> None:
    first = Model([ProviderRefused("test", "HTTP 401")])
    async with held([first, Model(GOOD)]) as rig:
        assert await rig.ask() == HEARD
        assert len(first.requests) == 1


async def test_a_model_that_says_nothing_in_its_time_is_replaced() -> None:
    first = Model([60.0])
    async with held([first, Model([3.0, DOWN]), Model(GOOD)]) as rig:
        assert await rig.ask(listen_s=9.0) == HEARD
        assert first.cancelled == 1
        failed = [data["provider"] for data in rig.of("provider.failed")]
        assert failed[0] == "model-0"


async def test_a_slow_model_gets_a_rival_and_the_first_to_speak_answers() -> None:
    first, second = Model([2.2, *texts("paddle lemon.")]), Model(GOOD)
    async with held([first, second]) as rig:
        assert await rig.ask() == HEARD
        assert first.cancelled == 1
        assert rig.of("model.hedged") == [{"from": "model-0", "to": "model-1"}]
        assert rig.of("provider.failed") == []
        assert await rig.ask("dragon engine") == HEARD
        assert len(first.requests) == 2, "a race that was lost is no failure"


async def test_a_model_that_speaks_before_its_rival_costs_the_rival_its_request() -> None:
    first, second = Model([1.8, *GOOD]), Model([5.0, *texts("paddle lemon.")])
    async with held([first, second]) as rig:
        assert await rig.ask() == HEARD
        assert second.cancelled == 1


@pytest.mark.parametrize("trouble", [DOWN, 60.0])
async def test_an_answer_that_breaks_off_before_a_whole_clause_begins_anew(trouble: Step) -> None:
    async with held([Model([*texts("lemon paddle"), trouble]), Model(GOOD)]) as rig:
        assert await rig.ask() == HEARD
        (said,) = [data["heard_text"] for data in rig.of("reply.ended")]
        assert said == "river silver temple urchin. velvet walnut."


@pytest.mark.parametrize("trouble", [DOWN, 60.0])
async def test_an_answer_that_breaks_off_behind_whole_clauses_is_apologised_for(trouble: Step) -> None:
    broken = [*texts("river silver temple urchin.", "lemon"), trouble]
    async with held([Model(broken), Model(GOOD)]) as rig:
        assert await rig.ask() == [*HEARD[:4], *APOLOGY]
        assert await rig.ask("dragon engine") == HEARD


async def test_all_models_down_is_apologised_for_and_the_next_turn_tries_again() -> None:
    models = [Model([DOWN], [DOWN], GOOD), Model([DOWN])]
    async with held(models) as rig:
        assert await rig.ask() == APOLOGY
        assert await rig.ask("dragon engine") == HEARD


async def test_all_models_down_puts_the_caller_through_where_there_is_somebody() -> None:
    async with held([Model([DOWN]), Model([DOWN])], fallback_number="+15005550009") as rig:
        assert await rig.ask() == ["nectar", "olive"]
        assert rig.call.outcome == {"status": "transfer", "number": "+15005550009", "reason": "fault"}


# ---------------------------------------------------------------------- voices


@pytest.mark.parametrize("words", [0, 1, 2, 3])
async def test_a_voice_that_drops_in_a_clause_goes_on_where_it_was(words: int) -> None:
    voice = Voice(fails_in=[0], after_words=words)
    model = Model(GOOD)
    async with held([model], [voice]) as rig:
        assert await rig.ask() == HEARD
        await rig.ask("dragon engine")
        told = [m for m in model.requests[-1].messages if isinstance(m, AgentSaid)]
        assert [(m.text, m.interrupted) for m in told] == [
            ("river silver temple urchin. velvet walnut.", False)
        ]


async def test_a_dead_voice_is_replaced_from_the_word_that_is_missing_and_never_comes_back() -> None:
    first, second = Voice(fails_in=ALWAYS, after_words=1), Voice()
    async with held([Model(GOOD)], [first, second]) as rig:
        assert await rig.ask() == HEARD
        assert second.spoken[0] == "temple urchin.", "one word of each attempt was said"
        said = len(first.spoken)
        assert await rig.ask("dragon engine") == HEARD
        assert len(first.spoken) == said


async def test_a_voice_that_says_nothing_in_its_time_is_replaced() -> None:
    class Silent(SpelledVoice):
        async def speak(self, text: str) -> AsyncIterator[SpokenAudio]:
            await asyncio.sleep(60)
            yield SpokenAudio(b"")

    async with held([Model(GOOD)], [Silent(), Voice()]) as rig:
        assert await rig.ask() == HEARD
        assert [data["provider"] for data in rig.of("provider.failed")] == ["voice-0"]


async def test_a_voice_that_is_slower_than_speech_gives_way_after_two_clauses() -> None:
    slow, quick = Voice(word_takes_s=0.5), Voice()
    answer = texts(*["river silver temple urchin."] * 2, "velvet walnut apple bridge.")
    async with held([Model(answer)], [slow, quick]) as rig:
        await rig.ask(listen_s=12.0)
        assert rig.heard() == [*HEARD[:4] * 2, "velvet", "walnut", "apple", "bridge"]
        assert quick.spoken == ["velvet walnut apple bridge."]


async def test_where_every_voice_is_dead_what_was_spoken_in_advance_is_played() -> None:
    voices = [Voice(), Voice()]
    async with held([Model(GOOD)], voices, prepared=True) as rig:
        for voice in voices:
            voice.fails_in = ALWAYS
        assert await rig.ask() == APOLOGY


async def test_where_nobody_can_speak_a_tone_says_so_before_the_caller_is_put_through() -> None:
    async with held([Model(GOOD)], [Voice(fails_in=ALWAYS)], fallback_number="+15005550009") as rig:
        assert await rig.ask() == []
        assert len(bytes(rig.call.line.heard).strip(b"\xff")) > 0.9 * 8000
        assert rig.call.outcome is not None
        assert rig.call.outcome["status"] == "transfer"


async def test_a_caller_who_cuts_in_while_a_voice_is_replaced_is_listened_to() -> None:
    class Stuck(SpelledVoice):
        async def speak(self, text: str) -> AsyncIterator[SpokenAudio]:
            async for piece in super().speak(text):
                yield piece
                await asyncio.sleep(60)

    async with held([Model(GOOD, texts("apple bridge."))], [Stuck(), Voice()]) as rig:
        await rig.ask(listen_s=1.5)
        assert rig.heard() == HEARD[:1]
        assert (await rig.ask("dragon engine forest"))[-2:] == ["apple", "bridge"]
        turns = [data["text"] for data in rig.of("turn.ended")]
        assert turns == ["anchor basket candle", "dragon engine forest"]


# ------------------------------------------------------------------- breakers


async def test_what_failed_in_one_call_is_left_alone_by_the_next() -> None:
    loop = asyncio.get_running_loop()
    clock = LoopClock(loop, loop.time)
    dead, good = Model([ProviderRefused("test", "HTTP 401")]), Model(GOOD)
    models: LineUp[LanguageModel] = tuple(
        Candidate(f"model-{n}", it, CircuitBreaker(clock)) for n, it in enumerate((dead, good))
    )
    one = CircuitBreaker(clock)
    engines = Engines(
        LevelVoiceActivity(),
        (Candidate("ear", SpellingTranscriber(), one),),
        models,
        (Candidate("voice", SpelledVoice(), CircuitBreaker(clock)),),
        InlineWorkers(),
    )
    for _ in range(2):
        wheel = PacingWheel(clock)
        async with MemoryCall(
            assistant_from(turn_taking={"speculate": False}), engines, clock, wheel
        ) as call:
            await asyncio.sleep(0.3)
            call.say(spell("anchor basket"))
            await asyncio.sleep(5.0)
            assert read_words(bytes(call.line.heard)) == HEARD
    assert len(dead.requests) == 1
