"""The embedded voice in front of its process."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import pytest

from offhook.config.errors import ProviderError, WorkerDied
from offhook.pipeline.ports import SpokenAudio
from offhook.pipeline.providers.embedded.hibari_voice import HibariVoice
from offhook.pipeline.providers.embedded.job_queue import Job, Priority
from offhook.pipeline.providers.embedded.jobs import Decoded, Request, Speak, Spoken, SpokenWord


@dataclass
class Reader:
    """Speaks each sentence of a text in one second, a word in each half."""

    down: bool = False
    jobs: list[Job] = field(default_factory=list)

    def submit(self, request: Request, priority: Priority) -> Job:
        job = Job(request, priority)
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


async def say(voice: HibariVoice, text: str) -> list[SpokenAudio]:
    return [piece async for piece in voice.speak(text)]


async def test_speech_comes_in_pieces_of_half_a_second_with_the_words_that_begin_in_them() -> None:
    pieces = await say(HibariVoice(Reader()), "one sentence")
    assert [len(piece.audio) for piece in pieces] == [4000, 4000]
    assert [[(word.start_char, word.start_s) for word in piece.words] for piece in pieces] == [
        [(0, 0.05)],
        [(5, 0.55)],
    ]


async def test_times_of_a_later_sentence_count_from_the_first_sample() -> None:
    voice = HibariVoice(Reader())
    pieces = await say(voice, "one. two")
    starts = [word.start_s for piece in pieces for word in piece.words]
    assert starts == [0.05, 0.55, 1.05, 1.55]
    assert voice.estimated_pieces == 1


async def test_a_text_without_words_makes_no_sound_and_no_work() -> None:
    reader = Reader()
    assert await say(HibariVoice(reader), "  \n") == []
    assert reader.jobs == []


async def test_a_calls_clause_goes_before_a_phrase_of_no_call() -> None:
    reader = Reader()
    voice = HibariVoice(reader)
    await say(voice, "phrase")
    stream = voice.open()
    assert len([piece async for piece in stream.speak("clause", reply=1)]) == 2
    stream.reply_over(1)
    assert [job.priority for job in reader.jobs] == [Priority.BACKGROUND, Priority.VOICE]


async def test_a_process_that_is_gone_is_told_where_its_speech_is_awaited() -> None:
    with pytest.raises(WorkerDied):
        await say(HibariVoice(Reader(down=True)), "something else")


async def test_speech_that_is_cancelled_drops_its_job() -> None:
    reader = Reader()
    speaking = asyncio.create_task(say(HibariVoice(reader), "never mind"))
    await asyncio.sleep(0.01)
    speaking.cancel()
    await asyncio.wait([speaking])
    assert reader.jobs[0].ended


async def test_an_answer_that_is_no_speech_is_an_error() -> None:
    class Confused(Reader):
        def _speak(self, job: Job) -> None:
            job.add(Decoded("hello", -0.1, 0.0))

    with pytest.raises(ProviderError, match="no speech"):
        await say(HibariVoice(Confused()), "hello")
