"""What the bridge adds to its vendors' time: probes around the engines, the line and the events of a call.

From the end of a turn to the first frame of its answer there are the vendors' clients, each waited for at its
port, and what the bridge does itself. The first is measured at the port, the second is the rest.
"""

from __future__ import annotations

__all__ = ["VendorFigures", "VendorProbe", "VendorProbes"]

import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TypeVar, cast

from offhook.bridge.call_log import CallLog
from offhook.codecs.audio_format import AudioFormat
from offhook.pipeline.call import Engines
from offhook.pipeline.line_up import Candidate, LineUp
from offhook.pipeline.messages import ModelDelta, ModelRequest
from offhook.pipeline.ports import (
    CallEvent,
    LanguageModel,
    Line,
    SpokenAudio,
    Transcriber,
    TranscriberStream,
    Transcript,
    Voice,
    VoiceActivity,
    VoiceActivityStream,
    VoiceStream,
    VoiceWindow,
)

from .histogram import DelayHistogram

T = TypeVar("T")


@dataclass(slots=True)
class VendorFigures:
    """What was found out; one value is shared by all calls."""

    answer: DelayHistogram = field(default_factory=DelayHistogram)
    """From the end of a turn to the first frame written."""
    own: DelayHistogram = field(default_factory=DelayHistogram)
    """Of that, outside the vendors' clients."""
    clear: DelayHistogram = field(default_factory=DelayHistogram)
    """From a result or a window of voice activity at its port to the `clear` written."""


@dataclass(slots=True)
class _Answer:
    """An answer on its way, in nanoseconds of the monotonic clock."""

    ended_ns: int
    clause: bool = False
    """Its first clause is known: what the model does from here on delays nobody."""
    audio: bool = False
    clients_ns: int = 0
    """Waited for the vendors' clients."""


class VendorProbe:
    """Watches one call."""

    def __init__(self, figures: VendorFigures, measuring: Callable[[], bool]) -> None:
        self._figures, self._measuring = figures, measuring
        self._answer: _Answer | None = None
        self._evidence_ns: int | None = None

    def event(self, event: CallEvent) -> None:
        """Look at an event as it is written."""
        answer = self._answer
        match event.type:
            case "turn.ended":
                self._answer = _Answer(time.monotonic_ns())
            case "reply.first-clause" if answer is not None:
                answer.clause = True
            case "playout.first-frame" if answer is not None:
                self._answer = None
                if self._measuring():
                    took_ns = time.monotonic_ns() - answer.ended_ns
                    self._figures.answer.add(took_ns)
                    self._figures.own.add(took_ns - answer.clients_ns)
            case "reply.withdrawn" | "fault":
                self._answer = None

    def model_took(self, nanoseconds: int) -> None:
        """The model's client was waited for."""
        if self._answer is not None and not self._answer.clause:
            self._answer.clients_ns += nanoseconds

    def voice_took(self, nanoseconds: int) -> None:
        """The voice's client was waited for."""
        answer = self._answer
        if answer is not None and answer.clause and not answer.audio:
            answer.audio = True
            answer.clients_ns += nanoseconds

    def evidence(self, give: Callable[[T], None], fact: T) -> None:
        """Pass a result or a window on; a `clear` that is written meanwhile is its doing."""
        self._evidence_ns = time.monotonic_ns()
        try:
            give(fact)
        finally:
            self._evidence_ns = None

    def cleared(self) -> None:
        """A `clear` was written."""
        if self._evidence_ns is not None and self._measuring():
            self._figures.clear.add(time.monotonic_ns() - self._evidence_ns)


class VendorProbes:
    """Puts a probe into every call."""

    def __init__(self, measuring: Callable[[], bool]) -> None:
        self.figures = VendorFigures()
        self._measuring = measuring
        self._newest = VendorProbe(self.figures, measuring)

    def begin(self, line: Line, log: CallLog) -> tuple[Line, CallLog]:
        """Watch the call that is made next."""
        probe = self._newest = VendorProbe(self.figures, self._measuring)
        tell = log.emit

        def emit(event: CallEvent) -> None:
            tell(event)
            probe.event(event)

        log.emit = emit  # type: ignore[method-assign]
        return _ProbedClear(line, probe), log

    def engines(self, engines: Engines) -> Engines:
        """The engines of the call that was begun last."""
        probe = self._newest
        return replace(
            engines,
            voice_activity=_ProbedVoiceActivity(engines.voice_activity, probe),
            transcribers=_each(engines.transcribers, lambda it: _ProbedTranscriber(it, probe)),
            models=_each(engines.models, lambda it: _ProbedModel(it, probe)),
            voices=_each(engines.voices, lambda it: _ProbedVoice(it, probe)),
        )


def _each(line_up: LineUp[T], wrap: Callable[[T], T]) -> LineUp[T]:
    return tuple(Candidate(each.name, wrap(each.engine), each.breaker) for each in line_up)


class _ProbedClear:
    def __init__(self, line: Line, probe: VendorProbe) -> None:
        self._line, self._probe = line, probe
        self.send_audio, self.send_mark, self.close = line.send_audio, line.send_mark, line.close

    @property
    def congested(self) -> bool:
        return self._line.congested

    def send_clear(self) -> None:
        self._line.send_clear()
        self._probe.cleared()


class _ProbedVoiceActivity:
    def __init__(self, voice_activity: VoiceActivity, probe: VendorProbe) -> None:
        self._voice_activity, self._probe = voice_activity, probe

    def open(self, on_window: Callable[[VoiceWindow], None]) -> VoiceActivityStream:
        return self._voice_activity.open(partial(self._probe.evidence, on_window))


class _ProbedTranscriber:
    def __init__(self, transcriber: Transcriber, probe: VendorProbe) -> None:
        self._transcriber, self._probe = transcriber, probe
        self.audio_format: AudioFormat = transcriber.audio_format

    def open(
        self, on_transcript: Callable[[Transcript], None], *, connection: int, begins_at_s: float
    ) -> TranscriberStream:
        def watched(transcript: Transcript) -> None:
            self._probe.evidence(on_transcript, transcript)

        return self._transcriber.open(watched, connection=connection, begins_at_s=begins_at_s)


class _ProbedModel:
    def __init__(self, model: LanguageModel, probe: VendorProbe) -> None:
        self._model, self._probe = model, probe

    def respond(self, request: ModelRequest) -> AsyncIterator[ModelDelta]:
        return _timed(self._model.respond(request), self._probe.model_took)


class _ProbedVoice:
    def __init__(self, voice: Voice, probe: VendorProbe) -> None:
        self._voice, self._probe = voice, probe
        self.audio_format: AudioFormat = voice.audio_format
        self.speak = voice.speak

    def open(self) -> VoiceStream:
        return _ProbedSpeech(self._voice.open(), self._probe)


class _ProbedSpeech:
    def __init__(self, stream: VoiceStream, probe: VendorProbe) -> None:
        self._stream, self._probe = stream, probe
        self.reply_over, self.run = stream.reply_over, stream.run

    def speak(self, text: str, *, reply: int) -> AsyncIterator[SpokenAudio]:
        return _timed(self._stream.speak(text, reply=reply), self._probe.voice_took)


async def _timed(items: AsyncIterator[T], took: Callable[[int], None]) -> AsyncGenerator[T, None]:
    """Pass the items on, and say how long each was waited for."""
    async with aclosing(cast("AsyncGenerator[T, None]", items)):
        while True:
            began_ns = time.monotonic_ns()
            try:
                item = await anext(items)
            except StopAsyncIteration:
                return
            took(time.monotonic_ns() - began_ns)
            yield item
