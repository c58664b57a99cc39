"""Whole calls as programs: a list of steps, each with its moment, played on virtual time.

A new thing that may happen is one line in ACTIONS. A program is a plain value: its text is the code that
makes it, so a failing one is pasted into a test as it is printed.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from call_laws import Unlawful, WatchedRig, watched
from call_rig import FRAME_S, QUIET, assistant_from
from faulty_engines import HABITS, KINDS, Fault, FaultyModel, FaultyVoice
from hypothesis import strategies as st
from random_agent import NumberedTalker, tools_of_an_agent
from shuffled_loop import ShuffledLoop, TimeStandsStill

from offhook.config.assistant import Assistant
from offhook.pipeline.ports import CallEvent

ENDS_BY_ITSELF_WITHIN_S = 90.0
"""A caller who has fallen silent is asked once, and then the call is over; tools may be told before."""
EVENT_WITHIN_S = 4.0
"""So long a step waits for its event."""


class RandomRig(WatchedRig):
    """A call with everything in it that may go wrong."""

    model_type, voice_type = FaultyModel, FaultyVoice
    model: FaultyModel
    voice: FaultyVoice

    def __init__(self, assistant: Assistant, *, latency_s: float) -> None:
        super().__init__(assistant, NumberedTalker(self.word_is_born), latency_s=latency_s)
        self.heard_within_s += latency_s  # before the first echo the way there is not known
        self._waits: dict[str, asyncio.Event] = {}

    def event_came(self, event: CallEvent) -> None:
        """Wake the step that waits for it."""
        if event.type in self._waits:
            self._waits.pop(event.type).set()

    async def next_event(self, kind: str) -> None:
        """Wait for the next event of this kind, for a while."""
        waits = self._waits.setdefault(kind, asyncio.Event())
        try:
            async with asyncio.timeout(EVENT_WITHIN_S):
                await waits.wait()
        except TimeoutError:
            self._waits.pop(kind, None)

    # -------------------------------------------------- what is more than one statement

    def caller_says_surely(self, text: str, seconds: float, confidence: float) -> None:
        """Begin to speak; the recogniser is so sure of it."""
        self.caller_begins(text, seconds, confidence=confidence)

    def caller_hangs_up(self) -> None:
        """The carrier's stream ends."""
        self.line.hang_up()
        self.call.line_closed("stopped")

    def recogniser_is(self, habit: str) -> None:
        """What it does to its results from now on."""
        self.transcriber.alter = HABITS[habit]()

    def loop_stalls(self, seconds: float) -> None:
        """Something else holds the loop."""
        loop: Any = asyncio.get_running_loop()
        loop.stall(seconds)
        self.heard_within_s += seconds

    def marks_come_late(self, seconds: float) -> None:
        """Echoes are held up on their way."""
        self.line.echo_late_s = seconds
        self.heard_within_s += seconds

    def marks_are_lost(self, lost: bool) -> None:
        """No echo comes back."""
        self.line.loses_marks = lost
        self.heard_within_s += 0.3

    def an_old_mark_comes_again(self, which: int) -> None:
        """A mark that was sent before is echoed, though it may not have been played."""
        names = [name for _, kind, name in self.line.log if kind == "mark"]
        if names:
            name = names[-1 - which % len(names)]
            epoch = int(name.partition(".")[0])
            if epoch < self.call._replies.speaker.epoch:
                self.call.mark(name)

    def uplink_stalls_for(self, seconds: float) -> None:
        """No frames for a while; the caller's words wait with them."""
        self.uplink_stalls(True)
        asyncio.get_running_loop().call_later(seconds, self.uplink_stalls, False)

    def frames_come_at_once(self, frames: int) -> None:
        """A burst of silence."""
        for _ in range(frames):
            self.media_s += FRAME_S
            self.call.audio(QUIET, round(self.media_s * 1000))

    def recogniser_is_lost(self, times: int) -> None:
        """The present stream breaks, and so do the next ones."""
        self.transcriber.fails = times - 1
        self.transcriber.streams[-1].breaks.set()

    def everything_heals(self) -> None:
        """No more faults, so that the call can end by itself."""
        self.uplink_stalls(False)
        self.transcriber.deaf = False
        self.transcriber.fails = 0
        self.transcriber.decode_s = 0.12
        self.transcriber.alter = HABITS["faithful"]()
        self.voice_activity.blind, self.voice_activity.delay_s = False, 0.004
        self.line.congested = self.line.loses_marks = False
        self.line.echo_late_s = 0.0
        self.model.faults.clear()
        self.voice.faults.clear()


def _for_a_while(owner: str, name: str, healthy: object) -> Callable[[RandomRig, Any, float], None]:
    """Make a trait of an engine or the line another for some seconds, then what it should be."""

    def act(rig: RandomRig, value: object, seconds: float) -> None:
        part = getattr(rig, owner)
        setattr(part, name, value)
        asyncio.get_running_loop().call_later(seconds, setattr, part, name, healthy)

    return act


TEXTS = (
    *(
        "yeah",
        "uh huh",
        "stop",
        "wait",
        "no wait a bad one",
        "and",
        "what is the policy",
        "ask me",
        "nothing",
    ),
    *(
        "where is my order",
        "order it twice",
        "order everything",
        "order what fails",
        "order never",
        *("tell me a story", "bye bye"),
    ),
)
SECONDS = (0.1, 0.25, 0.5, 0.7, 1.4, 2.5)
PLACES = (0, 1, 2, 5)
TIMES = (1, 2, 3, 8)
"""A model or a voice that fails is asked once more: only what fails again is a fault."""
VOICE_KINDS = tuple(kind for kind in KINDS if kind != "ends")
"""A voice that leaves words out without an error lies about what was heard."""

Act = Callable[..., object]
WHILE = (0.3, 1.5, 5.0)
ACTIONS: Mapping[str, tuple[Act, tuple[Sequence[Any], ...]]] = {
    "says": (RandomRig.caller_says_surely, (TEXTS, SECONDS, (1.0, 1.0, 0.2))),
    "makes noise": (lambda rig, s: rig.caller_begins("", s), (SECONDS,)),
    "presses": (lambda rig, key: rig.call.dtmf(key), (("4", "0", "*", "#"),)),
    "writes": (lambda rig, text: rig.call.take_text(text), (TEXTS,)),
    "writes, and reads": (RandomRig.writes, (TEXTS, (False, True))),
    "operator transfers": (
        lambda rig, words: rig.call.transfer("+14155550101", last_words=words),
        (("", "word194 word195."),),
    ),
    "operator says": (lambda rig, text: rig.call.say(text), (("word190 word191 word192.", "word193."),)),
    "operator hangs up": (lambda rig: rig.call.hang_up("api"), ()),
    "uplink stalls": (RandomRig.uplink_stalls_for, (WHILE,)),
    "frames come at once": (RandomRig.frames_come_at_once, ((3, 30),)),
    "loop stalls": (RandomRig.loop_stalls, ((0.03, 0.3, 1.2),)),
    "line is congested": (_for_a_while("line", "congested", False), ((True,), WHILE)),
    "marks come late": (RandomRig.marks_come_late, ((0.0, 0.1, 0.8),)),
    "marks are lost": (RandomRig.marks_are_lost, ((True, False),)),
    "old mark": (RandomRig.an_old_mark_comes_again, (PLACES,)),
    "unknown mark": (lambda rig, name: rig.call.mark(name), (("", "7", "-1.x", "99.1"),)),
    "recogniser is lost": (RandomRig.recogniser_is_lost, ((1, 2, 6),)),
    "recogniser is deaf": (_for_a_while("transcriber", "deaf", False), ((True,), WHILE)),
    "recogniser takes": (_for_a_while("transcriber", "decode_s", 0.12), ((0.0, 0.9, 4.0), WHILE)),
    "recogniser is": (RandomRig.recogniser_is, (tuple(HABITS),)),
    "voice activity takes": (_for_a_while("voice_activity", "delay_s", 0.004), ((0.3, 0.8), WHILE)),
    "voice activity is blind": (_for_a_while("voice_activity", "blind", False), ((True,), WHILE)),
    "model": (
        lambda rig, kind, after, times=1: rig.model.faults.extend([Fault(kind, after)] * times),
        (KINDS, PLACES, TIMES),
    ),
    "model thinks": (_for_a_while("model", "first_token_s", 0.05), ((0.0, 0.7), WHILE)),
    "voice": (
        lambda rig, kind, after, times=1: rig.voice.faults.extend([Fault(kind, after)] * times),
        (VOICE_KINDS, PLACES, TIMES),
    ),
    "voice begins after": (_for_a_while("voice", "first_audio_s", 0.05), ((0.0, 0.7), WHILE)),
}  # fmt: skip
"""All that may happen, by name: what it does, and what each of its arguments may be."""
ENDINGS: Mapping[str, Act] = {
    "falls silent": lambda rig: None,
    "hangs up": RandomRig.caller_hangs_up,
    "is cancelled": lambda rig: rig.running.cancel(),
}
"""What becomes of a call after its last step; one that falls silent must end by itself."""

OFTEN = ("says",) * 14 + ("makes noise", "presses", "model", "voice", "recogniser is", "loop stalls")
MOMENTS = (
    *(0.0, 0.0, 0.001, 0.02, 0.1, 0.3, 0.6, 0.9, 1.4, 1.4, 2.2, 2.2, 2.2, 3.5, 3.5),
    *("playout.first-frame", "playout.first-mark", "reply.started", "reply.ended", "turn.ended"),
    *("barge-in.paused", "barge-in.decided", "audio.cancelled", "function-call", "function-result"),
    *("transcript.partial", "transcript.final", "model.first-token", "state"),
)
"""When a step is taken: so many seconds after the one before it, or with the next event of a kind."""


@dataclass(frozen=True)
class Step:
    """One thing that happens."""

    when: float | str
    do: str
    given: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Program:
    """A whole call."""

    steps: tuple[Step, ...]
    barge_in: str = "pause"
    latency_s: float = 0.02
    order: int = 0
    """The order in which what is ready at the same time runs; 0 is asyncio's own."""
    ends: str = "hangs up"
    """One of ENDINGS."""


STEPS = st.sampled_from([*ACTIONS, *OFTEN]).flatmap(
    lambda name: st.builds(
        Step,
        st.sampled_from(MOMENTS),
        st.just(name),
        st.tuples(*(st.sampled_from(choices) for choices in ACTIONS[name][1])),
    )
)
PROGRAMS = st.builds(
    Program,
    st.one_of(st.lists(STEPS, max_size=4), st.lists(STEPS, min_size=6, max_size=40)).map(tuple),
    st.sampled_from(["pause", "pause", "pause", "partial", "off"]),
    st.sampled_from([0.02, 0.0, 0.15]),
    st.integers(0, 2**16),
    st.sampled_from([*ENDINGS, "falls silent"]),
)


@dataclass
class Tally:
    """What happened in all calls together."""

    calls: int = 0
    media_s: float = 0.0
    choices: int = 0
    """How often the scheduler chose what runs next."""
    events: Counter[str] = field(default_factory=Counter)
    actions: Counter[str] = field(default_factory=Counter)
    moves: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)

    def add(self, program: Program, rig: RandomRig, choices: int) -> None:
        """Count one call."""
        self.calls += 1
        self.media_s += rig.clock.now()
        self.choices += choices
        self.events.update(event.type for event in rig.log.events)
        self.actions.update([*(step.do for step in program.steps), program.ends])
        self.moves.update(rig.states())
        self.faults.update(str(data["stage"]) for data in rig.log.of("fault"))

    def __str__(self) -> str:
        size = f"{self.calls} calls, {self.media_s / 3600:.1f} hours of virtual time"
        lines = [f"{size}, {sum(self.events.values())} events, {self.choices} choices of what runs next"]
        for name in ("actions", "moves", "faults", "events"):
            counts = getattr(self, name).most_common()
            lines.append(f"{name}: " + ", ".join(f"{what} {count}" for what, count in counts))
        return "\n".join(lines)


def play(program: Program, tally: Tally | None = None) -> None:
    """Hold a call as the program says. Raises Unlawful or TimeStandsStill, with a test that shows it."""
    loop = ShuffledLoop(program.order)
    try:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            rig = runner.run(_call(program))
    except (Unlawful, TimeStandsStill) as fault:
        fault.add_note(f"def test_found() -> None:\n    play({program!r})")
        raise
    if tally is not None:
        tally.add(program, rig, loop.ready.choices)


async def _call(program: Program) -> RandomRig:
    rig = RandomRig(assistant_of(program), latency_s=program.latency_s)
    rig.log.listener = rig.event_came
    async with watched(rig) as rig:
        await rig.sleep(0.001)  # the call has begun
        for step in program.steps:
            if isinstance(step.when, str):
                await rig.next_event(step.when)
            elif step.when > 0:
                await rig.sleep(step.when)
            ACTIONS[step.do][0](rig, *step.given)
        ENDINGS[program.ends](rig)
        if program.ends != "falls silent":
            return rig
        rig.everything_heals()
        await asyncio.wait((rig.running,), timeout=ENDS_BY_ITSELF_WITHIN_S)
        if not rig.running.done():
            rig.broken("every_call_ends", f"the caller is silent, and it goes on: {rig.states()[-3:]}")
    return rig


def assistant_of(program: Program) -> Assistant:
    """An assistant that talks, asks, and has tools of every temper."""
    return assistant_from(
        first_message="word180 word181 word182.",
        goodbye="word183 word184.",
        one_moment="word194 word195.",
        apology="word185 word186.",
        tools=tools_of_an_agent(),
        turn_taking={
            "barge_in": program.barge_in,
            "silence_prompts": [{"after_s": 3, "text": "word187 word188."}],
            "silence_hangup_s": 5,
        },
    )
