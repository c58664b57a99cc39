"""The caller's audio on its way in: voice activity, recogniser, and the media clock.

Frames come by direct call, without a task, a queue or a timer. The media clock is the number of
samples received; it stands still while frames are late, so a stall on the uplink is no silence.
"""

from __future__ import annotations

__all__ = ["Ear"]

import asyncio
from collections.abc import Callable
from dataclasses import replace

from offhook.codecs.audio_format import MULAW_8K, converter
from offhook.codecs.framing import SAMPLE_RATE_HZ as BYTES_PER_S
from offhook.config.errors import ProviderError
from offhook.config.turn_taking import TurnTaking

from .cancellation import cancelled_from_inside
from .clock import Clock
from .echo import ExpectedEcho
from .evidence import Activity, Evidence, Fault, Over, Words
from .ports import Transcriber, Transcript, VoiceActivity, VoiceWindow
from .speech_gate import SpeechGate

REPLAY_BYTES = 3 * BYTES_PER_S
"""At least so much of the caller's audio is kept for a recogniser that was lost; at most twice as much."""
BACKOFF_S = (0.0, 0.25, 0.5, 1.0)
MIN_SPEECH_S = 0.06
"""Two windows in a row are an onset; shorter sounds are clicks."""
DEAF_AFTER_S = 3.0
"""Voice activity that is so far behind the audio has failed."""
SETTLED_S = 10.0
"""A recogniser that worked for so long has recovered."""


class Ear:
    """Listens to one call. What it finds out goes to `feed`."""

    def __init__(
        self,
        *,
        voice_activity: VoiceActivity,
        transcriber: Transcriber,
        settings: TurnTaking,
        clock: Clock,
        feed: Callable[[Evidence], None],
        echo: ExpectedEcho,
        over: Callable[[], Over],
    ) -> None:
        self._clock = clock
        self._feed = feed
        self._transcriber = transcriber
        self._echo, self._over = echo, over
        self._gate = SpeechGate(settings.vad_threshold, MIN_SPEECH_S)
        self._activity = Activity(0.0, speaking=False, onset_s=0.0, last_speech_s=0.0)
        self._bytes = 0
        self._deaf = False
        self._replay = bytearray()
        self._final_until_s = 0.0
        self._connection = 0
        self._convert = converter(MULAW_8K, transcriber.audio_format)
        self._windows = voice_activity.open(self._on_window)
        self._stream = transcriber.open(self._on_transcript, connection=0, begins_at_s=0.0)

    @property
    def media_s(self) -> float:
        """Seconds of the caller's audio received so far."""
        return self._bytes / BYTES_PER_S

    @property
    def reconnects(self) -> int:
        """How often the recogniser was lost and opened again."""
        return self._connection

    def push(self, audio: bytes) -> None:
        """Take carrier bytes (mu-law, 8 kHz) of any length."""
        self._bytes += len(audio)
        self._replay += audio
        if len(self._replay) > 2 * REPLAY_BYTES:
            del self._replay[:-REPLAY_BYTES]
        self._windows.push(audio)
        self._stream.push(self._convert.feed(audio))
        if self.media_s - self._activity.media_s > DEAF_AFTER_S and not self._deaf:
            self._deaf = True
            self._feed(Fault("voice-activity", f"nothing came of {DEAF_AFTER_S:g} s of audio"))

    def end_utterance(self) -> None:
        """What is said from now on is another utterance."""
        self._final_until_s = self.media_s
        self._stream.end_utterance()

    async def run(self) -> None:
        """Keep a recogniser listening; a lost one is opened again and hears what it missed."""
        failures = 0
        while True:
            opened_at = self._clock.now()
            try:
                await self._stream.run()
                reason = "the recogniser stopped by itself"
            except ProviderError as error:
                reason = str(error)
            except asyncio.CancelledError:
                if not cancelled_from_inside():
                    raise
                reason = "its work was cancelled"
            except Exception as error:
                reason = type(error).__name__
            if self._clock.now() - opened_at > SETTLED_S:
                failures = 0
            failures += 1
            if failures > len(BACKOFF_S):
                self._feed(Fault("transcriber", reason))
                failures = len(BACKOFF_S)
            await self._clock.sleep_until(self._clock.now() + BACKOFF_S[failures - 1])
            self._reopen()

    def close(self) -> None:
        """Listen no more."""
        self._windows.close()

    def _reopen(self) -> None:
        kept_from_s = self.media_s - len(self._replay) / BYTES_PER_S
        begins_at_s = max(kept_from_s, self._final_until_s)
        audio = bytes(self._replay[round((begins_at_s - kept_from_s) * BYTES_PER_S) :])
        self._connection += 1
        self._convert = converter(MULAW_8K, self._transcriber.audio_format)
        self._stream = self._transcriber.open(
            self._on_transcript, connection=self._connection, begins_at_s=begins_at_s
        )
        activity = self._activity
        missed_speech = activity.last_speech_s > begins_at_s
        if missed_speech:
            self._stream.speech_started(max(begins_at_s, activity.onset_s))
        self._stream.push(self._convert.feed(audio))
        if missed_speech and not activity.speaking:
            self._stream.speech_paused(activity.last_speech_s)

    def _on_window(self, window: VoiceWindow) -> None:
        self._deaf = False
        if self._echo.hides(window.level_dbfs, window.media_s, self._clock.now()):
            window = replace(window, probability=0.0)
        before, after = self._activity, self._gate.feed(window)
        self._activity = after
        if after.speaking and not before.speaking:
            self._stream.speech_started(after.onset_s)
        elif before.speaking and not after.speaking:
            self._stream.speech_paused(after.last_speech_s)
        self._feed(after)

    def _on_transcript(self, transcript: Transcript) -> None:
        if transcript.connection != self._connection:
            return
        if transcript.final:
            self._final_until_s = max(self._final_until_s, transcript.covers_s)
        self._feed(Words(transcript, self._over()))
