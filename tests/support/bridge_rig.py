"""Parts for tests of the bridge: a clock that is wound by hand, Twilio's messages, scripted calls."""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from call_rig import assistant_from
from fake_engines import Answerer, ScriptedModel, WritingParts

from offhook.bridge.call_log import CallLog
from offhook.config.errors import ConfigError, ConfigProblem, Refused
from offhook.config.settings import Settings
from offhook.pipeline.clock import LoopClock
from offhook.pipeline.conversation import Conversation
from offhook.pipeline.correspondence import WrittenAnswer, WrittenTurn
from offhook.pipeline.line_up import alone
from offhook.pipeline.messages import CallerSaid, ModelDelta, ModelRequest, TextDelta
from offhook.pipeline.ports import CallControl, CallEvent, Line
from offhook.pipeline.text_session import TextSession

ACCOUNT_SID = "AC" + "0" * 32
CALL_SID = "CA" + "1" * 32
STREAM_SID = "MZ" + "2" * 32
MEDIA_FORMAT = {"encoding": "audio/x-mulaw", "sampleRate": 8000, "channels": 1}


def settings(**fields: Any) -> Settings:
    """Settings that the environment has no say in."""
    return Settings(**fields)


def loop_clock() -> LoopClock:
    """A clock on the running loop's own time, virtual or not."""
    loop = asyncio.get_running_loop()
    return LoopClock(loop, now=loop.time)


@dataclass
class WoundTimer:
    """A callback of a ManualClock."""

    when: float
    callback: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        """Take it back."""
        self.cancelled = True


@dataclass
class ManualClock:
    """Stands still until `advance` winds it on; timers run in order of their time."""

    time: float = 1000.0
    timers: list[WoundTimer] = field(default_factory=list)

    def now(self) -> float:
        """Seconds."""
        return self.time

    def call_at(self, when: float, callback: Callable[[], None]) -> WoundTimer:
        """Run `callback` when the clock is wound to `when`."""
        timer = WoundTimer(when, callback)
        self.timers.append(timer)
        return timer

    async def sleep_until(self, when: float) -> None:
        """Not for tests that wind the clock."""
        raise NotImplementedError

    def advance(self, seconds: float) -> None:
        """Wind on, running what becomes due."""
        end = self.time + seconds
        while due := [timer for timer in self.pending if timer.when <= end]:
            timer = min(due, key=lambda timer: timer.when)
            self.timers.remove(timer)
            self.time = max(self.time, timer.when)
            timer.callback()
        self.time = end

    @property
    def pending(self) -> list[WoundTimer]:
        """Timers that would still run."""
        return [timer for timer in self.timers if not timer.cancelled]


# ------------------------------------------------------------ Twilio's messages


def connected() -> str:
    """The first message of a socket."""
    return json.dumps({"event": "connected", "protocol": "Call", "version": "1.0.0"})


def start(call_sid: str = CALL_SID, parameters: Mapping[str, str] | None = None, **changes: Any) -> str:
    """The message that begins a stream."""
    body = {
        "accountSid": ACCOUNT_SID,
        "streamSid": STREAM_SID,
        "callSid": call_sid,
        "tracks": ["inbound"],
        "mediaFormat": MEDIA_FORMAT,
        "customParameters": dict(parameters or {}),
        **changes,
    }
    return json.dumps({"event": "start", "sequenceNumber": "1", "streamSid": STREAM_SID, "start": body})


def media(chunk: int | str = 1, payload: bytes | str = b"\xff" * 160, **changes: Any) -> str:
    """20 ms of the caller's audio, or something like it."""
    text = payload if isinstance(payload, str) else base64.b64encode(payload).decode()
    body = {"track": "inbound", "chunk": str(chunk), "timestamp": "155", "payload": text, **changes}
    return stream_message("media", body)


def stream_message(event: str, body: Mapping[str, Any], stream_sid: str = STREAM_SID) -> str:
    """Any message of a stream."""
    return json.dumps({"event": event, "sequenceNumber": "3", "streamSid": stream_sid, event: body})


def mark(name: str) -> str:
    """An echo of a mark."""
    return stream_message("mark", {"name": name})


def digit(key: str) -> str:
    """A key of the caller's."""
    return stream_message("dtmf", {"track": "inbound_track", "digit": key})


def stop() -> str:
    """The message that ends a stream."""
    return stream_message("stop", {"accountSid": ACCOUNT_SID, "callSid": CALL_SID})


# --------------------------------------------------------------- scripted calls


class EchoCall:
    """A conversation that says what it hears, until its line closes or somebody hangs up."""

    def __init__(self, line: Line, log: CallLog, control: CallControl) -> None:
        self.line, self.log, self.control = line, log, control
        self.heard: list[tuple[bytes, int]] = []
        self.marks: list[str] = []
        self.digits: list[str] = []
        self.reasons: list[str] = []
        self.told: list[tuple[str, str]] = []
        self.outcome: Mapping[str, Any] = {"status": "ended"}
        self.talk = Conversation()
        """What it would have another worker go on with."""
        self.resumes: Conversation | None = None
        self.ended = asyncio.Event()
        self.finished = False
        self.stubborn = False
        """Does not end by itself."""
        self.answers_texts = True
        self.error_in_run: Exception | None = None
        self.error_in_audio: Exception | None = None

    def audio(self, payload: bytes, timestamp_ms: int) -> None:
        """Echo."""
        if self.error_in_audio is not None:
            raise self.error_in_audio
        self.heard.append((payload, timestamp_ms))
        self.line.send_audio(payload)

    def mark(self, name: str) -> None:
        """Remember."""
        self.marks.append(name)

    def dtmf(self, digit: str) -> None:
        """Remember; `*` hangs up and `#` hands the call over."""
        self.digits.append(digit)
        if digit in "*#":
            self.outcome = (
                {"status": "ended"} if digit == "*" else {"status": "transfer", "number": "+15550100200"}
            )
            self.ended.set()

    def line_closed(self, reason: str) -> None:
        """End."""
        self.reasons.append(reason)
        if not self.stubborn:
            self.ended.set()

    def hang_up(self, reason: str) -> None:
        """End."""
        self.reasons.append(reason)
        if not self.stubborn:
            self.ended.set()

    def say(self, text: str) -> None:
        """Remember."""
        self.told.append(("say", text))

    def take_text(self, text: str) -> None:
        """Remember."""
        self.told.append(("text", text))

    def write(self, turn: WrittenTurn) -> None:
        """Answer by what was written."""
        self.told.append(("aloud" if turn.aloud else "written", turn.text))
        if self.answers_texts:
            turn.answered(WrittenAnswer(f"You wrote: {turn.text}"))

    def transfer(self, number: str, *, last_words: str = "") -> None:
        """Hand over."""
        self.told.append(("transfer", f"{number} {last_words}".strip()))
        self.outcome = {"status": "transfer", "number": number}
        self.ended.set()

    def conversation(self) -> Conversation:
        """As the test says."""
        return self.talk

    async def run(self) -> None:
        """Hold the conversation."""
        self.log.emit(CallEvent("call.started", 0))
        try:
            if self.error_in_run is not None:
                raise self.error_in_run
            await self.ended.wait()
            await self.control.end(self.outcome)
        finally:
            self.finished = True


def gives_back(request: ModelRequest) -> Sequence[ModelDelta | float]:
    """A model that says how many texts there were, and gives the last one back."""
    texts = [message.text for message in request.messages if isinstance(message, CallerSaid)]
    return [0.2, TextDelta(f"{len(texts)}: {texts[-1]}")]


@dataclass
class EchoFactory:
    """Makes echo calls; the assistants "nobody" and "broken" give the errors of a real factory."""

    ready: bool = True
    calls: list[EchoCall] = field(default_factory=list)
    asked: list[tuple[str, str | None, dict[str, str]]] = field(default_factory=list)
    expected: list[tuple[str | None, dict[str, str]]] = field(default_factory=list)
    fallbacks: dict[str | None, str] = field(default_factory=dict)
    prepare: Callable[[EchoCall], None] = lambda call: None
    thinks: Answerer = gives_back
    """Answers the texts of conversations in writing."""

    def create(
        self,
        *,
        call_sid: str,
        assistant: str | None,
        variables: Mapping[str, str],
        line: Line,
        log: CallLog,
        control: CallControl,
        resumes: Conversation | None = None,
    ) -> EchoCall:
        """Make a call."""
        self._ask(call_sid, assistant, variables)
        call = EchoCall(line, log, control)
        call.resumes = resumes
        self.prepare(call)
        self.calls.append(call)
        return call

    def expect(self, *, assistant: str | None, variables: Mapping[str, str]) -> None:
        """Remember."""
        self.expected.append((assistant, dict(variables)))

    def fallback_number(self, assistant: str | None) -> str:
        """As the test says."""
        return self.fallbacks.get(assistant, "")

    def create_text_session(
        self, *, session_id: str, assistant: str | None, variables: Mapping[str, str], log: CallLog
    ) -> TextSession:
        """Make a conversation in writing, with a model that gives the words back."""
        self._ask(session_id, assistant, variables)
        return TextSession(
            assistant=assistant_from(),
            variables=variables,
            engines=WritingParts(alone(ScriptedModel(self.thinks), loop_clock())),
            events=log,
            clock=loop_clock(),
            session_id=session_id,
        )

    def _ask(self, call_sid: str, assistant: str | None, variables: Mapping[str, str]) -> None:
        self.asked.append((call_sid, assistant, dict(variables)))
        if assistant == "nobody":
            raise Refused("unknown_assistant", 404)
        if assistant == "broken":
            raise ConfigError([ConfigProblem("broken.yaml", "name", "is not set.")])
