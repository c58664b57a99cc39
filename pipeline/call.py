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
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import structlog

from offhook.codecs.framing import SAMPLE_RATE_HZ as BYTES_PER_S
from offhook.config.assistant import Assistant
from offhook.config.errors import AllProvidersFailed, ProviderError

from .clock import Clock, Timer
from .conversation import Conversation
from .correspondence import Correspondence, WrittenAnswer, WrittenTurn
from .ear import Ear
from .echo import ExpectedEcho
from .endpointing import Endpointing
from .evidence import (
    Action,
    Activity,
    AgentWants,
    CallerReads,
    CloseWanted,
    CommitInterruption,
    Decided,
    DigitPressed,
    DropPrepared,
    EndCall,
    EndUtterance,
    Evidence,
    Fault,
    LineClosed,
    PausePlayout,
    PrepareReply,
    ResumePlayout,
    Say,
    StartReply,
    StateChanged,
    TextSent,
    WithdrawReply,
)
from .expectations import Expectations
from .journal import CallJournal
from .line_up import LineUp
from .log_fields import failure_fields
from .messages import ToolRequest
from .model_failover import FailoverModel
from .pacing import PacingWheel
from .ports import CallControl, EventSink, LanguageModel, Line, Transcriber, Voice, VoiceActivity, Workers
from .replies import WRITTEN, Replies
from .shared_conversion import Conversions
from .stock_phrases import StockPhrases
from .tools import Executor
from .turn import TurnTaking
from .usage import Usage
from .voice_failover import FailoverVoice

log = structlog.get_logger(__name__)

CONTROL_WITHIN_S = 5.0
EVIDENCE_LIMIT = 1000
"""Evidence that may wait while actions are applied; more means a loop in our own logic."""


@dataclass(frozen=True, slots=True, weakref_slot=True, eq=False)
class Engines:
    """What a call is given to work with; calls of one assistant share what is inside.

    As long as a call holds it, nothing of it is closed.
    """

    voice_activity: VoiceActivity
    transcribers: LineUp[Transcriber]
    models: LineUp[LanguageModel]
    voices: LineUp[Voice]
    workers: Workers
    stock: StockPhrases = field(default_factory=StockPhrases)
    """Speech that was made in advance."""
    web_tools: Mapping[str, Executor] = field(default_factory=dict)
    """What carries out the assistant's tools that ask other machines, by name."""


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
        conversions: Conversions,
        call_id: str = "",
        resumes: Conversation | None = None,
        preamble: str = "",
    ) -> None:
        """`wheel` and `conversions` serve all calls of the process.

        A call that another process held `resumes`: its first words are `assistant.resumed_message`. A
        `preamble` is said before those, or before the greeting, and cannot be cut.
        """
        self._resumes, self._preamble = resumes, preamble
        self._assistant = assistant
        self._engines = engines
        self._line = line
        self._control = control
        self._clock = clock
        self._journal = CallJournal(events, clock)
        echo = ExpectedEcho()
        self._usage = Usage()
        self._voice = FailoverVoice(engines.voices, engines.stock, clock, self._journal.note, self._usage)
        model = FailoverModel(engines.models, clock, self._journal.note, self._usage)
        self._replies = Replies(
            assistant=assistant,
            variables=variables if resumes is None else {**variables, **resumes.variables},
            model=model,
            voice=self._voice,
            workers=engines.workers,
            web_tools=engines.web_tools,
            call_id=call_id,
            resumes=resumes,
            line=line,
            wheel=wheel,
            clock=clock,
            echo=echo,
            journal=self._journal,
            spawn=self._spawn,
            feed=self.feed,
        )
        self._correspondence = Correspondence(
            model=model,
            tools=self._replies.tools,
            history=self._replies.history,
            variables=self._replies.variables,
            apology=lambda: self._replies.filled(assistant.apology),
            clock=clock,
            journal=self._journal,
            spawn=self._spawn,
            settled=self._was_written,
        )
        self._turns = TurnTaking(
            assistant.turn_taking,
            language=assistant.language,
            # Filled where they are spoken: a tool may add to the call's variables until then.
            goodbye=assistant.goodbye,
            apology=assistant.apology,
            one_moment=assistant.one_moment,
            handover=assistant.handover if assistant.fallback_number else None,
            goodbye_interruptible=assistant.goodbye_interruptible,
            speculates=assistant.speculates,
            endpointing=Endpointing(assistant.turn_taking, assistant.language, Expectations.of(assistant)),
        )
        self._ear = Ear(
            voice_activity=engines.voice_activity,
            transcribers=engines.transcribers,
            note=self._journal.note,
            settings=assistant.turn_taking,
            clock=clock,
            feed=self.feed,
            echo=echo,
            over=self._replies.speaker.over,
            conversions=conversions,
            seed=call_id,
        )
        self._waiting: deque[Evidence] = deque()
        self._feeding = False
        self._timer: Timer | None = None
        self._armed_for: float | None = None
        self._group: asyncio.TaskGroup | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._over = asyncio.Event()
        self._end_reason = ""
        self._transfer_to = ""
        self._closed = False
        self._line_gone = False

    # ------------------------------------------------------- the line's side

    def audio(self, payload: bytes, timestamp_ms: int) -> None:  # noqa: ARG002 - media time is counted in samples
        """The caller's next carrier bytes."""
        self._ear.push(payload)

    def mark(self, name: str) -> None:
        """The carrier echoed a mark."""
        self._replies.speaker.mark_reached(name)

    def dtmf(self, digit: str) -> None:
        """The caller pressed a key."""
        self._journal.note("dtmf")
        keys = self._replies.keys
        collecting = keys.collecting
        taken = keys.press(digit)
        if collecting or not taken:
            self.feed(DigitPressed(digit))

    def line_closed(self, reason: str) -> None:
        """The carrier's stream is gone."""
        self._line_gone = True
        self.feed(LineClosed(reason))

    def hang_up(self, reason: str) -> None:
        """Say goodbye and end the call."""
        self.feed(CloseWanted(reason, reopens=False))

    def transfer(self, number: str, *, last_words: str = "") -> None:
        """Say the last words, if any, and hand the call to `number` (E.164)."""
        self.feed(
            CloseWanted(
                "transferred by the operator",
                goodbye=bool(last_words),
                reopens=False,
                last_words=last_words,
                transfer_to=number,
            )
        )

    def take_text(self, text: str) -> None:
        """The caller wrote this: it is a turn of theirs, and answered, as soon as nobody speaks."""
        self.feed(TextSent(text))

    def write(self, turn: WrittenTurn) -> None:
        """The caller wrote this, and wants the answer in writing."""
        if self._closed:
            turn.answered(WrittenAnswer("", ok=False, why="over"))
        else:
            self._correspondence.take(turn)
            self.feed(CallerReads())

    def say(self, text: str) -> None:
        """Say this at the next free moment."""
        self.feed(AgentWants(Say(text, "operator")))

    def conversation(self) -> Conversation:
        """Give what another process would need to go on with this call."""
        return self._replies.conversation()

    # -------------------------------------------------------------- the life

    async def run(self) -> None:
        """Hold the conversation; returns when it is over and nothing of it is left."""
        self._journal.start(self._assistant.name)
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                try:
                    self._begin()
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
        assistant, before = self._assistant, self._resumes
        first, interruptible = assistant.first_message, assistant.first_message_interruptible
        if before is not None and before.written:
            self._journal.note("call.follows-text", messages=len(before.messages))
        elif before is not None:
            self._journal.note("call.resumed", messages=len(before.messages))
            first, interruptible = assistant.resumed_message, True
        words = [Say(self._preamble, "greeting", interruptible=False)] if self._preamble else []
        words += [Say(first, "greeting", interruptible=interruptible)] if first else []
        self._spawn("ear", self._ear.run())
        self._spawn("voice", self._voice.run())
        self._replies.speaker.probe()
        self._apply(self._turns.start(self._clock.now(), words[0] if words else None))
        for later in words[1:]:
            self.feed(AgentWants(later))
        if before is not None:
            self._replies.tools.recall(before.answers_due())
            if before.unanswered:
                self.feed(TextSent(before.unanswered))
        self._correspondence.begin()
        self._drain()

    def _close(self) -> None:
        """Let go of everything; what was heard of a reply is kept."""
        self._closed = True
        self._end_reason = self._end_reason or "cancelled"
        self._replies.close()
        self._correspondence.close()
        self._ear.close()
        if self._timer is not None:
            self._timer.cancel()
        for task in list(self._tasks):
            task.cancel()
        self._journal.end(self._end_reason, self._figures())

    def _was_written(self, turn: WrittenTurn, answer: str, requests: Sequence[ToolRequest]) -> None:
        self._replies.drop()  # what was prepared does not know of it
        self.feed(CallerReads())
        if turn.aloud and answer:
            self.feed(AgentWants(Say(answer, WRITTEN)))
        if (close := self._replies.closers.wanted(requests, spoke=turn.aloud and bool(answer))) is not None:
            self.feed(close)

    def _outcome(self) -> dict[str, Any]:
        if number := self._taken_over_by():
            outcome = {"status": "transfer", "number": number, "reason": self._end_reason}
            fallback = self._assistant.fallback_number
            return outcome | ({"fallback": fallback} if fallback and fallback != number else {})
        return {
            "status": "ended",
            "reason": self._end_reason,
            "by": "carrier" if self._line_gone else "agent",
        }

    def _taken_over_by(self) -> str:
        """The number that the call is handed to; empty: nobody's."""
        if self._line_gone:
            return ""
        fallback = self._assistant.fallback_number if self._end_reason == "fault" else None
        return self._transfer_to or fallback or ""

    def _figures(self) -> dict[str, Any]:
        speaker = self._replies.speaker
        counters = speaker.counters
        return {
            "media_s": round(self._ear.media_s, 3),
            "sent_s": round(counters.sent_bytes / BYTES_PER_S, 3),
            "underruns": counters.underruns,
            "underrun_s": round(counters.underrun_s, 3),
            "clears": counters.clears,
            "stale_marks": counters.stale_marks,
            "reconnects": self._ear.reconnects,
            "switches": self._ear.switches,
            "transfer_to": self._taken_over_by(),
            "usage": self._usage.as_data(),
            "round_trip_ms": round(speaker.round_trip_s * 1000, 1),
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
        # A task that is cancelled before its first step never touches its work.
        task.add_done_callback(lambda _: work.close())
        return task

    async def _guard(self, name: str, work: Coroutine[Any, Any, None], reply: int | None) -> None:
        """Turn whatever a part raises into evidence."""
        try:
            await work
        except ProviderError as error:
            self.feed(Fault(error.stage, error.reason, reply, hopeless=isinstance(error, AllProvidersFailed)))
        except Exception as error:
            log.error("call.part-failed", part=name, **failure_fields(error, log_words=False))
            self.feed(Fault(name, type(error).__name__, reply))

    # -------------------------------------------------------------- evidence

    def feed(self, evidence: Evidence) -> None:
        """Take one fact and do at once what follows from it; never waits."""
        if self._closed:
            return
        if isinstance(evidence, Activity) and self._passes(evidence):
            return
        if len(self._waiting) >= EVIDENCE_LIMIT:
            raise RuntimeError("evidence piles up: actions and evidence cause each other without end")
        self._waiting.append(evidence)
        if not self._feeding and self._group is not None:
            self._drain()

    def _passes(self, activity: Activity) -> bool:
        """The way of nearly all windows: nobody waits for this one, and it changes nothing."""
        if self._waiting or self._feeding or self._group is None or not self._turns.passes(activity):
            return False
        self._journal.observe(activity, self._ear.media_s)
        return True

    def _drain(self) -> None:
        self._feeding = True
        try:
            while self._waiting:
                evidence = self._waiting.popleft()
                self._journal.observe(evidence, self._ear.media_s)
                self._apply(self._turns.feed(evidence, self._clock.now()))
        except Exception as error:
            self._break_off(error)
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
        except Exception as error:
            self._break_off(error)
        finally:
            self._feeding = False
        self._drain()

    def _break_off(self, error: Exception) -> None:
        """Our own logic failed. This call ends, with what its outcome says; no other call notices."""
        log.error("call.broke", **failure_fields(error, log_words=False))
        self._waiting.clear()
        self._end_reason = "fault"
        self._over.set()

    # --------------------------------------------------------------- actions

    def _apply(self, actions: list[Action]) -> None:
        for action in actions:
            match action:
                case StartReply(reply, origin):
                    self._replies.start(reply, origin)
                case PrepareReply(reply, origin):
                    self._replies.prepare(reply, origin)
                case DropPrepared():
                    self._replies.drop()
                case PausePlayout():
                    self._replies.speaker.pause()
                case ResumePlayout():
                    self._replies.speaker.resume()
                case CommitInterruption():
                    self._replies.interrupt()
                case WithdrawReply():
                    self._replies.withdraw()
                case EndUtterance():
                    self._ear.end_utterance()
                case Decided() | StateChanged():
                    self._journal.decide(action)
                case EndCall(reason, transfer_to):
                    self._end_reason, self._transfer_to = reason, transfer_to
                    self._over.set()
