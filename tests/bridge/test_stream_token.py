"""Stream tokens: one stream, one call, one minute."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from bridge_rig import ManualClock
from hypothesis import given
from hypothesis import strategies as st

from offhook.bridge.stream_token import LIFETIME_S, StreamTokens, Ticket, TokenFault, derive_key
from offhook.bridge.twilio.twiml import PARAMETER_LIMIT

CALL, OTHER = "CA1", "CA2"


def tokens(clock: ManualClock | None = None) -> StreamTokens:
    return StreamTokens(b"k" * 32, (clock or ManualClock()).now)


def test_a_fresh_token_is_read() -> None:
    clock = ManualClock()
    issuer = tokens(clock)
    ticket = issuer.read(issuer.mint(CALL), CALL)
    assert isinstance(ticket, Ticket)
    assert ticket.expires_at == clock.now() + LIFETIME_S


def test_no_two_tokens_are_one() -> None:
    issuer = tokens()
    assert issuer.read(issuer.mint(CALL), CALL) != issuer.read(issuer.mint(CALL), CALL)


def test_a_token_is_bound_to_its_call() -> None:
    issuer = tokens()
    token = issuer.mint(CALL)
    assert issuer.read(token, OTHER) is TokenFault.FORGED
    assert isinstance(issuer.read(token, CALL), Ticket)


def test_a_token_lives_a_minute() -> None:
    clock = ManualClock()
    issuer = tokens(clock)
    early, late = issuer.mint(CALL), issuer.mint(CALL)
    clock.advance(LIFETIME_S - 1)
    assert isinstance(issuer.read(early, CALL), Ticket)
    clock.advance(1)
    assert issuer.read(late, CALL) is TokenFault.EXPIRED
    assert issuer.read(early, CALL) is TokenFault.EXPIRED


@pytest.mark.parametrize("token", [None, ""])
def test_no_token_is_missing(token: str | None) -> None:
    assert tokens().read(token, CALL) is TokenFault.MISSING


@given(st.text(min_size=1, max_size=100))
def test_any_other_text_is_no_token(token: str) -> None:
    assert tokens().read(token, CALL) in {TokenFault.MALFORMED, TokenFault.FORGED}


@given(st.integers(0, 51), st.integers(1, 255))
def test_any_changed_byte_is_a_forgery(index: int, change: int) -> None:
    issuer = tokens()
    packed = bytearray(urlsafe_b64decode(issuer.mint(CALL)))
    packed[index] ^= change
    assert issuer.read(urlsafe_b64encode(packed).decode(), CALL) is TokenFault.FORGED


def test_processes_with_the_same_account_token_take_each_others_tokens() -> None:
    now = ManualClock().now
    token = StreamTokens(derive_key("secret"), now).mint(CALL)
    assert isinstance(StreamTokens(derive_key("secret"), now).read(token, CALL), Ticket)
    assert StreamTokens(derive_key("other"), now).read(token, CALL) is TokenFault.FORGED
    assert derive_key(None) != derive_key(None)


def test_a_token_fits_a_stream_parameter() -> None:
    assert len(tokens().mint(CALL)) < PARAMETER_LIMIT
