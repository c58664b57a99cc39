"""The ports fit recognisers and voices that are not carried yet: each is sketched from its messages.

A sketch turns messages as they are documented into what its port wants. Sources: the public references of
Deepgram Aura, ElevenLabs Scribe realtime, OpenAI speech and OpenAI Realtime.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import AsyncIterator, Callable
from typing import Any

from bridge_rig import loop_clock
from call_rig import assistant_from
from fake_engines import InlineWorkers, ScriptedModel, says

from offhook.codecs.audio_format import MULAW_8K, PCM_24K, AudioFormat
from offhook.lab.memory_call import MemoryCall
from offhook.lab.spelled_speech import (
    LevelVoiceActivity,
    SpelledVoice,
    SpellingTranscriber,
    read_words,
    spell,
)
from offhook.pipeline.call import Engines
from offhook.pipeline.line_up import alone
from offhook.pipeline.pacing import PacingWheel
from offhook.pipeline.ports import SpokenAudio, Transcriber, Transcript, TurnHint, Voice, VoiceStream
from offhook.pipeline.shared_voice import SharedVoiceStream

Message = dict[str, Any] | bytes


async def held(voice: Voice, transcriber: Transcriber, answer: str = "olive lemon.") -> MemoryCall:
    """A whole call with these; the caller says three words."""
    clock = loop_clock()
    engines = Engines(
        LevelVoiceActivity(),
        alone(transcriber, clock),
        alone(ScriptedModel(says(answer)), clock),
        alone(voice, clock),
        InlineWorkers(),
    )
    async with MemoryCall(assistant_from(), engines, clock, PacingWheel(clock)) as call:
        await asyncio.sleep(0.3)
        call.say(spell("anchor basket candle"))
        await asyncio.sleep(4.0)
    return call


# ---------------------------------------------- Deepgram Aura: one socket a call, Speak, Flush, Clear


class AuraSketch:
    """`Speak` and `Flush` for each clause; binary audio until `Flushed`; `Clear` when the caller cuts in."""

    audio_format = MULAW_8K

    def __init__(self) -> None:
        self.sent: list[str] = []

    def open(self) -> VoiceStream:
        return self

    async def speak(self, text: str, *, reply: int = 0) -> AsyncIterator[SpokenAudio]:
        self.sent += ["Speak", "Flush"]
        finished = False
        try:
            async for message in self._answers(text):
                if isinstance(message, bytes):
                    yield SpokenAudio(message)  # it tells no word times: the ledger goes by letters
                elif message["type"] == "Flushed":
                    finished = True
        finally:
            if not finished:
                self.sent.append("Clear")

    def reply_over(self, reply: int) -> None:
        """Contexts do not exist here."""

    async def run(self) -> None:
        await asyncio.Event().wait()

    async def _answers(self, text: str) -> AsyncIterator[Message]:
        audio = spell(text)
        for at in range(0, len(audio), 1000):
            await asyncio.sleep(0.01)
            yield audio[at : at + 1000]
        yield {"type": "Flushed", "sequence_id": 1}


async def test_deepgrams_aura_is_a_voice_with_a_socket_for_each_call() -> None:
    call = await held(AuraSketch(), SpellingTranscriber())
    assert read_words(bytes(call.line.heard)) == ["olive", "lemon"]


# ------------------------------------------------- ElevenLabs Scribe: partial and committed transcripts


class ScribeSketch:
    """`partial_transcript` and `committed_transcript`; a pause is answered by `commit`."""

    audio_format = MULAW_8K

    def open(
        self, on_transcript: Callable[[Transcript], None], *, connection: int, begins_at_s: float
    ) -> ScribeStream:
        return ScribeStream(on_transcript, connection, begins_at_s)


class ScribeStream:
    def __init__(self, give: Callable[[Transcript], None], connection: int, begins_at_s: float) -> None:
        self._give, self._connection, self._begins_at_s = give, connection, begins_at_s
        self._inner = SpellingTranscriber().open(self._wire, connection=0, begins_at_s=0.0)
        self._bytes = self._sequence = self._committed = 0

    def push(self, audio: bytes) -> None:
        base64.b64encode(audio)  # {"message_type": "input_audio_chunk", "audio_base_64": ...}
        self._bytes += len(audio)
        self._inner.push(audio)

    def speech_started(self, media_s: float) -> None:
        """The vendor finds out by itself."""

    def speech_paused(self, media_s: float) -> None:
        self._inner.speech_paused(media_s)  # {"commit": true}

    def end_utterance(self) -> None:
        self._inner.end_utterance()

    async def run(self) -> None:
        await asyncio.Event().wait()

    def _wire(self, heard: Transcript) -> None:
        kind = "committed_transcript" if heard.final else "partial_transcript"
        self._receive({"message_type": kind, "text": heard.text})

    def _receive(self, message: dict[str, Any]) -> None:
        final = message["message_type"] == "committed_transcript"
        self._sequence += 1
        covers_s = self._begins_at_s + self._bytes / 8000
        self._give(
            Transcript(self._connection, self._committed, self._sequence, message["text"], final, covers_s)
        )
        self._committed += final


async def test_elevenlabs_scribe_is_a_transcriber_that_commits_at_our_pauses() -> None:
    call = await held(SpelledVoice(), ScribeSketch())
    assert [event.data["text"] for event in call.of_type("turn.ended")] == ["anchor basket candle"]


# ------------------------------------------------------- OpenAI speech: an HTTP body of 24 kHz PCM


class SpeechSketch:
    """One request for each clause; chunks of any length, an odd one too."""

    audio_format: AudioFormat = PCM_24K

    def open(self) -> VoiceStream:
        return SharedVoiceStream(self.speak)

    async def speak(self, text: str) -> AsyncIterator[SpokenAudio]:
        pcm = b"\x10\x20" * 24_000
        for at in range(0, len(pcm), 4801):
            yield SpokenAudio(pcm[at : at + 4801])


async def test_openais_speech_is_a_voice_in_its_own_format() -> None:
    call = await held(SpeechSketch(), SpellingTranscriber())
    assert len(bytes(call.line.heard).strip(b"\xff")) > 7000
    assert [event.data["heard_text"] for event in call.of_type("reply.ended")] == ["olive lemon."]


# ------------------------------- OpenAI Realtime: speech to speech, its own turns off, ours the arbiter


def realtime_evidence(event: dict[str, Any], connection: int = 0) -> Transcript | SpokenAudio | None:
    """What the events of a speech model are to turn-taking and playout: the same evidence, the same audio."""
    match event["type"]:
        case "input_audio_buffer.speech_started":
            begun_s = event["audio_start_ms"] / 1000
            return Transcript(connection, 0, 1, "", final=False, covers_s=begun_s, turn=TurnHint.STARTED)
        case "conversation.item.input_audio_transcription.completed":
            return Transcript(connection, 0, 2, event["transcript"], final=True, covers_s=1.0)
        case "response.output_audio.delta":
            return SpokenAudio(base64.b64decode(event["delta"]))
    return None


def test_a_speech_models_events_are_evidence_and_audio_that_there_are_already() -> None:
    started = realtime_evidence({"type": "input_audio_buffer.speech_started", "audio_start_ms": 640})
    assert isinstance(started, Transcript)
    assert started.turn is TurnHint.STARTED
    said = realtime_evidence(
        {"type": "conversation.item.input_audio_transcription.completed", "transcript": "hello"}
    )
    assert isinstance(said, Transcript)
    assert said.final
    delta = base64.b64encode(b"\x7f" * 160).decode()
    audio = realtime_evidence({"type": "response.output_audio.delta", "delta": delta})
    assert isinstance(audio, SpokenAudio)
    assert realtime_evidence({"type": "rate_limits.updated"}) is None
