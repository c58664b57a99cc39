"""The embedded voice in front of its process."""

from __future__ import annotations

import asyncio
from collections.abc import Hashable
from dataclasses import dataclass, field

import pytest

from offhook.config.errors import ProviderError, WorkerDied
from offhook.pipeline.clock import LoopClock
from offhook.pipeline.ports import SpokenAudio
from offhook.pipeline.providers.embedded.hibari_voice import HibariVoice
from offhook.pipeline.providers.embedded.job_queue import BACKGROUND_S, FIRST_SPEECH_S, Job
from offhook.pipeline.providers.embedded.jobs import Decoded, Request, Speak, Spoken, SpokenWord


@dataclass
class Reader:
    """Speaks each sentence of a text in one second, a word in each half."""

    down: bool = False
    jobs: list[Job] = field(default_factory=list)

    def submit(self, request: Request, wanted_s: float, subject: Hashable = None) -> Job:
        job = Job(request, wanted_s, subject)
        self.jobs.append(job)
        if self.down:
            job.end(WorkerDied("hibari", "gone"))
        else:
            asyncio.get_running_loop().call_later(0.05, self._speak, job)
        return job

    def _speak(self, job: Job) -> None:
        assert isinstance(job.request, Speak)
        for number, _ in enumerate(job.request.text.split(".")):
            words = (
                SpokenWord(number * 10, number * 10 + 4, 0.05, 0.4),
                SpokenWord(number * 10 + 5, number * 10 + 9, 0.55, 0.9),
            )
            job.add(Spoken(bytes([number]) * 8000, words, estimated=number > 0))
        job.end()


def voice_of(reader: Reader) -> HibariVoice:
    loop = asyncio.get_running_loop()
    return HibariVoice(reader, LoopClock(loop, loop.time))


async def say(voice: HibariVoice, text: str) -> list[SpokenAudio]:
    return [piece async for piece in voice.speak(text)]


async def test_speech_comes_in_pieces_of_half_a_second_with_the_words_that_begin_in_them() -> None:
    pieces = await say(voice_of(Reader()), "one sentence")
    assert [len(piece.audio) for piece in pieces] == [4000, 4000]
    assert [[(word.start_char, word.start_s) for word in piece.words] for piece in pieces] == [
        [(0, 0.05)],
        [(5, 0.55)],
    ]


async def test_every_job_names_the_pace_of_its_voice() -> None:
    loop = asyncio.get_running_loop()
    reader, clock = Reader(), LoopClock(loop, loop.time)
    for speed in (1.5, 0.8):
        await say(HibariVoice(reader, clock, speed), "one")
    assert [job.request for job in reader.jobs] == [Speak("one", 1.5), Speak("one", 0.8)]


async def test_times_of_a_later_sentence_count_from_the_first_sample() -> None:
    voice = voice_of(Reader())
    pieces = await say(voice, "one. two")
    starts = [word.start_s for piece in pieces for word in piece.words]
    assert starts == [0.05, 0.55, 1.05, 1.55]
    assert voice.estimated_pieces == 1


async def test_a_text_without_words_makes_no_sound_and_no_work() -> None:
    reader = Reader()
    assert await say(voice_of(reader), "  \n") == []
    assert reader.jobs == []


async def test_a_calls_clause_goes_before_a_phrase_of_no_call() -> None:
    reader = Reader()
    voice = voice_of(reader)
    await say(voice, "phrase")
    stream = voice.open()
    assert len([piece async for piece in stream.speak("clause", reply=1)]) == 2
    stream.reply_over(1)
    assert [job.deadline for job in reader.jobs] == [BACKGROUND_S, FIRST_SPEECH_S]


async def test_a_later_clause_is_needed_when_the_speech_before_it_has_been_played() -> None:
    reader = Reader()
    stream = voice_of(reader).open()
    for reply, text in ((1, "one. two. three"), (1, "four"), (2, "five")):
        async for _ in stream.speak(text, reply=reply):
            pass
    first, later, next_reply = (job.deadline for job in reader.jobs)
    assert first == next_reply == FIRST_SPEECH_S
    assert later == pytest.approx(3.0)


async def test_a_process_that_is_gone_is_told_where_its_speech_is_awaited() -> None:
    with pytest.raises(WorkerDied):
        await say(voice_of(Reader(down=True)), "something else")


async def test_speech_that_is_cancelled_drops_its_job() -> None:
    reader = Reader()
    speaking = asyncio.create_task(say(voice_of(reader), "never mind"))
    await asyncio.sleep(0.01)
    speaking.cancel()
    await asyncio.wait([speaking])
    assert reader.jobs[0].ended


async def test_an_answer_that_is_no_speech_is_an_error() -> None:
    class Confused(Reader):
        def _speak(self, job: Job) -> None:
            job.add(Decoded("hello", -0.1, 0.0))

    with pytest.raises(ProviderError, match="no speech"):
        await say(voice_of(Confused()), "hello")
