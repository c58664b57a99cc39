"""The caller's audio on its way in: voice activity, recogniser, and the media clock.

Frames come by direct call, without a task, a queue or a timer. The media clock is the number of
samples received; it stands still while frames are late, so a stall on the uplink is no silence.
"""

from __future__ import annotations

__all__ = ["Ear"]

from collections.abc import Callable
from dataclasses import replace
from typing import Any

from offhook.codecs.framing import SAMPLE_RATE_HZ as BYTES_PER_S
from offhook.config.turn_taking import TurnTaking

from .clock import Clock
from .echo import ExpectedEcho
from .evidence import Activity, Evidence, Fault, Over, Words
from .line_up import LineUp
from .ports import Transcriber, Transcript, VoiceActivity, VoiceWindow
from .recogniser import Recogniser
from .shared_conversion import Conversions
from .speech_gate import SpeechGate

MIN_SPEECH_S = 0.06
"""Two windows in a row are an onset; shorter sounds are clicks."""
DEAF_AFTER_S = 3.0
"""Voice activity that is so far behind the audio has failed."""


class Ear:
    """Listens to one call. What it finds out goes to `feed`."""

    def __init__(
        self,
        *,
        voice_activity: VoiceActivity,
        transcribers: LineUp[Transcriber],
        note: Callable[..., Any],
        settings: TurnTaking,
        clock: Clock,
        feed: Callable[[Evidence], None],
        echo: ExpectedEcho,
        over: Callable[[], Over],
        conversions: Conversions,
        seed: str = "",
    ) -> None:
        """`seed`: what a call's waits are drawn from, so that not all calls reconnect in step."""
        self._clock = clock
        self._feed = feed
        self._echo, self._over = echo, over
        self._gate = SpeechGate(settings.vad_threshold, MIN_SPEECH_S)
        self._activity = Activity(0.0, speaking=False, onset_s=0.0, last_speech_s=0.0)
        self._bytes = 0
        self._deaf = False
        self._windows = voice_activity.open(self._on_window)
        self._recogniser = Recogniser(
            transcribers,
            clock=clock,
            seed=seed,
            note=note,
            give=self._on_transcript,
            feed=feed,
            conversions=conversions,
        )

    @property
    def media_s(self) -> float:
        """Seconds of the caller's audio received so far."""
        return self._bytes / BYTES_PER_S

    @property
    def reconnects(self) -> int:
        """How often the recogniser was lost, or silent, and opened again."""
        return self._recogniser.reconnects

    @property
    def switches(self) -> int:
        """How often another recogniser of the line-up took over."""
        return self._recogniser.switches

    def push(self, audio: bytes) -> None:
        """Take carrier bytes (mu-law, 8 kHz) of any length."""
        self._bytes += len(audio)
        self._windows.push(audio)
        self._recogniser.push(audio)
        if self._bytes / BYTES_PER_S - self._activity.media_s > DEAF_AFTER_S and not self._deaf:
            self._deaf = True
            self._feed(Fault("voice-activity", f"nothing came of {DEAF_AFTER_S:g} s of audio"))

    def end_utterance(self) -> None:
        """What is said from now on is another utterance."""
        self._recogniser.end_utterance()

    async def run(self) -> None:
        """Keep a recogniser listening until cancelled."""
        await self._recogniser.run()

    def close(self) -> None:
        """Listen no more."""
        self._windows.close()
        self._recogniser.close()

    def _on_window(self, window: VoiceWindow) -> None:
        self._deaf = False
        self._echo.hear(window.level_dbfs, window.media_s, self._clock.now())
        if self._gate.may_take(window) and self._echo.explains:
            window = replace(window, probability=0.0)
        self._activity = activity = self._gate.feed(window)
        self._recogniser.sound(activity)
        self._feed(activity)

    def _on_transcript(self, transcript: Transcript) -> None:
        self._feed(Words(transcript, self._over()))
