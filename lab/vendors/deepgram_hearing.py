"""How an emulated Deepgram hears: a recogniser and voice activity inside, words with times out."""

from __future__ import annotations

__all__ = ["WINDOW_S", "HeardWord", "Hearing"]

from collections.abc import Callable
from dataclasses import dataclass

from offhook.codecs.audio_format import MULAW_8K, AudioFormat, converter
from offhook.pipeline.evidence import Activity
from offhook.pipeline.ports import Transcript, VoiceWindow
from offhook.pipeline.speech_gate import SpeechGate

from .world import InsideEngines

VAD_THRESHOLD = 0.5
MIN_SPEECH_S = 0.06
WINDOW_S = 0.032
WITHIN_S = 0.05
"""A final that ends so much before the last speech has all its words."""


@dataclass(frozen=True, slots=True)
class HeardWord:
    """A word, and where it lies in the audio received."""

    text: str
    start_s: float
    end_s: float
    confidence: float


class Hearing:
    """Listens to one connection; what was heard stays until it is dealt with by `forget`.

    All times are seconds of the audio received.
    """

    def __init__(
        self,
        engines: InsideEngines,
        audio_format: AudioFormat,
        *,
        on_activity: Callable[[Activity, Activity], None],
        on_words: Callable[[], None],
    ) -> None:
        self._on_activity, self._on_words = on_activity, on_words
        self._gate = SpeechGate(VAD_THRESHOLD, MIN_SPEECH_S)
        self._to_carrier = converter(audio_format, MULAW_8K)
        self._to_recogniser = converter(MULAW_8K, engines.transcriber.audio_format)
        self._windows = engines.voice_activity.open(self._take_window)
        self._stream = engines.transcriber.open(self._take_words, connection=0, begins_at_s=0.0)
        self.activity = Activity(0.0, speaking=False, onset_s=0.0, last_speech_s=0.0)
        self.words: tuple[HeardWord, ...] = ()
        self.final_until_s = 0.0
        """Up to here the words are not going to change, unless speech goes on."""
        self.covers_s = 0.0
        """The words are those up to here."""
        self.begins_s: float | None = None
        """Where speech began that was not dealt with, or None."""
        self._received_bytes = 0
        self._utterance = -1
        self._forgotten = -1

    @property
    def text(self) -> str:
        """The words as a text."""
        return " ".join(word.text for word in self.words)

    @property
    def is_settled(self) -> bool:
        """Nobody speaks, and the words up to the last sound are final."""
        return not self.activity.speaking and self.is_final_until(self.activity.last_speech_s)

    @property
    def received_s(self) -> float:
        """How much audio has come; voice activity is a little behind."""
        return self._received_bytes / MULAW_8K.bytes_per_s

    def is_final_until(self, at_s: float) -> bool:
        """The words up to there are final."""
        return self.begins_s is None or self.final_until_s >= at_s - WITHIN_S

    def push(self, audio: bytes) -> None:
        """Take audio as the connection brings it."""
        carrier = self._to_carrier.feed(audio)
        self._received_bytes += len(carrier)
        self._windows.push(carrier)
        self._stream.push(self._to_recogniser.feed(carrier))

    def settle(self) -> None:
        """Ask for the final words of what was heard up to now."""
        self._stream.speech_paused(self.activity.media_s)

    def forget(self) -> None:
        """What was heard has been dealt with: what comes is another utterance."""
        self._stream.end_utterance()
        self._forgotten = self._utterance
        self.words = ()
        self.begins_s = self.activity.media_s if self.activity.speaking else None

    async def run(self) -> None:
        """Recognise until cancelled; raises ProviderError when the recogniser inside is lost."""
        await self._stream.run()

    def close(self) -> None:
        """Listen no more."""
        self._windows.close()

    def _take_window(self, window: VoiceWindow) -> None:
        before, self.activity = self.activity, self._gate.feed(window)
        now = self.activity
        if now.speaking and not before.speaking:
            if self.begins_s is None:
                self.begins_s = now.onset_s
            self._stream.speech_started(now.onset_s)
        elif before.speaking and not now.speaking:
            self._stream.speech_paused(now.last_speech_s)
        self._on_activity(before, now)

    def _take_words(self, transcript: Transcript) -> None:
        if transcript.utterance <= self._forgotten:
            return
        self._utterance = transcript.utterance
        self.covers_s = max(self.covers_s, transcript.covers_s)
        if transcript.final:
            self.final_until_s = max(self.final_until_s, transcript.covers_s)
        self.words = self._spread(transcript)
        self._on_words()

    def _spread(self, transcript: Transcript) -> tuple[HeardWord, ...]:
        """Share the speech out evenly among its words, for the recogniser does not say where they lie."""
        texts = transcript.text.split()
        until_s = min(transcript.covers_s, self.activity.last_speech_s)
        from_s = min(self.begins_s or 0.0, until_s)
        each_s = (until_s - from_s) / max(1, len(texts))
        return tuple(
            HeardWord(text, from_s + index * each_s, from_s + (index + 1) * each_s, transcript.confidence)
            for index, text in enumerate(texts)
        )
