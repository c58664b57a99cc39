"""Entries of a tool's allow-list."""

from __future__ import annotations

import pytest

from offhook.config.host_pattern import HostPattern


@pytest.mark.parametrize(
    ("entry", "host", "port", "covered"),
    [
        ("api.example.com", "API.example.com", 443, True),
        ("api.example.com", "api.example.com.", 9000, True),
        ("api.example.com", "xapi.example.com", 443, False),
        ("api.example.com:443", "api.example.com", 80, False),
        ("*.example.com", "api.example.com", 443, True),
        ("*.example.com", "a.b.example.com", 443, True),
        ("*.example.com", "example.com", 443, False),
        ("*.example.com", "badexample.com", 443, False),
        ("127.0.0.1:9000", "127.0.0.1", 9000, True),
        ("127.0.0.1:9000", "127.0.0.1", 9001, False),
        ("[::1]:9000", "::1", 9000, True),
        ("[::1]", "::1", 80, True),
        ("::1", "::1", 80, True),
        ("orders_api:8080", "orders_api", 8080, True),
    ],
)
def test_an_entry_covers_what_it_names(entry: str, host: str, port: int, covered: bool) -> None:
    assert HostPattern.parse(entry).matches(host, port) is covered


@pytest.mark.parametrize(
    "entry",
    [
        "",
        "https://a.example",
        "a.example/x",
        "u@a.example",
        "*",
        "*.",
        "a.*.example",
        "a b",
        "a:0",
        "a:x",
        "a:99999",
        "[::1",
    ],
)
def test_what_is_no_host_is_refused(entry: str) -> None:
    with pytest.raises(ValueError, match=r"is no host|has no port"):
        HostPattern.parse(entry)


def test_a_whole_domain_is_not_exact() -> None:
    assert not HostPattern.parse("*.example.com").is_exact
    assert HostPattern.parse("example.com").is_exact
