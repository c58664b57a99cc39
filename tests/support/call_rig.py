"""A whole call on virtual time: scripted engines, an in-memory line, a caller who speaks on cue."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any

from fake_engines import (
    Answerer,
    InlineWorkers,
    ScriptedModel,
    ScriptedTranscriber,
    ScriptedVoice,
    ScriptedVoiceActivity,
    Utterance,
    says,
)
from fake_line import FakeControl, FakeLine

from offhook.bridge.live_call import LiveCall
from offhook.config.assistant import Assistant
from offhook.config.assistant_loading import parse_assistant
from offhook.pipeline.call import Call, Engines
from offhook.pipeline.clock import LoopClock
from offhook.pipeline.conversation import Conversation
from offhook.pipeline.line_up import alone
from offhook.pipeline.messages import CallerSaid, ModelDelta, ModelRequest, TextDelta, ToolRequest
from offhook.pipeline.pacing import PacingWheel
from offhook.pipeline.ports import CallEvent, Line
from offhook.pipeline.shared_conversion import Conversions

FRAME_BYTES = 160
FRAME_S = 0.02
QUIET = b"\xff" * FRAME_BYTES
SOUND = b"\x20" * FRAME_BYTES


Record = Callable[["CallRig", Assistant, Callable[[Line, str], Call]], LiveCall]


class EventList:
    """Collects a call's events."""

    def __init__(self) -> None:
        self.events: list[CallEvent] = []
        self.listener: Callable[[CallEvent], None] = lambda event: None

    def emit(self, event: CallEvent) -> None:
        self.events.append(event)
        self.listener(event)

    def of(self, kind: str) -> list[Mapping[str, Any]]:
        return [event.data for event in self.events if event.type == kind]

    def times(self, kind: str) -> list[float]:
        return [event.at_ms / 1000 for event in self.events if event.type == kind]


class CallRig:
    """What a test holds of a running call."""

    model_type: type[ScriptedModel] = ScriptedModel
    voice_type: type[ScriptedVoice] = ScriptedVoice

    def __init__(
        self,
        assistant: Assistant,
        answerer: Answerer,
        *,
        latency_s: float = 0.02,
        engines: Engines | None = None,
        wheel: PacingWheel | None = None,
        record: Record | None = None,
        resumes: Conversation | None = None,
    ) -> None:
        """Engines that are given take the place of all the scripted ones; the caller `plays` then.

        `record` makes a recorded call of one that is not.
        """
        loop = asyncio.get_running_loop()
        self.clock = LoopClock(loop, loop.time)
        self.began_s = self.clock.now()
        self.line = FakeLine(self.clock, latency_s)
        self.control = FakeControl()
        self.log = EventList()
        self.voice_activity = ScriptedVoiceActivity(self.clock)
        self.transcriber = ScriptedTranscriber(self.clock)
        self.model = self.model_type(answerer)
        self.voice = self.voice_type()
        self.wheel = wheel or PacingWheel(self.clock)

        def make(line: Line, preamble: str) -> Call:
            self.call = Call(
                assistant=assistant,
                variables={"from": "+15550100"},
                engines=engines
                or Engines(
                    self.voice_activity,
                    alone(self.transcriber, self.clock),
                    alone(self.model, self.clock),
                    alone(self.voice, self.clock),
                    InlineWorkers(),
                ),
                line=line,
                control=self.control,
                events=self.log,
                clock=self.clock,
                wheel=self.wheel,
                conversions=Conversions(),
                resumes=resumes,
                preamble=preamble,
            )
            return self.call

        self.outer: LiveCall = make(self.line, "") if record is None else record(self, assistant, make)
        """What the media stream sees of the call."""
        self.line.on_mark = self.outer.mark
        self.media_s = 0.0
        self._sound_until_s = 0.0
        self._recording = bytearray()
        self._silent_uplink = False

    # ------------------------------------------------------------ the caller

    async def pump(self) -> None:
        """Send one frame every 20 ms, for ever."""
        started = self.clock.now()
        number = 0
        while True:
            if not self._silent_uplink:
                loud = self.media_s + FRAME_S / 2 < self._sound_until_s
                self.media_s += FRAME_S
                frame = bytes(self._recording[:FRAME_BYTES]).ljust(FRAME_BYTES, QUIET[:1])
                del self._recording[:FRAME_BYTES]
                self.outer.audio(SOUND if loud else frame, round(self.media_s * 1000))
            number += 1
            await self.clock.sleep_until(started + number * FRAME_S)

    async def caller_says(self, text: str, seconds: float = 1.2, *, confidence: float = 1.0) -> None:
        """Speak for so long; returns at the last sound. An empty text is noise."""
        self.caller_begins(text, seconds, confidence=confidence)
        await self.sleep(seconds)

    def caller_begins(self, text: str, seconds: float = 1.2, *, confidence: float = 1.0) -> None:
        """Begin to speak for so long. An empty text is noise."""
        if text:
            self.transcriber.said.append(Utterance(self.media_s, self.media_s + seconds, text, confidence))
        self._sound_until_s = max(self._sound_until_s, self.media_s + seconds)

    async def plays(self, mulaw: bytes) -> None:
        """Let the caller's side send this audio; returns at its last sound."""
        self._recording += mulaw
        await self.sleep(len(mulaw) / 8000)

    def uplink_stalls(self, stalled: bool) -> None:
        """Frames stop coming, or come again."""
        self._silent_uplink = stalled

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)

    # ------------------------------------------------------------- the agent

    async def agent_starts(self, within_s: float = 5.0) -> float:
        """Wait until the caller hears the agent; returns when."""
        async with asyncio.timeout(within_s):
            while not self.line.speaking_at(self.clock.now()):  # noqa: ASYNC110 - time is virtual
                await asyncio.sleep(0.005)
        return self.clock.now()

    async def agent_is_silent(self, within_s: float = 60.0, for_s: float = 0.5) -> None:
        """Wait until the caller has heard nothing of the agent for a while."""
        async with asyncio.timeout(within_s):
            quiet_since = self.clock.now()
            while self.clock.now() - quiet_since < for_s:
                if self.line.speaking_at(self.clock.now()):
                    quiet_since = self.clock.now()
                await asyncio.sleep(0.01)

    def states(self) -> list[str]:
        return [f"{data['from']}->{data['to']}" for data in self.log.of("state")]

    def heard_replies(self) -> list[str]:
        return [str(data["heard_text"]) for data in self.log.of("reply.ended")]


def assistant_from(**fields: Any) -> Assistant:
    """An assistant for tests; only what matters is given."""
    data: dict[str, Any] = {
        "name": "test",
        "first_message": "",
        "model": {"provider": "embedded", "intents": []},
        **fields,
    }
    return parse_assistant(data, "test")


def asks_once(tool: str, then: str) -> Answerer:
    """A model that answers the caller's first turn with a tool, and any later one with words."""

    def answer(request: ModelRequest) -> Sequence[ModelDelta | float]:
        first = sum(isinstance(message, CallerSaid) for message in request.messages) == 1
        return [ToolRequest("x", tool, "{}")] if first else [TextDelta(then)]

    return answer


@asynccontextmanager
async def running_call(
    assistant: Assistant | None = None,
    answerer: Answerer | None = None,
    *,
    latency_s: float = 0.02,
    engines: Engines | None = None,
    wheel: PacingWheel | None = None,
    record: Record | None = None,
    resumes: Conversation | None = None,
) -> AsyncIterator[CallRig]:
    """Run a call until the block ends; whatever it left behind fails the test.

    Whoever gives the engines, a wheel for several calls, or a recorder, looks after what they leave.
    """
    rig = CallRig(
        assistant or assistant_from(),
        answerer or says("All right."),
        latency_s=latency_s,
        engines=engines,
        wheel=wheel,
        record=record,
        resumes=resumes,
    )
    before = asyncio.all_tasks()
    call = asyncio.create_task(rig.outer.run())
    pump = asyncio.create_task(rig.pump())
    try:
        yield rig
    finally:
        rig.outer.line_closed("test over")
        pump.cancel()
        async with asyncio.timeout(2):
            await call
        await asyncio.gather(pump, return_exceptions=True)
    if engines is None and wheel is None and record is None:
        assert asyncio.all_tasks() == before, "the call left tasks behind"
    assert rig.voice_activity.open_streams == 0
