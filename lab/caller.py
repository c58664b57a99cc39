"""The simulated caller, sans-I/O: 20 ms of what is heard in, 20 ms of what is said and done out."""

from __future__ import annotations

__all__ = ["Act", "PressedKeys", "ScriptedCaller", "SpokenUtterance", "StepFailure"]

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from offhook.codecs.framing import FRAME_BYTES

from .hearing import FRAME_MS, Sound, SoundDetector, Utterance
from .script import HangUp, HangUpKind, Press, Say, Script, Silence, Step, WaitFor

_KEY_MS = 240
"""A key every quarter of a second: a brisk thumb."""
_GAVE_UP_MS = 1000
"""So long a silence ends the reply that was to be cut into."""


@dataclass(frozen=True, slots=True)
class Act:
    """What the caller does in one 20 ms period."""

    frame: bytes | None = None
    """160 bytes of mu-law, None for silence."""
    digit: str = ""
    hang_up: HangUpKind | None = None


@dataclass(frozen=True, slots=True)
class StepFailure:
    """A step of the script that could not be done as written."""

    step: int
    """Index in the script."""
    at_ms: int
    reason: str
    name: str = ""
    """What the script's owner calls the step; empty for its number."""


@dataclass(frozen=True, slots=True)
class SpokenUtterance:
    """When the audio of a `say` was on the line, its silent edges included."""

    step: int
    text: str
    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class PressedKeys:
    """The keys of a `dtmf` that were pressed, the first at `start_ms`, the last at `end_ms`."""

    step: int
    digits: str
    start_ms: int
    end_ms: int


class ScriptedCaller:
    """Follows a script by ear; `audio` maps the index of each `say` to its mu-law."""

    def __init__(self, script: Script, audio: Mapping[int, bytes]) -> None:
        self._script, self._audio = script, audio
        self._agent, self._self = SoundDetector(), SoundDetector()
        self._quiet_since_ms = 0
        self._acts = self._run()
        self._next: Act | None = None
        """What is not done yet: a stream may end before it."""
        self.spoken: list[SpokenUtterance] = []
        self.pressed: list[PressedKeys] = []
        self.failures: list[StepFailure] = []
        self.steps_done = 0

    @property
    def now_ms(self) -> int:
        """Caller media time."""
        return self._agent.now_ms

    @property
    def agent_sounds(self) -> tuple[Sound, ...]:
        """Where the agent was audible so far."""
        return self._agent.sounds

    def utterances(self) -> tuple[Utterance, ...]:
        """What the caller said so far, by its audible edges."""
        return tuple(u for u in map(self._audible_part, self.spoken) if u is not None)

    def key_presses(self) -> tuple[Utterance, ...]:
        """The keys the caller pressed so far."""
        return tuple(Utterance(p.digits, p.start_ms, p.end_ms, p.step, keyed=True) for p in self.pressed)

    def first_act(self) -> Act:
        """What the caller does in the first 20 ms, of the call or of a further stream of it."""
        if self._next is None:
            self._next = next(self._acts)
        return self._next

    def listen(self, said: bytes, heard: bytes) -> Act:
        """Take what was said and heard in the last 20 ms (160 bytes each); returns what comes next."""
        self._self.feed(said)
        self._agent.feed(heard)
        self._next = next(self._acts)
        return self._next

    def _run(self) -> Iterator[Act]:
        for index, step in enumerate(self._script.steps):
            yield from self._perform(index, step)
            self.steps_done = index + 1
        yield Act(hang_up=HangUpKind.STOP)
        while True:
            yield Act()

    def _perform(self, index: int, step: Step) -> Iterator[Act]:
        if isinstance(step, WaitFor):
            yield from self._wait(index, step)
        elif isinstance(step, Say):
            yield from self._say(index, step)
        elif isinstance(step, Press):
            yield from self._press(index, step)
        elif isinstance(step, Silence):
            yield from self._rest(round(step.duration_s * 1000))
        elif isinstance(step, HangUp):
            yield Act(hang_up=step.kind if step.kind is not HangUpKind.NONE else None)
            while True:
                yield Act()

    def _rest(self, duration_ms: int) -> Iterator[Act]:
        for _ in range(max(0, duration_ms) // FRAME_MS):
            yield Act()

    def _wait(self, index: int, step: WaitFor) -> Iterator[Act]:
        until_ms = self.now_ms + round(step.within_s * 1000)
        while not self._is_met(step):
            if self.now_ms >= until_ms:
                heard = self._agent.first_audible_after(self._quiet_since_ms) is not None
                what = "spoke on" if heard else "was not heard"
                self._fail(index, f"the agent {what} for {step.within_s:g} s")
                return
            yield Act()

    def _is_met(self, step: WaitFor) -> bool:
        if self._agent.first_audible_after(self._quiet_since_ms) is None:
            return False
        return step.what == "agent_speaks" or self._agent_silent_ms() >= step.silent_s * 1000

    def _agent_silent_ms(self) -> int:
        last = self._agent.last_audible_ms
        return self.now_ms - last if last is not None else 0

    def _say(self, index: int, step: Say) -> Iterator[Act]:
        if step.cut_in_after_s is not None:
            yield from self._await_cut_in(index, round(step.cut_in_after_s * 1000))
        audio, start_ms = self._audio[index], self.now_ms
        for offset in range(0, len(audio), FRAME_BYTES):
            frame = audio[offset : offset + FRAME_BYTES]
            # Kept up to date while speaking: a call that ends in mid-word still tells what was said.
            spoken = SpokenUtterance(index, step.label, start_ms, self.now_ms + FRAME_MS)
            self.spoken[len(self.spoken) - bool(offset) :] = [spoken]
            yield Act(frame.ljust(FRAME_BYTES, b"\xff"))
        self._quiet_since_ms = self.now_ms

    def _press(self, index: int, step: Press) -> Iterator[Act]:
        start_ms = self.now_ms
        for count, digit in enumerate(step.digits, 1):
            self._quiet_since_ms = self.now_ms + FRAME_MS
            pressed = PressedKeys(index, step.digits[:count], start_ms, self.now_ms)
            self.pressed[len(self.pressed) - (count > 1) :] = [pressed]
            if count == len(step.digits):
                # An agent may act on the last key before the caller's thumb has left it.
                self.steps_done = index + 1
            yield Act(digit=digit)
            yield from self._rest(_KEY_MS - FRAME_MS)

    def _await_cut_in(self, index: int, after_ms: int) -> Iterator[Act]:
        give_up_ms = self.now_ms + after_ms + 20_000
        while self.now_ms < give_up_ms:
            onset = self._agent.first_audible_after(self._quiet_since_ms)
            if onset is not None and self.now_ms >= onset + after_ms:
                return
            if onset is not None and self._agent_silent_ms() > _GAVE_UP_MS:
                self._fail(index, f"the agent's reply ended before it could be cut into at {after_ms} ms")
                return
            yield Act()
        self._fail(index, "the agent was not heard, so it could not be cut into")

    def _audible_part(self, spoken: SpokenUtterance) -> Utterance | None:
        inside = [s for s in self._self.sounds if s.end_ms > spoken.start_ms and s.start_ms < spoken.end_ms]
        if not inside:
            return None
        first = max(inside[0].start_ms, spoken.start_ms)
        return Utterance(spoken.text, first, min(inside[-1].end_ms, spoken.end_ms), spoken.step)

    def _fail(self, index: int, reason: str) -> None:
        self.failures.append(StepFailure(index, self.now_ms, reason, self._script.step_name(index)))
