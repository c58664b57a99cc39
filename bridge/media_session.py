"""One media stream: from the upgrade to the last task of the conversation it carried."""

from __future__ import annotations

__all__ = ["MediaSession"]

import asyncio
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import structlog

from offhook.config.errors import ConfigError, ProtocolError, Refused
from offhook.pipeline.log_fields import failure_fields
from offhook.pipeline.ports import Line

from . import carrier_dialect as events
from . import stream_rules as rules
from .call_store import StoreUnavailable
from .carrier_dialect import CarrierDialect
from .live_call import LiveCall
from .registry import CallEntry, Order
from .rules import Rule
from .server_state import ServerState
from .stream_gate import GateClosed, Passed, cut_elsewhere, give_back, pass_gate, run_at_once
from .twilio.call_control import TwilioCallControl
from .workers.conversation_keeper import ConversationKeeper

START_WITHIN_S = 10.0
END_WITHIN_S = 5.0
"""The conversation has so long to end after its stream did; then it is cancelled."""
HELD_LIMIT = 200
"""Events that wait while the workers' store is asked, in which 1 s of audio is 50."""

_log = structlog.get_logger("offhook.bridge")


class SessionSocket(Protocol):
    """The part of a media socket that a session needs."""

    def close(self, code: int = 1000, reason: str = "") -> None:
        """End the socket."""


class MediaSession:
    """Joins the messages of one socket with the conversation of one call.

    In one process the conversation is made within the callback that brings `start`, so that not one
    frame needs a queue. Among several workers their store is asked first, and what comes meanwhile is
    held and then delivered in order. `run` holds the conversation, in the task of the upgrade's request.
    """

    def __init__(self, state: ServerState, dialect: CarrierDialect, assistant: str | None = None) -> None:
        """`assistant` is the one that the address names; it counts before the stream's parameter."""
        self._assistant = assistant
        self._state = state
        self._dialect = dialect
        self._socket: SessionSocket | None = None
        self._make_line: Callable[[], Line] | None = None
        self._entry: CallEntry | None = None
        self._passed: Passed | None = None
        self._admission: asyncio.Task[None] | None = None
        self._held: deque[events.StreamEvent] | None = None
        self._call: LiveCall | None = None
        self._call_sid: str | None = None
        self._seen: set[str] = set()
        self._decided: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._over = False
        self._ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def attach(self, socket: SessionSocket, make_line: Callable[[], Line]) -> None:
        """Give the session its socket, and what makes a Line of it."""
        self._socket = socket
        self._make_line = make_line

    # ------------------------------------------------------ the socket's calls

    def message_received(self, text: bytes) -> None:
        """Take one message of the carrier's, in UTF-8."""
        if self._over:
            return
        try:
            for event in self._dialect.receive(text):
                # Nearly all are frames of a call that goes on.
                if type(event) is events.Audio and self._call is not None:
                    self._call.audio(event.payload, event.timestamp_ms)
                else:
                    self._route(event)
        except ProtocolError as error:
            self._log_first(error.reason)
            self._end(error.reason, error.close_code)
        except Exception as error:
            self._failed(error)

    def socket_ended(self, rule: Rule) -> None:
        """No further message will come or go."""
        self._state.apply(rule, call_sid=self._call_sid)
        self._end(rule.name)

    # ------------------------------------------------------------------ life

    async def run(self) -> None:
        """Wait for the stream's start, hold the conversation, and see it to its end."""
        timer = self._state.clock.call_at(self._state.clock.now() + START_WITHIN_S, self._start_missed)
        try:
            await self._decided
            if self._call is not None:
                await self._hold(self._call)
        finally:
            timer.cancel()
            self._state.counters.update(self._dialect.counters)
            try:
                if self._admission is not None:
                    self._admission.cancel()
                    await asyncio.wait((self._admission,), timeout=END_WITHIN_S)
            finally:
                await self._finish()

    async def _finish(self) -> None:
        entry = self._entry
        if entry is not None:
            self._state.registry.finish(entry)
            _log.info("call.ended", call_sid=self._call_sid, rules=dict(self._dialect.counters))
        if self._passed is not None:
            await give_back(self._state, self._passed, None if entry is None else entry.outcome)

    async def _hold(self, call: LiveCall) -> None:
        conversation = asyncio.create_task(call.run())
        keeping = self._keep(call)
        try:
            await asyncio.wait((conversation, self._ended), return_when=asyncio.FIRST_COMPLETED)
            if not conversation.done():
                await asyncio.wait((conversation,), timeout=END_WITHIN_S)
            if not conversation.done():
                self._state.apply(rules.CALL_CANCELLED, call_sid=self._call_sid)
        finally:
            conversation.cancel()
            await asyncio.wait((conversation,), timeout=END_WITHIN_S)
            self._call = None
            if keeping is not None:
                keeping.cancel()
                await asyncio.wait((keeping,), timeout=END_WITHIN_S)
        if conversation.done() and not conversation.cancelled():
            error = conversation.exception()
            if error is not None:
                self._failed(error)
        self._end("finished", 1000)

    def _keep(self, call: LiveCall) -> asyncio.Task[None] | None:
        """Let the conversation outlive this worker, where there is another one to go on with it."""
        if self._state.place is None or self._passed is None or self._entry is None:
            return None

        def not_kept(error: StoreUnavailable) -> None:
            self._state.apply(rules.NOT_KEPT, call_sid=self._call_sid, problem=str(error))

        state, passed = self._state, self._passed
        keeper = ConversationKeeper(
            state.store,
            passed.claim,
            passed.assistant,
            self._entry.from_webhook,
            call.conversation,
            not_kept,
        )
        self._entry.log.also_tell(keeper.observe)
        return asyncio.create_task(keeper.run(), name="conversation keeper")

    # ---------------------------------------------------------------- events

    def _route(self, event: events.StreamEvent) -> None:
        call = self._call
        if isinstance(event, events.Ignored):
            self._log_first(event.rule.name)
        elif self._held is not None:
            self._hold_back(event, self._held)
        elif isinstance(event, events.Started):
            self._start(event)
        elif call is None:
            if isinstance(event, events.Stopped):
                self._end("stopped", 1000)
        elif isinstance(event, events.Audio):
            call.audio(event.payload, event.timestamp_ms)
        elif isinstance(event, events.MarkReached):
            call.mark(event.name)
        elif isinstance(event, events.Dtmf):
            call.dtmf(event.digit)
        else:
            self._end("stopped", 1000)

    def _start(self, started: events.Started) -> None:
        self._call_sid = started.call_sid
        admission = self._admit(started)
        if self._state.store.immediate:
            run_at_once(admission)
        else:
            self._held = deque()
            self._admission = asyncio.create_task(admission, name="admission")

    def _hold_back(self, event: events.StreamEvent, held: deque[events.StreamEvent]) -> None:
        if len(held) >= HELD_LIMIT:
            self._refuse(rules.HELD_TOO_MANY)
        else:
            held.append(event)

    async def _admit(self, started: events.Started) -> None:
        try:
            passed = self._passed = await pass_gate(self._state, started, self._assistant)
            if self._over:
                return
            self._begin(passed, started)
            held, self._held = self._held or (), None
            for event in held:
                self._route(event)
        except GateClosed as refused:
            self._refuse(refused.rule)
        except Exception as error:
            self._failed(error)
        else:
            await cut_elsewhere(self._state, passed)

    def _begin(self, passed: Passed, started: events.Started) -> None:
        try:
            self._entry = self._state.registry.admit(
                started.call_sid,
                assistant=passed.assistant,
                may_replace=passed.claim.ticket is not None,
                hang_up=self._hang_up,
                cut=self._cut,
            )
        except Refused as refused:
            return self._refuse(rules.AT_CAPACITY if refused.status == 503 else rules.DUPLICATE_CALL)
        self._entry.stream = passed.claim.stream
        # A token that was good can only be from our webhook.
        self._entry.from_webhook = passed.claim.ticket is not None
        _log.info(
            "call.started",
            call_sid=started.call_sid,
            stream_sid=started.stream_sid,
            assistant=passed.assistant,
        )
        self._create(self._entry, passed)
        return None

    def _create(self, entry: CallEntry, passed: Passed) -> None:
        if self._make_line is None:
            raise RuntimeError("a session needs its socket before it is sent messages")
        written = self._state.texts.get(passed.session) if passed.resumes is None else None

        def store(outcome: Mapping[str, Any]) -> None:
            entry.outcome = outcome

        try:
            self._call = self._state.factory.create(
                call_sid=entry.call_sid,
                assistant=passed.assistant if written is None else passed.assistant or written.assistant,
                variables=passed.variables,
                line=self._make_line(),
                log=entry.log,
                control=TwilioCallControl(entry.call_sid, store, self._state.rest, self._state.after_address),
                resumes=passed.resumes if written is None else written.session.conversation(),
            )
        except Refused as refused:
            self._spoil(entry, rules.ASSISTANT_REFUSED, str(refused.__cause__ or refused))
        except ConfigError as error:
            self._spoil(entry, rules.ASSISTANT_UNUSABLE, str(error))
        else:
            entry.tell = self._tell
            if written is not None:
                self._state.texts.became_call(written, entry.call_sid)
            self._decide()

    # ------------------------------------------------------------------- end

    def _hang_up(self, reason: str) -> None:
        self._tell(lambda call: call.hang_up(reason))

    def _tell(self, order: Order) -> None:
        if self._call is not None:
            try:
                order(self._call)
            except Exception as error:
                self._failed(error)

    def _cut(self, reason: str) -> None:
        self._refuse(rules.CUT_RULES[reason])

    def _start_missed(self) -> None:
        if not self._decided.done():
            self._refuse(rules.NO_START)

    def _refuse(self, rule: Rule) -> None:
        self._state.apply(rule, call_sid=self._call_sid)
        self._end(rule.name, rule.code)

    def _spoil(self, entry: CallEntry, rule: Rule, problem: str) -> None:
        """The caller is to hear why nobody speaks: `/voice/after` apologises for this outcome."""
        entry.outcome = {"status": "failed", "reason": rule.name}
        self._state.apply(rule, warn=True, call_sid=entry.call_sid, problem=problem)
        self._end(rule.name, rule.code)

    def _failed(self, error: BaseException) -> None:
        fields = failure_fields(error, log_words=self._state.settings.log_words)
        _log.error("call.failed", call_sid=self._call_sid, **fields)
        if self._entry is not None and self._entry.outcome is None:
            self._entry.outcome = {"status": "failed", "reason": rules.CALL_FAILED.name}
        self._state.apply(rules.CALL_FAILED, call_sid=self._call_sid)
        self._end(rules.CALL_FAILED.name, rules.CALL_FAILED.code)

    def _end(self, reason: str, code: int | None = None) -> None:
        """The stream is over: close the socket if a code is given, and tell the conversation once."""
        if self._over:
            return
        self._over = True
        self._ended.set_result(None)
        self._decide()
        if code is not None and self._socket is not None:
            self._socket.close(code, reason)
        if self._call is not None:
            try:
                self._call.line_closed(reason)
            except Exception as error:
                self._failed(error)

    def _decide(self) -> None:
        if not self._decided.done():
            self._decided.set_result(None)

    def _log_first(self, rule: str) -> None:
        """The first time a rule is applied to a stream is logged; the count comes at the end."""
        if rule not in self._seen:
            self._seen.add(rule)
            _log.info("stream.rule", rule=rule, call_sid=self._call_sid)
