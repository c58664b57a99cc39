"""Addresses with holes: whatever is put into them, they lead to the same place."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from offhook.config.errors import ToolError
from offhook.config.url_template import LONGEST_URL, UrlTemplate

ORDERS = "https://api.example.com:8443/v1/orders/{order}/items/x{item}?lang=en&q={words}&at={{when}}"
NASTY = (
    "../admin",
    "..",
    ".",
    "",
    "a/b",
    "a\\b",
    "%2e%2e",
    "%252e%252e",
    "%2F",
    "x@evil.example",
    "//evil.example",
    "https://evil.example/",
    "#x",
    "?x=1",
    "a&admin=1",
    "a=b",
    "a;b",
    "\r\nHost: evil.example",
    "\x00",
    "{order}",
    "{{when}}",
    "\ud800",
    "é ü 漢",
    " ",
)


def filled(text: str, arguments: Mapping[str, Any], variables: Mapping[str, str], **more: Any) -> str:
    return UrlTemplate.parse(text).fill(arguments, variables, more)


anything = st.one_of(st.text(), st.sampled_from(NASTY), st.integers(), st.booleans(), st.none())
more_values = st.one_of(anything, st.lists(anything, max_size=3), st.dictionaries(st.text(), anything))


@given(
    order=anything,
    item=anything,
    words=more_values,
    when=st.text() | st.sampled_from(NASTY),
    extra=more_values,
)
def test_no_value_changes_where_the_request_goes(
    order: Any, item: Any, words: Any, when: str, extra: Any
) -> None:
    try:
        url = filled(ORDERS, {"order": order, "item": item, "words": words}, {"when": when}, extra=extra)
    except ToolError:
        return
    assert url.isascii()
    assert url.isprintable()
    assert " " not in url
    parts = urlsplit(url)
    assert (parts.scheme, parts.netloc, parts.fragment) == ("https", "api.example.com:8443", "")
    segments = parts.path.split("/")
    assert len(segments) == 6
    assert segments[:3] == ["", "v1", "orders"]
    assert segments[4] == "items"
    for decoded in (segments, [unquote(segment) for segment in segments]):
        assert not {"", ".", ".."} & set(decoded[1:])
        assert not any(sign in segment for segment in decoded for sign in "/\\")
    keys = [key for key, _ in parse_qsl(parts.query, keep_blank_values=True)]
    assert set(keys) <= {"lang", "q", "at", "extra"}
    assert keys.count("lang") == 1


@given(
    order=st.text(st.characters(exclude_characters="/\\%", exclude_categories=["Cs"]), min_size=3),
    words=st.text(st.characters(exclude_categories=["Cs"])),
)
def test_what_is_put_in_comes_out_again(order: str, words: str) -> None:
    url = urlsplit(filled("https://a.example/o/{order}?q={words}", {"order": order, "words": words}, {}))
    assert unquote(url.path) == f"/o/{order}"
    assert parse_qsl(url.query, keep_blank_values=True) == [("q", words)]


@pytest.mark.parametrize(
    "value", ["../admin", "..", ".", "", "a/b", "a\\b", "%2e%2e", "%2Fx", None, [1], {"a": 1}]
)
def test_a_value_that_could_change_the_path_is_refused(value: Any) -> None:
    with pytest.raises(ToolError, match="address"):
        filled("https://a.example/orders/{order}", {"order": value}, {})


def test_dots_that_two_values_make_together_are_refused() -> None:
    with pytest.raises(ToolError, match="dots"):
        filled("https://a.example/{a}{b}/x", {"a": ".", "b": "."}, {})


def test_values_are_written_as_they_are_spoken_of() -> None:
    url = filled(
        "https://a.example/{n}/{yes}?f={f}",
        {"n": 7, "yes": True, "f": 1.5},
        {},
        many=[1, "b c"],
        one={"k": 1},
    )
    assert url == "https://a.example/7/true?f=1.5&many=1&many=b%20c&one=%7B%22k%22%3A1%7D"


def test_a_query_item_whose_value_is_not_known_is_left_out() -> None:
    url = filled("https://a.example/?q={words}&at={{when}}&flag&x=a-{words}", {"words": None}, {}, none=None)
    assert url == "https://a.example/?flag&x=a-"


def test_a_variable_of_the_call_may_stand_in_the_path() -> None:
    assert (
        filled("https://a.example/{{ from }}", {}, {"from": "+15550100"}) == "https://a.example/%2B15550100"
    )
    with pytest.raises(ToolError, match="from"):
        filled("https://a.example/{{from}}", {}, {})


def test_an_address_that_becomes_too_long_is_refused() -> None:
    with pytest.raises(ToolError, match="characters"):
        filled("https://a.example/?q={words}", {"words": "x" * LONGEST_URL}, {})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("ftp://a.example/", "https://"),
        ("//a.example/", "https://"),
        ("https://{host}/", "not in its host"),
        ("https://a.example{port}/", "not in its host"),
        ("https://user:word@a.example/", "header"),
        ("https:///orders", "no host"),
        ("https://a.example:x/", "no address"),
        ("https://[::1/", "no address"),
        ("https://a.example/a/../b", "`..`"),
        ("https://a.example/%2e%2e/b", "`..`"),
        ("https://a.example/x#y", "without `#`"),
        ("https://a.example/x?{key}=1", "every key"),
        ("https://a.example/x?=1", "every key"),
        ("https://a.example/{order number}", "blank"),
        ("https://a.example/{order-number}", "braces"),
        ("https://a.example\\@evil.example/", "backslash"),
        ("https://a.example/\n", "blank"),
        ("https://a.example/ü", "ASCII"),
    ],
)
def test_a_template_that_cannot_be_trusted_is_refused(text: str, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        UrlTemplate.parse(text)


def test_host_and_port_are_known() -> None:
    ipv6 = UrlTemplate.parse("http://[::1]:9000/x")
    assert (ipv6.origin, ipv6.host, ipv6.port) == ("http://[::1]:9000", "::1", 9000)
    plain = UrlTemplate.parse("https://API.Example.com./")
    assert (plain.host, plain.port, plain.fill({}, {})) == (
        "api.example.com",
        443,
        "https://api.example.com./",
    )
    assert UrlTemplate.parse("http://a.example").fill({}, {}) == "http://a.example/"
