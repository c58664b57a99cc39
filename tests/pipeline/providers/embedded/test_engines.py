"""The embedded engines with their real models, each in its process."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import pytest_asyncio
from embedded_engines import EmbeddedEngines, embedded_engines, making

from offhook.codecs.audio_format import MULAW_8K
from offhook.config.errors import ProviderError
from offhook.config.speech import TranscriberChoice
from offhook.lab.word_errors import spoken_form
from offhook.pipeline.clock import LoopClock
from offhook.pipeline.ports import Transcriber, Transcript, Voice, VoiceActivity
from offhook.pipeline.providers import catalogue
from offhook.pipeline.providers.embedded.job_queue import FINAL_S
from offhook.pipeline.providers.embedded.jobs import Decode, Decoded
from offhook.pipeline.providers.embedded.model_pool import ModelPool
from offhook.pipeline.providers.embedded.transcriber import WhisperTranscriber

pytestmark = pytest.mark.realtime

AUDIO = Path(__file__).parents[3] / "audio"
SILENCE = b"\xff" * 160
SHORT_ANSWERS = (
    "Yes.",
    "Stop.",
    "Eight.",
    "Twelve.",
    "Forty-three.",
    "Fifty-nine.",
    "Ten ten.",
    "Twelve people.",
    "Order number twelve.",
    "2 3 4 5 6.",
    "Five five five.",
    "Five five five, zero one nine two.",
    "Seven seven seven seven.",
    "One two one two one two.",
    "Twelve, twelve, twelve.",
    "Hello, hello, hello.",
)


def recording(name: str) -> bytes:
    data = (AUDIO / f"{name}.ulaw.wav").read_bytes()
    return data[data.index(b"data") + 8 :]


def plain(text: str) -> list[str]:
    spelt = text.lower().replace("mr.", "mister").replace("10 ", "ten ")
    return re.sub(r"[^a-z0-9' ]", " ", spelt).split()


def word_errors(said: list[str], heard: list[str]) -> int:
    row = list(range(len(heard) + 1))
    for i, word in enumerate(said, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (word != other))
    return row[-1]


@pytest_asyncio.fixture
async def engines() -> AsyncIterator[EmbeddedEngines]:
    async with embedded_engines() as them:
        yield them


async def heard(engines: EmbeddedEngines, audio: bytes, during: Callable[[], None] | None = None) -> str:
    """What the transcriber makes of a whole utterance that arrives at once."""
    done: asyncio.Future[str] = asyncio.get_running_loop().create_future()

    def take(transcript: Transcript) -> None:
        if transcript.final and not done.done():
            done.set_result(transcript.text)

    stream = engines.transcriber.open(take, connection=0, begins_at_s=0.0)
    task = asyncio.create_task(stream.run())
    stream.speech_started(0.0)
    stream.push(audio)
    await asyncio.sleep(0.02)
    if during is not None:
        during()
    stream.speech_paused(len(audio) / 8000)
    try:
        return await done
    finally:
        task.cancel()


async def test_twenty_utterances_are_understood(engines: EmbeddedEngines) -> None:
    errors = total = 0
    for each in json.loads((AUDIO / "transcripts.json").read_text()):
        if each["id"] == "vosk-digits":  # written as figures, in groups of the model's own choice
            continue
        said = plain(each["text"])
        errors += word_errors(said, plain(await heard(engines, recording(each["id"]))))
        total += len(said)
    assert errors / total < 0.05


async def test_noise_and_silence_are_no_words(engines: EmbeddedEngines) -> None:
    assert await heard(engines, SILENCE * 100) == ""


async def test_what_the_voice_says_is_understood_and_its_word_times_are_true(
    engines: EmbeddedEngines,
) -> None:
    text = "Your table for two is booked, see you on Friday."
    pieces = [piece async for piece in engines.voice.speak(text)]
    audio = b"".join(piece.audio for piece in pieces)
    words = [word for piece in pieces for word in piece.words]
    assert [text[word.start_char : word.end_char] for word in words] == text.split()
    assert all(one.end_s <= other.start_s + 1e-6 for one, other in pairwise(words))
    aligned = await engines.transcriber.word_times(audio, text)
    assert [word.text for word in aligned] == text.split()
    differences = [abs(one.start_s - other.start_s) for one, other in zip(words, aligned, strict=True)]
    assert sum(differences) / len(differences) < 0.12


async def test_short_answers_are_understood_once(engines: EmbeddedEngines) -> None:
    misheard: dict[str, str] = {}
    for said in SHORT_ANSWERS:
        audio = b"".join([piece.audio async for piece in engines.voice.speak(said)])
        text = await heard(engines, audio)
        if spoken_form(text) != spoken_form(said):
            misheard[said] = text
    assert misheard == {}


async def test_the_same_text_gives_the_same_audio(engines: EmbeddedEngines) -> None:
    one, other = [[piece async for piece in engines.voice.speak("Again, please.")] for _ in range(2)]
    assert one == other


async def test_pauses_suit_the_punctuation(engines: EmbeddedEngines) -> None:
    silences = []
    for text in ("Well then,", "Well then."):
        audio = b"".join([piece.audio async for piece in engines.voice.speak(text)])
        quiet = len(audio) - len(audio.rstrip(b"\xff\x7f\xfe\x7e\xfd\x7d"))
        silences.append(quiet / 8000)
    assert silences[0] < 0.09
    assert silences[0] < silences[1] < 0.2


async def test_a_recogniser_killed_in_the_middle_of_a_decode_still_gives_the_text(
    engines: EmbeddedEngines,
) -> None:
    pid = engines.recogniser.processes[0].pid
    assert pid is not None
    text = await heard(engines, recording("weather"), during=lambda: os.kill(pid, signal.SIGKILL))
    assert plain(text) == ["what's", "the", "weather", "like"]
    assert engines.recogniser.statistics()[0].restarts == 1
    assert engines.recogniser.ready


async def test_a_voice_that_was_killed_speaks_again(engines: EmbeddedEngines) -> None:
    assert engines.voice_process.pid is not None
    os.kill(engines.voice_process.pid, signal.SIGKILL)
    assert len([piece async for piece in engines.voice.speak("And something new.")]) > 0
    assert engines.voice_process.statistics().restarts == 1


async def test_a_short_sound_that_is_no_word_has_little_confidence(engines: EmbeddedEngines) -> None:
    confident, hesitant = [
        await engines.recogniser.submit(Decode(audio), FINAL_S).next()
        for audio in (recording("weather"), recording("jfk")[2400:4000])
    ]
    assert isinstance(confident, Decoded)
    assert isinstance(hesitant, Decoded)
    assert confident.mean_log_probability > -0.5
    assert hesitant.mean_log_probability < confident.mean_log_probability


async def test_the_engines_fit_the_ports(engines: EmbeddedEngines) -> None:
    transcriber: Transcriber = engines.transcriber
    voice: Voice = engines.voice
    activity: VoiceActivity = engines.voice_activity
    assert transcriber.audio_format == voice.audio_format == MULAW_8K
    activity.open(lambda window: None).close()


async def test_two_recognisers_share_the_work(engines: EmbeddedEngines) -> None:
    clock = LoopClock(asyncio.get_running_loop())
    pool = ModelPool("whisper", {"model_dir": ""}, 2, clock=clock)
    await pool.start()
    both = replace(engines, recogniser=pool, transcriber=WhisperTranscriber(pool, clock))
    try:
        texts = await asyncio.gather(*(heard(both, recording("weather")) for _ in range(4)))
    finally:
        await pool.close()
    assert len(set(texts)) == 1
    assert all(each.jobs > 0 for each in pool.statistics())


async def test_an_engine_that_cannot_start_leaves_nothing_behind(tmp_path: Path) -> None:
    built = catalogue.transcriber(TranscriberChoice(model_dir=tmp_path), "en", making())
    assert isinstance(built.lifecycle, ModelPool)
    with pytest.raises(ProviderError):
        await built.lifecycle.start()
    assert [process.pid for process in built.lifecycle.processes] == [None]
    assert not built.lifecycle.takes_jobs
