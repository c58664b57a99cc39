"""Signatures: the published vector, and each trap that real deployments fall into."""

from __future__ import annotations

import hashlib

import pytest
from multidict import CIMultiDict

from offhook.bridge.twilio.signature import (
    SETTINGS_HEADER,
    SIGNATURE_HEADER,
    Fields,
    SignatureFault,
    SigningKeys,
    signature,
    signature_fault,
)

TOKEN = "12345"
KEYS = SigningKeys(TOKEN, {"webhooks_sharedkey_1": "shared-secret"})
URL = "https://mycompany.com/myapp.php?foo=1&bar=2"
FORM = {
    "CallSid": ["CA1234567890ABCDE"],
    "Caller": ["+14158675309"],
    "Digits": ["1234"],
    "From": ["+14158675309"],
    "To": ["+18005551212"],
}
PUBLISHED = "RSOYDt4T1cUTdK1PDd93/VVr8B8="


def fault(
    url: str, given: str | None, fields: Fields = FORM, body: bytes | None = None, settings: str | None = None
) -> SignatureFault | None:
    headers = CIMultiDict[str]()
    if given is not None:
        headers[SIGNATURE_HEADER.lower()] = given
    if settings is not None:
        headers[SETTINGS_HEADER] = settings
    return signature_fault(url, fields, headers, KEYS, body)


def test_the_published_vector() -> None:
    assert signature(URL, FORM, TOKEN) == PUBLISHED
    assert fault(URL, PUBLISHED) is None


def test_a_missing_header_is_a_fault_and_no_exception() -> None:
    assert fault(URL, None) is SignatureFault.MISSING
    assert fault(URL, "") is SignatureFault.MISSING


@pytest.mark.parametrize("given", ["x", PUBLISHED[:-2], PUBLISHED.lower(), "é" * 28, "\udcff", "=" * 10_000])
def test_any_other_text_is_wrong(given: str) -> None:
    assert fault(URL, given) is SignatureFault.WRONG


@pytest.mark.parametrize(
    "url",
    [
        "http://mycompany.com/myapp.php?foo=1&bar=2",
        "wss://mycompany.com/myapp.php?foo=1&bar=2",
        "https://mycompany.com/myapp.php/?foo=1&bar=2",
        "https://mycompany.com/myapp.php?bar=2&foo=1",
        "https://mycompany.com/myapp.php",
        "https://evil.example/myapp.php?foo=1&bar=2",
        "https://mycompany.com:8443/myapp.php?foo=1&bar=2",
    ],
)
def test_every_part_of_the_address_counts(url: str) -> None:
    assert fault(url, PUBLISHED) is SignatureFault.WRONG


def test_the_upgrade_is_signed_as_wss_without_fields() -> None:
    signed = signature("wss://bridge.example.com/media", {}, TOKEN)
    assert fault("wss://bridge.example.com/media", signed, {}) is None
    assert fault("https://bridge.example.com/media", signed, {}) is SignatureFault.WRONG
    assert fault("wss://bridge.example.com/media/", signed, {}) is SignatureFault.WRONG


@pytest.mark.parametrize(("scheme", "port"), [("https", 443), ("wss", 443), ("http", 80)])
def test_the_default_port_may_be_written_or_not(scheme: str, port: int) -> None:
    bare, written = f"{scheme}://h.example/p", f"{scheme}://h.example:{port}/p"
    for configured in (bare, written):
        for signed in (bare, written):
            assert fault(configured, signature(signed, {}, TOKEN), {}) is None
    assert fault(bare, signature(f"{scheme}://h.example:81/p", {}, TOKEN), {}) is SignatureFault.WRONG


def test_an_ipv6_host_has_colons_and_no_port() -> None:
    assert fault("https://[::1]/p", signature("https://[::1]:443/p", {}, TOKEN), {}) is None


def test_a_bare_question_mark_is_part_of_the_address() -> None:
    assert fault("https://h.example/p?", signature("https://h.example/p?", {}, TOKEN), {}) is None


def test_percent_encoding_is_signed_as_sent() -> None:
    url = "https://h.example/a%2Fb%20c?x=%c3%a9"
    assert fault(url, signature(url, {}, TOKEN), {}) is None


def test_blank_and_repeated_fields_are_signed() -> None:
    fields = {"b": ["2", "1", "2"], "a": [""], "B": ["x"]}
    assert signature(URL, fields, TOKEN) == signature(URL + "Bxab1b2", {}, TOKEN)
    assert fault(URL, signature(URL, fields, TOKEN), {"b": ["1", "2"], "B": ["x"]}) is SignatureFault.WRONG


def test_a_shared_key_signs_with_sha256_and_is_chosen_by_its_name() -> None:
    settings = "key=webhooks_sharedkey_1,algorithm=HMAC_SHA256"
    signed = signature(URL, FORM, "shared-secret", "sha256")
    assert fault(URL, signed, settings=settings) is None
    assert fault(URL, PUBLISHED, settings=settings) is SignatureFault.WRONG
    assert fault(URL, signed) is SignatureFault.WRONG


@pytest.mark.parametrize(
    "settings",
    [
        "",
        "key=webhooks_sharedkey_2,algorithm=HMAC_SHA256",
        "key=webhooks_sharedkey_1,algorithm=HMAC_MD5",
        "key=webhooks_sharedkey_1",
        "algorithm=HMAC_SHA256",
        ",,==,",
    ],
)
def test_an_unknown_key_or_algorithm_is_a_fault(settings: str) -> None:
    assert fault(URL, PUBLISHED, settings=settings) is SignatureFault.UNKNOWN_KEY


def test_a_json_body_is_signed_by_its_digest() -> None:
    body = b'{"a":1}'
    url = f"https://h.example/p?bodySHA256={hashlib.sha256(body).hexdigest()}"
    signed = signature(url, {}, TOKEN)
    assert fault(url, signed, {}, body) is None
    assert fault(url, signed, {}, body + b" ") is SignatureFault.WRONG_BODY
    assert fault("https://h.example/p", signature("https://h.example/p", {}, TOKEN), {}, body) is (
        SignatureFault.WRONG_BODY
    )


def test_secrets_do_not_show() -> None:
    assert TOKEN not in repr(KEYS)
    assert "shared-secret" not in repr(KEYS)
