"""Who answers a number now, and what must change for this server to answer it."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.bridge.twilio.number_routing import (
    Change,
    Routing,
    changes,
    routing_to,
    shown,
    taken_by,
    unfit_address,
)

URL = "https://bridge.example.com"
texts = st.text(max_size=20)
routings = st.builds(Routing, *[texts for _ in range(8)])


def test_a_fresh_number_gets_webhook_fallback_and_status() -> None:
    assert changes(Routing(), routing_to(URL, Routing())) == (
        Change("VoiceUrl", "", f"{URL}/voice/inbound"),
        Change("VoiceFallbackUrl", "", f"{URL}/voice/inbound"),
        Change("StatusCallback", "", f"{URL}/voice/status"),
    )


def test_a_fallback_of_the_owners_stays_as_it_is() -> None:
    now = Routing(voice_fallback_url="https://handler.twilio.com/twiml/EH1", voice_fallback_method="GET")
    then = routing_to(URL, now)
    assert (then.voice_fallback_url, then.voice_fallback_method) == (now.voice_fallback_url, "GET")


def test_an_address_of_ours_that_names_an_assistant_stays() -> None:
    own = f"{URL}/voice/inbound?assistant=front-desk"
    assert routing_to(URL, Routing(voice_url=own)).voice_url == own
    other = "https://other.example.com/voice/inbound?assistant=x"
    assert routing_to(URL, Routing(voice_url=other)).voice_url == f"{URL}/voice/inbound"


def test_who_answers_before_any_address_is_named_and_taken_off() -> None:
    assert taken_by(Routing()) == ""
    assert taken_by(Routing(voice_application_sid="AP1")) == "the application AP1"
    both = Routing(voice_application_sid="AP1", trunk_sid="TK1")
    assert taken_by(both) == "the SIP trunk TK1"
    assert taken_by(routing_to(URL, both)) == ""


@given(routings)
def test_once_routed_nothing_is_left_to_change(now: Routing) -> None:
    then = routing_to(URL, now)
    assert changes(then, routing_to(URL, then)) == ()
    assert {item.now for item in changes(now, then)} <= set(asdict(now).values())


@pytest.mark.parametrize(
    ("address", "text"),
    [
        ("https://user:secret@a.example/x?key=secret", "https://a.example/x?..."),
        ("https://a.example:8443/x", "https://a.example:8443/x"),
        ("TK1", "TK1"),
        ("", ""),
        ("https://[a", "(no address)"),
    ],
)
def test_no_password_and_no_query_is_shown(address: str, text: str) -> None:
    assert shown(address) == text


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (None, "is not set"),
        ("http://bridge.example.com", "31922"),
        ("https://localhost:8080", "localhost"),
        ("https://192.168.1.4", "only this network"),
        ("https://[::1]", "only this network"),
        ("https://bridge.example.com", ""),
        ("https://1.1.1.1", ""),
    ],
)
def test_addresses_that_twilio_can_never_reach_are_told(url: str | None, words: str) -> None:
    told = unfit_address(url)
    assert words in told
    assert bool(told) is bool(words)


def test_a_method_alone_is_a_change() -> None:
    then = routing_to(URL, Routing())
    (change,) = changes(replace(then, voice_method="GET"), then)
    assert change == Change("VoiceMethod", "GET", "POST")
