"""What a stream must show before a conversation is made for it: a good token, a place, warm models."""

from __future__ import annotations

__all__ = [
    "ASSISTANT_PARAMETER",
    "RESUMES_PARAMETER",
    "SESSION_PARAMETER",
    "TOKEN_PARAMETER",
    "GateClosed",
    "Passed",
    "cut_elsewhere",
    "give_back",
    "pass_gate",
    "run_at_once",
]

import secrets
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any

from offhook.config.errors import OffhookError, Refused
from offhook.pipeline.conversation import Conversation

from .call_store import Claim, StoredCall, StoreUnavailable
from .carrier_dialect import Started
from .rules import Rule
from .server_state import ServerState
from .stream_rules import NOT_CUT, NOT_READY, OUTCOME_LOST, OVERLOADED, RULES, STORE_UNAVAILABLE, TOKEN_RULES
from .stream_token import Ticket, TokenFault
from .workers.siblings import Unreachable, order

TOKEN_PARAMETER = "token"  # noqa: S105  the name of a parameter
ASSISTANT_PARAMETER = "assistant"
SESSION_PARAMETER = "session"
RESUMES_PARAMETER = "resumes"
"""Set where the stream goes on with a call whose worker is gone; counts with a token only."""

_BY_REASON = {rule.name: rule for rule in RULES}


class GateClosed(OffhookError):
    """The stream is not served."""

    def __init__(self, rule: Rule) -> None:
        self.rule = rule
        super().__init__(rule.name)


@dataclass(frozen=True, slots=True)
class Passed:
    """A stream that may have its conversation."""

    claim: Claim
    """To be ended when the stream does."""
    replaces: StoredCall | None
    """The call's older stream."""
    assistant: str | None
    variables: Mapping[str, str]
    resumes: Conversation | None = None
    """What a worker that is gone held of the call."""
    session: str = ""
    """The conversation in writing that the call goes on with, if there is one of that name."""


async def pass_gate(state: ServerState, started: Started, assistant: str | None = None) -> Passed:
    """Check the stream, and claim its call; raises GateClosed.

    An `assistant` that is given counts before the one in the stream's parameters.

    Without the store nobody could tell a token that was used, a call that is held elsewhere or one call
    too many, so the stream is refused then.
    """
    variables = dict(started.parameters)
    session = variables.pop(SESSION_PARAMETER, "")
    token = variables.pop(TOKEN_PARAMETER, None)
    resumes = bool(variables.pop(RESUMES_PARAMETER, ""))
    named = variables.pop(ASSISTANT_PARAMETER, None) or None
    assistant = assistant or named
    ticket: Ticket | None = None
    if token is not None or state.settings.require_stream_token:
        read = state.tokens.read(token, started.call_sid)
        if isinstance(read, TokenFault):
            raise GateClosed(TOKEN_RULES[read])
        ticket = read
    if not state.factory.ready:
        raise GateClosed(NOT_READY)
    # Whom our webhook let in was promised a conversation a moment ago.
    if token is None and state.overloaded:
        raise GateClosed(OVERLOADED)
    claim = Claim(started.call_sid, state.address, secrets.token_urlsafe(12), ticket)
    try:
        # Before the claim: nobody would end one that was made for a stream that is then refused.
        before = await _kept(state, claim.call_sid) if resumes and ticket is not None else None
        replaces = await _claimed(state, claim)
    except StoreUnavailable:
        raise GateClosed(STORE_UNAVAILABLE) from None
    return Passed(claim, replaces, assistant, variables, before, session or started.call_sid)


async def _kept(state: ServerState, call_sid: str) -> Conversation | None:
    """What is known of the conversation so far. Raises StoreUnavailable."""
    kept = await state.store.conversation(call_sid)
    return None if kept is None else Conversation.from_plain(kept)


async def _claimed(state: ServerState, claim: Claim) -> StoredCall | None:
    try:
        return await state.store.claim(claim)
    except Refused as refused:
        raise GateClosed(_BY_REASON[refused.reason]) from None


async def cut_elsewhere(state: ServerState, passed: Passed) -> None:
    """Have an older stream of the call cut by the worker that has it."""
    before = passed.replaces
    if before is None or state.place is None or before.owner == state.address:
        return
    try:
        await order(state.place, before.owner, "DELETE", f"/worker/streams/{before.stream}")
    except Unreachable as error:
        state.apply(NOT_CUT, call_sid=before.call_sid, problem=str(error))


async def give_back(state: ServerState, passed: Passed, outcome: Mapping[str, Any] | None) -> None:
    """The stream is over, with what its conversation came to."""
    try:
        await state.store.end(passed.claim, outcome)
    except StoreUnavailable as error:
        state.apply(OUTCOME_LOST, call_sid=passed.claim.call_sid, problem=str(error))


def run_at_once(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that waits for nothing, within this callback.

    Raises RuntimeError if it does wait.
    """
    try:
        work.send(None)
    except StopIteration:
        return
    work.close()
    raise RuntimeError("a coroutine that waits cannot be run at once")
