"""The recording of one live call: takes what sounds, obeys orders, hands on what is settled."""

from __future__ import annotations

__all__ = ["BY_ORDER", "BY_TOOL", "CallRecording", "Ordered"]

from collections.abc import Callable, Collection
from typing import Literal, Protocol

from msgspec.structs import replace

from offhook.codecs.framing import SAMPLE_RATE_HZ as RATE_HZ
from offhook.pipeline.clock import Clock, Timer
from offhook.pipeline.conversation import RecordingSoFar
from offhook.pipeline.ports import CallEvent

from .file import RecordingFile, Written
from .shelf import Note
from .tape import CallTape

EVERY_S = 1.0
BY_ORDER, BY_TOOL = "order", "tool"
"""Why a recording is paused; it goes on when there is neither reason any more."""
Ordered = Literal["pause", "resume", "stop"]


class Keeper(Protocol):
    """Who has recordings written."""

    def begun(self, recording: CallRecording) -> None:
        """This one takes orders from now on."""

    def keep(self, written: Written) -> bool:
        """Have it written; False if there is no room for it."""

    def over(self, recording: CallRecording) -> None:
        """Nothing more comes of this one."""


class CallRecording:
    """Owns the tape of a call. No method waits, and none raises for a disk."""

    def __init__(
        self,
        file: RecordingFile,
        note: Note,
        *,
        clock: Clock,
        keeper: Keeper,
        emit: Callable[[CallEvent], None],
        hushing_tools: Collection[str] = (),
        before: RecordingSoFar | None = None,
    ) -> None:
        """`hushing_tools`: names of tools while which nothing is kept; `emit` takes the call's events.

        `before` tells of a call that another process held. What a tool paused that is gone with it stays so
        until such a tool has run again, or a `resume` is ordered: the caller may still be reading out.
        """
        self.file = file
        self._note, self._clock, self._keeper, self._emit = note, clock, keeper, emit
        self._hushing = frozenset(hushing_tools)
        self._began = clock.now()
        before = before or RecordingSoFar()
        self._stopped = before.stopped
        self._tape: CallTape | None = None if self._stopped else CallTape(self._began)
        self._reasons = set(before.paused_by)
        if self._tape is not None and self._reasons:
            self._tape.pause(self._began)
        self._tools_running = 0
        self._probe: tuple[str, float] | None = None
        self._lost_s = 0.0
        self._timer: Timer | None = None

    @property
    def call_sid(self) -> str:
        """Whose call it is."""
        return self._note.call

    @property
    def status(self) -> Literal["recording", "paused", "stopped"]:
        """What becomes of what sounds now."""
        if self._tape is None:
            return "stopped"
        return "paused" if self._tape.paused else "recording"

    def so_far(self, *, consent_heard: bool) -> RecordingSoFar:
        """Tell whoever may have to go on with the call."""
        return RecordingSoFar(consent_heard, tuple(sorted(self._reasons)), self._stopped)

    # -------------------------------------------------------------- what sounds

    def caller(self, audio: bytes, timestamp_ms: int) -> None:
        """The caller's next frame came."""
        if self._tape is not None:
            self._tape.caller(audio, timestamp_ms, self._clock.now())

    def agent(self, audio: bytes) -> None:
        """Audio of the agent's was sent."""
        if self._tape is not None:
            self._tape.agent(audio, self._clock.now())

    def clear(self) -> None:
        """What was sent and is not played never is."""
        if self._tape is not None:
            self._tape.clear(self._clock.now())

    def mark_sent(self, name: str) -> None:
        """The first mark of a call is sent before any audio: its echo tells how far away the carrier is."""
        if self._probe is None:
            self._probe = name, self._clock.now()

    def mark_came(self, name: str) -> None:
        """The carrier echoed a mark."""
        if self._probe is not None and name == self._probe[0] and self._tape is not None:
            self._tape.round_trip(self._clock.now() - self._probe[1])

    # ------------------------------------------------------------------- orders

    def start(self) -> None:
        """The call begins: tell so, and have every settled second written from now on."""
        if self._tape is None:
            return
        self._keeper.begun(self)
        self._tell("recording.started", file=str(self.file.path))
        if self._tape.paused:
            self._tell("recording.paused")
        self._wait()

    def order(self, action: Ordered) -> None:
        """Obey whoever may order; told as an event, so that it holds wherever the call goes on."""
        self._tell("recording.ordered", action=action)
        {"pause": self.pause, "resume": self.resume, "stop": self.stop}[action]()

    def pause(self, why: str = BY_ORDER) -> None:
        """Keep nothing of either side until `resume` is called for every reason."""
        if self._tape is None:
            return
        self._reasons.add(why)
        if not self._tape.paused:
            self._tape.pause(self._clock.now())
            self._tell("recording.paused")

    def resume(self, why: str = BY_ORDER) -> None:
        """This is no reason to pause any more."""
        if self._tape is None:
            return
        self._reasons.discard(why)
        if not self._tools_running:
            self._reasons.discard(BY_TOOL)  # of a tool that another process ran
        if self._tape.paused and not self._reasons:
            self._tape.resume(self._clock.now())
            self._tell("recording.resumed")

    def stop(self) -> None:
        """Keep nothing more of this call; what there is stays."""
        self._stopped = True
        if self._tape is not None:
            self._ended("stopped", self._finish(self._tape))

    def observe(self, event: CallEvent) -> None:
        """Pause while a tool runs that what is said to may not be kept."""
        if event.type not in ("function-call", "function-result") or event.data["name"] not in self._hushing:
            return
        # Counted and not told apart by their ids, which are the model's and may come twice.
        self._tools_running += 1 if event.type == "function-call" else -1
        if self._tools_running:
            self.pause(BY_TOOL)
        else:
            self.resume(BY_TOOL)

    # ---------------------------------------------------------------------- end

    def end(self) -> None:
        """The call is over."""
        if self._tape is not None:
            self._finish(self._tape)

    def fail(self, why: str) -> None:
        """The disk takes no more: the recording ends, and the call goes on."""
        if self._tape is not None:
            self._close()
            self._ended(why, self.file.seconds)

    def _finish(self, tape: CallTape) -> float:
        """Hand the rest on; returns how long the recording is."""
        stretch = tape.end(self._clock.now())
        seconds = stretch.end / RATE_HZ
        lost_s = round(self._lost_s + tape.lost / RATE_HZ, 3)
        note = replace(self._note, seconds=seconds, paused=tape.paused_s, lost_s=lost_s)
        self._close()
        self._keeper.keep(Written(self.file, stretch, note))
        return seconds

    def _close(self) -> None:
        self._tape = None
        if self._timer is not None:
            self._timer.cancel()
        self._keeper.over(self)

    # ------------------------------------------------------------------ details

    def _wait(self) -> None:
        self._timer = self._clock.call_at(self._clock.now() + EVERY_S, self._hand_on)

    def _hand_on(self) -> None:
        if self._tape is None:
            return
        stretch = self._tape.take(self._clock.now())
        if stretch is not None and not self._keeper.keep(Written(self.file, stretch)):
            self._lost_s += stretch.seconds
        self._wait()

    def _ended(self, why: str, seconds: float) -> None:
        self._tell("recording.ended", why=why, seconds=round(seconds, 3))

    def _tell(self, kind: str, **data: object) -> None:
        self._emit(CallEvent(kind, round((self._clock.now() - self._began) * 1000), data))
