"""One call: owns its tasks, its history and its parts, and carries out what turn-taking orders.

Evidence enters by `feed`, which runs turn-taking and applies its actions without an await: between
the decision to fall silent and the `clear` on the wire nothing else can run. One task group owns
every task of the call; each child runs in a guard that turns what it raises into evidence, so one
failing part never takes its siblings along. When the call is over every task is cancelled.
"""

from __future__ import annotations

__all__ = ["Call", "Engines"]

import asyncio
from collections import deque
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import structlog

from offhook.config.assistant import Assistant
from offhook.config.errors import ProviderError
from offhook.config.templates import fill

from .clock import Clock, Timer
from .ear import Ear
from .evidence import (
    Action,
    AgentBusy,
    AgentWants,
    CallerTurn,
    CloseWanted,
    CommitInterruption,
    Decided,
    DigitPressed,
    EndCall,
    EndUtterance,
    Evidence,
    Fault,
    LineClosed,
    News,
    Origin,
    PausePlayout,
    ReplyAudible,
    ReplyEmpty,
    ReplyPlayed,
    ResumePlayout,
    Say,
    StartReply,
    StateChanged,
    WithdrawReply,
)
from .executors import executors_for
from .history import History
from .journal import CallJournal
from .log_fields import failure_fields
from .messages import CallerSaid, Message, ToolAnswered, ToolRequest
from .pacing import PacingWheel
from .playout import Heard
from .ports import CallControl, EventSink, LanguageModel, Line, Transcriber, Voice, VoiceActivity, Workers
from .reply import Reply, ReplyParts
from .speaker import Speaker
from .tools import Answer, Toolbox
from .turn import TurnTaking

log = structlog.get_logger(__name__)

CONTROL_WITHIN_S = 5.0
EVIDENCE_LIMIT = 1000
"""Evidence that may wait while actions are applied; more means a loop in our own logic."""


@dataclass(frozen=True, slots=True)
class Engines:
    """What the calls of one assistant share."""

    voice_activity: VoiceActivity
    transcriber: Transcriber
    model: LanguageModel
    voice: Voice
    workers: Workers


class Call:
    """A live call. The bridge calls `run` once, and the others as things arrive on the line."""

    def __init__(
        self,
        *,
        assistant: Assistant,
        variables: Mapping[str, str],
        engines: Engines,
        line: Line,
        control: CallControl,
        events: EventSink,
        clock: Clock,
        wheel: PacingWheel,
    ) -> None:
        self._assistant = assistant
        self._variables = dict(variables)
        self._engines = engines
        self._line = line
        self._control = control
        self._clock = clock
        self._journal = CallJournal(events, clock)
        self._turns = TurnTaking(
            assistant.turn_taking,
            goodbye=self._filled(assistant.goodbye),
            apology=self._filled(assistant.apology),
        )
        self._history = History(self._filled(assistant.instructions))
        self._speaker = Speaker(line, wheel, clock, self)
        self._ear = Ear(
            voice_activity=engines.voice_activity,
            transcriber=engines.transcriber,
            settings=assistant.turn_taking,
            clock=clock,
            feed=self.feed,
        )
        self._toolbox = Toolbox(
            executors_for(assistant.tools, engines.workers), clock=clock, spawn=self._spawn, listener=self
        )
        self._closers = {tool.name for tool in assistant.tools if tool.kind == "end_call"}
        self._reply: Reply | None = None
        self._reply_task: asyncio.Task[None] | None = None
        self._results: list[ToolAnswered] = []
        self._turn = 0
        self._waiting: deque[Evidence] = deque()
        self._feeding = False
        self._timer: Timer | None = None
        self._armed_for: float | None = None
        self._group: asyncio.TaskGroup | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._over = asyncio.Event()
        self._end_reason = ""
        self._line_gone = False

    # ------------------------------------------------------- the line's side

    def audio(self, payload: bytes, timestamp_ms: int) -> None:  # noqa: ARG002 - media time is counted in samples
        """The caller's next carrier bytes."""
        self._ear.push(payload)

    def mark(self, name: str) -> None:
        """The carrier echoed a mark."""
        self._speaker.mark_reached(name)

    def dtmf(self, digit: str) -> None:
        """The caller pressed a key."""
        self._journal.note("dtmf")
        self.feed(DigitPressed(digit))

    def line_closed(self, reason: str) -> None:
        """The carrier's stream is gone."""
        self._line_gone = True
        self.feed(LineClosed(reason))

    def hang_up(self, reason: str) -> None:
        """Say goodbye and end the call."""
        self.feed(CloseWanted(reason, reopens=False))

    def say(self, text: str) -> None:
        """Say this at the next free moment."""
        self.feed(AgentWants(Say(text, "operator")))

    # -------------------------------------------------------------- the life

    async def run(self) -> None:
        """Hold the conversation; returns when it is over and nothing of it is left."""
        self._journal.start(self._assistant.name)
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                self._spawn("ear", self._ear.run())
                self._begin()
                try:
                    await self._over.wait()
                finally:
                    self._close()
                # Before the tasks are waited for: a tool that is slow to stop keeps no caller on the line.
                await self._leave_line()
        finally:
            self._group = None

    async def _leave_line(self) -> None:
        """Tell the carrier what becomes of the call, then close its stream, whatever happens."""
        try:
            async with asyncio.timeout(CONTROL_WITHIN_S):
                await self._control.end(self._outcome())
        except Exception as error:
            log.error("call.control-failed", **failure_fields(error, log_words=False))
        finally:
            self._line.close()

    def _begin(self) -> None:
        greeting = self._filled(self._assistant.first_message)
        say = (
            Say(greeting, "greeting", interruptible=self._assistant.first_message_interruptible)
            if greeting
            else None
        )
        self._speaker.probe()
        self._apply(self._turns.start(self._clock.now(), say))
        self._drain()

    def _close(self) -> None:
        """Let go of everything; what was heard of a reply is kept."""
        self._end_reason = self._end_reason or "cancelled"
        heard = self._speaker.revoke()
        if heard is not None:
            self._settle(heard, interrupted=not heard.complete)
        self._speaker.close()
        self._ear.close()
        self._toolbox.close()
        if self._timer is not None:
            self._timer.cancel()
        for task in list(self._tasks):
            task.cancel()
        self._journal.end(self._end_reason, self._figures())

    def _outcome(self) -> dict[str, Any]:
        if self._end_reason == "fault" and self._assistant.fallback_number and not self._line_gone:
            return {
                "status": "transfer",
                "number": self._assistant.fallback_number,
                "reason": self._end_reason,
            }
        return {
            "status": "ended",
            "reason": self._end_reason,
            "by": "carrier" if self._line_gone else "agent",
        }

    def _figures(self) -> dict[str, Any]:
        counters = self._speaker.counters
        return {
            "media_s": round(self._ear.media_s, 3),
            "underruns": counters.underruns,
            "clears": counters.clears,
            "stale_marks": counters.stale_marks,
            "reconnects": self._ear.reconnects,
            "round_trip_ms": round(self._speaker.round_trip_s * 1000, 1),
        }

    def _spawn(
        self, name: str, work: Coroutine[Any, Any, None], reply: int | None = None
    ) -> asyncio.Task[None]:
        """Start a task that the call owns."""
        if self._group is None:
            work.close()
            raise RuntimeError("the call is not running")
        task = self._group.create_task(self._guard(name, work, reply), name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _guard(self, name: str, work: Coroutine[Any, Any, None], reply: int | None) -> None:
        """Turn whatever a part raises into evidence."""
        try:
            await work
        except ProviderError as error:
            self.feed(Fault(error.stage, error.reason, reply))
        except Exception as error:
            log.error("call.part-failed", part=name, **failure_fields(error, log_words=False))
            self.feed(Fault(name, type(error).__name__, reply))

    # -------------------------------------------------------------- evidence

    def feed(self, evidence: Evidence) -> None:
        """Take one fact and do at once what follows from it; never waits."""
        if len(self._waiting) >= EVIDENCE_LIMIT:
            raise RuntimeError("evidence piles up: actions and evidence cause each other without end")
        self._waiting.append(evidence)
        if not self._feeding and self._group is not None:
            self._drain()

    def _drain(self) -> None:
        self._feeding = True
        try:
            while self._waiting:
                evidence = self._waiting.popleft()
                self._journal.observe(evidence, self._ear.media_s)
                self._apply(self._turns.feed(evidence, self._clock.now()))
        finally:
            self._feeding = False
        self._arm()

    def _arm(self) -> None:
        """One timer for the nearest deadline of turn-taking."""
        deadline = None if self._over.is_set() else self._turns.next_deadline
        if deadline == self._armed_for:
            return
        if self._timer is not None:
            self._timer.cancel()
        self._armed_for = deadline
        self._timer = None if deadline is None else self._clock.call_at(deadline, self._on_deadline)

    def _on_deadline(self) -> None:
        self._armed_for = self._timer = None
        self._feeding = True
        try:
            self._apply(self._turns.advance(self._clock.now()))
        finally:
            self._feeding = False
        self._drain()

    # --------------------------------------------------------------- actions

    def _apply(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case StartReply(reply, origin):
                    self._start_reply(reply, origin)
                case PausePlayout():
                    self._speaker.pause()
                case ResumePlayout():
                    self._speaker.resume()
                case CommitInterruption():
                    self._interrupt()
                case WithdrawReply():
                    self._withdraw()
                case EndUtterance():
                    self._ear.end_utterance()
                case Decided() | StateChanged():
                    self._journal.decide(action)
                case EndCall(reason):
                    self._end_reason = reason
                    self._over.set()

    def _start_reply(self, number: int, origin: Origin) -> None:
        reply = Reply(number, self._prelude(origin))
        self._reply = reply
        if isinstance(origin, CallerTurn):
            self._turn = origin.number
        self._journal.reply_started(number, origin)
        self._speaker.begin(number)
        self._reply_task = self._spawn("reply", self._make(reply, origin), number)

    def _prelude(self, origin: Origin) -> tuple[Message, ...]:
        """What leads to a reply: the caller's words, or answers of tools that are still wanted."""
        if isinstance(origin, CallerTurn):
            return (*self._known_results(), CallerSaid(origin.text))
        return self._known_results() if isinstance(origin, News) else ()

    def _known_results(self) -> tuple[ToolAnswered, ...]:
        """Answers that are still wanted; each is handed out once."""
        wanted = tuple(result for result in self._results if self._history.asked_for(result.request_id))
        self._results.clear()
        return wanted

    async def _make(self, reply: Reply, origin: Origin) -> None:
        parts = ReplyParts(
            model=self._engines.model,
            voice=self._engines.voice,
            speaker=self._speaker,
            specs=self._toolbox.specs,
            variables=self._variables,
            ask_tool=self._ask_tool,
            reached=partial(self._journal.reach, number=reply.number),
        )
        if isinstance(origin, CallerTurn | News):
            spoke = bool(reply.prelude) and await reply.answer(self._history.messages(reply.prelude), parts)
        else:
            spoke = await reply.say(self._filled(origin.text), parts)
        if any(request.name in self._closers for request in reply.tool_requests):
            self.feed(CloseWanted("the assistant ended the call", goodbye=not spoke))
        if not spoke:
            if isinstance(origin, CallerTurn) and not any(answer.pending for answer in reply.answers):
                raise ProviderError("model", "it gave no answer")
            self._speaker.revoke()
            self._settle(Heard(reply.number, "", "", 0.0, complete=True), interrupted=False)
            self.feed(ReplyEmpty(reply.number))

    def _interrupt(self) -> None:
        self._cancel_reply()
        heard = self._speaker.revoke()
        if heard is not None:
            self._journal.cancelled(heard, self._speaker.epoch)
            self._settle(heard, interrupted=True)

    def _withdraw(self) -> None:
        """Nothing was heard: as if it had never been asked for, but answers of tools stay to be told."""
        self._cancel_reply()
        self._speaker.revoke()
        if self._reply is not None:
            self._journal.withdrawn(self._reply.number)
            untold = [message for message in self._reply.prelude if isinstance(message, ToolAnswered)]
            self._results += untold
            if untold:
                self.feed(AgentWants(News()))
        self._reply = None

    def _cancel_reply(self) -> None:
        if self._reply_task is not None:
            self._reply_task.cancel()
            self._reply_task = None

    def _settle(self, heard: Heard, *, interrupted: bool) -> None:
        """Write the exchange to the history, with the words that were heard and no more."""
        reply = self._reply
        if reply is None or reply.number != heard.reply:
            return
        self._reply = None
        self._history.settle(reply.prelude, reply.said(heard.text, interrupted=interrupted), reply.answers)
        self._journal.reply_ended(heard, interrupted)

    # ------------------------------------------------- news from the speaker

    def first_frame(self, reply: int) -> None:
        """The first audio of a reply was written."""
        self._journal.reach("first_frame", number=reply)
        self.feed(ReplyAudible(reply))

    def first_mark(self, reply: int) -> None:
        """The caller is known to hear the reply."""
        self._journal.reach("first_mark", number=reply)

    def played(self, heard: Heard) -> None:
        """The caller heard the reply to its end."""
        self._settle(heard, interrupted=False)
        self._reply_task = None
        self.feed(ReplyPlayed(heard.reply, asks=heard.text.rstrip().endswith("?")))

    # ------------------------------------------------------ news of the tools

    def _ask_tool(self, request: ToolRequest) -> ToolAnswered:
        if request.name in self._closers:
            return ToolAnswered(request.id, request.name, '{"status": "ending"}', pending=True)
        return self._toolbox.request(request, self._turn)

    def tool_started(self, request: ToolRequest, tool: Any) -> None:  # noqa: ARG002 - the request says it all
        """A tool began to run."""
        self._journal.note("function-call", id=request.id, name=request.name, arguments=request.arguments)
        self.feed(AgentBusy(True))

    def tool_slow(self, tool: Any) -> None:
        """A tool takes long: say so, if nobody is speaking."""
        self.feed(AgentWants(Say(self._filled(tool.filler), "filler", only_now=True)))

    def tool_answered(self, answer: Answer) -> None:
        """A tool's answer came after its request was answered with "pending"."""
        self._journal.note(
            "function-result",
            id=answer.requests[0].id,
            name=answer.tool.name,
            ok=answer.ok,
            ms=round(answer.took_s * 1000),
            text=answer.text,
        )
        self._results += answer.messages()
        self.feed(AgentBusy(self._toolbox.running > 0))
        self.feed(AgentWants(News()))

    def _filled(self, text: str) -> str:
        return fill(text, self._variables).text
