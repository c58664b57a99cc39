"""The engines inside emulated vendors: scripted ones behind a real protocol, and those of this machine."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest
from aiohttp import ClientSession
from bridge_rig import loop_clock
from hypothesis import given
from hypothesis import strategies as st
from vendor_rig import emulated

from offhook.config.assistant_loading import load_assistant, parse_assistant
from offhook.config.assistants import DEMO
from offhook.config.errors import OffhookError
from offhook.lab.scripted_engines import AnsweringModel, Answers
from offhook.lab.timed_speech import TimedTranscriber, Utterance
from offhook.lab.vendors.inside import embedded_inside, intents_of, scripted_inside
from offhook.pipeline.clock import LoopClock
from offhook.pipeline.messages import CallerSaid, ModelDelta, ModelRequest, TextDelta, ToolRequest
from offhook.pipeline.ports import Transcript

LOUD, QUIET = b"\x20", b"\xff"
FRAME_BYTES = 160
SAID = (Utterance(0.5, 1.5, "where is it"), Utterance(3.0, 3.6, "tell me now"))


async def heard_by_push(frames: int, frame_bytes: int, begins_at_s: float = 0.0) -> list[tuple[float, str]]:
    """What a stream reports of SAID, with the second of audio at which it does."""
    heard: list[tuple[float, str]] = []

    def take(transcript: Transcript) -> None:
        heard.append((round(transcript.covers_s, 3), transcript.text))

    stream = TimedTranscriber(SAID).open(take, connection=0, begins_at_s=begins_at_s)
    for _ in range(frames):
        stream.push(bytes(frame_bytes))
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    return heard


async def test_a_word_is_heard_when_its_audio_has_passed_and_not_before() -> None:
    heard = await heard_by_push(200, FRAME_BYTES)
    words = ["where", "where is", "where is it", *(f"where is it {end}" for end in ("tell", "tell me"))]
    assert [text for _, text in heard] == [*words, "where is it tell me now"]
    expected_s = [0.5 + 1 / 3, 0.5 + 2 / 3, 1.5, 3.2, 3.4, 3.6]
    for (at_s, _), exact_s in zip(heard, expected_s, strict=True):
        assert exact_s <= at_s + 1e-6 < exact_s + 0.02


async def test_a_stream_that_begins_later_hears_what_lies_behind() -> None:
    heard = await heard_by_push(200, FRAME_BYTES, begins_at_s=1.0)
    assert heard[0][1] == "is"
    assert heard[-1][1] == "is it tell me now"


@given(st.integers(0, 80), st.floats(0, 20), st.floats(0.01, 10))
def test_words_come_one_by_one_and_all_of_them(count: int, begins_s: float, lasts_s: float) -> None:
    words = [f"word{number}" for number in range(count)]
    said = Utterance(begins_s, begins_s + lasts_s, " ".join(words))
    counts = [len(said.words_until(begins_s + lasts_s * step / 50)) for step in range(51)]
    assert counts == sorted(counts)
    assert said.words_until(begins_s + lasts_s + 1e-6) == words
    assert said.words_until(begins_s - 0.001) == []


async def test_an_utterance_that_is_over_is_not_heard_again() -> None:
    heard: list[Transcript] = []
    stream = TimedTranscriber(SAID).open(heard.append, connection=3, begins_at_s=0.0)
    stream.push(bytes(2 * 8000))
    stream.speech_paused(1.5)
    stream.end_utterance()
    stream.push(bytes(2 * 8000))
    stream.speech_paused(3.6)
    await asyncio.sleep(0)
    finals = [(item.utterance, item.text) for item in heard if item.final]
    assert finals == [(0, "where is it"), (1, "tell me now")]
    assert {item.connection for item in heard} == {3}


async def test_scripted_engines_are_heard_through_a_vendors_protocol() -> None:
    vendors = emulated(scripted_inside(SAID, ["It is here."]))
    finals: list[str] = []
    async with vendors.listening(), ClientSession(vendors.base_url) as client:
        path = "/v1/listen?model=nova-3&encoding=mulaw&sample_rate=8000&endpointing=300"
        headers = {"Authorization": "Token emulated-deepgram"}
        async with client.ws_connect(path, headers=headers) as socket:
            for frame in range(250):
                at_s = frame * 0.02
                loud = any(said.begins_s <= at_s < said.ends_s for said in SAID)
                await socket.send_bytes((LOUD if loud else QUIET) * FRAME_BYTES)
                await asyncio.sleep(0.02)
            await socket.send_str('{"type": "CloseStream"}')
            async for message in socket:
                told = message.json()
                if told["type"] == "Results" and told["is_final"]:
                    finals.append(told["channel"]["alternatives"][0]["transcript"])
    assert " ".join(filter(None, finals)).lower().split() == ["where", "is", "it", "tell", "me", "now"]


# ------------------------------------------------------------------- the model


async def answers_of(model: AnsweringModel, *asked: str) -> list[Sequence[ModelDelta]]:
    requests = [ModelRequest((CallerSaid(text),)) for text in asked]
    return [[delta async for delta in model.respond(request)] for request in requests]


async def test_answers_come_in_order_and_the_last_one_again() -> None:
    answers = await answers_of(AnsweringModel(["One.", "Two words."]), "a", "b", "c")
    said = ["".join(delta.text for delta in answer if isinstance(delta, TextDelta)) for answer in answers]
    assert said == ["One.", "Two words.", "Two words."]
    assert answers[1] == [TextDelta("Two "), TextDelta("words.")]


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("You said it.", "You said it."),
        ([ToolRequest("1", "look_up", "{}")], ToolRequest("1", "look_up", "{}")),
    ],
)
async def test_an_answer_may_depend_on_what_was_asked(
    answer: str | list[ModelDelta], expected: str | ModelDelta
) -> None:
    asked: list[ModelRequest] = []

    def answering(request: ModelRequest) -> str | Sequence[ModelDelta]:
        asked.append(request)
        return answer

    made: Answers = answering
    (deltas,) = await answers_of(AnsweringModel(made), "where is it")
    assert asked[0].messages == (CallerSaid("where is it"),)
    if isinstance(expected, str):
        assert "".join(delta.text for delta in deltas if isinstance(delta, TextDelta)) == expected
    else:
        assert list(deltas) == [expected]


# ---------------------------------------------------------------- this machine


async def test_an_assistant_without_intents_cannot_answer_in_a_vendors_place() -> None:
    assistant = parse_assistant({"name": "Bare", "model": {"provider": "openai"}}, "test")
    with pytest.raises(OffhookError, match=r"Bare has no embedded model .* behind its vendors"):
        async with embedded_inside(loop_clock(), assistant):
            pass


def test_intents_behind_a_vendor_answer_in_its_place() -> None:
    model = {"provider": "openai", "fallbacks": [{"provider": "embedded", "fallback": "Ask me later."}]}
    assistant = parse_assistant({"name": "Shop", "model": model}, "test")
    assert intents_of(assistant).fallback == "Ask me later."


@pytest.mark.realtime
@pytest.mark.timeout(60)
async def test_the_engines_of_this_machine_hear_their_own_voice_and_answer() -> None:
    clock = LoopClock(asyncio.get_running_loop())
    before = asyncio.all_tasks()
    async with embedded_inside(clock, load_assistant(DEMO)) as inside:
        spoken = [piece async for piece in inside.voice.speak("What is your shipping policy?")]
        assert sum(len(piece.audio) for piece in spoken) > 8000
        request = ModelRequest((CallerSaid("What is your shipping policy?"),))
        answer = "".join([d.text async for d in inside.model.respond(request) if isinstance(d, TextDelta)])
        assert "working day" in answer
    assert asyncio.all_tasks() == before
