"""How a stream may end otherwise than by its socket, and what else is noted of it."""

from __future__ import annotations

__all__ = ["CUT_RULES", "RULES", "TOKEN_RULES"]

from collections.abc import Mapping

from .rules import Outcome, Rule
from .stream_token import TokenFault

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
AT_CAPACITY = Rule("at_capacity", Outcome.CLOSED, "as many calls as allowed are live", 1013)
NOT_READY = Rule("not_ready", Outcome.CLOSED, "the speech models are not loaded yet", 1013)
OVERLOADED = Rule(
    "overloaded", Outcome.CLOSED, "a call without our webhook, while the event loop is too late", 1013
)
STORE_UNAVAILABLE = Rule(
    "store_unavailable", Outcome.CLOSED, "the workers' store did not answer within 1 s", 1013
)
REPLACED = Rule("replaced", Outcome.CLOSED, "a newer stream of the call brought a fresh token", 1001)
HELD_TOO_MANY = Rule(
    "held_too_many", Outcome.CLOSED, "more than 200 messages while the workers' store is asked", 1008
)
ASSISTANT_REFUSED = Rule("assistant_refused", Outcome.CLOSED, "no assistant of the name asked for", 1008)
ASSISTANT_UNUSABLE = Rule("assistant_unusable", Outcome.CLOSED, "the assistant's file has an error", 1011)
CALL_FAILED = Rule("call_failed", Outcome.CLOSED, "the conversation raised an exception", 1011)
OVERSTAYED = Rule("overstayed", Outcome.CLOSED, "the longest time for a call, and 15 s, are over", 1001)
SHUT_DOWN = Rule("shut_down", Outcome.CLOSED, "the server was shut down", 1001)
CALL_CANCELLED = Rule(
    "call_cancelled", Outcome.NOTED, "the conversation did not end within 5 s of its stream"
)
NOT_CUT = Rule("not_cut", Outcome.NOTED, "the worker of a replaced stream could not be told")
OUTCOME_LOST = Rule("outcome_lost", Outcome.NOTED, "the workers' store did not take a call's outcome")
NOT_KEPT = Rule("not_kept", Outcome.NOTED, "the workers' store did not take how far a conversation has come")

RULES = (
    *(NO_START, *TOKEN_RULES.values(), DUPLICATE_CALL, REPLACED, AT_CAPACITY, NOT_READY),
    *(OVERLOADED, STORE_UNAVAILABLE, HELD_TOO_MANY, ASSISTANT_REFUSED, ASSISTANT_UNUSABLE),
    *(CALL_FAILED, OVERSTAYED, SHUT_DOWN, CALL_CANCELLED, NOT_CUT, OUTCOME_LOST, NOT_KEPT),
)
"""All of them, in the order of docs/protocol.md."""

CUT_RULES: Mapping[str, Rule] = {
    "replaced": REPLACED,
    "max-duration": OVERSTAYED,
    "shutdown": SHUT_DOWN,
}
