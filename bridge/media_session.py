"""One media stream: from the upgrade to the last task of the conversation it carried."""

from __future__ import annotations

__all__ = ["RULES", "MediaSession"]

import asyncio
from collections.abc import Callable, Mapping
from typing import Any, Protocol

import structlog

from offhook.config.errors import ConfigError, ProtocolError, Refused
from offhook.pipeline.log_fields import failure_fields
from offhook.pipeline.ports import Line

from . import carrier_dialect as events
from .carrier_dialect import CarrierDialect
from .live_call import LiveCall
from .registry import CallEntry
from .rules import Outcome, Rule
from .server_state import ServerState
from .stream_token import TokenFault
from .twilio.call_control import TwilioCallControl

START_WITHIN_S = 10.0
END_WITHIN_S = 5.0
"""The conversation has so long to end after its stream did; then it is cancelled."""
TOKEN_PARAMETER = "token"  # noqa: S105  the name of a parameter
ASSISTANT_PARAMETER = "assistant"

NO_START = Rule("no_start", Outcome.CLOSED, "no `start` within 10 s of the upgrade", 1008)
TOKEN_RULES: Mapping[TokenFault, Rule] = {
    TokenFault.MISSING: Rule("token_missing", Outcome.CLOSED, "no token, where one is required", 1008),
    TokenFault.MALFORMED: Rule("token_malformed", Outcome.CLOSED, "a token that is none", 1008),
    TokenFault.FORGED: Rule("token_forged", Outcome.CLOSED, "a token not ours, or of another call", 1008),
    TokenFault.EXPIRED: Rule("token_expired", Outcome.CLOSED, "a token older than 60 s", 1008),
    TokenFault.REUSED: Rule("token_reused", Outcome.CLOSED, "a token that was used before", 1008),
    TokenFault.UNCHECKABLE: Rule(
        "token_uncheckable", Outcome.CLOSED, "more tokens within 60 s than are remembered", 1013
    ),
}
DUPLICATE_CALL = Rule(
    "duplicate_call", Outcome.CLOSED, "a second stream of a live call, without a fresh token", 1008
)
REPLACED = Rule("replaced", Outcome.CLOSED, "a newer stream of the call brought a fresh token", 1001)
AT_CAPACITY = Rule("at_capacity", Outcome.CLOSED, "as many calls as allowed are live", 1013)
NOT_READY = Rule("not_ready", Outcome.CLOSED, "the speech models are not loaded yet", 1013)
ASSISTANT_REFUSED = Rule("assistant_refused", Outcome.CLOSED, "no assistant of the name asked for", 1008)
ASSISTANT_UNUSABLE = Rule("assistant_unusable", Outcome.CLOSED, "the assistant's file has an error", 1011)
CALL_FAILED = Rule("call_failed", Outcome.CLOSED, "the conversation raised an exception", 1011)
OVERSTAYED = Rule("overstayed", Outcome.CLOSED, "the longest time for a call, and 15 s, are over", 1001)
SHUT_DOWN = Rule("shut_down", Outcome.CLOSED, "the server was shut down", 1001)
CALL_CANCELLED = Rule(
    "call_cancelled", Outcome.NOTED, "the conversation did not end within 5 s of its stream"
)

RULES = (
    *(NO_START, *TOKEN_RULES.values(), DUPLICATE_CALL, REPLACED, AT_CAPACITY, NOT_READY),
    *(ASSISTANT_REFUSED, ASSISTANT_UNUSABLE, CALL_FAILED, OVERSTAYED, SHUT_DOWN, CALL_CANCELLED),
)
"""How a session may end otherwise than by its socket, in the order of docs/protocol.md."""

CUT_RULES: Mapping[str, Rule] = {
    "replaced": REPLACED,
    "max-duration": OVERSTAYED,
    "shutdown": SHUT_DOWN,
}

_log = structlog.get_logger("offhook.bridge")


class SessionSocket(Protocol):
    """The part of a media socket that a session needs."""

    def close(self, code: int = 1000, reason: str = "") -> None:
        """End the socket."""


class MediaSession:
    """Joins the messages of one socket with the conversation of one call.

    The conversation is made within the callback that brings `start`, so that not one frame needs a
    queue. `run` then holds it, in the task of the upgrade's request.
    """

    def __init__(self, state: ServerState, dialect: CarrierDialect) -> None:
        self._state = state
        self._dialect = dialect
        self._socket: SessionSocket | None = None
        self._make_line: Callable[[], Line] | None = None
        self._entry: CallEntry | None = None
        self._call: LiveCall | None = None
        self._call_sid: str | None = None
        self._seen: set[str] = set()
        self._decided: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._ended = asyncio.Event()

    def attach(self, socket: SessionSocket, make_line: Callable[[], Line]) -> None:
        """Give the session its socket, and what makes a Line of it."""
        self._socket = socket
        self._make_line = make_line

    # ------------------------------------------------------ the socket's calls

    def message_received(self, text: str) -> None:
        """Take one message of the carrier's."""
        if self._ended.is_set():
            return
        try:
            for event in self._dialect.receive(text):
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
            if self._entry is not None:
                self._state.registry.finish(self._entry)
                _log.info("call.ended", call_sid=self._call_sid, rules=dict(self._dialect.counters))

    async def _hold(self, call: LiveCall) -> None:
        conversation = asyncio.create_task(call.run())
        stream_ended = asyncio.create_task(self._ended.wait())
        try:
            await asyncio.wait((conversation, stream_ended), return_when=asyncio.FIRST_COMPLETED)
            if not conversation.done():
                await asyncio.wait((conversation,), timeout=END_WITHIN_S)
            if not conversation.done():
                self._state.apply(CALL_CANCELLED, call_sid=self._call_sid)
        finally:
            stream_ended.cancel()
            conversation.cancel()
            await asyncio.wait((conversation,), timeout=END_WITHIN_S)
            self._call = None
        if conversation.done() and not conversation.cancelled():
            error = conversation.exception()
            if error is not None:
                self._failed(error)
        self._end("finished", 1000)

    # ---------------------------------------------------------------- events

    def _route(self, event: events.StreamEvent) -> None:
        call = self._call
        if isinstance(event, events.Ignored):
            self._log_first(event.rule.name)
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
        state = self._state
        call_sid = self._call_sid = started.call_sid
        variables = dict(started.parameters)
        token = variables.pop(TOKEN_PARAMETER, None)
        assistant = variables.pop(ASSISTANT_PARAMETER, None) or None
        if token is not None or state.settings.require_stream_token:
            fault = state.tokens.redeem(token, call_sid)
            if fault is not None:
                return self._refuse(TOKEN_RULES[fault])
        if not state.factory.ready:
            return self._refuse(NOT_READY)
        try:
            self._entry = state.registry.admit(
                call_sid,
                assistant=assistant,
                may_replace=token is not None,
                hang_up=self._hang_up,
                cut=self._cut,
            )
        except Refused as refused:
            return self._refuse(AT_CAPACITY if refused.status == 503 else DUPLICATE_CALL)
        # A token that was good can only be from our webhook.
        self._entry.from_webhook = token is not None
        _log.info("call.started", call_sid=call_sid, stream_sid=started.stream_sid, assistant=assistant)
        self._create(self._entry, assistant, variables)
        return None

    def _create(self, entry: CallEntry, assistant: str | None, variables: Mapping[str, str]) -> None:
        if self._make_line is None:
            raise RuntimeError("a session needs its socket before it is sent messages")

        def store(outcome: Mapping[str, Any]) -> None:
            entry.outcome = outcome

        try:
            self._call = self._state.factory.create(
                call_sid=entry.call_sid,
                assistant=assistant,
                variables=variables,
                line=self._make_line(),
                log=entry.log,
                control=TwilioCallControl(entry.call_sid, store, self._state.rest),
            )
        except Refused as refused:
            self._spoil(entry, ASSISTANT_REFUSED, str(refused.__cause__ or refused))
        except ConfigError as error:
            self._spoil(entry, ASSISTANT_UNUSABLE, str(error))
        else:
            self._decide()

    # ------------------------------------------------------------------- end

    def _hang_up(self, reason: str) -> None:
        if self._call is not None:
            try:
                self._call.hang_up(reason)
            except Exception as error:
                self._failed(error)

    def _cut(self, reason: str) -> None:
        self._refuse(CUT_RULES[reason])

    def _start_missed(self) -> None:
        if not self._decided.done():
            self._refuse(NO_START)

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
            self._entry.outcome = {"status": "failed", "reason": CALL_FAILED.name}
        self._state.apply(CALL_FAILED, call_sid=self._call_sid)
        self._end(CALL_FAILED.name, CALL_FAILED.code)

    def _end(self, reason: str, code: int | None = None) -> None:
        """The stream is over: close the socket if a code is given, and tell the conversation once."""
        if self._ended.is_set():
            return
        self._ended.set()
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
