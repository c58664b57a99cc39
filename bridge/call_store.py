"""What the workers of one server know together: used tokens, who holds which call, how calls ended.

The store is a directory, and never an owner: a call belongs to the worker that has its socket. Nothing
on the way of the audio asks it; a stream asks it once, at its start.
"""

from __future__ import annotations

__all__ = [
    "ENDED_FOR_S",
    "ENDED_LIMIT",
    "RESUMED_LIMIT",
    "RESUMED_WITHIN_S",
    "CallStore",
    "Claim",
    "MemoryStore",
    "StoreUnavailable",
    "StoredCall",
]

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Protocol

from offhook.config.errors import OffhookError, Refused

from .stream_token import Ticket

TICKET_LIMIT = 10_000
"""Used tickets that are remembered; beyond, none is taken."""
ENDED_LIMIT = 10_000
ENDED_FOR_S = 3_600.0
RESUMED_LIMIT, RESUMED_WITHIN_S = 3, 60.0
"""So often is a call taken up again; a call that brings every worker down must come to an end."""


class StoreUnavailable(OffhookError):
    """The store did not answer in its time, or is broken."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker wants to hold a call, on a stream that has just begun."""

    call_sid: str
    owner: str
    """The worker's private address."""
    stream: str
    """A name that no other stream has."""
    ticket: Ticket | None = None
    """What the stream's token said; only with one may a stream replace another."""


@dataclass(frozen=True, slots=True)
class StoredCall:
    """What is known of a call: its newest stream, and what came of it."""

    call_sid: str
    owner: str
    stream: str
    live: bool = True
    outcome: Mapping[str, Any] | None = None
    """What the conversation decided at its end, if it came to one."""


class CallStore(Protocol):
    """The workers' common memory. Every operation has a bound in time, and raises StoreUnavailable."""

    @property
    def immediate(self) -> bool:
        """No operation ever waits, so its coroutine can be run to its end within a callback."""

    async def claim(self, claim: Claim) -> StoredCall | None:
        """Use the ticket up, and enter the stream as the call's newest; returns the live one it replaces.

        Raises Refused: "token_reused", "token_uncheckable", "duplicate_call" (a live call, and no ticket)
        or "at_capacity" (as many calls as allowed, of all workers together).
        """

    async def end(self, claim: Claim, outcome: Mapping[str, Any] | None) -> None:
        """The stream is over; without effect when a newer one replaced it."""

    async def keep(self, claim: Claim, conversation: Mapping[str, Any]) -> None:
        """Keep what another worker would need to go on with a live call; forgotten when its stream ends."""

    async def conversation(self, call_sid: str) -> Mapping[str, Any] | None:
        """Look up what was kept of a call whose stream did not come to its own end."""

    async def left_by(self, address: str) -> Mapping[str, Mapping[str, Any]]:
        """Look up what was kept of the calls that a worker held when it went, by CallSid."""

    async def may_resume(self, call_sid: str) -> bool:
        """Count one more try to go on with a call; False for more than three within a minute."""

    async def find(self, call_sid: str) -> StoredCall | None:
        """Look a call up; ended ones are kept for an hour."""

    async def live_count(self) -> int:
        """Count the live calls of all workers."""

    async def join(self, address: str, name: str) -> None:
        """A worker can be reached from now on."""

    async def workers(self) -> Mapping[str, str]:
        """The names of the workers that can be reached, by address."""

    async def abandon(self, address: str) -> None:
        """A worker is gone, and the calls it still held are over."""


class MemoryStore:
    """The store of a process that has no siblings."""

    immediate = True

    def __init__(
        self, max_calls: int, wall_time: Callable[[], float] = time.time, ticket_limit: int = TICKET_LIMIT
    ) -> None:
        """`wall_time` gives Unix seconds, the clock of the tickets."""
        self._max_calls = max_calls
        self._wall_time = wall_time
        self._ticket_limit = ticket_limit
        self._used: OrderedDict[bytes, int] = OrderedDict()
        self._live: dict[str, StoredCall] = {}
        self._ended: OrderedDict[str, tuple[float, StoredCall]] = OrderedDict()
        self._workers: dict[str, str] = {}
        self._conversations: dict[str, Mapping[str, Any]] = {}
        self._resumed: dict[str, list[float]] = {}

    async def claim(self, claim: Claim) -> StoredCall | None:
        """Use the ticket up, and enter the stream; raises Refused."""
        if claim.ticket is not None:
            self._use(claim.ticket)
        before = self._live.get(claim.call_sid)
        if before is not None and claim.ticket is None:
            raise Refused("duplicate_call", 409)
        if before is None and len(self._live) >= self._max_calls:
            raise Refused("at_capacity", 503)
        self._ended.pop(claim.call_sid, None)
        self._live[claim.call_sid] = StoredCall(claim.call_sid, claim.owner, claim.stream)
        return before

    async def end(self, claim: Claim, outcome: Mapping[str, Any] | None) -> None:
        """The stream is over."""
        call = self._live.get(claim.call_sid)
        if call is not None and call.stream == claim.stream:
            self._conversations.pop(claim.call_sid, None)
            self._bury(call, outcome)

    async def keep(self, claim: Claim, conversation: Mapping[str, Any]) -> None:
        """Keep what another worker would need."""
        call = self._live.get(claim.call_sid)
        if call is not None and call.stream == claim.stream:
            self._conversations[claim.call_sid] = conversation

    async def conversation(self, call_sid: str) -> Mapping[str, Any] | None:
        """Look up what was kept."""
        return self._conversations.get(call_sid)

    async def left_by(self, address: str) -> Mapping[str, Mapping[str, Any]]:
        """Look up what was kept of a worker's calls."""
        owned = {sid for sid, (_, call) in self._ended.items() if call.owner == address} | {
            sid for sid, call in self._live.items() if call.owner == address
        }
        return {sid: kept for sid, kept in self._conversations.items() if sid in owned}

    async def may_resume(self, call_sid: str) -> bool:
        """Count one more try."""
        now = self._wall_time()
        lately = [at for at in self._resumed.get(call_sid, ()) if at > now - RESUMED_WITHIN_S]
        if call_sid not in self._conversations or len(lately) >= RESUMED_LIMIT:
            return False
        self._resumed[call_sid] = [*lately, now]
        return True

    async def find(self, call_sid: str) -> StoredCall | None:
        """Look a call up."""
        self._forget_old()
        ended = self._ended.get(call_sid)
        return self._live.get(call_sid) or (ended and ended[1])

    async def live_count(self) -> int:
        """Count the live calls."""
        return len(self._live)

    async def join(self, address: str, name: str) -> None:
        """A worker can be reached from now on."""
        self._workers[address] = name

    async def workers(self) -> Mapping[str, str]:
        """The names of the workers that can be reached, by address."""
        return dict(self._workers)

    async def abandon(self, address: str) -> None:
        """A worker is gone, and the calls it still held are over."""
        self._workers.pop(address, None)
        for call in [call for call in self._live.values() if call.owner == address]:
            self._bury(call, None)

    def _use(self, ticket: Ticket) -> None:
        now = self._wall_time()
        while self._used and next(iter(self._used.values())) <= now:
            self._used.popitem(last=False)
        if ticket.nonce in self._used:
            raise Refused("token_reused")
        if len(self._used) >= self._ticket_limit:
            raise Refused("token_uncheckable", 503)
        self._used[ticket.nonce] = ticket.expires_at

    def _bury(self, call: StoredCall, outcome: Mapping[str, Any] | None) -> None:
        del self._live[call.call_sid]
        self._ended[call.call_sid] = self._wall_time(), replace(call, live=False, outcome=outcome)
        self._forget_old()

    def _forget_old(self) -> None:
        oldest = self._wall_time() - ENDED_FOR_S
        while self._ended:
            ended_at, call = next(iter(self._ended.values()))
            if ended_at >= oldest and len(self._ended) <= ENDED_LIMIT:
                return
            del self._ended[call.call_sid]
            self._conversations.pop(call.call_sid, None)
            self._resumed.pop(call.call_sid, None)
