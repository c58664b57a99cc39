"""Stand-ins under hostile engines: slow to close, alike by name, refusing, wrong about their words."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any, cast

import pytest
from call_rig import assistant_from, running_call
from fake_engines import InlineWorkers, ScriptedTranscriber, ScriptedVoice, ScriptedVoiceActivity

from offhook.codecs.audio_format import MULAW_8K
from offhook.config.errors import AllProvidersFailed, ProviderBusy, ProviderError, ProviderRefused
from offhook.pipeline.breaker import CircuitBreaker
from offhook.pipeline.call import Engines
from offhook.pipeline.clock import LoopClock
from offhook.pipeline.heard_ledger import HeardLedger
from offhook.pipeline.line_up import Candidate
from offhook.pipeline.messages import ModelDelta, ModelRequest, TextDelta, ToolRequest
from offhook.pipeline.model_failover import FailoverModel
from offhook.pipeline.ports import SpokenAudio, WordTiming
from offhook.pipeline.stock_phrases import StockPhrases
from offhook.pipeline.voice_failover import FailoverVoice

Step = TextDelta | ToolRequest | SpokenAudio | float | Exception
DOWN = ProviderError("test", "down")
BUSY = ProviderBusy("test", "HTTP 429")
REFUSED = ProviderRefused("test", "HTTP 401")
FOR_EVER = 3600.0
REQUEST = ModelRequest(())
BYTES_PER_S = 8000


async def _go_through(steps: Sequence[Step], closes_in_s: float) -> AsyncIterator[Any]:
    try:
        for step in steps:
            if isinstance(step, float):
                await asyncio.sleep(step)
            elif isinstance(step, Exception):
                raise step
            else:
                yield step
    finally:
        await asyncio.sleep(closes_in_s)


class Model:
    """Goes through a programme at each request; the last one again and again."""

    def __init__(self, *programmes: Sequence[Step], closes_in_s: float = 0.0) -> None:
        self._programmes = list(programmes)
        self._closes_in_s = closes_in_s
        self.asked_at: list[float] = []

    def respond(self, request: ModelRequest) -> AsyncIterator[ModelDelta]:
        del request
        self.asked_at.append(asyncio.get_running_loop().time())
        steps = self._programmes.pop(0) if len(self._programmes) > 1 else self._programmes[0]
        return _go_through(steps, self._closes_in_s)


class HastyModel(Model):
    """Its answers are due soon."""

    first_token_s = 0.3


class BrokenModel(Model):
    """A library that raises before there is anything to wait for."""

    def respond(self, request: ModelRequest) -> AsyncIterator[ModelDelta]:
        super().respond(request)
        raise LookupError


class Voice:
    """Goes through a programme at each text; the last one again and again."""

    audio_format = MULAW_8K

    def __init__(self, *programmes: Sequence[Step]) -> None:
        self._programmes = list(programmes)
        self.asked: list[str] = []
        self.opened = 0
        self.ends: list[asyncio.Event] = []
        """Set one to break that stream's connection."""

    def open(self) -> Stream:
        self.opened += 1
        self.ends.append(asyncio.Event())
        return Stream(self, self.ends[-1])

    def speak(self, text: str) -> AsyncIterator[SpokenAudio]:
        self.asked.append(text)
        return _go_through(self._programmes.pop(0) if len(self._programmes) > 1 else self._programmes[0], 0.0)


class Stream:
    def __init__(self, voice: Voice, ends: asyncio.Event) -> None:
        self._voice, self._ends = voice, ends

    async def speak(self, text: str, *, reply: int) -> AsyncIterator[SpokenAudio]:
        del reply
        if self._ends.is_set():
            raise DOWN
        async for piece in self._voice.speak(text):
            yield piece

    def reply_over(self, reply: int) -> None:
        pass

    async def run(self) -> None:
        await self._ends.wait()
        raise DOWN


class UnopenableVoice(Voice):
    """A client that cannot even be made."""

    def open(self) -> Stream:
        raise ImportError("no such module")


def lined_up(*engines: Any, names: str = "abcdef") -> tuple[Candidate[Any], ...]:
    clock = _clock()
    return tuple(
        Candidate(name, engine, CircuitBreaker(clock)) for name, engine in zip(names, engines, strict=False)
    )


def _clock() -> LoopClock:
    loop = asyncio.get_running_loop()
    return LoopClock(loop, loop.time)


class Notes(list[tuple[str, dict[str, Any]]]):
    def __call__(self, kind: str, **data: Any) -> None:
        self.append((kind, data))


async def answer_of(candidates: tuple[Candidate[Any], ...], notes: Notes | None = None) -> str:
    model = FailoverModel(candidates, _clock(), Notes() if notes is None else notes)
    deltas = [delta async for delta in model.respond(REQUEST)]
    return "".join(delta.text for delta in deltas if isinstance(delta, TextDelta))


def says(text: str, after_s: float = 0.0) -> list[Step]:
    return [after_s, TextDelta(text)]


SILENT: list[Step] = [FOR_EVER]


# ---------------------------------------------------------------------- models


async def test_two_models_of_one_name_stand_in_for_each_other() -> None:
    first, second = Model([DOWN]), Model(says("Hello."))
    assert await answer_of(lined_up(first, second, names="aa")) == "Hello."


async def test_a_model_that_raises_when_it_is_asked_is_replaced() -> None:
    assert await answer_of(lined_up(BrokenModel(SILENT), Model(says("Hello.")))) == "Hello."


@pytest.mark.parametrize("trouble", [[REFUSED], [FOR_EVER]])
async def test_a_rival_that_failed_for_good_is_not_asked_again_for_the_same_answer(
    trouble: list[Step],
) -> None:
    slow, rival = Model(SILENT), HastyModel(trouble)
    with pytest.raises(AllProvidersFailed):
        await answer_of(lined_up(slow, rival))
    assert len(rival.asked_at) == 1


def run_on_virtual_time(work: Any) -> None:
    from virtual_loop import VirtualLoop

    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        runner.run(work)


async def test_a_loser_that_is_slow_to_close_holds_nobody_up() -> None:
    loop = asyncio.get_running_loop()
    slow, quick = Model(SILENT, closes_in_s=4.0), Model(says("Hello.", 0.2))
    model = FailoverModel(lined_up(slow, quick), _clock(), Notes())
    began = loop.time()
    async with aclosing(model.respond(REQUEST)) as deltas:
        async for _ in deltas:
            assert loop.time() - began == pytest.approx(1.7)


async def test_a_model_whose_time_is_over_is_cancelled_at_once() -> None:
    ended: list[float] = []

    class Watched(HastyModel):
        async def respond(self, request: ModelRequest) -> AsyncIterator[ModelDelta]:
            try:
                async for delta in super().respond(request):
                    yield delta
            finally:
                ended.append(asyncio.get_running_loop().time())

    late, rival = Watched(SILENT), Model(says("Hello.", 2.0))
    late.first_token_s = 1.6
    assert await answer_of(lined_up(late, rival)) == "Hello."
    assert ended == [pytest.approx(1.6)]


async def test_an_error_that_comes_too_late_is_nobodys() -> None:
    unheard: list[Any] = []
    asyncio.get_running_loop().set_exception_handler(lambda loop, context: unheard.append(context))
    late = HastyModel([2.0, ValueError("the caller's words")])
    late.first_token_s = 1.6
    assert await answer_of(lined_up(late, Model(says("Hello.", 1.0)))) == "Hello."
    del late
    gc.collect()
    assert unheard == []


async def test_a_silent_model_without_a_stand_in_has_failed_before_the_turn_is_given_up() -> None:
    candidates = lined_up(Model(SILENT))
    engines = _engines(models=candidates, voices=lined_up(ScriptedVoice()))
    async with running_call(assistant_from(), engines=engines) as rig:
        _speaks(engines, rig)
        await rig.caller_says("hello there", 0.6)
        await asyncio.sleep(10)
    assert candidates[0].breaker.failures == 1
    assert rig.log.of("provider.failed")


def _engines(*, models: tuple[Candidate[Any], ...], voices: tuple[Candidate[Any], ...]) -> Engines:
    clock = _clock()
    ears: tuple[Candidate[Any], ...] = (Candidate("ear", ScriptedTranscriber(clock), CircuitBreaker(clock)),)
    return Engines(ScriptedVoiceActivity(clock), ears, models, voices, InlineWorkers())


def _speaks(engines: Engines, rig: Any) -> None:
    """The rig's caller is recognised by the engines that were given to it."""
    rig.transcriber.said = cast("ScriptedTranscriber", engines.transcribers[0].engine).said


# -------------------------------------------------------------------- standing


# ----------------------------------------------------------------------- voices


def audio(seconds: float, *words: tuple[int, int, float, float]) -> SpokenAudio:
    return SpokenAudio(bytes(round(seconds * BYTES_PER_S)), tuple(WordTiming(*word) for word in words))


def in_words(text: str, word_s: float = 0.3, *, timed: bool = True) -> list[Step]:
    steps: list[Step] = []
    at = 0
    for number, word in enumerate(text.split()):
        start = text.index(word, at)
        at = start + len(word)
        timing = (start, at, number * word_s, (number + 1) * word_s)
        steps.append(audio(word_s, timing) if timed else audio(word_s))
    return steps


def voice_of(
    *voices: Voice, notes: Notes | None = None, stock: StockPhrases | None = None, names: str = "abcdef"
) -> FailoverVoice:
    notes = Notes() if notes is None else notes
    return FailoverVoice(lined_up(*voices, names=names), stock or StockPhrases(), _clock(), notes)


async def ledger_of(voice: FailoverVoice, text: str) -> tuple[HeardLedger, int]:
    ledger, given = HeardLedger(), 0
    ledger.begin_clause(text, 0)
    async for piece in voice.speak(text, reply=1):
        given += len(piece.audio)
        ledger.add_words(piece.words)
    ledger.end_clause(given)
    return ledger, given


TEXT = "one two three four five six"


@pytest.mark.parametrize("text", ["$5 is fine", "-5 degrees", "#3 please", "(maybe) so"])
@pytest.mark.parametrize("error", [DOWN, REFUSED])
async def test_signs_that_are_spoken_are_not_lost(text: str, error: Exception) -> None:
    first, second = Voice([error]), Voice(in_words(text))
    await ledger_of(voice_of(first, second), text)
    assert {*first.asked, *second.asked} <= {text}


async def test_a_sign_before_the_next_word_stays_with_it() -> None:
    first, second = Voice([*in_words("it costs"), REFUSED]), Voice(in_words("$5 now"))
    await ledger_of(voice_of(first, second), "it costs $5 now")
    assert second.asked == ["$5 now"]


async def test_a_word_that_is_said_anew_has_one_place() -> None:
    """The first voice tells of a long word of which only the beginning comes; the second one is quicker."""
    first = Voice([audio(0.3, (0, 3, 0.0, 0.3)), audio(0.2, (4, 9, 0.3, 1.9)), REFUSED])
    second = Voice(in_words("grand piano", 0.2))
    ledger, given = await ledger_of(voice_of(first, second), "the grand piano")
    assert second.asked == ["grand piano"]
    heard = [ledger.heard_text(at) for at in range(0, given + 1, 80)]
    assert heard == sorted(heard, key=len)
    assert ledger.heard_text(round(0.5 * BYTES_PER_S)) == "the"
    assert ledger.heard_text(round(0.65 * BYTES_PER_S)) == "the grand"
    assert heard[-1] == "the grand piano"


async def test_two_voices_of_one_name_stand_in_for_each_other() -> None:
    first, second = Voice([DOWN]), Voice(in_words(TEXT))
    ledger, _ = await ledger_of(voice_of(first, second, names="aa"), TEXT)
    assert second.asked == [TEXT]
    assert ledger.heard_text(10**6) == TEXT


async def test_a_voice_that_cannot_be_opened_is_replaced() -> None:
    second = Voice(in_words(TEXT))
    voice = voice_of(UnopenableVoice([]), second)
    await ledger_of(voice, TEXT)
    assert second.asked == [TEXT]


async def test_a_stream_that_ended_by_itself_is_opened_anew() -> None:
    only = Voice(in_words(TEXT))
    voice = voice_of(only)
    keeping = asyncio.create_task(voice.run())
    try:
        await asyncio.sleep(1)
        only.ends[0].set()
        await asyncio.sleep(1)
        _, given = await ledger_of(voice, TEXT)
        assert given
        assert only.opened == 2
        await asyncio.sleep(1)
        only.ends[1].set()
        await asyncio.sleep(1)
        assert (await ledger_of(voice, TEXT))[1]
        assert only.opened == 3
    finally:
        keeping.cancel()
        await asyncio.wait([keeping])


def slowly(text: str) -> list[Step]:
    return [step for piece in in_words(text) for step in (piece, 0.5)]


async def test_slowness_is_counted_for_each_voice() -> None:
    first, second = Voice(slowly(TEXT), [REFUSED]), Voice(slowly(TEXT), in_words(TEXT))
    voice = voice_of(first, second)
    for reply in range(3):
        async for _ in voice.speak(TEXT, reply=reply):
            pass
    assert second.asked == [TEXT, TEXT]


# ---------------------------------------------------------------- stock phrases


async def test_whoever_waits_for_a_phrase_makes_it_if_the_first_one_gives_up() -> None:
    stock, voice = StockPhrases(), Voice([1.0, *in_words(TEXT)])
    first = asyncio.create_task(stock.prepare("a", cast("Any", voice), TEXT))
    second = asyncio.create_task(stock.prepare("a", cast("Any", voice), TEXT))
    await asyncio.sleep(0.5)
    first.cancel()
    await asyncio.wait([first, second])
    assert second.exception() is None
    assert stock.get("a", TEXT)
