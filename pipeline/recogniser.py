"""Keeps a recogniser listening to one call, whichever of its line-up can.

A recogniser may be lost (its stream ends), silent (the caller speaks and no words come) or slow to come
back. Whatever audio it has not answered for is kept (`replay`), and the next stream hears it first.

Lost: the same recogniser is opened again, later each time; after two losses in a row the next of the
line-up that its breaker admits takes over, after a refusal at once. Who has nobody behind it is given five
attempts. When all have failed since anybody last worked, that is a `Fault`; the attempts go on.

Silent: a second stream is opened beside the first, and the one that gives words first stays.
"""

from __future__ import annotations

__all__ = ["Recogniser"]

import asyncio
from collections.abc import Callable
from functools import partial
from typing import Any

from offhook.config.errors import ProviderError, ProviderRefused, ProviderTimeout

from .breaker import BreakerState
from .clock import Clock, Timer
from .evidence import Activity, Evidence, Fault, Hearing
from .line_up import Candidate, LineUp, Standing
from .ports import Transcriber, Transcript
from .recogniser_stream import RecogniserStream
from .replay import Replay
from .retries import Retries
from .shared_conversion import Conversions
from .silent_recogniser import SILENT_S, SilentRecogniser

SETTLED_S = 10.0
"""A recogniser that has listened for so long has worked, whether or not there was anything to hear."""
STAYED_UP_S = 2.0
"""A stream that has been open for so long is believed to have caught up."""
CAUGHT_UP_WITHIN_S = 0.1
GAP_S = 3.0
"""So long without a recogniser is told by the log while it lasts."""


class Recogniser:
    """One call's recogniser. Results go to `give`, what becomes of the recogniser itself to `feed`.

    `note` writes the events `recogniser.lost`, `.silent`, `.gap` and `.back`, and those of `Standing`.
    """

    def __init__(
        self,
        transcribers: LineUp[Transcriber],
        *,
        clock: Clock,
        seed: str,
        note: Callable[..., Any],
        give: Callable[[Transcript], None],
        feed: Callable[[Evidence], None],
        conversions: Conversions,
    ) -> None:
        self._conversions = conversions
        self._clock, self._note, self._give, self._feed = clock, note, give, feed
        self._standing = Standing("transcriber", transcribers, note)
        self._retries = Retries((each.name for each in transcribers), seed)
        self._replay = Replay()
        self._silent = SilentRecogniser()
        self._activity = Activity(0.0, speaking=False, onset_s=0.0, last_speech_s=0.0)
        self._group: asyncio.TaskGroup | None = None
        self._lost_at: float | None = None
        """When hearing ceased to be whole."""
        self._gap: Timer | None = None
        self._worded_by = -1
        """The stream that gave words for the present utterance."""
        self._over = (-1, 0.0)
        """What streams behind this one say of the audio up to there was said, and dealt with, before."""
        self._opened = 0
        self.switches = 0
        """How often another one of the line-up took over."""
        present = self._open(self._standing.present)
        self._present: RecogniserStream | None = present
        self._rival: RecogniserStream | None = None
        """Opened beside a present one that is silent."""
        self._streams: tuple[RecogniserStream, ...] = (present,)
        """Those that hear the caller."""

    @property
    def reconnects(self) -> int:
        """How many streams were opened after the first one."""
        return self._opened - 1

    @property
    def kept_bytes(self) -> int:
        """How much of the caller's audio is kept for a stream that may have to be opened."""
        return self._replay.kept_bytes

    @property
    def lost_s(self) -> float:
        """Seconds of speech that were dropped since no recogniser came back in time to hear them."""
        return self._replay.lost_s

    # ------------------------------------------------------------ the caller

    def push(self, audio: bytes) -> None:
        """Take carrier bytes (mu-law, 8 kHz) of any length."""
        self._replay.push(audio)
        for stream in self._streams:
            stream.push(audio)

    def sound(self, activity: Activity) -> None:
        """Take what voice activity says."""
        before, self._activity = self._activity, activity
        self._replay.sound(activity)
        for stream in self._streams:
            stream.sound(before, activity)
        if self._present is not None and self._silent.sound(activity):
            self._on_silence(self._present)

    def end_utterance(self) -> None:
        """What is said from now on is another utterance."""
        self._replay.end_utterance()
        if self._worded_by >= 0:
            self._over = (self._worded_by, self._replay.media_s)
            self._worded_by = -1
        for stream in self._streams:
            stream.end_utterance()

    async def run(self) -> None:
        """Keep a recogniser listening until cancelled."""
        try:
            async with asyncio.TaskGroup() as self._group:
                for stream in self._streams:
                    self._start(stream)
                await asyncio.get_running_loop().create_future()
        finally:
            self.close()
            self._group = self._present = self._rival = None
            if self._gap is not None:
                self._gap.cancel()

    def close(self) -> None:
        """Nobody hears the caller any more."""
        streams, self._streams = self._streams, ()
        for stream in streams:
            stream.close()

    # ----------------------------------------------------------- the streams

    def _open(self, candidate: Candidate[Transcriber]) -> RecogniserStream:
        number, self._opened = self._opened, self._opened + 1
        return RecogniserStream(
            candidate,
            self._on_transcript,
            number=number,
            missed=self._replay.missed(),
            activity=self._activity,
            conversions=self._conversions,
        )

    def _start(self, stream: RecogniserStream) -> None:
        if self._group is not None:
            stream.task = self._group.create_task(self._listen(stream), name=f"recogniser-{stream.number}")

    async def _listen(self, stream: RecogniserStream) -> None:
        """Own a stream up to its end, and open the one that follows it."""
        now = self._clock.now()
        timers = (
            self._clock.call_at(now + STAYED_UP_S, partial(self._on_stayed_up, stream)),
            self._clock.call_at(now + SETTLED_S, partial(self._on_settled, stream)),
        )
        try:
            error = await stream.run()
        finally:
            for timer in timers:
                timer.cancel()
        if stream is self._rival:
            self._on_rival_lost(stream, error)
        elif stream is self._present and not self._on_lost(stream, error):
            await self._clock.sleep_until(self._clock.now() + self._retries.wait_s())
            self._reopen()

    def _reopen(self) -> None:
        self._silent.begin_anew()
        self._present = self._open(self._standing.present)
        self._streams = (self._present,)
        self._start(self._present)

    def _on_lost(self, stream: RecogniserStream, error: ProviderError) -> bool:
        """The present stream is of no use any more; False if no rival takes its place."""
        if not self._retries.hopeless:
            self._note("recogniser.lost", provider=stream.candidate.name, reason=error.reason)
        self._present, self._rival = self._rival, None
        if self._present is not None:
            self._streams = (self._present,)
            self._hand_over(stream, self._present, error)
            return True
        self._streams = ()
        self._hear(whole=False)
        if self._retries.lost(refused=isinstance(error, ProviderRefused), stand_in=self._has_stand_in()):
            self._give_up(stream.candidate, error)
        return False

    def _has_stand_in(self) -> bool:
        others = (each for each in self._standing.line_up if each is not self._standing.present)
        return any(other.breaker.state is not BreakerState.OPEN for other in others)

    def _give_up(self, candidate: Candidate[Transcriber], error: ProviderError) -> None:
        self._standing.failed(candidate, error)
        if self._standing.present is not candidate:
            self.switches += 1
            self._retries.moved()
        if self._retries.gave_up(candidate.name):
            self._feed(Fault("transcriber", error.reason, hopeless=True))

    def _hand_over(self, old: RecogniserStream, new: RecogniserStream, error: ProviderError) -> None:
        """Two streams were open, and the older one is out."""
        if new.candidate is not old.candidate:
            self.switches += 1
            self._standing.prefer(new.candidate)
            self._standing.failed(old.candidate, error)
            self._retries.moved()
            self._retries.gave_up(old.candidate.name)
        if not new.stayed_up:
            self._hear(whole=False)

    # -------------------------------------------------------- a silent one

    def _on_silence(self, present: RecogniserStream) -> None:
        """The caller speaks and no words come: let another stream hear the same."""
        if self._group is None:
            return
        candidate = self._standing.stand_in() or present.candidate
        self._note("recogniser.silent", provider=present.candidate.name, beside=candidate.name)
        if self._rival is not None:
            self._rival.close()
        self._rival = self._open(candidate)
        self._streams = (present, self._rival)
        self._hear(whole=False)
        self._start(self._rival)

    def _drop_rival(self, rival: RecogniserStream) -> None:
        rival.close()
        self._rival, self._streams = None, tuple(each for each in self._streams if each is not rival)
        self._hear(whole=True)

    def _on_rival_lost(self, rival: RecogniserStream, error: ProviderError) -> None:
        self._note("recogniser.lost", provider=rival.candidate.name, reason=error.reason)
        if rival.candidate is not self._standing.present:
            self._standing.failed(rival.candidate, error)
        self._drop_rival(rival)

    # ----------------------------------------------------------- its results

    def _on_transcript(self, transcript: Transcript) -> None:
        stream = next((each for each in self._streams if each.number == transcript.connection), None)
        if stream is None:
            return
        self._standing.worked(stream.candidate)
        self._retries.worked()
        if self._rival is not None and not self._counts(stream, self._rival, transcript):
            return
        self._silent.answered(transcript)
        over_by, over_until_s = self._over
        if stream.number <= over_by or transcript.covers_s > over_until_s:
            if transcript.text.strip():
                self._worded_by = stream.number
            self._replay.answered(transcript)
            self._give(transcript)
        if stream is self._present and transcript.covers_s >= stream.missed_until_s - CAUGHT_UP_WITHIN_S:
            self._hear(whole=True)

    def _counts(self, stream: RecogniserStream, rival: RecogniserStream, transcript: Transcript) -> bool:
        """Say whether a result counts while two streams are open; the first words decide between them."""
        has_words = bool(transcript.text.strip())
        if stream is rival:
            if has_words and self._present is not None:
                self._present.close()
                silent = ProviderTimeout("transcriber", "no words came of what the caller said")
                self._on_lost(self._present, silent)
            elif transcript.covers_s >= rival.missed_until_s + SILENT_S and self._silent.answers:
                # Both answer, and neither has words: there are none.
                self._silent.begin_anew()
                self._drop_rival(rival)
            return has_words
        if has_words:
            self._drop_rival(rival)
        return True

    # --------------------------------------------------------------- hearing

    def _on_stayed_up(self, stream: RecogniserStream) -> None:
        stream.stayed_up = True
        self._hear(whole=True)

    def _on_settled(self, stream: RecogniserStream) -> None:
        self._standing.worked(stream.candidate)
        if stream is self._present:
            self._retries.settled()

    def _hear(self, *, whole: bool) -> None:
        """Tell whether all that is said is being heard, if that has changed."""
        now = self._clock.now()
        if whole and self._lost_at is not None and self._present is not None:
            gap_ms = round((now - self._lost_at) * 1000)
            self._note("recogniser.back", provider=self._present.candidate.name, gap_ms=gap_ms)
            self._lost_at = None
            if self._gap is not None:
                self._gap.cancel()
        elif not whole and self._lost_at is None:
            self._lost_at = now
            self._gap = self._clock.call_at(now + GAP_S, partial(self._note, "recogniser.gap"))
        else:
            return
        self._feed(Hearing(whole))
