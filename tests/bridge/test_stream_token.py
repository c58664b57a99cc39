"""Stream tokens: one stream, one call, one minute."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode

import pytest
from bridge_rig import ManualClock
from hypothesis import given
from hypothesis import strategies as st

from offhook.bridge.stream_token import LIFETIME_S, StreamTokens, TokenFault, derive_key
from offhook.bridge.twilio.twiml import PARAMETER_LIMIT

CALL, OTHER = "CA1", "CA2"


def tokens(clock: ManualClock | None = None, remembered: int = 100) -> StreamTokens:
    return StreamTokens(b"k" * 32, (clock or ManualClock()).now, remembered)


def test_a_fresh_token_is_taken_once() -> None:
    issuer = tokens()
    token = issuer.mint(CALL)
    assert issuer.redeem(token, CALL) is None
    assert issuer.redeem(token, CALL) is TokenFault.REUSED


def test_a_token_is_bound_to_its_call() -> None:
    issuer = tokens()
    token = issuer.mint(CALL)
    assert issuer.redeem(token, OTHER) is TokenFault.FORGED
    assert issuer.redeem(token, CALL) is None


def test_a_token_lives_a_minute() -> None:
    clock = ManualClock()
    issuer = tokens(clock)
    early, late = issuer.mint(CALL), issuer.mint(CALL)
    clock.advance(LIFETIME_S - 1)
    assert issuer.redeem(early, CALL) is None
    clock.advance(1)
    assert issuer.redeem(late, CALL) is TokenFault.EXPIRED
    assert issuer.redeem(early, CALL) is TokenFault.EXPIRED


@pytest.mark.parametrize("token", [None, ""])
def test_no_token_is_missing(token: str | None) -> None:
    assert tokens().redeem(token, CALL) is TokenFault.MISSING


@given(st.text(min_size=1, max_size=100))
def test_any_other_text_is_no_token(token: str) -> None:
    assert tokens().redeem(token, CALL) in {TokenFault.MALFORMED, TokenFault.FORGED}


@given(st.integers(0, 51), st.integers(1, 255))
def test_any_changed_byte_is_a_forgery(index: int, change: int) -> None:
    issuer = tokens()
    packed = bytearray(urlsafe_b64decode(issuer.mint(CALL)))
    packed[index] ^= change
    assert issuer.redeem(urlsafe_b64encode(packed).decode(), CALL) is TokenFault.FORGED


def test_the_memory_of_used_tokens_is_bounded_and_fails_closed() -> None:
    clock = ManualClock()
    issuer = tokens(clock, remembered=3)
    used = [issuer.mint(CALL) for _ in range(3)]
    assert [issuer.redeem(token, CALL) for token in used] == [None] * 3
    assert issuer.redeem(issuer.mint(CALL), CALL) is TokenFault.UNCHECKABLE
    assert issuer.redeem(used[0], CALL) is TokenFault.REUSED
    clock.advance(LIFETIME_S)
    assert issuer.redeem(issuer.mint(CALL), CALL) is None


def test_processes_with_the_same_account_token_take_each_others_tokens() -> None:
    now = ManualClock().now
    token = StreamTokens(derive_key("secret"), now).mint(CALL)
    assert StreamTokens(derive_key("secret"), now).redeem(token, CALL) is None
    assert StreamTokens(derive_key("other"), now).redeem(token, CALL) is TokenFault.FORGED
    assert derive_key(None) != derive_key(None)


def test_a_token_fits_a_stream_parameter() -> None:
    assert len(tokens().mint(CALL)) < PARAMETER_LIMIT
