"""Scripted engines: a voice whose audio spells its words, a recogniser that is told what is said."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from offhook.codecs.audio_format import MULAW_8K
from offhook.config.errors import ProviderError
from offhook.pipeline.clock import Clock
from offhook.pipeline.line_up import LineUp
from offhook.pipeline.messages import ModelDelta, ModelRequest, TextDelta
from offhook.pipeline.ports import LanguageModel, SpokenAudio, Transcript, VoiceWindow, WordTiming
from offhook.pipeline.shared_voice import SharedVoiceStream
from offhook.pipeline.tools import Executor

BYTES_PER_S = 8000
WINDOW_BYTES = 256
QUIET = 0xFF
SOUND = 0x20
LOUD_DBFS = 6.0
"""Louder than any echo: the scripted voice is near full scale, for its bytes are numbers of words."""
WORD_S = 0.3
"""Each word of the scripted voice takes this long."""


@dataclass
class Utterance:
    """What the scripted caller says, and when, in seconds of its own audio."""

    begins_s: float
    ends_s: float
    text: str
    confidence: float = 1.0

    def words(self, from_s: float, until_s: float) -> list[tuple[float, str]]:
        """The words that are over by `until_s` and lie behind `from_s` by their middle; when each ends."""
        words = self.text.split()
        word_s = (self.ends_s - self.begins_s) / max(1, len(words))
        ends = [self.begins_s + (index + 1) * word_s for index in range(len(words))]
        return [
            (end_s, word)
            for end_s, word in zip(ends, words, strict=True)
            if end_s <= until_s + 1e-6 and end_s - word_s / 2 > from_s
        ]


class ScriptedVoiceActivity:
    """Calls a window speech if most of its bytes are sound; answers after `delay_s`."""

    def __init__(self, clock: Clock, delay_s: float = 0.004) -> None:
        self._clock = clock
        self.delay_s = delay_s
        self.blind = False
        """No window comes back."""
        self.open_streams = 0
        self._last_at = 0.0

    def open(self, on_window: Callable[[VoiceWindow], None]) -> ScriptedWindows:
        self.open_streams += 1
        return ScriptedWindows(self, on_window)

    def later(self, callback: Callable[[], None]) -> None:
        if not self.blind:
            self._last_at = max(self._last_at, self._clock.now() + self.delay_s)
            self._clock.call_at(self._last_at, callback)


class ScriptedWindows:
    def __init__(self, owner: ScriptedVoiceActivity, on_window: Callable[[VoiceWindow], None]) -> None:
        self._owner = owner
        self._on_window = on_window
        self._buffer = bytearray()
        self._bytes = 0
        self._open = True

    def push(self, audio: bytes) -> None:
        self._buffer += audio
        while len(self._buffer) >= WINDOW_BYTES:
            window = bytes(self._buffer[:WINDOW_BYTES])
            del self._buffer[:WINDOW_BYTES]
            self._bytes += WINDOW_BYTES
            loud = sum(byte != QUIET for byte in window) > WINDOW_BYTES // 2
            said = VoiceWindow(
                self._bytes / BYTES_PER_S, 0.95 if loud else 0.02, LOUD_DBFS if loud else -80.0
            )
            self._owner.later(lambda said=said: self._give(said))  # type: ignore[misc]

    def _give(self, window: VoiceWindow) -> None:
        if self._open:
            self._on_window(window)

    def close(self) -> None:
        if self._open:
            self._open = False
            self._owner.open_streams -= 1


@dataclass
class ScriptedTranscriber:
    """Knows what the caller says; reports it as a real recogniser would: partials, then a final."""

    clock: Clock
    said: list[Utterance] = field(default_factory=list)
    step_s: float = 0.3
    decode_s: float = 0.12
    deaf: bool = False
    """No words ever come."""
    fails: int = 0
    """So many of the next streams break by themselves."""
    fails_after_s: float = 0.0
    """So long they try to connect, in vain."""
    error: type[ProviderError] = ProviderError
    """What a stream raises that breaks."""
    segments: bool = False
    """Words become final while speech goes on, segment by segment, each an utterance."""
    audio_format = MULAW_8K
    streams: list[ScriptedStream] = field(default_factory=list)
    alter: Callable[[Transcript], Iterable[Transcript]] = lambda result: (result,)
    """What becomes of each result on its way: itself, nothing, it twice, another one before it."""

    def open(
        self, on_transcript: Callable[[Transcript], None], *, connection: int, begins_at_s: float
    ) -> ScriptedStream:
        stream = ScriptedStream(self, on_transcript, connection, begins_at_s)
        self.streams.append(stream)
        return stream


class ScriptedStream:
    def __init__(
        self,
        owner: ScriptedTranscriber,
        on_transcript: Callable[[Transcript], None],
        connection: int,
        begins_at_s: float,
    ) -> None:
        self._owner = owner
        self._give = on_transcript
        self._connection = connection
        self._from_s = begins_at_s
        self._media_s = begins_at_s
        self._utterance = 0
        self._sequence = 0
        self._speaking = False
        self._next_partial_s = 0.0
        self._due = 0.0
        self.breaks = asyncio.Event()
        self.begins_at_s = begins_at_s
        self.first: bytes | None = None
        """What was pushed first."""
        self.silent = False
        """It hears everything and says nothing."""
        self.over = False

    def push(self, audio: bytes) -> None:
        self.first = audio if self.first is None else self.first
        self._media_s += len(audio) / BYTES_PER_S
        if self._speaking and self._media_s >= self._next_partial_s:
            self._next_partial_s = self._media_s + self._owner.step_s
            self._decode(final=False)

    def speech_started(self, media_s: float) -> None:
        self._speaking = True
        self._next_partial_s = media_s + self._owner.step_s

    def speech_paused(self, media_s: float) -> None:
        self._speaking = False
        self._decode(final=True)

    def end_utterance(self) -> None:
        self._from_s = self._media_s
        self._utterance += 1

    async def run(self) -> None:
        try:
            if self._owner.fails > 0:
                self._owner.fails -= 1
                if self._owner.fails_after_s:
                    self.silent = True
                    await asyncio.sleep(self._owner.fails_after_s)
                self.breaks.set()
            await self.breaks.wait()
            raise self._owner.error("transcriber", "scripted loss")
        finally:
            self.over = True

    def _decode(self, *, final: bool) -> None:
        if self._owner.deaf or self.silent:
            return
        covers, utterance = self._media_s, self._utterance
        mine = [said for said in self._owner.said if said.ends_s > self._from_s and said.begins_s < covers]
        words = [word for said in mine for word in said.words(self._from_s, covers)]
        text = " ".join(word for _, word in words)
        if self._owner.segments and words and not final:
            final, covers = True, words[-1][0]
        confidence = min((said.confidence for said in mine), default=1.0)
        self._sequence += 1
        result = Transcript(self._connection, utterance, self._sequence, text, final, covers, confidence)
        if final and self._owner.segments:
            self._from_s = covers
            self._utterance += 1

        def deliver() -> None:
            if not self.silent and (self._owner.segments or utterance == self._utterance):
                for given in self._owner.alter(result):
                    self._give(given)

        due = self._owner.clock.now() + self._owner.decode_s
        if due == self._due:
            due += 1e-6  # timers of the same time run in any order
        self._due = due
        self._owner.clock.call_at(due, deliver)


Answerer = Callable[[ModelRequest], Sequence[ModelDelta | float]]


class ScriptedModel:
    """Answers by a function; a float among the deltas is a wait in seconds."""

    def __init__(self, answerer: Answerer, first_token_s: float = 0.05) -> None:
        self.answerer = answerer
        self.first_token_s = first_token_s
        self.requests: list[ModelRequest] = []
        self.fails = 0

    async def respond(self, request: ModelRequest) -> AsyncIterator[ModelDelta]:
        self.requests.append(request)
        await asyncio.sleep(self.first_token_s)
        if self.fails > 0:
            self.fails -= 1
            raise ProviderError("model", "scripted failure")
        for item in self.answerer(request):
            if isinstance(item, float):
                await asyncio.sleep(item)
            else:
                yield item


class ScriptedVoice:
    """Speaks `WORD_S` a word; every byte of a word "…12" is 12, else its place in the text."""

    audio_format = MULAW_8K

    def __init__(self, first_audio_s: float = 0.05) -> None:
        self.first_audio_s = first_audio_s
        self.spoken: list[str] = []
        self.fails = 0

    def open(self) -> SharedVoiceStream:
        return SharedVoiceStream(self.speak)

    async def speak(self, text: str) -> AsyncIterator[SpokenAudio]:
        await asyncio.sleep(self.first_audio_s)
        if self.fails > 0:
            self.fails -= 1
            raise ProviderError("voice", "scripted failure")
        self.spoken.append(text)
        position = 0
        for number, word in enumerate(text.split()):
            start = text.index(word, position)
            position = start + len(word)
            timing = WordTiming(start, position, 0.0 + number * WORD_S, (number + 1) * WORD_S)
            digits = "".join(sign for sign in word if sign.isdigit())
            byte = int(digits) if digits else number
            yield SpokenAudio(bytes([byte % 200]) * int(WORD_S * BYTES_PER_S), (timing,))


class InlineWorkers:
    """Runs jobs at once, on the loop: in virtual time a job has no cost of its own."""

    async def in_thread(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)

    async def in_process(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        return function(*args, **kwargs)


@dataclass(frozen=True)
class WritingParts:
    """What a conversation in writing works with."""

    models: LineUp[LanguageModel]
    workers: InlineWorkers = field(default_factory=InlineWorkers)
    web_tools: Mapping[str, Executor] = field(default_factory=dict)


def says(*texts: str) -> Answerer:
    """Answer the first request with the first text, and so on; the last one is repeated."""
    waiting = list(texts)

    def answer(request: ModelRequest) -> Sequence[ModelDelta | float]:
        text = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        return [TextDelta(text)]

    return answer


Job = Callable[[], Awaitable[None]]
